"""The tables. Times are epoch milliseconds of the database's clock; Discord ids are 64-bit."""

from storage.tables.addresses import SAME_PRESS_MS, TOKEN_MS, UPLOAD_LIMIT, Address
from storage.tables.base import Table
from storage.tables.batches import LIVE, Batch
from storage.tables.brought import Bringing, Filling, JobImage
from storage.tables.deliveries import OPEN, Delivery, Message
from storage.tables.exports import Export
from storage.tables.images import Favorite, Image
from storage.tables.jobs import QUEUED, RELAXED, RUNNING, UNFINISHED, Job
from storage.tables.members import Member, MemberUsage
from storage.tables.moderation import EXPIRING, IN_FORCE, UNDECIDED, AuditEntry, Ban, Guild, Report, Takedown
from storage.tables.stores import Store
from storage.tables.workers import Turn, WorkerRow

__all__ = [
    "EXPIRING",
    "IN_FORCE",
    "LIVE",
    "OPEN",
    "QUEUED",
    "RELAXED",
    "RUNNING",
    "SAME_PRESS_MS",
    "TOKEN_MS",
    "UNDECIDED",
    "UNFINISHED",
    "UPLOAD_LIMIT",
    "Address",
    "AuditEntry",
    "Ban",
    "Batch",
    "Bringing",
    "Delivery",
    "Export",
    "Favorite",
    "Filling",
    "Guild",
    "Image",
    "Job",
    "JobImage",
    "Member",
    "MemberUsage",
    "Message",
    "Report",
    "Store",
    "Table",
    "Takedown",
    "Turn",
    "WorkerRow",
]
