"""The look at what is about to be loaded beside a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from generator.inspection import acceptance
from generator.inspection.configs import unet_base
from generator.inspection.inspected import Inspection
from generator.inspection.inspecting import look
from storage.errors import CatalogError


def admit(
    title: str,
    source: str,
    key: str,
    file: str | None = None,
    *,
    unet: Mapping[str, Any] | None = None,
    encoder: str | None = None,
) -> Inspection | None:
    """Inspect something for this key of the catalog; None where it is still to be fetched.

    It is to fit a model whose UNet is configured like `unet`, and an adapter the image encoder at `encoder`.

    Raises:
        CatalogError: Easel cannot use it; the text says what it is.
    """
    where = source if file is None else str(Path(source, file))
    try:
        found = look(source, file)
        reads = look(encoder) if encoder else None
    except CatalogError as error:
        raise CatalogError(f"The {title} at {where} cannot be used: {error}") from None
    if found is None:
        return None
    reason = acceptance.refusal(found, key)
    if reason is None and unet is not None:
        reason = acceptance.misfit(found, unet_base(unet), key)
    if reason is None and reads is not None:
        reason = acceptance.unread(found, reads)
    if reason is not None:
        raise CatalogError(f"The {title} at {where} cannot be used: {reason}.")
    return found
