"""A version's statistics: how the values of one property are distributed under a filter."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from django.http import StreamingHttpResponse

from frames.formats.csv_writer import inert
from frames.index import counting
from frames.index.reader import DatasetIndex
from frames.models import Grant, Version
from frames.search.clauses import number_text
from frames.search.errors import QueryError
from frames.search.query import FrameQuery
from frames.search.statistics import PROPERTY_DEFAULT, StatisticsQuery, statistics
from frames.web import access
from frames.web.addresses import version_address
from frames.web.facets import facets_address
from frames.web.http import respond
from frames.web.labels import Label
from frames.web.text import bar_width, count, percent, plural, visible
from frames.web.version_detail import refused_json
from frames.web.versions import panel_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpResponse

    from frames.search.statistics import Count, Statistics
    from frames.web.http import SignedInRequest
    from frames.web.versions import VersionPanel

BARS_SHOWN: Final = 100
SPREAD_WIDTH: Final = 960
SPREAD_HEIGHT: Final = 200
# A list of names to choose from; a key that is not in it can be typed.
PROPERTIES_LISTED: Final = 500
TYPES: Final = {"roi": "ROI", "frame": "Frame"}


@dataclass(frozen=True, slots=True)
class BarRow:
    """A value or a range with its number, its share, and the frames that it counts."""

    name: str
    number: int
    most: int
    of: int
    url: str
    label: Label | None = None
    is_missing: bool = False

    @property
    def text(self) -> str:
        """The value or range to read."""
        return visible(self.name) or "(empty text)"

    @property
    def count(self) -> str:
        """The number, grouped."""
        return count(self.number)

    @property
    def share(self) -> str:
        """The share of all that is counted."""
        return percent(self.number, self.of)

    @property
    def width(self) -> str:
        """The length of its bar, of 100."""
        return bar_width(self.number, self.most)


@dataclass(frozen=True, slots=True)
class SpreadBar:
    """One bar of the histogram in the plot's own units."""

    x: str
    y: str
    width: str
    height: str
    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Spread:
    """The histogram of a property's numbers."""

    bars: list[SpreadBar]
    first: str
    last: str
    words: str

    @property
    def view_box(self) -> str:
        """The plot's own units."""
        return f"0 0 {SPREAD_WIDTH} {SPREAD_HEIGHT}"


@dataclass(frozen=True, slots=True)
class StatisticsPage:
    """The distribution of one property; `error` says why there is none."""

    version: Version
    query: FrameQuery
    wanted: StatisticsQuery
    typed: dict[str, str]
    error: QueryError | None
    found: Statistics | None
    properties: list[str]
    may_edit: bool
    may_publish: bool
    panel: VersionPanel

    @property
    def tiles(self) -> list[tuple[str, str]]:
        """The three numbers above the distribution."""
        if self.found is None:
            return []
        return [
            (
                "Matching annotations" if self.wanted.where else "Annotations",
                count(self.found.annotations),
            ),
            ("Annotated frames", count(self.found.annotated)),
            ("Total frames", count(self.found.frames)),
        ]

    @property
    def types(self) -> list[tuple[str, str, bool]]:
        """What can be counted: value, name, and whether it is chosen."""
        chosen = self.typed["count"] or "roi"
        return [(value, name, value == chosen) for value, name in TYPES.items()]

    @property
    def of(self) -> int:
        """How many regions or frames are counted."""
        if self.found is None:
            return 0
        return self.found.annotations if self.wanted.counted == "roi" else self.found.frames

    @property
    def noun(self) -> str:
        """What is counted, in the plural."""
        return "annotations" if self.wanted.counted == "roi" else "frames"

    @property
    def title(self) -> str:
        """What the distribution is of."""
        return f"{self.wanted.key}, by {self.noun}"

    @property
    def values(self) -> list[BarRow]:
        """The most frequent values."""
        return self._rows(self.found.values[:BARS_SHOWN]) if self.found else []

    @property
    def more(self) -> str:
        """How many values are counted and not shown."""
        more = len(self.found.values) - BARS_SHOWN if self.found else 0
        return plural(more, "more value") if more > 0 else ""

    @property
    def partial(self) -> str:
        """That not all values are counted, where they are not."""
        if self.found is None or not self.found.is_partial:
            return ""
        return (
            f"{self.wanted.key} has {count(self.found.texts)} values or more. "
            f"The {count(len(self.found.values))} most frequent are counted."
        )

    @property
    def listed(self) -> list[BarRow]:
        """The most frequent values, and what has none."""
        return [*self.values, *([self.missing] if self.missing else [])]

    @property
    def bins(self) -> list[BarRow]:
        """The ranges of numbers, in their order, but those that nothing lies in."""
        return self._rows([item for item in self.found.bins if item.count]) if self.found else []

    @property
    def spread(self) -> Spread | None:
        """The ranges of numbers as a histogram."""
        bins = self.found.bins if self.found else []
        if not any(item.count for item in bins):
            return None
        most = max(item.count for item in bins)
        width = SPREAD_WIDTH / len(bins)
        bars = [
            SpreadBar(
                x=f"{at * width:.2f}",
                y=f"{SPREAD_HEIGHT - height:.2f}",
                width=f"{max(width - 1, width / 2):.2f}",
                height=f"{height:.2f}",
                title=f"{item.value}: {count(item.count)} {self.noun}",
                url=self._frames(item.clause),
            )
            for at, item in enumerate(bins)
            if (height := max(SPREAD_HEIGHT * item.count / most, 2.0 if item.count else 0))
        ]
        highest = max(bins, key=lambda item: item.count)
        first, last = bins[0].value.split(" ")[0], bins[-1].value.split(" ")[-1]
        words = (
            f"Histogram of {self.wanted.key} from {first} to {last}. "
            f"The most {self.noun}, {count(highest.count)}, lie in {highest.value}."
        )
        return Spread(bars, first, last, words)

    @property
    def missing(self) -> BarRow | None:
        """How many have no value."""
        if self.found is None or not self.found.missing:
            return None
        found = self.found
        url = self._frames(found.missing_clause)
        return BarRow("no value", found.missing, self._most, self.of, url, is_missing=True)

    @property
    def frames_url(self) -> str:
        """The frames under the filter."""
        return version_address(self.version, self.query.params())

    @property
    def default_url(self) -> str:
        """The same filter without what was chosen to count."""
        return self._url(self.query.params())

    @property
    def unfiltered_url(self) -> str:
        """The same counts of all frames."""
        return self._url(self.wanted.params())

    @property
    def facets_url(self) -> str:
        """What the same frames have, key by key."""
        return facets_address(self.version, self.query)

    @property
    def csv_url(self) -> str:
        """The table as a file."""
        return self._url({**self.query.params(), **self.wanted.params(), "format": "csv"})

    def as_json(self) -> dict[str, Any]:
        """Return the distribution."""
        found = self.found
        if found is None:
            return {}
        return {
            "query": self.query.params(),
            "count": self.wanted.counted,
            "where": self.wanted.where,
            "property": self.wanted.key,
            "annotations": found.annotations,
            "annotated_frames": found.annotated,
            "total_frames": found.frames,
            "missing": found.missing,
            "partial": found.is_partial,
            "total": self.of,
            "items": [
                {"value": item.value, "count": item.count, "url": self._frames(item.clause)}
                for item in found.values
            ]
            + [
                {
                    "low": item.low,
                    "high": item.high,
                    "count": item.count,
                    "url": self._frames(item.clause),
                }
                for item in found.bins
            ],
            "next": None,
        }

    @property
    def _most(self) -> int:
        counts = (
            [item.count for item in [*self.found.values, *self.found.bins]] if self.found else []
        )
        return max([*counts, self.found.missing if self.found else 0]) or 1

    def _rows(self, counts: list[Count]) -> list[BarRow]:
        is_label = self.wanted.key in ("label", "rois.label")
        most, of = self._most, self.of
        return [
            BarRow(
                name=item.value,
                number=item.count,
                most=most,
                of=of,
                url=self._frames(item.clause),
                label=Label(item.value) if is_label else None,
            )
            for item in counts
        ]

    def _frames(self, text: str) -> str:
        if not text:
            return ""
        return version_address(self.version, self.query.with_(q=text).params())

    def _url(self, params: dict[str, str]) -> str:
        path = f"{version_address(self.version)}statistics/"
        return f"{path}?{urlencode(params)}" if params else path


