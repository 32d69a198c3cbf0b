"""Lucene query text to a set of frames, or of regions: set algebra over the index.

docs/search.md says what a text may hold. What the index cannot tell (a URI, a pattern over a key
of too many texts) is looked for last, among the frames that the rest of the text leaves, and
within a budget of time.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final, Literal

from frames.index import store
from frames.index.bitmaps import SEGMENT_BITS, BitMap, from_array, to_array, union
from frames.index.regions import RegionSet
from frames.index.terms import TEXT_MAX_CHARS, TEXTS_PER_KEY_MAX
from frames.models import Frame, Source
from frames.models.frame import frame_pk, ordinal_of
from frames.search.errors import QueryError
from frames.search.matching import frame_satisfies, region_satisfies, source_satisfies
from frames.search.rows import FrameRow
from frames.search.syntax import (
    All,
    And,
    Between,
    Equal,
    Exists,
    Like,
    Not,
    Or,
    Single,
    parse,
    parse_inside,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from frames.index.reader import DatasetIndex
    from frames.index.store import SourceCondition
    from frames.search.syntax import Clause

# A query answers in a second with a million frames; the rest of a page needs some of it.
BUDGET_S: Final = 0.8
# So many rows are read in 20 ms: sooner than the source or id of every frame.
_FEW: Final = 1_000


def frames_matching(index: DatasetIndex, universe: BitMap, text: str) -> BitMap:
    """Return those of the frames that a query text matches. Raises QueryError.

    Queries: up to 4 a term of the text, none for terms in the cache; more for what only the rows
    tell (URIs, ids by pattern, texts of a key with too many).
    """
    return Evaluation(index).frames(parse(text), universe)


def regions_matching(index: DatasetIndex, frames: BitMap, text: str) -> RegionSet:
    """Return those regions of the frames that a text about single regions matches.

    Raises QueryError. Queries: as `frames_matching`.
    """
    found = Evaluation(index).regions(parse_inside(text, "rois"), frames)
    return found & index.regions_of(frames)


class Evaluation:
    """Evaluates trees over one dataset's index, all of them within one budget of time."""

    def __init__(self, index: DatasetIndex) -> None:
        self.index = index
        self._deadline = time.monotonic() + BUDGET_S

    # --- frame space --------------------------------------------------------------------

    def frames(self, clause: Clause, within: BitMap) -> BitMap:
        """Return those of the frames that satisfy a tree; do not change it, it may be `within`."""
        if not within:
            return within
        self._check_time(clause)
        match clause:
            case All():
                return within
            case And(_, _, children):
                for child in sorted(children, key=_cost):
                    within = self.frames(child, within)
                return within
            case Or(_, _, children):
                found: list[BitMap] = []
                left = within
                for child in sorted(children, key=_cost):
                    found.append(self.frames(child, left))
                    left = left - found[-1]
                return union(found)
            case Not(_, _, child):
                return within - self.frames(child, within)
            case Single(_, _, "rois"):
                return self._frames_of_single_regions(clause, within)
            case Single(_, _, _, child):
                return self._frames_of_single_sources(child, within)
            case Exists(_, _, field):
                return self._having(field) & within if _is_optional(field) else within
            case Equal():
                return self._equal(clause, within)
            case Like():
                return self._like(clause, within)
            case Between():
                return self._between(clause, within)
        raise TypeError(f"{type(clause).__name__} is no clause")

    def _having(self, field: str) -> BitMap:
        if field.startswith("rois."):
            return self.index.frames_of(self._regions_having(field))
        return union(self.index.has(key) for key in self.index.keys_at(field))

    def _equal(self, clause: Equal, within: BitMap) -> BitMap:
        field, value, number = clause.field, clause.value, clause.number
        if field == "id":
            rows = Frame.objects.filter(dataset=self.index.dataset, frame_id=value)
            return BitMap(map(ordinal_of, rows.values_list("pk", flat=True))) & within
        if field == "sources.uri":
            return self._with_source(clause, store.source_equals("uri", value), within)
        if field == "saved":
            saved_ms = math.nan if number is None else number
            return self.index.saved_between(saved_ms, saved_ms) & within
        if field == "saved_in_version":
            return self._saved_in(clause, within)
        if field.startswith("rois."):
            return self.index.frames_of(self._regions_equal(clause)) & within
        found = [self.index.text(field, value)]
        if number is not None:
            found.append(self.index.number_range(field, number, number))
        if value in ("true", "false"):
            found.append(self.index.boolean(field, value=value == "true"))
        return union(found) & within

    def _like(self, clause: Like, within: BitMap) -> BitMap:
        field = clause.field
        if field == "id":
            return self._column_like("frame_id", clause, within)
        if field == "sources.uri":
            return self._with_source(clause, store.source_like("uri", clause.pattern), within)
        if field == "saved_in_version":
            return self._saved_in(clause, within)
        if field.startswith("rois."):
            return self.index.frames_of(self._regions_like(clause, within)) & within
        sure, unsure = self._terms_like(clause)
        if len(sure) > TEXTS_PER_KEY_MAX:
            return self._column_like("context_id", clause, within)
        found = self.index.with_terms(sure) & within
        doubtful = (self.index.with_terms(unsure) & within) - found
        if self.index.is_overflowed(field):
            doubtful = (self.index.has(field) & within) - found
        return found | self._on_rows(clause, doubtful)

    def _column_like(
        self, column: Literal["frame_id", "context_id"], clause: Like, within: BitMap
    ) -> BitMap:
        if len(within) <= _FEW:
            return self._on_rows(clause, within)
        found = BitMap()
        for part in self.index.frames_like(column, clause.pattern):
            self._check_time(clause)
            found |= part
        return found & within

    def _between(self, clause: Between, within: BitMap) -> BitMap:
        field, low, high = clause.field, clause.low, clause.high
        if low > high:
            return BitMap()
        if field == "saved":
            return self.index.saved_between(low, high) & within
        if field.startswith("rois."):
            return self.index.frames_of(self._regions_between(clause, within)) & within
        found = self.index.number_range(field, low, high) & within
        if clause.of_times:
            found = found | (self.index.with_terms(self._dates(clause)) & within)
            if self.index.is_overflowed(field):
                found = found | self._on_rows(clause, (self.index.has(field) & within) - found)
        return found

    def _saved_in(self, clause: Equal | Like, within: BitMap) -> BitMap:
        versions = self.index.dataset.versions.values_list("pk", "uid")
        wanted = [pk for pk, uid in versions if clause.matches(uid)]
        return union(self.index.saved_in(pk) for pk in wanted) & within

    def _with_source(self, clause: Clause, condition: SourceCondition, within: BitMap) -> BitMap:
        """Return the frames of which one source's columns are as wanted."""
        if not within or len(within) <= _FEW:
            return self._on_sources(clause, within)
        found = []
        for segment in range(within.min() >> SEGMENT_BITS, (within.max() >> SEGMENT_BITS) + 1):
            self._check_time(clause)
            found.append(self.index.with_source(segment, condition))
        return union(found) & within

    def _terms_like(self, clause: Like) -> tuple[list[int], list[int]]:
        """Return the terms that a pattern matches, and those that were cut and may be."""
        sure: list[int] = []
        unsure: list[int] = []
        for pk, text in self.index.text_terms(clause.field, clause.pattern):
            was_cut = len(text) == TEXT_MAX_CHARS and clause.field != "context_id"
            if was_cut:
                unsure.append(pk)
            elif len(text) != TEXT_MAX_CHARS or clause.pattern.matches(text):
                sure.append(pk)
        return sure, unsure

    def _dates(self, clause: Between) -> list[int]:
        """Return the terms of a key that are dates in a range."""
        terms = self.index.text_terms(clause.field)
        return [pk for pk, text in terms if text[:1].isdigit() and clause.matches(text)]

    def _on_rows(self, clause: Clause, candidates: BitMap) -> BitMap:
        """Return those of the candidates that satisfy a clause by their rows."""
        found = []
        for row in self._rows(clause, candidates):
            if frame_satisfies(clause, row):
                found.append(row.frame.ordinal)
        return BitMap(found)

    def _rows(self, clause: Clause, frames: BitMap) -> Iterator[FrameRow]:
        """Yield the rows of frames as long as there is time. Queries: 2 for each 500."""
        for part in store.chunks(to_array(frames).tolist()):
            self._check_time(clause)
            rows = Frame.objects.at(self.index.dataset, part).prefetch_related("sources")
            for frame in rows:
                yield FrameRow(frame, list(frame.sources.all()))

    def _check_time(self, clause: Clause) -> None:
        if time.monotonic() > self._deadline:
            raise QueryError(
                "This takes too long: too much has to be looked through. Narrow the filter, or "
                "ask again: most of what was found is kept for a while.",
                position=clause.start,
            )

    # --- single regions -----------------------------------------------------------------

    def _frames_of_single_regions(self, clause: Single, within: BitMap) -> BitMap:
        if isinstance(clause.child, All):
            counts = self.index.region_counts(within)
            return from_array(to_array(within)[(counts >= clause.least) & (counts <= clause.most)])
        regions = self.regions(clause.child, within)
        if clause.least == 1 and clause.most == math.inf:
            return self.index.frames_of(regions) & within
        found = self.index.frames_with_count(regions, clause.least, clause.most) & within
        if clause.least <= 0 <= clause.most:
            found = found | (within - self.index.frames_of(regions))
        return found

    def regions(self, clause: Clause, within: BitMap) -> RegionSet:
        """Return the regions that satisfy a tree, those of the frames and maybe of others."""
        self._check_time(clause)
        match clause:
            case All():
                return self.index.every_region()
            case And(_, _, children):
                return self._regions_of_all(children, within)
            case Or(_, _, children):
                found = RegionSet()
                for child in children:
                    found = found | self.regions(child, within)
                return found
            case Not(_, _, child):
                return self.index.every_region() - self.regions(child, within)
            case Exists(_, _, field):
                return self._regions_having(field)
            case Equal():
                return self._regions_equal(clause)
            case Like():
                return self._regions_like(clause, within)
            case Between():
                return self._regions_between(clause, within)
        raise TypeError(f"{type(clause).__name__} is no clause about regions")

    def _regions_of_all(self, children: Sequence[Clause], within: BitMap) -> RegionSet:
        """Return the regions that satisfy each of some trees; ranges last, among those left."""
        kept = [child for child in children if not isinstance(child, Not)]
        kept.sort(key=lambda child: isinstance(child, Between))
        first, *rest = kept or [All(0, 0)]
        found = self.regions(first, within)
        for child in rest:
            if isinstance(child, Between):
                found = self._regions_between(child, within, among=found)
            else:
                found = found & self.regions(child, within)
        for child in children:
            if isinstance(child, Not):
                found = found - self.regions(child.child, within)
        return found

    def _regions_having(self, field: str) -> RegionSet:
        found = RegionSet()
        for key in self.index.keys_at(field):
            found = found | self.index.region_has(key)
        return found

    def _regions_equal(self, clause: Equal) -> RegionSet:
        field, value, number = clause.field, clause.value, clause.number
        found = self.index.region_text(field, value)
        if number is not None:
            found = found | self.index.region_number_range(field, number, number)
        if value in ("true", "false"):
            found = found | self.index.region_boolean(field, value=value == "true")
        return found

    def _regions_like(self, clause: Like, within: BitMap) -> RegionSet:
        sure, unsure = self._terms_like(clause)
        found = self.index.regions_with_terms(sure)
        doubtful = self.index.regions_with_terms(unsure)
        if self.index.is_overflowed(clause.field):
            doubtful = self.index.region_has(clause.field)
        return found | self._regions_on_rows(clause, self.index.frames_of(doubtful) & within)

    def _regions_between(
        self, clause: Between, within: BitMap, among: RegionSet | None = None
    ) -> RegionSet:
        """Return the regions, or those of some, that have a number or date in a range."""
        field = clause.field
        if clause.low > clause.high:
            return RegionSet()
        found = self.index.region_number_range(field, clause.low, clause.high, among)
        if not clause.of_times:
            return found
        found = found | self.index.regions_with_terms(self._dates(clause))
        if self.index.is_overflowed(field):
            candidates = self.index.frames_of(self.index.region_has(field)) & within
            found = found | self._regions_on_rows(clause, candidates)
        return found if among is None else found & among

    def _regions_on_rows(self, clause: Clause, candidates: BitMap) -> RegionSet:
        """Return the regions of the candidates that satisfy a clause by their rows."""
        found: dict[int, BitMap] = {}
        for row in self._rows(clause, candidates):
            segment, first = self.index.region_place(row.frame.ordinal)
            for number, roi in enumerate(row.frame.rois, first):
                if region_satisfies(clause, roi):
                    found.setdefault(segment, BitMap()).add(number)
        return RegionSet(found)

    # --- single sources -----------------------------------------------------------------

    def _frames_of_single_sources(self, clause: Clause, within: BitMap) -> BitMap:
        """Return the frames of which one source satisfies a tree.

        The index tells it of frames with one source, and of clauses that stand alone. Of the
        others it tells which may be, and their sources are read.
        """
        if isinstance(clause, All | Exists | Equal | Like | Between):
            return self.frames(clause, within)
        several = self.index.several_sources()
        several = within if several is None else several & within
        found = self.frames(clause, within - several)
        perhaps = self._perhaps(clause, several)
        condition = _on_columns(clause)
        if condition is None:
            return found | self._on_sources(clause, perhaps)
        return found | self._with_source(clause, condition, perhaps)

    def _perhaps(self, clause: Clause, within: BitMap) -> BitMap:
        """Return the frames of which a source may satisfy a tree: all that do, and others."""
        match clause:
            case And(_, _, children):
                for child in sorted(children, key=_cost):
                    within = self._perhaps(child, within)
                return within
            case Or(_, _, children):
                return union(self._perhaps(child, within) for child in children)
            case Not():
                return within
        return self.frames(clause, within)

    def _on_sources(self, clause: Clause, candidates: BitMap) -> BitMap:
        """Return those of the candidates of which one source satisfies a tree, by its row."""
        found = BitMap()
        for part in store.chunks(to_array(candidates).tolist()):
            self._check_time(clause)
            pks = [frame_pk(self.index.dataset.pk, ordinal) for ordinal in part]
            sources = Source.objects.filter(frame_id__in=pks).order_by().only(*_READ)
            for source in sources:
                if source_satisfies(clause, source):
                    found.add(ordinal_of(source.frame_id))
        return found


