"""How the values of one property are distributed, over regions or over frames, under a filter."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from django.core.cache import cache as shared_cache

from frames.index import counting
from frames.index.bitmaps import BitMap, to_array
from frames.index.reader import DatasetIndex
from frames.index.regions import RegionSet
from frames.index.terms import BOOLEAN, TEXT, is_region_key
from frames.search.clauses import Clause, joined, number_text, written_name
from frames.search.errors import QueryError
from frames.search.facets import TEXTS_COUNTED_MAX
from frames.search.lucene import frames_matching, regions_matching
from frames.search.query import KEY
from frames.search.syntax import number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from frames.index.bins import Edges
    from frames.index.counting import KeyInfo
    from frames.models import Version
    from frames.search.query import FrameQuery

Counted: TypeAlias = Literal["roi", "frame"]

PROPERTY_DEFAULT: Final = "rois.label"
WHERE_MAX_CHARS: Final = 10_000
_CACHE_S: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class StatisticsQuery:
    """What is counted: regions (`roi`) that match `where`, or frames, by the values of `key`."""

    counted: Counted = "roi"
    where: str = ""
    key: str = PROPERTY_DEFAULT

    @classmethod
    def from_params(cls, params: Mapping[str, str]) -> StatisticsQuery:
        """Read a query string; raise QueryError where a value cannot be meant."""
        counted = params.get("count", "").strip() or "roi"
        where, key = params.get("where", "").strip(), params.get("property", "").strip()
        if counted not in ("roi", "frame"):
            raise QueryError("count is roi or frame.", field="count")
        if len(where) > WHERE_MAX_CHARS:
            raise QueryError(
                f"The query is longer than {WHERE_MAX_CHARS:,} characters.", field="where"
            )
        if "\x00" in where + key:
            raise QueryError("The query holds a null character.", field="where")
        key = key or PROPERTY_DEFAULT
        if key != "timestamp" and not KEY.fullmatch(key):
            raise QueryError(
                f"There is no property {key}. It is label, timestamp, or a key of meta, sources "
                "or rois.",
                field="property",
            )
        # Where frames are counted the form's field for regions is not shown, but sent.
        return cls("roi", where, key) if counted == "roi" else cls("frame", "", key)

    def params(self) -> dict[str, str]:
        """Return what differs from the defaults."""
        values = {"count": self.counted, "where": self.where, "property": self.key}
        defaults = {"count": "roi", "where": "", "property": PROPERTY_DEFAULT}
        return {name: value for name, value in values.items() if value != defaults[name]}

    @property
    def space_key(self) -> str:
        """The key in the space that is counted in: a frame's labels are those of its regions."""
        same = {"roi": {"label": "rois.label"}, "frame": {"rois.label": "label"}}
        return same[self.counted].get(self.key, self.key)


@dataclass(frozen=True, slots=True)
class Count:
    """A value, or a range of numbers, and how many regions or frames have it.

    A range is [low, high), the last one closed; None for a value. `clause` is the filter text of
    the frames that have it, empty where no text tells them from others.
    """

    value: str
    count: int
    clause: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Statistics:
    """A distribution: `values`, most first, and `bins` of numbers in their order.

    `annotations` are the matching regions of the filter's frames, `annotated` the frames that
    have one, `frames` all that the filter keeps. `missing` is how many of what is counted have no
    value. Of a key of too many texts `values` are the most frequent of its `texts`.
    """

    annotations: int
    annotated: int
    frames: int
    values: list[Count]
    bins: list[Count]
    missing: int
    missing_clause: str
    texts: int
    is_partial: bool
    is_known: bool


def statistics(version: Version, query: FrameQuery, wanted: StatisticsQuery) -> Statistics:
    """Return how a property is distributed; raise QueryError.

    Kept in the shared cache under the dataset's generation. Queries: those of the filter and of
    `where`, and about 5, whatever the number of frames; 1 more for each 500 values.
    """
    asked = json.dumps([query.q, query.label, wanted.counted, wanted.where, wanted.key])
    digest = hashlib.blake2b(asked.encode(), digest_size=16).hexdigest()
    slot = f"statistics:{version.pk}:{version.dataset.generation}:{digest}"
    found: Statistics | None = shared_cache.get(slot)
    if found is None:
        found = _Distribution(version, query, wanted).statistics()
        shared_cache.set(slot, found, timeout=_CACHE_S)
    return found


