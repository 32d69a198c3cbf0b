"""A version's metadata: its page, and the form that changes a draft's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from frames.actions import versions
from frames.actions.fields import parse_metadata
from frames.models import Grant
from frames.web import access
from frames.web.forms import Field, FormPage, answer_form
from frames.web.http import respond
from frames.web.text import json_text
from frames.web.versions import panel_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpResponse

    from frames.models import Version
    from frames.web.http import SignedInRequest
    from frames.web.versions import VersionPanel


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One value of the masks' pixels, what it stands for, and its colour where it has one."""

    value: str
    labels: str
    color: str


@dataclass(frozen=True, slots=True)
class VersionMetadataPage:
    """The metadata of a version and of its dataset."""

    version: Version
    may_edit: bool
    may_publish: bool
    panel: VersionPanel

    @property
    def text(self) -> str:
        """The version's metadata as indented JSON, empty where there is none."""
        return json_text(self.version.metadata) if self.version.metadata else ""

    @property
    def dataset_text(self) -> str:
        """The dataset's metadata as indented JSON, empty where there is none."""
        metadata = self.version.dataset.metadata
        return json_text(metadata) if metadata else ""

    @property
    def legend(self) -> list[LegendEntry]:
        """What the values of the version's masks stand for."""
        legends = self.version.metadata.get("mask_labels")
        entries = legends.get("_all_") if isinstance(legends, dict) else None
        # An import takes metadata as it is.
        if not isinstance(entries, list):
            return []
        return [_legend_entry(entry) for entry in entries if isinstance(entry, dict)]

    def as_json(self) -> dict[str, Any]:
        """Return the metadata of the version and of its dataset."""
        dataset = self.version.dataset
        return {
            "version": {"id": self.version.uid, "name": self.version.name},
            "metadata": self.version.metadata,
            "dataset": {"id": dataset.uid, "name": dataset.name, "metadata": dataset.metadata},
        }


def version_metadata(
    request: SignedInRequest, dataset_uid: str, version_uid: str, *, as_json: bool = False
) -> HttpResponse:
    """Show a version's metadata (I1)."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    role = access.role_in(request.user, version.dataset.project)
    page = VersionMetadataPage(
        version=version,
        may_edit=role >= Grant.Role.EDITOR,
        may_publish=role >= Grant.Role.ADMIN,
        panel=panel_of(version, request.GET.dict(), role),
    )
    return respond(request, page, "version/metadata.html", as_json=as_json)


@require_http_methods(["GET", "POST"])
def version_metadata_edit(
    request: SignedInRequest, dataset_uid: str, version_uid: str
) -> HttpResponse:
    """Change a draft's metadata (I1)."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    access.require(request.user, version.dataset.project, Grant.Role.EDITOR)
    address = reverse("frames:version_metadata", args=[dataset_uid, version_uid])
    if not version.is_draft and request.method == "GET":
        messages.error(request, f"{version.name} is published: its metadata cannot change.")
        return redirect(address)

    def edit(given: Mapping[str, str]) -> str:
        metadata = parse_metadata(given["metadata"])
        versions.update_version(version, actor=request.user, metadata=metadata)
        messages.success(request, f"The metadata of {version.name} is saved.")
        return address

    form = FormPage(
        title=f"Metadata of {version.name}",
        submit="Save",
        dataset=version.dataset,
        version=version,
        back_url=address,
        fields=[
            Field(
                "metadata",
                "JSON object",
                json_text(version.metadata),
                kind="code",
                rows=20,
                hint="mask_labels._all_ lists what the values of masks stand for.",
            )
        ],
    )
    return answer_form(request, form, edit)


def _legend_entry(entry: Mapping[str, Any]) -> LegendEntry:
    value, labels = entry.get("value"), entry.get("labels")
    color = ""
    if isinstance(value, list) and len(value) == 3 and all(type(part) is int for part in value):
        color = f"rgb({', '.join(map(str, value))})"
    return LegendEntry(
        value=", ".join(map(str, value)) if isinstance(value, list) else str(value),
        labels=", ".join(map(str, labels)) if isinstance(labels, list) else "",
        color=color,
    )
