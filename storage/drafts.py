"""A job and its pictures before they have rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from storage.contract import Action, GenerationRequest, Speed
from storage.tables import Image, Job


@dataclass(frozen=True)
class JobDraft:
    """What the bot knows of a job before it has a row. Times are epoch milliseconds, `upload_limit` bytes."""

    member_id: int
    member_name: str
    guild_id: int | None
    channel_id: int | None
    action: Action
    text: str
    request: GenerationRequest
    batch_id: int | None = None
    parent_job_id: int | None = None
    parent_image_id: int | None = None
    parent_index: int | None = None
    interaction_id: int | None = None
    press: str | None = None
    reply_to: int | None = None
    locale: str | None = None
    user_install: bool = False
    speed: Speed = Speed.FAST
    stealth: bool = False
    upload_limit: int = 10 * 2**20
    interaction_token: str | None = field(default=None, repr=False)
    token_expires_at: int | None = None

    def row(self, at: int) -> Job:
        """The job's row, waiting since `at` (epoch milliseconds)."""
        request = self.request
        return Job(
            member_id=self.member_id,
            guild_id=self.guild_id,
            channel_id=self.channel_id,
            batch_id=self.batch_id,
            action=self.action.value,
            parent_job_id=self.parent_job_id,
            parent_image_id=self.parent_image_id,
            parent_index=self.parent_index,
            text=self.text,
            model=request.model,
            batch_group=request.batch_group,
            request=request.model_dump(mode="json"),
            request_version=request.version,
            created_at=at,
            interaction_id=self.interaction_id,
            press=self.press,
            reply_to=self.reply_to,
            locale=self.locale,
            user_install=self.user_install,
            speed=self.speed.value,
            priority=self.speed.priority,
            stealth=self.stealth,
            upload_limit=self.upload_limit,
            interaction_token=self.interaction_token,
            token_expires_at=self.token_expires_at,
        )


@dataclass(frozen=True)
class Picture:
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
