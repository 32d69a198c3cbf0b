"""Facets as they are shown: what a version's frames have, key by key, under the filter.

They are a page of their own (version_facets.py) and the left column beside the frames. Where the
query says that the column shows them (`panel=facets`), a click refines the frames' page.
"""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from frames.index.bins import DATES_END_MS
from frames.search import facets
from frames.search.clauses import FilterText, number_text
from frames.search.errors import QueryError
from frames.search.query import FrameQuery
from frames.web.addresses import version_address
from frames.web.labels import Label
from frames.web.text import MS_PER_DAY, bar_width, count, moment, percent, plural, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frames.index.bins import Edges
    from frames.models import Version
    from frames.search.clauses import Clause
    from frames.search.facets import Coverage, Facet, ValueCount

VALUES_SHOWN: Final = 8
# On a page of its own, or found by typing.
VALUES_SHOWN_ALONE: Final = 500
PLOT_WIDTH: Final = 240
PLOT_HEIGHT: Final = 48


@dataclass(frozen=True, slots=True)
class ValueRow:
    """One value, its frames, and where a click leads: to it, or without it if it is chosen."""

    name: str
    frames: int
    most: int
    is_chosen: bool
    url: str
    label: Label | None
    id: str

    @property
    def text(self) -> str:
        """The value to read."""
        return visible(self.name) or "(empty text)"

    @property
    def count(self) -> str:
        """The number of frames, grouped."""
        return count(self.frames)

    @property
    def width(self) -> str:
        """The length of its bar, of 100."""
        return bar_width(self.frames, self.most)


@dataclass(frozen=True, slots=True)
class Band:
    """The part of a histogram that is chosen, in the plot's own units."""

    x: str
    width: str


@dataclass(frozen=True, slots=True)
class TypedRange:
    """The two fields of a range as they were typed, and what is wrong with one of them."""

    low: str
    high: str
    error: QueryError


@dataclass(frozen=True, slots=True)
class Plot:
    """The histogram of a key's numbers or dates as one path, and the range that is chosen of it.

    `lows` and `highs` are where each bin begins and ends, as they are written into the fields;
    `frames` the number of frames in each. `error` says why what stands in the fields is no range.
    """

    path: str
    band: Band | None
    of_times: bool
    lows: str
    highs: str
    frames: str
    first: str
    last: str
    low: str
    high: str
    error: QueryError | None
    words: str
    note: str
    refine_url: str
    kept: list[tuple[str, str]]

    @property
    def view_box(self) -> str:
        """The plot's own units."""
        return f"0 0 {PLOT_WIDTH} {PLOT_HEIGHT}"

    @property
    def is_of_text(self) -> bool:
        """Whether the fields take any text: one for numbers drops what is none of them."""
        return self.of_times or self.error is not None


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key by its coverage: how many of the frames have it, and as what."""

    coverage: Coverage
    open_url: str
    missing_url: str
    is_missing_chosen: bool
    similar: list[tuple[str, str]]

    @property
    def name(self) -> str:
        """What it is called."""
        return self.coverage.key

    @property
    def share(self) -> str:
        """The share of frames that have it."""
        return percent(self.coverage.frames, self.coverage.total)

    @property
    def parts(self) -> list[str]:
        """The name, cut where a line may break."""
        return re.split(r"(?<=[._])(?=.)", self.name)

    @property
    def kind(self) -> str:
        """The type of its values, or that there are several."""
        return "mixed" if self.coverage.is_mixed else ", ".join(self.coverage.types)

    @property
    def conflict(self) -> str:
        """How many frames have it as which type, where it is mixed."""
        if not self.coverage.is_mixed:
            return ""
        parts = [f"{name} in {count(frames)}" for name, frames in self.coverage.types.items()]
        return f"Mixed: {', '.join(parts)}."

    @property
    def missing(self) -> str:
        """How many frames do not have it."""
        return count(self.coverage.missing)

    @property
    def nulls(self) -> str:
        """How many of those say null."""
        nulls = self.coverage.types.get("null", 0)
        return f", {count(nulls)} of them null" if nulls else ""

    def as_json(self) -> dict[str, Any]:
        """Return the coverage."""
        own = self.coverage
        return {
            "key": own.key,
            "frames": own.frames,
            "missing": own.missing,
            "coverage": own.frames / own.total if own.total else 0.0,
            "types": own.types,
            "mixed": own.is_mixed,
            "similar": list(own.similar),
            "url": self.open_url,
        }


@dataclass(frozen=True, slots=True)
class FacetCard:
    """A key with its values."""

    row: KeyRow
    facet: Facet
    values: list[ValueRow]
    plot: Plot | None
    containing: str
    find_url: str
    kept: list[tuple[str, str]]

    @property
    def is_searched(self) -> bool:
        """Whether there are more values than are shown at first."""
        return bool(self.containing) or self.more > 0 or self.facet.is_partial

    @property
    def more(self) -> int:
        """How many counted values are not shown."""
        return len(self.facet.values) - len(self.values)

    @property
    def slug(self) -> str:
        """The key as part of an element's id."""
        return f"{zlib.crc32(self.row.name.encode()):08x}"

    @property
    def note(self) -> str:
        """What else there is, and how to come to it."""
        if self.containing:
            return "" if self.values else f"No value contains “{self.containing}”."
        if self.facet.is_overflowed:
            return f"Over {count(self.facet.texts)} values. Type a part of one to find it."
        if self.facet.is_partial:
            return f"{count(self.facet.texts)} values. The most frequent are counted here."
        if facets.TYPE_OBJECT in self.facet.coverage.types and not self.values and not self.plot:
            return "An object: the keys in it stand below."
        return ""

    def as_json(self) -> dict[str, Any]:
        """Return the coverage with the values and bins."""
        histogram = self.facet.histogram
        at: Sequence[float | str] = histogram.edges.at if histogram else ()
        if histogram and histogram.of_times:
            at = [_instant(edge) for edge in histogram.edges.at]
        return {
            **self.row.as_json(),
            "values": [
                {"value": v.value, "frames": v.frames, "chosen": v.is_chosen}
                for v in self.facet.values
            ],
            "bins": [
                {"low": low, "high": high, "frames": frames}
                for low, high, frames in zip(at, at[1:], histogram.frames, strict=False)
            ]
            if histogram
            else [],
            "texts": self.facet.texts,
            "partial": self.facet.is_partial or self.facet.is_overflowed,
        }


