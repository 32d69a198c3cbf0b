"""The labels of a version with their counts: the list behind the label filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.shortcuts import redirect

from frames.search import pages
from frames.search.errors import QueryError
from frames.search.query import FrameQuery
from frames.web import access
from frames.web.addresses import version_address
from frames.web.http import respond
from frames.web.labels import Label
from frames.web.text import count, plural
from frames.web.version_detail import given_filter, refused_json

if TYPE_CHECKING:
    from django.http import HttpResponse

    from frames.models import Version
    from frames.web.http import SignedInRequest

MAX_LABELS_SHOWN: Final = 500


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One label and how many frames of the version have it."""

    label: Label
    frames: int
    url: str
    is_current: bool

    @property
    def count(self) -> str:
        """The number of frames, grouped."""
        return count(self.frames)

    def as_json(self) -> dict[str, Any]:
        """Return the label as JSON."""
        return {"label": self.label.name, "frames": self.frames, "url": self.url}


@dataclass(frozen=True, slots=True)
class LabelListPage:
    """The labels of a version, the most frequent first."""

    version: Version
    total: int
    items: list[LabelRow]

    @property
    def most(self) -> int:
        """The count of the most frequent label, the full length of a bar."""
        return self.items[0].frames if self.items else 1

    @property
    def found(self) -> str:
        """How many labels there are, and how many of them are listed."""
        labels = plural(self.total, "label")
        return labels if self.total == len(self.items) else f"{len(self.items)} of {labels}"

    def as_json(self) -> dict[str, Any]:
        """Return the list."""
        items = [row.as_json() for row in self.items]
        return {"total": self.total, "matched": self.total, "items": items, "next": None}


def label_list(
    request: SignedInRequest, dataset_uid: str, version_uid: str, *, as_json: bool = False
) -> HttpResponse:
    """List the labels; each leads to the page of the address filtered by it."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    try:
        query = FrameQuery.from_params(request.GET.dict())
    except QueryError as error:
        if as_json:
            return refused_json(error)
        return redirect(version_address(version, given_filter(request.GET)))
    counts = pages.label_counts(version)
    rows = [
        LabelRow(
            label=Label(row.label),
            frames=row.frames,
            url=version_address(version, query.with_(label=row.label).params()),
            is_current=row.label == query.label,
        )
        for row in counts[:MAX_LABELS_SHOWN]
    ]
    page = LabelListPage(version, len(counts), rows)
    return respond(request, page, "version/labels.html", as_json=as_json, partial="labels")
