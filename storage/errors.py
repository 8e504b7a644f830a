"""Errors that carry what went wrong as data; `bot/errors.py` turns them into sentences.

EaselError
├── ConfigError          a setting is wrong: the start stops with one sentence
├── CatalogError         the catalog names something that cannot be used
├── FetchError           what an operator wants to add to the catalog cannot be had
├── Refused              a member's request that cannot be served now
│   ├── QueueFull · BatchesFull · Banned · Paused · ModelOff (offers)
│   ├── NoSuchJob (DataDeleted) · NoSuchImage · NoSuchMessage
│   └── NotYours · NotModerator · AlreadyFinished
├── Stale                a worker's write that its attempt no longer owns
├── SourceWithheld       the safety check keeps a picture that a member brought
├── StoreFull            the store takes no more pictures
└── ImageMissing         the store has lost (or never had) a picture
"""

from __future__ import annotations


class EaselError(Exception):
    """Everything that Easel raises on purpose."""


class ConfigError(EaselError):
    """A setting that stops the start; the text is the one sentence the operator reads."""


class CatalogError(EaselError):
    """A catalog that cannot be used; the text names the entry and the mend."""


class FetchError(EaselError):
    """Something that cannot be added to the catalog, or taken out; the text is one sentence."""


class Refused(EaselError):
    """A request that cannot be served now; nothing was written."""


class QueueFull(Refused):
    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} jobs are waiting already")
        self.limit = limit


class BatchesFull(Refused):
    """A batch of `size` jobs is more than its member may have waiting beside those of earlier ones."""

    def __init__(self, size: int, waiting: int, limit: int) -> None:
        super().__init__(f"{size} jobs and {waiting} of earlier batches, at most {limit}")
        self.size, self.waiting, self.limit = size, waiting, limit


class Banned(Refused):
    def __init__(self, reason: str, expires_at: int | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.expires_at = expires_at
        """Epoch milliseconds, None for ever."""


class Paused(Refused):
    """The guild's moderators paused new jobs."""


class NoSuchJob(Refused):
    def __init__(self, job_id: int) -> None:
        super().__init__(f"no job {job_id}")
        self.job_id = job_id


class DataDeleted(NoSuchJob):
    """Its member deleted their data: neither prompt nor pictures are kept."""


class NoSuchMessage(Refused):
    def __init__(self, message_id: int) -> None:
        super().__init__(f"message {message_id} shows no job")
        self.message_id = message_id


class NoSuchImage(Refused):
    def __init__(self, image_id: int) -> None:
        super().__init__(f"no image {image_id}")
        self.image_id = image_id


class NotYours(Refused):
    """Someone else's job."""


class NotModerator(Refused):
    """Only moderators may."""


class AlreadyFinished(Refused):
    def __init__(self, state: str) -> None:
        super().__init__(f"the job is {state} already")
        self.state = state


class NoSuchBatch(Refused):
    """There is no such batch, or its member deleted their data."""


class BatchClosed(Refused):
    """The batch was answered already, or too late; `state` is what it is now."""

    def __init__(self, state: str) -> None:
        super().__init__(f"the batch is {state}")
        self.state = state


class Stale(EaselError):
    """This attempt lost its lease: the job belongs to another worker, or has ended. Drop the pictures."""


class SourceWithheld(EaselError):
    """The safety check does not let a picture that a member brought be used; the text is its key."""


class NothingFound(EaselError):
    """A region's words name nothing that is to be seen in the picture; the text is the words."""


class NearlyWhole(EaselError):
    """A region is nearly the whole picture; the text is the words that name it."""


class SamplerUnavailable(EaselError):
    """The model cannot draw with the sampler that is asked for; the text names those with which it can."""


class StoreFull(EaselError):
    """The image store has no room for what an attempt made, `size` bytes in all."""

    def __init__(self, size: int) -> None:
        super().__init__(f"no room for {size} bytes of pictures")
        self.size = size


class ImageMissing(EaselError):
    def __init__(self, key: str) -> None:
        super().__init__(f"no picture at {key}")
        self.key = key
