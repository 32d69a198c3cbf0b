"""A context's page: its frames in the order of their timestamps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404
from django.shortcuts import redirect

from frames.search import pages
from frames.search.errors import QueryError
from frames.search.query import FrameQuery
from frames.web import access
from frames.web.addresses import context_address, version_address
from frames.web.cards import frame_cards
from frames.web.http import respond
from frames.web.pictures import ratio_of
from frames.web.strip import gaps_between, strip_of
from frames.web.text import count, moment, plural, span
from frames.web.version_detail import filter_of, given_filter, may_edit, refused_json

if TYPE_CHECKING:
    from django.http import HttpResponse

    from frames.models import Version
    from frames.web.cards import FrameCard
    from frames.web.http import SignedInRequest
    from frames.web.strip import Strip

PAGE_SIZE: Final = 96


@dataclass(frozen=True, slots=True)
class ContextPage:
    """One page of a context's frames."""

    version: Version
    query: FrameQuery
    context_id: str
    frames: int
    matched: int
    first_timestamp: float
    last_timestamp: float
    items: list[FrameCard]
    gaps: dict[int, float]
    next: str | None
    strip: Strip | None
    may_edit: bool

    @property
    def cards(self) -> list[tuple[str, FrameCard]]:
        """Each frame with the pause before it, empty where nothing stands out."""
        return [
            (span(self.gaps[position]) if position in self.gaps else "", card)
            for position, card in enumerate(self.items)
        ]

    @property
    def size(self) -> str:
        """How many frames there are, and of those the filter keeps."""
        if self.matched == self.frames:
            return plural(self.frames, "frame")
        return f"{count(self.matched)} out of {count(self.frames)} found"

    @property
    def duration(self) -> str:
        """From the first to the last frame; empty for a still picture."""
        first, last = self._ends
        return span(last - first) if last > first else ""

    @property
    def between(self) -> str:
        """The first and the last moment."""
        first, last = self._ends
        return f"{moment(first)} to {moment(last)}"

    @property
    def ratio(self) -> str:
        """The shape of the pictures' boxes."""
        return ratio_of((card.picture.width, card.picture.height) for card in self.items)

    @property
    def next_url(self) -> str:
        """The next page, empty at the end."""
        return self._url(after=self.next) if self.next else ""

    @property
    def first_url(self) -> str:
        """The first page, where this is a later one."""
        return self._url() if self.query.after else ""

    @property
    def unfiltered_url(self) -> str:
        """All frames of the context, where a filter hides some."""
        return context_address(self.version, self.context_id, {}) if self._found_by else ""

    @property
    def version_url(self) -> str:
        """The contexts of the version under the same filter."""
        return version_address(self.version, self._found_by)

    def as_json(self) -> dict[str, Any]:
        """Return the list of the context's frames."""
        return {
            "context_id": self.context_id,
            "first_timestamp": self.first_timestamp,
            "last_timestamp": self.last_timestamp,
            "total": self.frames,
            "matched": self.matched,
            "timeline": self.strip.as_json() if self.strip else None,
            "items": [card.as_json() for card in self.items],
            "next": self.next,
        }

    @property
    def _ends(self) -> tuple[float, float]:
        """The first and the last timestamp that can be right."""
        if self.strip is None:
            return self.first_timestamp, self.last_timestamp
        return self.strip.timeline.first, self.strip.timeline.last

    @property
    def _found_by(self) -> dict[str, str]:
        return filter_of(self.query)

    def _url(self, **more: str) -> str:
        return context_address(self.version, self.context_id, {**self._found_by, **more})


def context_detail(
    request: SignedInRequest, dataset_uid: str, version_uid: str, *, as_json: bool = False
) -> HttpResponse:
    """Show the frames of the context named by `id`."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    context_id = request.GET.get("id", "")
    try:
        query = FrameQuery.from_params(request.GET.dict())
        found = pages.context_page(version, context_id, query, PAGE_SIZE)
    except QueryError as error:
        if as_json:
            return refused_json(error)
        # The version's page shows what is wrong beside the field to mend it in.
        return redirect(version_address(version, given_filter(request.GET)))
    if found is None:
        raise Http404
    page = ContextPage(
        version=version,
        query=query,
        context_id=context_id,
        frames=found.total,
        matched=found.matched,
        first_timestamp=found.first_timestamp,
        last_timestamp=found.last_timestamp,
        items=frame_cards(version, found.items, filter_of(query), query.source),
        # Between two hits of a filter there may be frames enough.
        gaps={} if filter_of(query) else gaps_between([row.frame.timestamp for row in found.items]),
        next=found.next,
        strip=strip_of(version, context_id, filter_of(query)),
        may_edit=may_edit(request.user, version),
    )
    return respond(request, page, "context/detail.html", as_json=as_json, partial="cards")
