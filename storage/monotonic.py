"""Seconds that only grow, the same on every thread and loop of this process."""

from __future__ import annotations

# Taken at import, before SimCord can put the time of its own world in the place of `time.monotonic`: it does
# so on its loop alone, and what is measured there is compared on threads.
from time import monotonic as monotonic
