"""A version's info: what it is, what it holds, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from frames.index.reader import DatasetIndex
from frames.models import Grant, Version
from frames.web import access
from frames.web.http import respond
from frames.web.text import count, elapsed, percent, plural
from frames.web.versions import panel_of, version_json

if TYPE_CHECKING:
    from django.http import HttpResponse

    from frames.web.http import SignedInRequest
    from frames.web.versions import VersionPanel

CONTENT_TYPES_SHOWN: Final = 20
COMPARABLE_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class VersionInfoPage:
    """What a version says of itself.

    `content_types` tells of how many frames a source has each type, the most common first;
    `untyped` are the frames of which none has any.
    """

    version: Version
    parents: list[str]
    content_types: list[tuple[str, int]]
    untyped: int
    others: list[tuple[str, str]]
    may_edit: bool
    may_publish: bool
    panel: VersionPanel

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Each fact with its name (I2); what is not known is left out."""
        version, dataset = self.version, self.version.dataset
        annotated = percent(version.annotated_count, version.frame_count)
        facts = [
            ("Version ID", version.uid),
            ("Version name", version.name),
            ("Dataset ID", dataset.uid),
            ("Dataset name", dataset.name),
            ("Dataset description", dataset.description),
            ("Dataset tags", ", ".join(dataset.tags)),
            ("Project", dataset.project.name),
            ("Status", version.get_status_display()),
            ("Parents", ", ".join(self.parents)),
            ("Tags", ", ".join(version.tags)),
            ("Created by", version.created_by.get_username() if version.created_by else ""),
            ("Updated", f"{version.updated_at:%Y-%m-%d %H:%M} ({elapsed(version.updated_at)})"),
            ("Number of frames", self.frames),
            ("Annotated", f"{annotated} ({plural(version.annotated_count, 'frame')})"),
            ("Annotations", count(version.region_count)),
        ]
        return [(name, value) for name, value in facts if value]

    @property
    def frames(self) -> str:
        """How many frames there are of each content type."""
        shown = self.content_types[:CONTENT_TYPES_SHOWN]
        parts = [f"{plural(number, 'frame')} of type {name}" for name, number in shown]
        if len(self.content_types) > len(shown):
            parts.append("more of other types")
        if self.untyped:
            parts.append(f"{plural(self.untyped, 'frame')} of type N/A")
        return ", ".join(parts) or "0"

    def as_json(self) -> dict[str, Any]:
        """Return the version with its metadata and parents."""
        version = self.version
        return {
            **version_json(version),
            "description": version.description,
            "tags": version.tags,
            "parents": self.parents,
            "content_types": dict(self.content_types),
            "untyped_frames": self.untyped,
            "created_by": version.created_by.get_username() if version.created_by else None,
            "metadata": version.metadata,
            "dataset": {
                "id": version.dataset.uid,
                "name": version.dataset.name,
                "description": version.dataset.description,
                "tags": version.dataset.tags,
            },
        }


def version_info(
    request: SignedInRequest, dataset_uid: str, version_uid: str, *, as_json: bool = False
) -> HttpResponse:
    """Show what a version is."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    role = access.role_in(request.user, version.dataset.project)
    index = DatasetIndex(version.dataset)
    members = index.members(version)
    types = index.counts("sources.content_type", members, limit=CONTENT_TYPES_SHOWN + 1)
    newest = version.dataset.versions.exclude(pk=version.pk).order_by("-updated_at", "-pk")
    page = VersionInfoPage(
        version=version,
        parents=list(version.parents.order_by("name").values_list("name", flat=True)),
        content_types=[(found.value, found.frames) for found in types],
        untyped=len(members - index.has("sources.content_type")),
        others=list(newest.values_list("uid", "name")[:COMPARABLE_MAX]),
        may_edit=role >= Grant.Role.EDITOR,
        may_publish=role >= Grant.Role.ADMIN,
        panel=panel_of(version, request.GET.dict(), role),
    )
    return respond(request, page, "version/info.html", as_json=as_json)
