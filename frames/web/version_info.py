"""A version's info: what it is, where it comes from, and its metadata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frames.models import Grant, Version
from frames.web import access
from frames.web.http import respond
from frames.web.text import count, json_text, percent
from frames.web.versions import panel_of, version_json

if TYPE_CHECKING:
    from django.http import HttpResponse

    from frames.web.http import SignedInRequest
    from frames.web.versions import VersionEntry, VersionPanel


@dataclass(frozen=True, slots=True)
class VersionInfoPage:
    """What a version says of itself."""

    version: Version
    parents: list[str]
    may_edit: bool
    may_publish: bool
    panel: VersionPanel

    @property
    def others(self) -> list[VersionEntry]:
        """The versions it can be compared with."""
        return [entry for entry in self.panel.items if not entry.is_current]

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Each fact with its name; what is not known is left out."""
        version, dataset = self.version, self.version.dataset
        annotated = percent(version.annotated_count, version.frame_count)
        facts = [
            ("Version ID", version.uid),
            ("Version name", version.name),
            ("Description", version.description),
            ("Status", version.get_status_display()),
            ("Parents", ", ".join(self.parents)),
            ("Created by", version.created_by.get_username() if version.created_by else ""),
            ("Frames", count(version.frame_count)),
            ("Annotated frames", f"{count(version.annotated_count)} ({annotated})"),
            ("Annotations", count(version.region_count)),
            ("Tags", ", ".join(version.tags)),
            ("Dataset ID", dataset.uid),
            ("Dataset name", dataset.name),
            ("Dataset description", dataset.description),
            ("Dataset tags", ", ".join(dataset.tags)),
            ("Project", dataset.project.name),
        ]
        return [(name, value) for name, value in facts if value]

    @property
    def metadata(self) -> list[tuple[str, str]]:
        """The metadata of the version and of its dataset, as indented JSON."""
        both = [
            ("Metadata of the version", self.version.metadata),
            ("Metadata of the dataset", self.version.dataset.metadata),
        ]
        return [(name, json_text(value)) for name, value in both if value]

    def as_json(self) -> dict[str, Any]:
        """Return the version with its metadata and parents."""
        version = self.version
        return {
            **version_json(version),
            "description": version.description,
            "tags": version.tags,
            "parents": self.parents,
            "metadata": version.metadata,
            "dataset": {"id": version.dataset.uid, "name": version.dataset.name},
        }


def version_info(
    request: SignedInRequest, dataset_uid: str, version_uid: str, *, as_json: bool = False
) -> HttpResponse:
    """Show what a version is."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    role = access.role_in(request.user, version.dataset.project)
    page = VersionInfoPage(
        version=version,
        parents=list(version.parents.order_by("name").values_list("name", flat=True)),
        may_edit=role >= Grant.Role.EDITOR,
        may_publish=role >= Grant.Role.ADMIN,
        panel=panel_of(version),
    )
    return respond(request, page, "version/info.html", as_json=as_json)