@dataclass(frozen=True, slots=True)
class FacetsPage:
    """The facets of a version under a filter; `error` says why there are none."""

    version: Version
    query: FrameQuery
    typed: str
    key: str
    error: QueryError | None = None
    total: int = 0
    matched: int = 0
    cards: Sequence[FacetCard] = ()
    closed: Sequence[KeyRow] = ()
    more_keys: int = 0

    @property
    def found(self) -> str:
        """How many frames are counted."""
        if self.matched == self.total:
            return plural(self.total, "frame")
        return f"{count(self.matched)} of {plural(self.total, 'frame')}"

    @property
    def frames_url(self) -> str:
        """The frames that are counted here."""
        return version_address(self.version, self.query.with_(panel="facets").params())

    @property
    def unfiltered_url(self) -> str:
        """The same without a filter."""
        return refined_address(self.version, self.query.with_(q="", label=""))

    @property
    def all_url(self) -> str:
        """All keys, on the page of their own."""
        return facets_address(self.version, self.query.with_(panel=""))

    @property
    def is_filtered(self) -> bool:
        """Whether something keeps frames out."""
        return bool(self.query.q or self.query.label)

    @property
    def card(self) -> FacetCard | None:
        """The one key that was asked for."""
        return self.cards[0] if self.cards else None

    def as_json(self) -> dict[str, Any]:
        """Return the keys, those with counted values first."""
        items = [
            *(card.as_json() for card in self.cards),
            *(row.as_json() for row in self.closed),
        ]
        return {"total": self.total, "matched": self.matched, "items": items, "next": None}


def facets_page(
    version: Version,
    query: FrameQuery,
    key: str = "",
    containing: str = "",
    typed: TypedRange | None = None,
) -> FacetsPage:
    """Return the facets of a version, or one key's, empty if it has none such; raise QueryError.

    With a range of the one key that cannot be read, so that it can be mended where it was typed.
    """
    if "\x00" in key + containing:
        raise QueryError("A value holds no null character.", field="value")
    found = facets.facet(version, query, key, containing) if key else facets.facets(version, query)
    made = _Maker(version, query, found.text, VALUES_SHOWN_ALONE if key else VALUES_SHOWN, typed)
    return FacetsPage(
        version=version,
        query=query,
        typed=query.q,
        key=key,
        total=found.total,
        matched=found.matched,
        cards=[made.card(facet, containing) for facet in found.open],
        closed=[made.row(coverage) for coverage in found.closed],
        more_keys=max(0, found.keys - facets.KEYS_MAX),
    )


