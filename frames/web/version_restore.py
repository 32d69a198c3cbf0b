"""The page that makes a draft hold what another version does: one frame, or all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.contrib import messages
from django.http import Http404
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from frames.actions import versions
from frames.actions.fields import Refused
from frames.actions.frames import VersionNotWritable
from frames.index.reader import DatasetIndex
from frames.models import Frame, Grant, Version
from frames.models.frame import ordinal_of
from frames.search.compare import compare
from frames.web import access
from frames.web.addresses import compare_address, history_address, restore_address
from frames.web.forms import Field, FormPage, answer_form
from frames.web.text import count, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpResponse

    from frames.web.http import SignedInRequest

DRAFTS_SHOWN: Final = 50


@require_http_methods(["GET", "POST"])
def version_restore(request: SignedInRequest, dataset_uid: str, version_uid: str) -> HttpResponse:
    """Restore the frame `id`, or all frames, of the version `from`; asked once more.

    A published version cannot be restored into: its page asks into which draft instead.
    """
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    access.require(request.user, version.dataset.project, Grant.Role.EDITOR)
    source_uid, frame_id = request.GET.get("from", ""), request.GET.get("id", "")
    if "\x00" in source_uid + frame_id:
        # No id has one, and PostgreSQL refuses to be asked for it.
        raise Http404
    source = access.version_or_404(request.user, dataset_uid, source_uid)
    if frame_id and not version.dataset.frames.filter(frame_id=frame_id).exists():
        raise Http404
    if not version.is_draft:
        return _choose_draft(request, version, source, frame_id)

    def restore(given: Mapping[str, str]) -> str:
        ids = [frame_id] if frame_id else None
        try:
            changed = versions.restore(version, source, actor=request.user, frame_ids=ids)
        except VersionNotWritable as error:
            raise Refused(str(error)) from error
        if changed:
            done = f"{plural(changed, 'frame')} of {version.name} restored from {source.name}."
            messages.success(request, done)
        else:
            same = f"{frame_id} is" if frame_id else "Their frames are"
            messages.info(request, f"{same} the same in {source.name} and {version.name}.")
        return compare_address(source, version)

    back_url = (
        history_address(version, frame_id, {}) if frame_id else compare_address(source, version)
    )
    form = FormPage(
        title=f"Restore {frame_id or version.name} from {source.name}?",
        submit="Restore",
        dataset=version.dataset,
        version=version,
        back_url=back_url,
        lead=_lead(version, source, frame_id),
    )
    return answer_form(request, form, restore)


def _lead(version: Version, source: Version, frame_id: str) -> list[str]:
    """Return what would happen, in words."""
    found = compare(version, source)
    if frame_id:
        rows = Frame.objects.filter(dataset=version.dataset, frame_id=frame_id)
        revisions = [ordinal_of(pk) for pk in rows.values_list("pk", flat=True)]
        if any(ordinal in found.changed for ordinal in revisions):
            return [f"{version.name} gets the frame {frame_id} as {source.name} has it."]
        if any(ordinal in found.added for ordinal in revisions):
            return [f"{version.name} does not have the frame {frame_id}, and gets it."]
        if any(ordinal in found.removed for ordinal in revisions):
            return [f"{source.name} does not have the frame {frame_id}. It is taken out."]
        held = DatasetIndex(version.dataset).members(version)
        if not any(ordinal in held for ordinal in revisions):
            neither = f"Neither {version.name} nor {source.name} has the frame {frame_id}."
            return [f"{neither} Nothing would change."]
        return [f"{frame_id} is the same in both. Nothing would change."]
    if not (found.added or found.removed or found.changed):
        return [f"{version.name} and {source.name} have the same frames. Nothing would change."]
    return [
        f"{version.name} becomes what {source.name} is: "
        f"{plural(len(found.changed), 'frame')} changed back, "
        f"{count(len(found.added))} added, {count(len(found.removed))} taken out.",
        f"The name, tags and metadata of {version.name} stay, and so do all other versions.",
    ]


def _choose_draft(
    request: SignedInRequest, version: Version, source: Version, frame_id: str
) -> HttpResponse:
    """Ask into which draft to restore."""
    drafts = {draft.uid: draft for draft in version.dataset.versions.drafts()[:DRAFTS_SHOWN]}

    def choose(given: Mapping[str, str]) -> str:
        draft = drafts.get(given["draft"])
        if draft is None:
            raise Refused("Choose a draft, or create a new version first.")
        draft.dataset = version.dataset
        return restore_address(draft, source, frame_id)

    branch = reverse("frames:version_branch", args=[version.dataset.uid, version.uid])
    form = FormPage(
        title=f"Restore {frame_id or 'all frames'} from {source.name}",
        submit="Continue" if drafts else "Try again",
        dataset=version.dataset,
        version=version,
        back_url=compare_address(source, version) if drafts else branch,
        fields=[
            Field(
                "draft",
                "Into the draft",
                next(iter(drafts), ""),
                kind="select",
                choices=[(uid, draft.name) for uid, draft in drafts.items()],
            )
        ]
        if drafts
        else [],
        lead=[f"{version.name} is published and cannot change."]
        + ([] if drafts else ["The dataset has no draft. Create a new version of it first."]),
    )
    return answer_form(request, form, choose)
