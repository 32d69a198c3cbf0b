"""What every page of a version has: the panel of the dataset's versions, and its JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from frames.web.addresses import version_address
from frames.web.text import count, elapsed, plural

if TYPE_CHECKING:
    from datetime import datetime

    from frames.models import Version

MAX_VERSIONS_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class VersionEntry:
    """One version in the panel."""

    uid: str
    name: str
    url: str
    is_draft: bool
    is_current: bool
    updated_at: datetime
    frames: str

    @property
    def updated(self) -> str:
        """How long ago it was updated."""
        return elapsed(self.updated_at)


@dataclass(frozen=True, slots=True)
class VersionPanel:
    """The versions of a dataset that were updated last."""

    items: list[VersionEntry]
    has_more: bool

    @property
    def count(self) -> str:
        """How many there are, as far as they are shown."""
        return f"{count(len(self.items))}{'+' if self.has_more else ''}"


def panel_of(version: Version) -> VersionPanel:
    """Return the panel of a version's dataset, itself marked in it; one query."""
    versions = list(
        version.dataset.versions.order_by("-updated_at", "-pk")[: MAX_VERSIONS_SHOWN + 1]
    )
    return VersionPanel(
        items=[_entry(other, version) for other in versions[:MAX_VERSIONS_SHOWN]],
        has_more=len(versions) > MAX_VERSIONS_SHOWN,
    )


def version_json(version: Version) -> dict[str, Any]:
    """Return a version as JSON."""
    return {
        "id": version.uid,
        "name": version.name,
        "status": version.status,
        "frames": version.frame_count,
        "annotated_frames": version.annotated_count,
        "annotations": version.region_count,
        "updated": version.updated_at.isoformat(),
        "url": version_address(version),
    }


def _entry(other: Version, shown: Version) -> VersionEntry:
    # The row is at hand: without this the address would fetch it again.
    other.dataset = shown.dataset
    return VersionEntry(
        uid=other.uid,
        name=other.name,
        url=version_address(other),
        is_draft=other.is_draft,
        is_current=other.pk == shown.pk,
        updated_at=other.updated_at,
        frames=plural(other.frame_count, "frame"),
    )
