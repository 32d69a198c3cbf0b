"""The pages that branch, describe, publish and delete a version."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from django.contrib import messages
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from frames.actions import versions
from frames.actions.datasets import CURRENT, Refused, clean_name
from frames.models import Grant
from frames.web import access
from frames.web.addresses import version_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpResponse, QueryDict

    from frames.models import Version
    from frames.web.http import SignedInRequest


@dataclass(frozen=True, slots=True)
class VersionForm:
    """A form about a version as it was filled in, and what is wrong with it."""

    version: Version
    name: str = ""
    description: str = ""
    tags: str = ""
    with_copy: bool = True
    copy_name: str = CURRENT
    copy_description: str = ""
    problem: str = ""

    @property
    def version_url(self) -> str:
        """The version's page."""
        return version_address(self.version)

    def filled(self, given: QueryDict) -> VersionForm:
        """Return the form with what a person has sent."""
        return replace(
            self,
            name=given.get("name", ""),
            description=given.get("description", ""),
            tags=given.get("tags", ""),
            with_copy="with_copy" in given,
            copy_name=given.get("copy_name", ""),
            copy_description=given.get("copy_description", ""),
        )


@require_http_methods(["GET", "POST"])
def version_branch(request: SignedInRequest, dataset_uid: str, version_uid: str) -> HttpResponse:
    """Make a draft that begins with the frames of a published version (V7)."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)

    def branch(form: VersionForm) -> Version:
        child = versions.create_version(
            dataset=version.dataset,
            name=form.name,
            description=form.description,
            parents=[version],
            actor=request.user,
        )
        messages.success(request, f"{child.name} has the frames of {version.name}.")
        return child

    empty = VersionForm(version, name=CURRENT)
    return _answer(request, empty, "version/branch.html", Grant.Role.EDITOR, branch)


@require_http_methods(["GET", "POST"])
def version_edit(request: SignedInRequest, dataset_uid: str, version_uid: str) -> HttpResponse:
    """Rename, describe and tag a version (V7)."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)

    def edit(form: VersionForm) -> Version:
        return versions.update_version(
            version,
            actor=request.user,
            name=form.name,
            description=form.description,
            tags=form.tags.split(","),
        )

    now = VersionForm(
        version, name=version.name, description=version.description, tags=", ".join(version.tags)
    )
    return _answer(request, now, "version/edit.html", Grant.Role.EDITOR, edit)


@require_http_methods(["GET", "POST"])
def version_publish(request: SignedInRequest, dataset_uid: str, version_uid: str) -> HttpResponse:
    """Publish a draft, and continue it in a working copy unless that is not wanted (V8)."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)

    def publish(form: VersionForm) -> Version:
        # The actions choose a name where none is given; who has emptied the field is told.
        clean_name(form.name, "version")
        if not form.with_copy:
            published = versions.publish(version, actor=request.user, name=form.name)
            messages.success(request, f"{published.name} is published.")
            return published
        published, child = versions.snapshot(
            version,
            actor=request.user,
            name=form.name,
            child_name=form.copy_name,
            child_description=form.copy_description,
        )
        messages.success(request, f"{published.name} is published; {child.name} continues it.")
        return published

    moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    # A name is 255 characters at most, and the dataset's may be as long by itself.
    form = VersionForm(version, name=f"Snapshot of {version.dataset.name[:200]} - {moment}")
    return _answer(request, form, "version/publish.html", Grant.Role.ADMIN, publish)


@require_http_methods(["GET", "POST"])
def version_delete(request: SignedInRequest, dataset_uid: str, version_uid: str) -> HttpResponse:
    """Delete a draft that has no children, once more asked (V7)."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)

    def delete(form: VersionForm) -> None:
        versions.delete_version(version, actor=request.user)
        messages.success(request, f"{version.name} is deleted.")

    return _answer(request, VersionForm(version), "version/delete.html", Grant.Role.ADMIN, delete)


def _answer(
    request: SignedInRequest,
    form: VersionForm,
    template: str,
    role: Grant.Role,
    act: Callable[[VersionForm], Version | None],
) -> HttpResponse:
    """Show the form, or do what it asks and go to the version it ends in."""
    access.require(request.user, form.version.dataset.project, role)
    if request.method == "GET":
        return render(request, template, {"page": form})
    form = form.filled(request.POST)
    try:
        version = act(form)
    except Refused as error:
        return render(request, template, {"page": replace(form, problem=str(error))}, status=400)
    if version is None:
        return redirect("frames:dataset_detail", form.version.dataset.uid)
    return redirect(version_address(version))