def facets_beside(version: Version, query: FrameQuery) -> FacetsPage:
    """Return the facets of a version beside its frames; what cannot be counted is said there."""
    try:
        return facets_page(version, query)
    except QueryError as error:
        return FacetsPage(version, query, query.q, "", error)


def facets_address(version: Version, query: FrameQuery, **params: str) -> str:
    """Return the page of the facets under a query."""
    path = f"{version_address(version)}facets/"
    kept = {**query.with_().params(), **params}
    return f"{path}?{urlencode(kept)}" if kept else path


def refined_address(version: Version, query: FrameQuery) -> str:
    """Return where a refined filter leads."""
    if query.panel == "facets":
        return version_address(version, query.params())
    return facets_address(version, query)


class _Maker:
    """Makes the cards of the facets under one filter."""

    def __init__(
        self,
        version: Version,
        query: FrameQuery,
        text: FilterText,
        values_max: int,
        typed: TypedRange | None,
    ) -> None:
        self.version = version
        self.query = query.with_()
        self.text = text
        self.values_max = values_max
        self.typed = typed

    def row(self, coverage: Coverage) -> KeyRow:
        """Return a key by its coverage."""
        clause = self.text.clause(coverage.key)
        return KeyRow(
            coverage=coverage,
            open_url=self._alone(coverage.key),
            missing_url=self._refined(self.text.toggled_missing(coverage.key)),
            is_missing_chosen=clause is not None and clause.is_missing,
            similar=[(name, self._alone(name)) for name in coverage.similar],
        )

    def card(self, facet: Facet, containing: str) -> FacetCard:
        """Return a key with its values."""
        key = facet.coverage.key
        chosen = [value for value in facet.values if value.is_chosen]
        others = [value for value in facet.values if not value.is_chosen]
        shown = {v.value for v in chosen + others[: max(0, self.values_max - len(chosen))]}
        most = max((value.frames for value in facet.values), default=0) or 1
        return FacetCard(
            row=self.row(facet.coverage),
            facet=facet,
            values=[self._value(key, v, most) for v in facet.values if v.value in shown],
            plot=self._plot(facet),
            containing=containing,
            find_url=facets_address(self.version, FrameQuery()),
            kept=self._kept(key),
        )

    def _value(self, key: str, value: ValueCount, most: int) -> ValueRow:
        return ValueRow(
            name=value.value,
            frames=value.frames,
            most=most,
            is_chosen=value.is_chosen,
            url=self._toggled(key, value.value),
            label=Label(value.value) if key == "label" else None,
            # So that the focus is found again after the list is exchanged.
            id=f"value-{zlib.crc32(f'{key}={value.value}'.encode()):08x}",
        )

    def _toggled(self, key: str, value: str) -> str:
        if key != "label" or not self.query.label:
            return self._refined(self.text.toggled(key, value))
        # The one label of the address joins the values of the text, or goes.
        if value == self.query.label:
            return refined_address(self.version, self.query.with_(label=""))
        text = FilterText.read(self.text.toggled(key, self.query.label))
        query = self.query.with_(label="", q=text.toggled(key, value))
        return refined_address(self.version, query)

    def _plot(self, facet: Facet) -> Plot | None:
        histogram = facet.histogram
        if histogram is None:
            return None
        key, clause = facet.coverage.key, facet.clause
        edges, frames = histogram.edges, histogram.frames
        if histogram.of_times:
            lows, highs = date_texts(edges)
            # In a narrow column a line breaks between day and time.
            shown_lows, shown_highs = (
                [text.replace("T", " ") for text in texts] for texts in (lows, highs)
            )
        else:
            texts = edge_texts(edges)
            shown = [_shown(key, edge, text) for edge, text in zip(edges.at, texts, strict=True)]
            lows, highs = texts[:-1], texts[1:]
            shown_lows, shown_highs = shown[:-1], shown[1:]
        low, high = _range_texts(clause, of_times=histogram.of_times)
        if self.typed:
            low, high = self.typed.low, self.typed.high
        place = frames.index(max(frames))
        return Plot(
            path=_path(frames),
            band=_band(clause, edges),
            of_times=histogram.of_times,
            lows=" ".join(lows),
            highs=" ".join(highs),
            frames=" ".join(map(str, frames)),
            first=shown_lows[0],
            last=shown_highs[-1],
            low=low,
            high=high,
            error=self.typed.error if self.typed else None,
            words=f"Histogram of {key} from {shown_lows[0]} to {shown_highs[-1]}. "
            f"Most frames lie between {shown_lows[place]} and {shown_highs[place]}.",
            note=_stragglers(edges, frames, shown_lows),
            refine_url=f"{facets_address(self.version, FrameQuery())}refine/",
            kept=self._kept(key),
        )

    def _kept(self, key: str) -> list[tuple[str, str]]:
        return [*self.query.params().items(), ("key", key)]

    def _alone(self, key: str) -> str:
        return facets_address(self.version, self.query, key=key)

    def _refined(self, text: str) -> str:
        return refined_address(self.version, self.query.with_(q=text))


