"""A frame's history: its revisions through all versions, and the way back to each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404
from django.shortcuts import redirect

from frames.models import Grant
from frames.search import history
from frames.search.errors import QueryError
from frames.web import access
from frames.web.addresses import (
    frame_address,
    history_address,
    restore_address,
    version_address,
)
from frames.web.cards import frame_json
from frames.web.drawn import drawn_rows
from frames.web.http import respond
from frames.web.pictures import ratio_of
from frames.web.text import elapsed, plural
from frames.web.version_compare import change_lines
from frames.web.version_detail import refused_json

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpResponse

    from frames.models import Version
    from frames.search.history import Revision
    from frames.web.drawn import Drawn
    from frames.web.http import SignedInRequest

PAGE_SIZE: Final = 12
HOLDERS_SHOWN: Final = 5
LINES_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Holder:
    """A version that holds a revision, with the frame's page in it."""

    name: str
    url: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class RevisionEntry:
    """One revision under its picture; `draft` is where the reader may restore it."""

    revision: Revision
    version: Version
    drawn: Drawn
    draft: Version | None

    @property
    def saved_at(self) -> datetime:
        """When it was written."""
        return self.revision.saved_at

    @property
    def saved(self) -> str:
        """How long ago it was written."""
        return elapsed(self.saved_at)

    @property
    def saved_in(self) -> str:
        """The version it was written in, empty once that is deleted."""
        return self.revision.saved_in.name if self.revision.saved_in else ""

    @property
    def saved_in_url(self) -> str:
        """That version's page."""
        return version_address(self.revision.saved_in) if self.revision.saved_in else ""

    @property
    def writer(self) -> str:
        """Who wrote it, and how, as far as the log tells."""
        event = self.revision.event
        if event is None:
            return ""
        who = event.actor.get_username() if event.actor else "the operator"
        return f"{event.verb} by {who}"

    @property
    def holders(self) -> list[Holder]:
        """The newest versions that hold it."""
        frame_id = self.revision.row.frame.frame_id
        return [
            Holder(
                version.name, frame_address(version, frame_id, {}), version.pk == self.version.pk
            )
            for version in self.revision.holders[:HOLDERS_SHOWN]
        ]

    @property
    def more_holders(self) -> str:
        """How many others hold it."""
        more = len(self.revision.holders) - HOLDERS_SHOWN
        return f"and {plural(more, 'version')} more" if more > 0 else ""

    @property
    def is_shown(self) -> bool:
        """Whether it is the one that the version has."""
        return any(version.pk == self.version.pk for version in self.revision.holders)

    @property
    def url(self) -> str:
        """The frame's page in a version that holds it, empty where none does."""
        holder = next(
            (v for v in self.revision.holders if v.pk == self.version.pk),
            self.revision.holders[0] if self.revision.holders else None,
        )
        return frame_address(holder, self.revision.row.frame.frame_id, {}) if holder else ""

    @property
    def lines(self) -> list[str]:
        """What changed against what its line of versions held before, in words."""
        return self._lines[:LINES_SHOWN]

    @property
    def more_lines(self) -> str:
        """How many changes there are beside those."""
        more = len(self._lines) - LINES_SHOWN
        return f"and {plural(more, 'change')} more" if more > 0 else ""

    @property
    def _lines(self) -> list[str]:
        revision = self.revision
        if revision.changes is None or revision.before is None:
            return []
        return change_lines(revision.before, revision.row, revision.changes)

    @property
    def is_first(self) -> bool:
        """Whether its line of versions had no such frame before."""
        return self.revision.changes is None

    @property
    def restore_url(self) -> str:
        """The page that restores it into the draft, empty where that cannot be."""
        held_by = self.revision.holders
        if self.draft is None or not held_by or any(v.pk == self.draft.pk for v in held_by):
            return ""
        return restore_address(self.draft, held_by[0], self.revision.row.frame.frame_id)

    def as_json(self) -> dict[str, Any]:
        """Return the revision with the frame as it was."""
        holder = self.revision.holders[0] if self.revision.holders else self.version
        event = self.revision.event
        return {
            "saved": self.saved_at.isoformat(),
            "saved_in": self.revision.saved_in
            and {"id": self.revision.saved_in.uid, "name": self.revision.saved_in.name},
            "by": event.actor.get_username() if event and event.actor else None,
            "act": event.verb if event else None,
            "held_by": [{"id": v.uid, "name": v.name} for v in self.revision.holders],
            "changes": self._lines,
            "frame": frame_json(self.revision.row, holder, self.url, self.drawn.picture),
        }


@dataclass(frozen=True, slots=True)
class FrameHistoryPage:
    """One page of a frame's revisions, newest first."""

    version: Version
    frame_id: str
    total: int
    items: list[RevisionEntry]
    next: str | None
    draft: Version | None

    @property
    def total_text(self) -> str:
        """How many revisions there are."""
        return plural(self.total, "revision")

    @property
    def version_url(self) -> str:
        """The version's page."""
        return version_address(self.version)

    @property
    def frame_url(self) -> str:
        """The frame's page, empty where the version does not hold it."""
        is_held = any(item.is_shown for item in self.items)
        return frame_address(self.version, self.frame_id, {}) if is_held else ""

    @property
    def next_url(self) -> str:
        """The next page, empty at the end."""
        if not self.next:
            return ""
        return history_address(self.version, self.frame_id, {"after": self.next})

    @property
    def ratio(self) -> str:
        """The shape of the pictures' boxes."""
        return ratio_of(item.drawn.size for item in self.items)

    def as_json(self) -> dict[str, Any]:
        """Return the revisions."""
        return {
            "frame_id": self.frame_id,
            "total": self.total,
            "matched": self.total,
            "items": [item.as_json() for item in self.items],
            "next": self.next,
        }


def frame_history(
    request: SignedInRequest, dataset_uid: str, version_uid: str, *, as_json: bool = False
) -> HttpResponse:
    """Show the revisions of the frame `id`, whichever versions of the dataset hold them."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    frame_id = request.GET.get("id", "")
    try:
        after = request.GET.get("after", "")
        found = history.history_page(version.dataset, frame_id, after, PAGE_SIZE)
    except QueryError as error:
        return refused_json(error) if as_json else redirect(history_address(version, frame_id, {}))
    if not found.total:
        raise Http404
    drawn = drawn_rows(version.dataset.project_id, [item.row for item in found.items])
    draft = _draft(request, version)
    page = FrameHistoryPage(
        version=version,
        frame_id=frame_id,
        total=found.total,
        items=[
            RevisionEntry(item, version, picture, draft)
            for item, picture in zip(found.items, drawn, strict=True)
        ],
        next=found.next,
        draft=draft,
    )
    return respond(request, page, "frame/history.html", as_json=as_json, partial="items")


def _draft(request: SignedInRequest, version: Version) -> Version | None:
    """Return where the reader may restore a revision: the version, else the newest draft."""
    if not access.may(request.user, version.dataset.project, Grant.Role.EDITOR):
        return None
    if version.is_draft:
        return version
    draft = version.dataset.versions.drafts().order_by("-updated_at", "-pk").first()
    if draft is not None:
        draft.dataset = version.dataset
    return draft