_COLUMNS: Final[dict[str, store.SourceColumn]] = {
    "sources.id": "source_id",
    "sources.uri": "uri",
    "sources.content_type": "content_type",
    "sources.width": "width",
    "sources.height": "height",
}
_NUMBERS: Final = ("width", "height")
_READ: Final = ("frame_id", *_COLUMNS.values(), "meta")


def _on_columns(clause: Clause) -> SourceCondition | None:
    """Return a tree about one source as a condition on columns; None where metadata is asked."""
    match clause:
        case All():
            return store.EVERY_SOURCE
        case And(_, _, children) | Or(_, _, children):
            parts = [part for child in children if (part := _on_columns(child)) is not None]
            word: Literal["AND", "OR"] = "AND" if isinstance(clause, And) else "OR"
            return store.joined(parts, word) if len(parts) == len(children) else None
        case Not(_, _, child):
            inner = _on_columns(child)
            return None if inner is None else inner.negated()
    column = _COLUMNS.get(getattr(clause, "field", ""))
    if column is None:
        return None
    is_number = column in _NUMBERS
    match clause:
        case Exists():
            return store.source_has(column)
        case Equal():
            wanted = clause.number if is_number else clause.value
            return store.NO_SOURCE if wanted is None else store.source_equals(column, wanted)
        case Like():
            return store.NO_SOURCE if is_number else store.source_like(column, clause.pattern)
        case Between():
            return store.source_between(column, clause.low, clause.high)
    return None


def _is_optional(field: str) -> bool:
    """Whether a frame can be without a field."""
    always = ("id", "context_id", "timestamp", "saved", "saved_in_version")
    return field not in always and field not in ("sources.id", "sources.uri")


def _cost(clause: Clause) -> int:
    """Return what a clause costs beside the others: those of the rows come last."""
    if isinstance(clause, And | Or):
        return max(map(_cost, clause.children))
    if isinstance(clause, Not):
        return _cost(clause.child)
    if isinstance(clause, Single):
        return max(1, _cost(clause.child))
    field = getattr(clause, "field", "")
    if field == "sources.uri" or (field == "id" and isinstance(clause, Like)):
        return 3
    return 2 if isinstance(clause, Like) else 0