def edge_texts(edges: Edges) -> list[str]:
    """Return the edges as people write numbers: as few decimals as tell them apart."""
    inner = edges.at[edges.is_open_below : len(edges.at) - edges.is_open_above]
    step = inner[1] - inner[0] if len(inner) > 1 else 0.0
    if not step or not math.isfinite(step) or step >= 1:
        return [number_text(edge) for edge in edges.at]
    decimals = math.ceil(-math.log10(step))
    return [number_text(round(edge, decimals)) for edge in edges.at]


def date_texts(edges: Edges) -> tuple[list[str], list[str]]:
    """Return the dates that bins begin with, and those that they end with, in UTC.

    Days where all edges lie between two, else minutes or seconds. A date in a range means all of
    it, so a bin ends with the last day, minute or second before the next one.
    """
    days, minutes = (all(at % ms == 0 for at in edges.at) for ms in (MS_PER_DAY, 60_000))

    def text(ms: float) -> str:
        if days:
            return _utc(ms).date().isoformat()
        return _utc(ms).isoformat(timespec="minutes" if minutes else "seconds")

    return [text(low) for low in edges.at[:-1]], [text(high - 1) for high in edges.at[1:]]


def _instant(edge: float) -> str:
    """Return an edge as an ISO time; no year follows 9999, whose end is its last second."""
    return f"{_utc(min(edge, DATES_END_MS - 1)).isoformat(timespec='seconds')}Z"


def _utc(ms: float) -> datetime:
    return datetime(1970, 1, 1) + timedelta(milliseconds=ms)


def _shown(key: str, edge: float, text: str) -> str:
    return moment(edge) if key == "timestamp" else text


def _path(frames: Sequence[int]) -> str:
    """Return the bars as one path; what is there is seen."""
    most = max(frames) or 1
    width = PLOT_WIDTH / len(frames)
    bar = max(width - 0.5, width / 2)
    return " ".join(
        f"M{at * width:.2f} {PLOT_HEIGHT}v-{max(PLOT_HEIGHT * number / most, 1):.2f}"
        f"h{bar:.2f}V{PLOT_HEIGHT}z"
        for at, number in enumerate(frames)
        if number
    )


def _band(clause: Clause | None, edges: Edges) -> Band | None:
    """Return the bins that the range of a clause touches."""
    if clause is None or (clause.low is None and clause.high is None):
        return None
    first, last = map(edges.bin_of, clause.reach)
    width = PLOT_WIDTH / len(edges)
    return Band(f"{first * width:.2f}", f"{max(last - first + 1, 0) * width:.2f}")


def _range_texts(clause: Clause | None, *, of_times: bool) -> tuple[str, str]:
    """Return a clause's range as the two fields hold it: dates where the key has them."""
    if clause is None:
        return "", ""
    low, high = (
        "" if bound is None else bound if of_times and isinstance(bound, str) else number_text(end)
        for bound, end in zip((clause.low, clause.high), clause.reach, strict=True)
    )
    return low, high


def _stragglers(edges: Edges, frames: Sequence[int], lows: Sequence[str]) -> str:
    """Return what the first and the last bar hold, where they are wider than the others."""
    parts = []
    if edges.is_open_below:
        parts.append(f"{plural(frames[0], 'frame')} below {lows[1]}")
    if edges.is_open_above:
        parts.append(f"{plural(frames[-1], 'frame')} above {lows[-1]}")
    return f"Far off: {', '.join(parts)}." if parts else ""