class _Distribution:
    """One property's distribution under one filter of one version."""

    def __init__(self, version: Version, query: FrameQuery, wanted: StatisticsQuery) -> None:
        self.version = version
        self.query = query
        self.wanted = wanted
        self.index = DatasetIndex(version.dataset)
        self.members = self.index.members(version)
        self.frames = self._frames()
        self._others = self._other_conditions()
        if wanted.where:
            self.annotated = self.index.frames_of(self.regions)
            self.annotations = len(self.regions)
        else:
            self.annotated = self.frames & self.index.with_region()
            self.annotations = self.index.region_count(self.frames)

    def statistics(self) -> Statistics:
        """Return the whole of it."""
        key = counting.key_named(self.index, self.wanted.space_key)
        # Of a property that nothing has.
        raw = _Raw(
            [], None, [], self.annotations if self.wanted.counted == "roi" else len(self.frames)
        )
        if key is not None and self.wanted.counted == "roi" and is_region_key(key.name):
            raw = self._by_region(key)
        elif key is not None:
            raw = self._by_frame(key)
        has_booleans = any(kind == BOOLEAN for kind, _, _ in raw.values)
        values = [
            Count(value, count, self._value_clause(kind, value, raw, has_booleans=has_booleans))
            for kind, value, count in raw.values
        ]
        return Statistics(
            annotations=self.annotations,
            annotated=len(self.annotated),
            frames=len(self.frames),
            values=sorted(values, key=lambda item: (-item.count, item.value)),
            bins=self._bins(raw),
            missing=raw.missing,
            missing_clause=self._clause(f"NOT {self._exists()}"),
            texts=key.texts if key else 0,
            is_partial=key is not None and key.texts > TEXTS_COUNTED_MAX,
            is_known=key is not None,
        )

    # --- counting -----------------------------------------------------------------------

    def _frames(self) -> BitMap:
        found = self.members
        if self.query.label:
            found = found & self.index.text("label", self.query.label)
        return frames_matching(self.index, found, self.query.q) if self.query.q else found

    @cached_property
    def regions(self) -> RegionSet:
        """The regions that are counted."""
        if not self.wanted.where:
            return self.index.regions_of(self.frames)
        try:
            return regions_matching(self.index, self.frames, self.wanted.where)
        except QueryError as error:
            raise QueryError(error.message, field="where", position=error.position) from error

    def _by_region(self, key: KeyInfo) -> _Raw:
        """Count regions by what regions have."""
        if key.name == "rois.label" and not self.wanted.where and key.texts <= TEXTS_COUNTED_MAX:
            return self._by_label()
        bins = counting.region_bins_of(self.index, key.name)
        having = RegionSet()
        for name in self.index.keys_at(key.name):
            having = having | self.index.region_has(name)
        return _Raw(
            counting.region_counts(self.index, key, self.regions, limit=TEXTS_COUNTED_MAX),
            bins.edges if bins else None,
            [len(self.regions & found) for found in bins.regions] if bins else [],
            len(self.regions) - len(self.regions & having),
        )

    def _by_label(self) -> _Raw:
        """Count all regions of the frames by label, in frame space: a tenth of the time."""
        counts = self.index.label_counts(self.frames)
        lacking = self.index.regions_of(self.frames & self.index.with_region_without("rois.label"))
        return _Raw(
            [(TEXT, label, count) for label, count in counts.items()],
            None,
            [],
            len(lacking - self.index.region_has("rois.label")) if lacking else 0,
        )

    def _by_frame(self, key: KeyInfo) -> _Raw:
        """Count frames, or regions by what their frames have."""
        measure = self._measure()
        if key.texts > TEXTS_COUNTED_MAX:
            values = counting.most_frequent(self.index, key, TEXTS_COUNTED_MAX)
        else:
            values = counting.values_of(self.index, [key])[key.name]
        bins = counting.bins_of(self.index, key.name, self.members, self.version.pk)
        counts = [(kind, value, measure(frames)) for kind, value, frames in values]
        return _Raw(
            [found for found in counts if found[2]],
            bins.edges if bins else None,
            list(map(measure, bins.frames)) if bins else [],
            measure(frames_matching(self.index, self.frames, f"NOT {self._exists()}")),
        )

    def _measure(self) -> Callable[[BitMap], int]:
        """Return what counts frames of a set, or the matching regions that lie in them."""
        if self.wanted.counted == "frame":
            return self.frames.intersection_cardinality
        weights = counting.region_weights(self.index, self.regions)
        return lambda frames: int(weights[to_array(frames & self.annotated)].sum())

    # --- what leads to the frames -------------------------------------------------------

    def _bins(self, raw: _Raw) -> list[Count]:
        if raw.edges is None:
            return []
        at = raw.edges.at
        found = []
        for place, count in enumerate(raw.bins):
            low, high = number_text(at[place]), number_text(at[place + 1])
            end = "]" if place == len(raw.bins) - 1 else "}"
            clause = self._clause(f"{self._name()}:[{low} TO {high}{end}") if count else ""
            found.append(Count(f"{low} to {high}", count, clause, at[place], at[place + 1]))
        return found

    def _value_clause(self, kind: int, value: str, raw: _Raw, *, has_booleans: bool) -> str:
        spells_number = raw.edges is not None and number_of(value) is not None
        spells_boolean = has_booleans and value in ("true", "false")
        is_shared = spells_boolean and sum(value == other for _, other, _ in raw.values) > 1
        if spells_number or is_shared:
            return ""
        return self._clause(str(Clause(self._key_in_text(), (value,))))

    def _clause(self, condition: str) -> str:
        """Return the filter text of the frames that have what is counted, on a condition."""
        where = self.wanted.where
        if self._is_inside:
            condition = f"rois:({f'({where}) AND ' if where else ''}{condition})"
        return f"{self._others} AND {condition}" if self._others else condition

    @property
    def _is_inside(self) -> bool:
        """Whether the condition is on the regions that are counted."""
        return self.wanted.counted == "roi" and is_region_key(self.wanted.space_key)

    def _other_conditions(self) -> str:
        where = self.wanted.where
        if self.wanted.counted == "frame" or self._is_inside:
            return joined(self.query.q)
        return joined(self.query.q, f"rois:({where})" if where else "_exists_:rois")

    def _key_in_text(self) -> str:
        """Return the key as it is called where the condition stands."""
        key = self.wanted.space_key
        return key.removeprefix("rois.") if self._is_inside else key

    def _exists(self) -> str:
        return f"_exists_:{self._name()}"

    def _name(self) -> str:
        return written_name(self._key_in_text())


class _Raw(NamedTuple):
    """What was counted: (kind, value, count), and by bin."""

    values: Sequence[tuple[int, str, int]]
    edges: Edges | None
    bins: list[int]
    missing: int