def version_statistics(
    request: SignedInRequest, dataset_uid: str, version_uid: str, *, as_json: bool = False
) -> HttpResponse | StreamingHttpResponse:
    """Show how a property is distributed over the frames, or regions, of the filter."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    params = request.GET.dict()
    query, wanted = FrameQuery(), StatisticsQuery()
    found, error = None, None
    try:
        query = FrameQuery.from_params(params)
        wanted = StatisticsQuery.from_params(params)
        found = statistics(version, query, wanted)
    except QueryError as refused:
        error = refused
    if error and as_json:
        return refused_json(error)
    if found and params.get("format") == "csv":
        return _as_csv(version, found, wanted)
    role = access.role_in(request.user, version.dataset.project)
    keys = counting.keys_of(DatasetIndex(version.dataset))
    page = StatisticsPage(
        version=version,
        query=FrameQuery(q=query.q, label=query.label),
        wanted=wanted,
        typed={name: params.get(name, "") for name in ("q", "count", "where", "property")},
        error=error,
        found=found,
        properties=[PROPERTY_DEFAULT, *(key.name for key in keys[:PROPERTIES_LISTED])],
        may_edit=role >= Grant.Role.EDITOR,
        may_publish=role >= Grant.Role.ADMIN,
        panel=panel_of(version, params, role),
    )
    return respond(
        request,
        page,
        "version/statistics.html",
        as_json=as_json,
        partial="distribution",
        status=400 if error else 200,
    )


def _as_csv(version: Version, found: Statistics, wanted: StatisticsQuery) -> StreamingHttpResponse:
    response = StreamingHttpResponse(
        _csv_lines(found, wanted), content_type="text/csv; charset=utf-8"
    )
    name = f"{version.uid[:8]}-statistics.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _csv_lines(found: Statistics, wanted: StatisticsQuery) -> Iterator[str]:
    noun = "annotations" if wanted.counted == "roi" else "frames"
    of = found.annotations if wanted.counted == "roi" else found.frames
    yield _csv_line([wanted.key, "low", "high", noun, "share"])
    for item in [*found.values, *found.bins]:
        is_range = item.low is not None and item.high is not None
        yield _csv_line(
            [
                "" if is_range else inert(item.value),
                number_text(item.low) if item.low is not None else "",
                number_text(item.high) if item.high is not None else "",
                item.count,
                f"{item.count / of:.6f}" if of else "0",
            ]
        )
    if found.missing:
        yield _csv_line(["no value", "", "", found.missing, f"{found.missing / of:.6f}"])


def _csv_line(cells: list[str | int]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()
