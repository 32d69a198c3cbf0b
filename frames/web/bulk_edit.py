"""Editing many frames at once: what is selected, what is done to it, how many that changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.contrib import messages
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from frames.actions import edits
from frames.actions.fields import Refused
from frames.actions.frames import VersionNotWritable
from frames.index.bitmaps import BitMap, union
from frames.index.reader import DatasetIndex
from frames.index.store import chunks
from frames.models import Frame, Grant, Version
from frames.search import pages
from frames.search.errors import QueryError
from frames.search.query import FrameQuery
from frames.web import access
from frames.web.addresses import version_address
from frames.web.text import count, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpResponse

    from frames.actions.edits import Edit
    from frames.web.http import SignedInRequest

# Django reads at most 1,000 fields of a form.
SELECTED_MAX: Final = 900


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that can be done, and what it asks for: labels of its fields, empty for none."""

    verb: str
    title: str
    key_label: str
    value_label: str
    hint: str


_KEY_HINT: Final = 'camera.lens is a key inside of another, "f.stop" one that holds a dot.'

CHOICES: Final = (
    Choice("tag", "Add a tag", "", "Tag", "Into the list meta.tags of each frame."),
    Choice("untag", "Remove a tag", "", "Tag", "Out of the list meta.tags of each frame."),
    Choice(
        "set",
        "Set a metadata key",
        "Key",
        "Value",
        f"JSON, or else text. {_KEY_HINT}",
    ),
    Choice("unset", "Remove a metadata key", "Key", "", _KEY_HINT),
    Choice(
        "relabel",
        "Relabel",
        "Label",
        "New label",
        'In every region of each frame. One with a space at its end stands in quotes: "car ".',
    ),
    Choice("delete", "Delete the frames", "", "", "From this version alone."),
)


@dataclass(frozen=True, slots=True)
class BulkPage:
    """A selection and what can be done with it; with an `edit`, how many frames it changes."""

    version: Version
    query: FrameQuery
    frames: Sequence[str]
    contexts: Sequence[str]
    selected: int
    given: dict[str, str]
    edit: Edit | None = None
    changes: int = 0
    problem: str = ""

    @property
    def choices(self) -> Sequence[Choice]:
        """What can be done."""
        return CHOICES

    @property
    def selection(self) -> str:
        """What is selected, in words."""
        what = plural(self.selected, "frame")
        if self.contexts:
            return f"{what} in {plural(len(self.contexts), 'selected context')}"
        if self.frames:
            return f"{what} selected by hand"
        if self.query.q or self.query.label:
            return f"all {what} that match the filter"
        return f"all {what} of the version"

    @property
    def question(self) -> str:
        """What is about to happen."""
        if self.edit and not edits.is_exact(self.selected, self.edit):
            return f"Up to {plural(self.changes, 'frame')} would change: those not so already."
        if self.changes == self.selected:
            return f"{plural(self.changes, 'frame')} would change."
        rest = plural(self.selected - self.changes, "frame")
        return f"{plural(self.changes, 'frame')} would change, {rest} stay as they are."

    @property
    def submit(self) -> str:
        """The button's text."""
        verb = "Delete" if self.edit and self.edit.verb == "delete" else "Change"
        return f"{verb} {plural(self.changes, 'frame')}"

    @property
    def is_deletion(self) -> bool:
        """Whether frames go."""
        return self.edit is not None and self.edit.verb == "delete"

    @property
    def state(self) -> list[tuple[str, str]]:
        """The filter and the selection, for the forms to carry on."""
        params = {"q": self.query.q, "label": self.query.label}
        return [
            *((name, value) for name, value in params.items() if value),
            *(("frame", frame_id) for frame_id in self.frames),
            *(("context", context_id) for context_id in self.contexts),
        ]

    @property
    def back_url(self) -> str:
        """The frames it was selected from."""
        return version_address(self.version, self.query.params())

    @property
    def total_text(self) -> str:
        """The number of selected frames."""
        return count(self.selected)


@require_http_methods(["GET", "POST"])
def bulk_edit(request: SignedInRequest, dataset_uid: str, version_uid: str) -> HttpResponse:
    """Say what an edit of the selected frames would change, and start it when that is agreed."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    access.require(request.user, version.dataset.project, Grant.Role.EDITOR)
    sent = request.POST if request.method == "POST" else request.GET
    frames, contexts = sent.getlist("frame"), sent.getlist("context")
    given = {name: sent.get(name, "") for name in ("verb", "key", "value")}
    query, selected, edit, changes, problem = FrameQuery(), BitMap(), None, 0, ""
    try:
        query = FrameQuery.from_params({k: sent[k] for k in ("q", "label") if k in sent})
        if not version.is_draft:
            raise Refused(f"{version.name} is published and cannot change. Create a child of it.")
        selected = _selected(version, query, frames, contexts)
        if request.method == "POST" and given["verb"]:
            edit = edits.edit_of(**given)
            changes = len(edits.affected(DatasetIndex(version.dataset), selected, edit))
            if sent.get("confirm"):
                job = edits.start_edit(version, edit, selected, actor=request.user)
                return redirect("frames:job_detail", job.uid)
            if not changes:
                raise Refused("None of these frames would change.")
    except (Refused, VersionNotWritable) as error:
        problem, edit = str(error), None
    except QueryError as error:
        problem = error.message
    page = BulkPage(version, query, frames, contexts, len(selected), given, edit, changes, problem)
    status = 400 if problem else 200
    return render(request, "version/bulk.html", {"page": page}, status=status)


@require_POST
def job_undo(request: SignedInRequest, job_uid: str) -> HttpResponse:
    """Take a bulk edit back."""
    job = access.job_or_404(request.user, job_uid)
    access.require(request.user, job.project, Grant.Role.EDITOR)
    try:
        restored = edits.undo(job, actor=request.user)
    except (Refused, VersionNotWritable) as error:
        messages.error(request, str(error))
    else:
        job.refresh_from_db()
        left = "" if job.result["undone"] else " Others have been changed since and stay."
        messages.success(request, f"{plural(restored, 'frame')} as before the edit.{left}")
    return redirect("frames:job_detail", job.uid)


def _selected(
    version: Version, query: FrameQuery, frames: Sequence[str], contexts: Sequence[str]
) -> BitMap:
    """Return the frames that match and are selected; all that match if none is named.

    Queries: those of the filter, 1 for each 500 frames, up to 3 for contexts.
    """
    if len(frames) + len(contexts) > SELECTED_MAX:
        raise Refused(
            f"Over {SELECTED_MAX:,} are selected by hand. Filter, and edit all that match."
        )
    if any("\x00" in item for item in [*frames, *contexts]):
        # PostgreSQL refuses to be asked for one.
        raise Refused("No frame's id holds a null character.")
    matched = pages.matched_frames(version, query)
    if not frames and not contexts:
        return matched
    index = DatasetIndex(version.dataset)
    named = union(term.frames for term in index.texts("context_id", contexts))
    for part in chunks(list(frames)):
        rows = Frame.objects.filter(dataset=version.dataset, frame_id__in=part)
        named |= BitMap(frame.ordinal for frame in rows.only("pk"))
    return matched & named
