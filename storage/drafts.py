"""A job and its pictures before they have rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from storage import brought
from storage.contract import Action, GenerationRequest, Speed
from storage.tables import Address, Image, Job, JobImage


@dataclass(frozen=True)
class JobDraft:
    """A job as the bot knows it before it has a row."""

    address: Address
    member_name: str
    action: Action
    text: str
    request: GenerationRequest
    words: str
    """All that is asked for in words, as the word rules compare it; no column of the row."""
    batch_id: int | None = None
    parent_job_id: int | None = None
    parent_image_id: int | None = None
    parent_index: int | None = None
    interaction_id: int | None = None
    press: str | None = None
    speed: Speed | None = None
    stealth: bool | None = None
    """Of both None where the text says nothing, until `in_mode_of`."""

    def in_mode_of(self, settings: Mapping[str, Any]) -> JobDraft:
        """The draft with speed and stealth of a member's settings where its text says nothing of them."""
        chosen = next((speed for speed in Speed if speed == settings.get("speed")), Speed.FAST)
        stealth = bool(settings.get("stealth")) if self.stealth is None else self.stealth
        return replace(self, speed=self.speed or chosen, stealth=stealth)

    def row(self, at: int) -> Job:
        """The job's row, waiting since `at` (epoch milliseconds)."""
        request, speed = self.request, self.speed or Speed.FAST
        stored = request.model_dump(mode="json")
        return Job(
            **self.address.columns_of(Job, at),
            batch_id=self.batch_id,
            action=self.action.value,
            parent_job_id=self.parent_job_id,
            parent_image_id=self.parent_image_id,
            parent_index=self.parent_index,
            text=self.text,
            model=request.model,
            request=stored,
            request_version=request.version,
            uses=[JobImage(key=key) for key in sorted(brought.named(stored))],
            created_at=at,
            interaction_id=self.interaction_id,
            press=self.press,
            speed=speed.value,
            priority=speed.priority,
            stealth=bool(self.stealth),
        )


@dataclass(frozen=True)
class ImageDraft:
    """One image that an attempt made, saved in the image store under `key`; `size` is in bytes."""

    index: int
    seed: int
    width: int
    height: int
    key: str
    sha256: str
    size: int
    safety_scores: dict[str, Any]
    withheld: bool

    def row(self, job: Job, at: int) -> Image:
        """The picture's row, made by the job's present attempt."""
        return Image(
            job_id=job.id,
            attempt=job.attempts,
            index=self.index,
            seed=self.seed,
            width=self.width,
            height=self.height,
            key=self.key,
            sha256=self.sha256,
            size=self.size,
            safety_scores=self.safety_scores,
            withheld=self.withheld,
            created_at=at,
        )
