"""The forms that make, branch, describe, publish and delete a version."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from django.contrib import messages
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from frames.actions import versions
from frames.actions.datasets import CURRENT
from frames.actions.fields import clean_name
from frames.models import Grant, Version
from frames.web import access
from frames.web.addresses import version_address
from frames.web.forms import Field, FormPage, answer_form, name_field
from frames.web.text import plural
from frames.web.version_check import Gate, gate_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpResponse

    from frames.web.http import SignedInRequest


@dataclass(frozen=True, slots=True)
class PublishForm(FormPage):
    """The form that publishes, with what the checks of the draft say."""

    gate: Gate = field(kw_only=True)


@require_http_methods(["GET", "POST"])
def version_create(request: SignedInRequest, dataset_uid: str) -> HttpResponse:
    """Make an empty draft without parents (M8)."""
    dataset = access.dataset_or_404(request.user, dataset_uid)
    access.require(request.user, dataset.project, Grant.Role.EDITOR)

    def create(given: Mapping[str, str]) -> str:
        version = versions.create_version(
            dataset=dataset,
            name=given["name"],
            description=given["description"],
            actor=request.user,
        )
        messages.success(request, f"{version.name} is empty. Import frames into it.")
        return version_address(version)

    form = FormPage(
        title="New empty version",
        submit="Create version",
        dataset=dataset,
        back_url=reverse("frames:dataset_detail", args=[dataset.uid]),
        fields=[name_field(), _description()],
        lead=[f"A draft of {dataset.name} without parents and without frames."],
    )
    return answer_form(request, form, create)


@require_http_methods(["GET", "POST"])
def version_branch(request: SignedInRequest, dataset_uid: str, version_uid: str) -> HttpResponse:
    """Make a draft that begins with the frames of a published version (V7)."""
    version = _version(request, dataset_uid, version_uid, Grant.Role.EDITOR)

    def branch(given: Mapping[str, str]) -> str:
        child = versions.create_version(
            dataset=version.dataset,
            name=given["name"],
            description=given["description"],
            parents=[version],
            actor=request.user,
        )
        messages.success(request, f"{child.name} has the frames of {version.name}.")
        return version_address(child)

    form = FormPage(
        title="Create new version",
        submit="Create version",
        dataset=version.dataset,
        version=version,
        back_url=version_address(version),
        fields=[name_field(CURRENT), _description()],
        lead=[f"A draft that begins with all frames of {version.name}."],
    )
    return answer_form(request, form, branch)


@require_http_methods(["GET", "POST"])
def version_edit(request: SignedInRequest, dataset_uid: str, version_uid: str) -> HttpResponse:
    """Rename, describe and tag a version (V7)."""
    version = _version(request, dataset_uid, version_uid, Grant.Role.EDITOR)

    def edit(given: Mapping[str, str]) -> str:
        versions.update_version(
            version,
            actor=request.user,
            name=given["name"],
            description=given["description"],
            tags=given["tags"].split(","),
        )
        return version_address(version)

    form = FormPage(
        title=f"Edit {version.name}",
        submit="Save",
        dataset=version.dataset,
        version=version,
        back_url=version_address(version),
        fields=[
            name_field(version.name),
            _description(version.description),
            Field("tags", "Tags", ", ".join(version.tags), hint="With commas between them."),
        ],
    )
    return answer_form(request, form, edit)


@require_http_methods(["GET", "POST"])
def version_publish(request: SignedInRequest, dataset_uid: str, version_uid: str) -> HttpResponse:
    """Publish a draft, and continue it in a working copy unless that is not wanted (V8)."""
    version = _version(request, dataset_uid, version_uid, Grant.Role.ADMIN)

    def publish(given: Mapping[str, str]) -> str:
        # The actions choose a name where none is given; who has emptied the field is told.
        clean_name(given["name"], "version")
        reason = given.get("reason", "")
        if not given["with_copy"]:
            published = versions.publish(
                version, actor=request.user, name=given["name"], reason=reason
            )
            messages.success(request, f"{published.name} is published.")
            return version_address(published)
        published, child = versions.snapshot(
            version,
            actor=request.user,
            name=given["name"],
            child_name=given["copy_name"],
            child_description=given["copy_description"],
            reason=reason,
        )
        messages.success(request, f"{published.name} is published; {child.name} continues it.")
        return version_address(published)

    moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    frames = plural(version.frame_count, "frame")
    gate = gate_of(version)
    form = PublishForm(
        gate=gate,
        title=f"Publish {version.name}",
        submit="Publish",
        dataset=version.dataset,
        version=version,
        back_url=version_address(version),
        fields=[
            # A name is 255 characters at most, and the dataset's may be as long by itself.
            name_field(
                f"Snapshot of {version.dataset.name[:200]} - {moment}",
                label="Published version name",
            ),
            Field("with_copy", "Create additional working copy", "on", kind="check"),
            Field("copy_name", "New working copy name", CURRENT),
            Field("copy_description", "New working copy description", kind="area"),
            *([_reason(gate)] if gate.needs_reason else []),
        ],
        lead=[
            f"A published version never changes again: its {frames} and its metadata stay as "
            "they are."
        ],
    )
    return answer_form(request, form, publish, "version/publish.html")


@require_http_methods(["GET", "POST"])
def version_delete(request: SignedInRequest, dataset_uid: str, version_uid: str) -> HttpResponse:
    """Delete a draft that has no children, once more asked (V7)."""
    version = _version(request, dataset_uid, version_uid, Grant.Role.ADMIN)

    def delete(given: Mapping[str, str]) -> str:
        versions.delete_version(version, actor=request.user)
        messages.success(request, f"{version.name} is deleted.")
        return reverse("frames:dataset_detail", args=[version.dataset.uid])

    form = FormPage(
        title=f"Delete {version.name}?",
        submit="Delete version",
        is_deletion=True,
        dataset=version.dataset,
        version=version,
        back_url=version_address(version),
        lead=[
            f"This draft of {version.dataset.name} and what only it holds are deleted. Other "
            "versions keep their frames; the pictures stay where they are stored."
        ],
    )
    return answer_form(request, form, delete)


def _version(
    request: SignedInRequest, dataset_uid: str, version_uid: str, role: Grant.Role
) -> Version:
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    access.require(request.user, version.dataset.project, role)
    return version


def _reason(gate: Gate) -> Field:
    """Return the field of why a draft is published with defects, or unchecked."""
    label = "Why publish with these defects" if gate.is_current else "Why publish unchecked"
    return Field(
        "reason",
        label,
        kind="area",
        hint="Required to publish now. It stays in the audit log.",
    )


def _description(value: str = "") -> Field:
    return Field("description", "Description", value, kind="area")
