"""The nouns: one file each. No network, no HTTP, no bitmap."""

from frames.models.api_key import ApiKey
from frames.models.audit_event import AuditEvent
from frames.models.check import CheckFinding
from frames.models.data_view import DataView
from frames.models.dataset import Dataset
from frames.models.deleted_version import DeletedVersion
from frames.models.frame import Frame
from frames.models.index import (
    Identities,
    Key,
    Membership,
    Posting,
    RegionOffsets,
    Term,
    Unheld,
)
from frames.models.job import Job, JobError
from frames.models.preview import Preview, PreviewReason
from frames.models.project import Grant, Project
from frames.models.source import Source
from frames.models.version import Version

__all__ = [
    "ApiKey",
    "AuditEvent",
    "CheckFinding",
    "DataView",
    "Dataset",
    "DeletedVersion",
    "Frame",
    "Grant",
    "Identities",
    "Job",
    "JobError",
    "Key",
    "Membership",
    "Posting",
    "Preview",
    "PreviewReason",
    "Project",
    "RegionOffsets",
    "Source",
    "Term",
    "Unheld",
    "Version",
]
