"""Facets as they are shown: what a version's frames have, key by key, under the filter.

They are a page of their own (version_facets.py) and the left column beside the frames. Where the
query says that the column shows them (`panel=facets`), a click refines the frames' page.
"""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from frames.search import facets
from frames.search.clauses import FilterText, number_text
from frames.search.errors import QueryError
from frames.search.query import FrameQuery
from frames.web.addresses import version_address
from frames.web.labels import Label
from frames.web.text import bar_width, count, moment, percent, plural

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
class Plot:
    """The histogram of a key's numbers as one path, and the range that is chosen of it.

    `edges` are where the bins begin and the last ends, as they are written into the fields;
    `frames` the number of frames in each bin.
    """

    path: str
    band: Band | None
    edges: str
    frames: str
    first: str
    last: str
    low: str
    high: str
    words: str
    note: str
    refine_url: str
    kept: list[tuple[str, str]]

    @property
    def view_box(self) -> str:
        """The plot's own units."""
        return f"0 0 {PLOT_WIDTH} {PLOT_HEIGHT}"


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
        return {
            **self.row.as_json(),
            "values": [
                {"value": v.value, "frames": v.frames, "chosen": v.is_chosen}
                for v in self.facet.values
            ],
            "bins": [
                {"low": low, "high": high, "frames": frames}
                for low, high, frames in zip(
                    histogram.edges.at, histogram.edges.at[1:], histogram.frames, strict=False
                )
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
    version: Version, query: FrameQuery, key: str = "", containing: str = ""
) -> FacetsPage:
    """Return the facets of a version, or one key's, empty if it has none such; raise QueryError."""
    if "\x00" in key + containing:
        raise QueryError("A value holds no null character.", field="value")
    found = facets.facet(version, query, key, containing) if key else facets.facets(version, query)
    made = _Maker(version, query, found.text, VALUES_SHOWN_ALONE if key else VALUES_SHOWN)
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
        self, version: Version, query: FrameQuery, text: FilterText, values_max: int
    ) -> None:
        self.version = version
        self.query = query.with_()
        self.text = text
        self.values_max = values_max

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
        texts = edge_texts(edges)
        shown = [_shown(key, edge, text) for edge, text in zip(edges.at, texts, strict=True)]
        low, high = (clause.low, clause.high) if clause else (None, None)
        place = frames.index(max(frames))
        return Plot(
            path=_path(frames),
            band=_band(clause, edges),
            edges=" ".join(texts),
            frames=" ".join(map(str, frames)),
            first=shown[0],
            last=shown[-1],
            low="" if low is None else number_text(low),
            high="" if high is None else number_text(high),
            words=f"Histogram of {key} from {shown[0]} to {shown[-1]}. "
            f"Most frames lie between {shown[place]} and {shown[place + 1]}.",
            note=_stragglers(edges, frames, shown),
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
    first = 0 if clause.low is None else edges.bin_of(clause.low)
    last = len(edges) - 1 if clause.high is None else edges.bin_of(clause.high)
    width = PLOT_WIDTH / len(edges)
    return Band(f"{first * width:.2f}", f"{max(last - first + 1, 0) * width:.2f}")


def _stragglers(edges: Edges, frames: Sequence[int], shown: Sequence[str]) -> str:
    """Return what the first and the last bar hold, where they are wider than the others."""
    parts = []
    if edges.is_open_below:
        parts.append(f"{plural(frames[0], 'frame')} below {shown[1]}")
    if edges.is_open_above:
        parts.append(f"{plural(frames[-1], 'frame')} above {shown[-2]}")
    return f"Far off: {', '.join(parts)}." if parts else ""
