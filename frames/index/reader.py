"""Reading the index: the set algebra that everything above asks for."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np
from django.db.models import Q
from pyroaring import BitMap

from frames.index import membership, regions, store
from frames.index.bitmaps import SEGMENT_BITS, SEGMENT_SIZE, from_array, load, to_array, union
from frames.index.cache import cache
from frames.index.numbers import bounds
from frames.index.regions import Offsets, RegionSet
from frames.index.rows import frames_with_text, read_rows, region_terms
from frames.index.terms import (
    ANY,
    BOOLEAN,
    HASH_BUCKET,
    LIST,
    NULL,
    REPEATS_PREFIX,
    SAVED_IN_VERSION,
    TEXT,
    TEXTS_PER_KEY_MAX,
    UNBOUNDED_KEYS,
    VALUE_KINDS,
    Token,
    hash_bucket,
    is_region_key,
    term_text,
)
from frames.index.writer import ENTRY
from frames.models import Identities, Key, RegionOffsets, Term, Version
from frames.models.frame import ORDINAL_BITS, ORDINAL_MASK

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from frames.index.bitmaps import UInt32Array
    from frames.index.numbers import Float64Array
    from frames.index.patterns import Pattern
    from frames.index.store import SourceCondition
    from frames.models import Dataset

# Buckets of numbers whose union is kept: the range [20, 80] is 256 buckets, and 16 blocks.
_BLOCK: Final = 16
_FIRST_RUNS: Final = 64
_MOST_RUNS: Final = 4096
# A row of a model, with the objects around it.
_ROW_BYTES: Final = 1_500


class TermFrames(NamedTuple):
    """One text of a key and the frames that have it."""

    value: str
    frames: BitMap


class ValueCount(NamedTuple):
    """One value of a key and how many frames have it; numbers by their bucket's least value."""

    kind: int
    value: str
    frames: int


class Run(NamedTuple):
    """Frames that stand together in the order of a key's values.

    `value` is a text, "false" or "true", or the bucket of NUMBER.
    """

    term: int
    kind: int
    value: str | float
    frames: BitMap


class _Buckets(NamedTuple):
    """The terms of a range of numbers: those inside it, as far as possible by blocks, and edges.

    A block is _BLOCK neighbours whose union is kept, so that a range of hundreds of buckets is a
    union of a few large sets. `edges` have the bucket's own number; each number is looked at.
    """

    blocks: list[tuple[int, ...]]
    inner: list[int]
    edges: dict[int, float]


class _BySegment:
    """Regions that come piece by piece, and are put together as they come; all, or among some."""

    def __init__(self, among: RegionSet | None = None) -> None:
        self._among = among.segments if among is not None else None
        self._found: dict[int, BitMap] = {}

    def wants(self, segment: int) -> bool:
        """Whether anything of a segment is kept."""
        return self._among is None or segment in self._among

    def add(self, segment: int, regions: BitMap) -> None:
        """Add regions of one segment that is wanted; the set may be changed later."""
        if self._among is not None:
            regions = regions & self._among[segment]
        if not regions:
            return
        if segment in self._found:
            self._found[segment] |= regions
        else:
            self._found[segment] = regions

    def add_kept(self, regions: RegionSet) -> None:
        """Add regions that somebody else has too."""
        for segment, bitmap in regions.segments.items():
            if self.wants(segment):
                is_given_away = self._among is None and segment not in self._found
                self.add(segment, bitmap.copy() if is_given_away else bitmap)

    def union(self) -> RegionSet:
        """Return all of them."""
        return RegionSet(self._found)


class DatasetIndex:
    """The index of one dataset as of the moment its row was read.

    All answers are sets over every revision of the dataset: intersect them with `members` of a
    version. Deserialised postings are kept in the process's bounded cache under the dataset's
    generation, which every write replaces, so a stale one cannot be read.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._generation = (dataset.pk, dataset.generation)

    # --- versions -----------------------------------------------------------------------

    def members(self, version: Version) -> BitMap:
        """Return the ordinals of the version's frames; do not change it. Queries: 0 or 1."""
        slot = ("members", version.pk, self._generation)
        found = cache.get(slot)
        if found is None:
            found = membership.members(version.pk)
            cache.put(slot, found, len(found.serialize()))
        return found

    def identities(self, frames: BitMap) -> UInt32Array:
        """Return which frame each revision is one of, in ascending order: (n,) uint32.

        Queries: 1 for each 500 segments that are not in the cache.
        """
        values = to_array(frames)
        segments = values >> SEGMENT_BITS
        wanted = np.unique(segments).tolist()
        slots = {s: ("identities", s, self._generation) for s in wanted}
        columns: dict[int, UInt32Array] = {
            s: column for s, slot in slots.items() if (column := cache.get(slot)) is not None
        }
        missing = [store.row_id(self.dataset.pk, s) for s in wanted if s not in columns]
        for pk, data in store.rows_by_id(Identities, missing, "identities"):
            column = np.frombuffer(data, dtype="<u4")
            columns[pk & store.SEGMENT_MASK] = column
            cache.put(slots[pk & store.SEGMENT_MASK], column, column.nbytes)
        found = np.empty(len(values), dtype=np.uint32)
        for segment in wanted:
            here = segments == segment
            found[here] = columns[segment][values[here] & store.SEGMENT_MASK]
        return found

    def revisions(self) -> BitMap:
        """Return every revision that has a row. Queries: up to 3."""
        # Each frame has a timestamp.
        return self.number_range("timestamp", -math.inf, math.inf)

    # --- frame space --------------------------------------------------------------------

    def text(self, key: str, value: str) -> BitMap:
        """Return the frames that have a text. Queries: up to 3; a read of rows if overflowed."""
        # A context's text is never cut: groups are walked by it.
        text = value if key in UNBOUNDED_KEYS else term_text(value)
        frames = self._union(self._terms(key, kinds=(TEXT,), value=text))
        found = self._key(key)
        if found is not None and found.overflowed:
            shared = self._union(self._terms(key, kinds=(HASH_BUCKET,), value=hash_bucket(text)))
            frames = frames | frames_with_text(self.dataset, shared - frames, key, text)
        return frames

    def texts(self, key: str, values: Sequence[str]) -> list[TermFrames]:
        """Return the frames of several texts of a key, in the order given. Queries: up to 3.

        For keys whose texts are all terms: a context id has no hash bucket.
        """
        found = self._key(key)
        if found is None:
            return []
        terms = {value: pk for pk, value in store.term_ids(found.pk, TEXT, values)}
        sets = self._postings(list(terms.values()))
        return [TermFrames(value, sets[terms[value]]) for value in values if value in terms]

    def texts_of(self, term_pks: Sequence[int]) -> list[TermFrames]:
        """Return the texts of some terms with their frames, in the order given. Queries: 2."""
        names = dict(Term.objects.filter(pk__in=term_pks).values_list("pk", "value"))
        sets = self._postings(term_pks)
        return [TermFrames(names[pk], sets[pk]) for pk in term_pks]

    def numbering(self, key: str) -> tuple[npt.NDArray[np.int64], UInt32Array]:
        """Return the terms of a key's texts in byte order, and which of them each revision has.

        (t,) int64, and (next ordinal,) uint32 numbers of those, t where there is none; for a key
        of which no frame has two texts. Queries: 1, and 1 for each 500 texts; none from the
        cache, which keeps up to a quarter of its bound.
        """
        slot = ("numbering", key, self._generation)
        found: tuple[npt.NDArray[np.int64], UInt32Array] | None = cache.get(slot)
        if found is None:
            row = self._key(key)
            rows = store.texts_in_order(row.pk) if row is not None else []
            terms = np.array([pk for (pk,) in rows], dtype=np.int64)
            numbers = np.full(self.dataset.next_ordinal, len(terms), dtype=np.uint32)
            of_term = {pk: number for number, pk in enumerate(terms.tolist())}
            for pk, _, data, _ in store.postings_of(terms.tolist()):
                numbers[to_array(load(data))] = of_term[pk]
            found = terms, numbers
            cache.put(slot, found, terms.nbytes + numbers.nbytes)
        return found

    def boolean(self, key: str, *, value: bool) -> BitMap:
        """Return the frames that have a truth value. Queries: up to 3."""
        return self._union(self._terms(key, kinds=(BOOLEAN,), value="true" if value else "false"))

    def null(self, key: str) -> BitMap:
        """Return the frames where the key is there and null. Queries: up to 3."""
        return self._union(self._terms(key, kinds=(NULL,)))

    def has(self, key: str) -> BitMap:
        """Return the frames that have any value of a key but null. Queries: up to 4."""
        return self._union(self._any(key))

    def number_range(self, key: str, low: float, high: float) -> BitMap:
        """Return the frames that have a number in [low, high], both closed. Queries: up to 4.

        Buckets that lie inside are taken whole; of the two at the edges each number is looked at.
        """
        wanted = self._numbers_between(key, low, high)
        found = [self._block(block) for block in wanted.blocks]
        found += self._postings(wanted.inner).values()
        for pk, _, data, numbers in store.postings_of(list(wanted.edges), numbers=True):
            found.append(_in_range(data, numbers, wanted.edges[pk], low, high))
        return union(found)

    def _block(self, term_pks: tuple[int, ...]) -> BitMap:
        slot = ("block", term_pks[0], self._generation)
        found: BitMap | None = cache.get(slot)
        if found is None:
            # Straight from the rows: the postings of single buckets are not what is wanted next.
            found = union(load(data) for _, _, data, _ in store.postings_of(term_pks))
            cache.put(slot, found, len(found.serialize()))
        return found

    def walk(
        self, key: str, *, after: str | None = None, descending: bool = False, first: int = 64
    ) -> Iterator[TermFrames]:
        """Yield the texts of a key in byte order of their value, with their frames.

        Queries: one a chunk; chunks begin with `first` texts and double up to 4,096.
        """
        found = self._key(key)
        if found is None:
            return
        limit = first
        while True:
            rows = store.walk(found.pk, after=after, descending=descending, limit=limit)
            terms = 0
            for value, frames in _by_term(rows):
                terms += 1
                after = value
                yield TermFrames(value, frames)
            if terms < limit:
                return
            limit = min(limit * 2, 4096)

    def shared_texts(self, key: str) -> Iterator[TermFrames]:
        """Yield the texts of a key that more than one revision has, in byte order.

        Queries: 1 for each 4,096, and 1 for each 500.
        """
        found = self._key(key)
        if found is None:
            return
        after = None
        while terms := store.shared_texts(found.pk, after, limit=_MOST_RUNS):
            for part in store.chunks(terms):
                segments: dict[int, list[BitMap]] = {pk: [] for pk, _ in part}
                for pk, _, data, _ in store.postings_of([*segments]):
                    segments[pk].append(load(data))
                yield from (TermFrames(value, union(segments[pk])) for pk, value in part)
            after = terms[-1][1]

    def is_overflowed(self, key: str) -> bool:
        """Whether some texts of a key are in hash buckets, which `walk` passes over. Queries: 1."""
        found = self._key(key)
        return found is not None and found.overflowed

    def counts(self, key: str, within: BitMap, *, limit: int = 1000) -> list[ValueCount]:
        """Return how many of the given frames have each value of a key, most first, up to `limit`.

        Values none of them has are left out, and so are texts in hash buckets. Queries: 2, and 1
        for each 500 values that are not in the cache.
        """
        found = self._key(key)
        if found is None:
            return []
        terms = Term.objects.filter(key=found).exclude(kind__in=[ANY, LIST, HASH_BUCKET])
        counted: list[ValueCount] = []
        for part in store.chunks(list(terms.values_list("pk", "kind", "value"))):
            sets = self._postings([pk for pk, _, _ in part])
            counted += [
                ValueCount(kind, value, count)
                for pk, kind, value in part
                if (count := within.intersection_cardinality(sets[pk]))
            ]
        return sorted(counted, key=lambda item: (-item.frames, item.value))[:limit]

    # --- values in order ----------------------------------------------------------------

    def runs(
        self, key: str, *, start: tuple[int, str | float] | None = None, descending: bool = False
    ) -> Iterator[Run]:
        """Yield the values of a key in order, from the kind and value `start` on.

        Each with its frames: buckets of numbers by size, then false and true, then texts in byte
        order; `descending` turns all of it. A region key gives the frames with such a region.
        Texts in hash buckets do not come. Queries: 2 a chunk; chunks begin with 64 values and
        double up to 4,096.
        """
        key = _frame_space(key)
        found = self._key(key)
        if found is None:
            return
        kinds = VALUE_KINDS[::-1] if descending else VALUE_KINDS
        limit = _FIRST_RUNS
        for kind in kinds if start is None else kinds[kinds.index(start[0]) :]:
            place, inclusive = None, False
            if start is not None and kind == start[0]:
                place, inclusive = start[1], True
            while True:
                terms = store.terms_in_order(
                    found.pk, kind, place, inclusive=inclusive, descending=descending, limit=limit
                )
                sets = self._frames_of_terms(key, [pk for pk, _ in terms])
                for pk, value in terms:
                    yield Run(pk, kind, value, sets[pk])
                if len(terms) < limit:
                    break
                place, inclusive = terms[-1][1], False
                limit = min(limit * 2, _MOST_RUNS)

    def exact_numbers(
        self, key: str, runs: Sequence[Run]
    ) -> dict[int, tuple[UInt32Array, Float64Array]]:
        """Return by term, for runs of numbers, frames and the number each has.

        Both (n,), uint32 and float64; a frame is there once for each number it has. Queries: 1
        for each 500 runs.
        """
        buckets = {run.term: float(run.value) for run in runs}
        parts: dict[int, list[tuple[UInt32Array, Float64Array]]] = {pk: [] for pk in buckets}
        for pk, segment, data, numbers in store.postings_of(list(buckets), numbers=True):
            if numbers is None:
                rows = to_array(load(data))
                values = np.full(len(rows), buckets[pk])
            else:
                entries = np.frombuffer(numbers, dtype=ENTRY)
                rows, values = entries["row"], entries["value"]
            if is_region_key(key):
                rows = regions.frame_of_each(rows, segment, self._offsets())
            parts[pk].append((rows, values))
        return {
            pk: (np.concatenate([rows for rows, _ in found]), np.concatenate([v for _, v in found]))
            for pk, found in parts.items()
        }

    def numbers(self, key: str, ordinals: UInt32Array) -> Float64Array:
        """Return the number that each of the given frames has: (n,) float64, NaN for none.

        For a key of frame space of which no frame has two numbers. `ordinals` is (n,), ascending.
        Queries: up to 2, and 1 for each 500 buckets.
        """
        column = np.full(int(ordinals[-1]) + 1 if len(ordinals) else 0, np.nan)
        found = self._key(key)
        buckets = {pk: number for pk, number, _, _ in self._buckets(found)} if found else {}
        for pk, _, data, numbers in store.postings_of([*buckets], numbers=True):
            if numbers is None:
                rows = to_array(load(data))
                column[rows[rows < len(column)]] = buckets[pk]
            else:
                entries = np.frombuffer(numbers, dtype=ENTRY)
                entries = entries[entries["row"] < len(column)]
                column[entries["row"]] = entries["value"]
        return column[ordinals]

    def valued(self, key: str) -> BitMap:
        """Return the frames that have any value of a key but null; of a region key, such a region.

        Not to be changed. Queries: up to 4, and 1 for each 500 texts of a key that only has texts.
        """
        key = _frame_space(key)
        slot = ("valued", key, self._generation)
        found: BitMap | None = cache.get(slot)
        if found is None:
            is_of_regions = is_region_key(key)
            found = self.frames_of(self.region_has(key)) if is_of_regions else self.has(key)
            cache.put(slot, found, len(found.serialize()))
        return found

    def with_region_without(self, key: str) -> BitMap:
        """Return the frames with a region that has no value of a region key; not to be changed.

        Queries: up to 5, none from the cache.
        """
        slot = ("region without", key, self._generation)
        found: BitMap | None = cache.get(slot)
        if found is None:
            every = {
                segment: BitMap(range(int(offsets[-1])))
                for segment, offsets in self._offsets().items()
            }
            found = self.frames_of(RegionSet(every) - self.region_has(key))
            cache.put(slot, found, len(found.serialize()))
        return found

    def is_single_valued(self, key: str) -> bool:
        """Whether no frame has two values of a key in different runs. Queries: up to 4."""
        key = _frame_space(key)
        found = self._key(key)
        if found is None or is_region_key(key):
            return found is None
        slot = ("single valued", key, self._generation)
        single: bool | None = cache.get(slot)
        if single is None:
            held = store.cardinality_of_key(found.pk, [*VALUE_KINDS, HASH_BUCKET])
            single = held == len(self.valued(key))
            cache.put(slot, single, 0)
        return single

    # --- region space -------------------------------------------------------------------

    def region_text(self, key: str, value: str) -> RegionSet:
        """Return the regions that have a text. Queries: up to 3; rows are read if overflowed."""
        slot = ("region text", key, value, self._generation)
        return self._kept_regions(slot, lambda: self._region_text(key, value))

    def _region_text(self, key: str, value: str) -> RegionSet:
        text = term_text(value)
        found = self._region_union(self._terms(key, kinds=(TEXT,), value=text))
        if self.is_overflowed(key):
            shared = self._terms(key, kinds=(HASH_BUCKET,), value=hash_bucket(text))
            found = found | self._regions_with_text(self._region_union(shared), key, text)
        return found

    def region_boolean(self, key: str, *, value: bool) -> RegionSet:
        """Return the regions that have a truth value. Queries: up to 3."""
        terms = self._terms(key, kinds=(BOOLEAN,), value="true" if value else "false")
        return self._region_union(terms)

    def region_has(self, key: str) -> RegionSet:
        """Return the regions that have any value of a key but null. Queries: up to 4."""
        return self._region_union(self._any(key))

    def region_number_range(
        self, key: str, low: float, high: float, among: RegionSet | None = None
    ) -> RegionSet:
        """Return the regions that have a number in [low, high], both closed. Queries: up to 4.

        With `among`, those of these alone: the set of a fifth of ten million frames' regions is
        10 MB, which is then neither made nor kept.
        """
        if among is not None:
            return self._region_number_range(key, low, high, among)
        slot = ("region numbers", key, low, high, self._generation)
        return self._kept_regions(slot, lambda: self._region_number_range(key, low, high, None))

    def _region_number_range(
        self, key: str, low: float, high: float, among: RegionSet | None
    ) -> RegionSet:
        wanted = self._numbers_between(key, low, high)
        parts = _BySegment(among)
        for block in wanted.blocks:
            parts.add_kept(self._region_block(block))
        for _, segment, data, _ in store.postings_of(wanted.inner):
            if parts.wants(segment):
                parts.add(segment, load(data))
        for pk, segment, data, numbers in store.postings_of(list(wanted.edges), numbers=True):
            if not parts.wants(segment):
                continue
            if inside := _in_range(data, numbers, wanted.edges[pk], low, high):
                parts.add(segment, inside)
        return parts.union()

    def _region_block(self, term_pks: tuple[int, ...]) -> RegionSet:
        slot = ("region block", term_pks[0], self._generation)
        return self._kept_regions(slot, lambda: self._region_union(term_pks))

    def label_counts(self, frames: BitMap) -> dict[str, int]:
        """Return how many regions of the given frames have each label, in frame space.

        Queries: up to 3, and 1 for each 500 labels that are not in the cache.
        """
        if self.is_overflowed("label"):
            return self._label_counts_of_regions(frames)
        slot = ("label terms", self._generation)
        terms: list[tuple[int, str, int]] | None = cache.get(slot)
        if terms is None:
            named = Q(name="label") | Q(name__startswith=REPEATS_PREFIX)
            keys = Key.objects.filter(named, dataset=self.dataset).values_list("pk", "name")
            powers = {pk: int(name.partition(".")[2] or 0) for pk, name in keys}
            rows = Term.objects.filter(key__in=powers, kind=TEXT)
            terms = [
                (pk, value, 1 << powers[key])
                for pk, value, key in rows.values_list("pk", "value", "key")
            ]
            cache.put(slot, terms, 200 * len(terms))
        counts: defaultdict[str, int] = defaultdict(int)
        for part in store.chunks(terms):
            sets = self._postings([pk for pk, _, _ in part])
            for pk, label, weight in part:
                counts[label] += weight * frames.intersection_cardinality(sets[pk])
        return {label: count for label, count in counts.items() if count}

    def _label_counts_of_regions(self, frames: BitMap) -> dict[str, int]:
        """Return the same for more labels than there are terms: of those that are one."""
        found = self._key("rois.label")
        texts = dict(Term.objects.filter(key=found, kind=TEXT).values_list("pk", "value"))
        inside = self.regions_of(frames).segments
        counts: defaultdict[str, int] = defaultdict(int)
        for pk, segment, data, _ in store.postings_of(list(texts)):
            if segment in inside:
                counts[texts[pk]] += inside[segment].intersection_cardinality(load(data))
        return {label: count for label, count in counts.items() if count}

    def label_counts_of(self, version: Version) -> dict[str, int]:
        """Return how many regions of a version have each label; do not change it.

        Queries: 0, or 1 for the version and those of `label_counts`.
        """
        # What is published never changes, whatever else is written into the dataset.
        state = self._generation if version.is_draft else ()
        slot = ("label counts", version.uid, state)
        counts: dict[str, int] | None = cache.get(slot)
        if counts is None:
            counts = self.label_counts(self.members(version))
            cache.put(slot, counts, 100 * len(counts))
        return counts

    def frames_of(self, found: RegionSet) -> BitMap:
        """Return the frames that have at least one of the regions. Queries: 0 or 1."""
        return regions.frames_of(found, self._offsets())

    def regions_of(self, frames: BitMap) -> RegionSet:
        """Return all regions of the given frames. Queries: 0 or 1."""
        return regions.regions_of(frames, self._offsets())

    def frames_with_count(self, found: RegionSet, least: int, most: float) -> BitMap:
        """Return the frames of which `least` to `most` regions, 1 at least, are among those given.

        Queries: 0 or 1.
        """
        return regions.frames_with_count(found, self._offsets(), least, most)

    def region_count(self, frames: BitMap) -> int:
        """Return how many regions the given frames have together. Queries: 0 or 1."""
        return regions.region_count(frames, self._offsets())

    def with_region(self) -> BitMap:
        """Return the frames that have a region; not to be changed. Queries: 0 or 1."""
        slot = ("with region", self._generation)
        found: BitMap | None = cache.get(slot)
        if found is None:
            found = self.frames_of(self.every_region())
            cache.put(slot, found, len(found.serialize()))
        return found

    def region_counts(self, frames: BitMap) -> UInt32Array:
        """Return how many regions each frame has, in ascending order. Queries: 0 or 1."""
        return regions.region_counts(to_array(frames), self._offsets())

    # --- for filters --------------------------------------------------------------------

    def text_terms(self, key: str, pattern: Pattern | None = None) -> list[tuple[int, str]]:
        """Return (term, text) of a key's texts, or of those that a pattern matches. Queries: 2.

        More than TEXTS_PER_KEY_MAX, which only contexts can be, are not all there are. A text
        that was cut always comes: only its row tells whether the pattern matches.
        """
        found = self._key(key)
        if found is None:
            return []
        return store.texts_like(found.pk, pattern, limit=TEXTS_PER_KEY_MAX + 1)

    def with_terms(self, term_pks: Sequence[int]) -> BitMap:
        """Return the frames that have one of the terms. Queries: 1 for each 500 uncached."""
        return self._union(term_pks)

    def regions_with_terms(self, term_pks: Sequence[int]) -> RegionSet:
        """Return the regions that have one of the terms. Queries: 1 for each 500."""
        return self._region_union(term_pks)

    def keys_at(self, key: str) -> list[str]:
        """Return the keys that are an object's: its own and those below it. Queries: 1."""
        names = Key.objects.filter(dataset=self.dataset, name__startswith=key)
        return [
            name
            for name in names.values_list("name", flat=True)
            if name == key or name.startswith(f"{key}.")
        ]

    def saved_between(self, low: float, high: float) -> BitMap:
        """Return the revisions written in [low, high], epoch ms. Queries: up to 14.

        Ordinals rise with the time of writing, so they are searched, not read.
        """
        first, end = self._first_saved(low), self._first_saved(math.nextafter(high, math.inf))
        return BitMap(range(first, end)) if first < end else BitMap()

    def saved_in(self, version_pk: int) -> BitMap:
        """Return the revisions that a version wrote. Queries: up to 3."""
        return self.text(SAVED_IN_VERSION, str(version_pk))

    def several_sources(self) -> BitMap | None:
        """Return the frames with more than one source; None where the index cannot tell.

        Not to be changed. Queries: 2, and 1 for each 500 ids of sources.
        """
        slot = ("several sources", self._generation)
        found: BitMap | None = cache.get(slot)
        if found is None and not self.is_overflowed("sources.id"):
            seen, found = BitMap(), BitMap()
            for having in self._postings([pk for pk, _ in self.text_terms("sources.id")]).values():
                found |= seen & having
                seen |= having
            cache.put(slot, found, len(found.serialize()))
        return found

    def every_region(self) -> RegionSet:
        """Return all regions of all revisions. Queries: 0 or 1."""
        return RegionSet(
            {
                segment: BitMap(range(int(starts[-1])))
                for segment, starts in self._offsets().items()
                if starts[-1]
            }
        )

    def region_place(self, ordinal: int) -> tuple[int, int]:
        """Return the segment of a frame and the number of its first region in it."""
        segment, row = ordinal >> SEGMENT_BITS, ordinal & store.SEGMENT_MASK
        return segment, int(self._offsets()[segment][row])

    def with_source(self, segment: int, condition: SourceCondition) -> BitMap:
        """Return the frames of a segment with a source of a condition on its columns.

        Queries: 0 or 1, which reads the segment's sources: 20 ms where each frame has one.
        """
        slot = ("sources", segment, condition, self._generation)
        found: BitMap | None = cache.get(slot)
        if found is None:
            first = self.dataset.pk << ORDINAL_BITS | segment << SEGMENT_BITS
            pks = store.frames_with_source(first, first + SEGMENT_SIZE, condition)
            found = BitMap([pk & ORDINAL_MASK for pk in pks])
            cache.put(slot, found, len(found.serialize()))
        return found

    def frames_like(
        self, column: Literal["frame_id", "context_id"], pattern: Pattern
    ) -> Iterator[BitMap]:
        """Yield, part by part, the revisions whose id, or context, a pattern matches.

        Queries: 1 for each 20,000 not in the cache; without a beginning it reads every id.
        """
        after: tuple[str, int] | None = None
        while True:
            slot = ("like", column, pattern, after, self._generation)
            part: tuple[BitMap, tuple[str, int] | None] | None = cache.get(slot)
            if part is None:
                rows = store.frames_like(self.dataset.pk, column, pattern, after, limit=20_000)
                found = BitMap([pk & ORDINAL_MASK for _, pk in rows])
                part = found, rows[-1] if len(rows) == 20_000 else None
                cache.put(slot, part, len(found.serialize()))
            found, after = part
            yield found
            if after is None:
                return

    def _first_saved(self, ms: float) -> int:
        """Return the ordinal behind which all revisions were written at `ms` or later."""
        if ms == -math.inf:
            return 0
        low, high = 0, self.dataset.next_ordinal
        while low < high:
            step = max(1, (high - low) // 64)
            probes = range(low, high, step)
            times = store.saved_at_or_after(self.dataset.pk, probes)
            late = next((n for n, at in enumerate(times) if at is None or at >= ms), len(times))
            if late == 0:
                return low
            # The probe before was written earlier, and so was what lies between it and it.
            low, high = probes[late - 1] + 1, probes[late] if late < len(probes) else high
        return low

    # --- how ----------------------------------------------------------------------------

    def _key(self, name: str) -> Key | None:
        """Return a key, None where no frame has it. Queries: 0 or 1."""
        slot = ("key", name, self._generation)
        # In a tuple: that there is no such key is worth keeping, too.
        found: tuple[Key | None] | None = cache.get(slot)
        if found is None:
            found = (Key.objects.filter(dataset=self.dataset, name=name).first(),)
            cache.put(slot, found, _ROW_BYTES)
        return found[0]

    def _terms(self, key: str, *, kinds: Sequence[int], value: str | None = "") -> list[int]:
        """Return the terms of some kinds with a value, None for all values. Queries: 0 or 1."""
        found = self._key(key)
        if found is None:
            return []
        slot = ("terms", key, tuple(kinds), value, self._generation)
        pks: list[int] | None = cache.get(slot)
        if pks is None:
            terms = Term.objects.filter(key=found, kind__in=kinds)
            if value is not None:
                terms = terms.filter(value=value)
            pks = list(terms.values_list("pk", flat=True))
            cache.put(slot, pks, 40 * len(pks))
        return pks

    def _any(self, key: str) -> list[int]:
        """Return the terms whose union is every value of a key.

        Keys that are always texts, such as `sources.id`, have no term for all of them.
        """
        every = self._terms(key, kinds=(ANY,), value=None)
        return every or self._terms(key, kinds=(TEXT, HASH_BUCKET), value=None)

    def _numbers_between(self, key: str, low: float, high: float) -> _Buckets:
        """Return the terms of the buckets that hold a number in [low, high]. Queries: 0 to 2."""
        found = self._key(key)
        if found is None or not low <= high:
            return _Buckets([], [], {})
        buckets = self._buckets(found)
        met = [at for at, (*_, least, most) in enumerate(buckets) if least <= high and low <= most]
        inside = [at for at in met if low <= buckets[at][2] and buckets[at][3] <= high]
        first, end = (inside[0], inside[-1] + 1) if inside else (0, 0)
        starts = range(-(-first // _BLOCK) * _BLOCK, end - _BLOCK + 1, _BLOCK)
        blocks = [tuple(pk for pk, *_ in buckets[at : at + _BLOCK]) for at in starts]
        blocked = {pk for block in blocks for pk in block}
        return _Buckets(
            blocks,
            [pk for pk, *_ in buckets[first:end] if pk not in blocked],
            {pk: number for pk, number, *_ in (buckets[at] for at in met if not first <= at < end)},
        )

    def _buckets(self, key: Key) -> list[tuple[int, float, float, float]]:
        """Return (term, number, least, greatest) of a key's buckets by size. Queries: 0 or 1."""
        slot = ("buckets", key.pk, self._generation)
        found: list[tuple[int, float, float, float]] | None = cache.get(slot)
        if found is None:
            terms = Term.objects.filter(key=key, number__isnull=False)
            numbers = [(number or 0.0, pk) for pk, number in terms.values_list("pk", "number")]
            found = [(pk, number, *bounds(number)) for number, pk in sorted(numbers)]
            cache.put(slot, found, 200 * len(found))
        return found

    def _frames_of_terms(self, key: str, term_pks: Sequence[int]) -> dict[int, BitMap]:
        """Return the frames of each term, those of a region key by their regions; not to change.

        Queries: 1 for each 500 that are not in the cache.
        """
        if not is_region_key(key):
            return self._postings(term_pks)
        sets: dict[int, BitMap] = {}
        missing: dict[int, RegionSet] = {}
        for pk in term_pks:
            frames = cache.get(("frames of regions", pk, self._generation))
            if frames is None:
                missing[pk] = RegionSet()
            else:
                sets[pk] = frames
        for pk, segment, data, _ in store.postings_of(list(missing)):
            missing[pk].segments[segment] = load(data)
        for pk, found in missing.items():
            sets[pk] = self.frames_of(found)
            slot = ("frames of regions", pk, self._generation)
            cache.put(slot, sets[pk], len(sets[pk].serialize()))
        return sets

    def _union(self, term_pks: Iterable[int]) -> BitMap:
        return union(self._postings(list(term_pks)).values())

    def _postings(self, term_pks: Sequence[int]) -> dict[int, BitMap]:
        """Return the frames of each term, not to be changed. Queries: 1 for each 500 uncached."""
        sets: dict[int, BitMap] = {}
        missing: list[int] = []
        for pk in term_pks:
            bitmap = cache.get(("posting", pk, self._generation))
            if bitmap is None:
                missing.append(pk)
            else:
                sets[pk] = bitmap
        parts: dict[int, list[bytes]] = {pk: [] for pk in missing}
        for pk, _, data, _ in store.postings_of(missing):
            parts[pk].append(data)
        for pk, segments in parts.items():
            sets[pk] = union(load(data) for data in segments)
            cache.put(("posting", pk, self._generation), sets[pk], sum(map(len, segments)))
        return sets

    def _region_union(self, term_pks: Sequence[int]) -> RegionSet:
        parts = _BySegment()
        for _, segment, data, _ in store.postings_of(term_pks):
            parts.add(segment, load(data))
        return parts.union()

    def _kept_regions(self, slot: Hashable, make: Callable[[], RegionSet]) -> RegionSet:
        """Return regions from the cache, or make them and keep them there."""
        found: RegionSet | None = cache.get(slot)
        if found is None:
            found = make()
            size_bytes = sum(len(bitmap.serialize()) for bitmap in found.segments.values())
            cache.put(slot, found, size_bytes)
        return found

    def _regions_with_text(self, candidates: RegionSet, key: str, text: str) -> RegionSet:
        """Return the regions whose rows have a text, in the frames of the candidates."""
        token = Token(key, TEXT, text)
        offsets = self._offsets()
        found: dict[int, BitMap] = {}
        for frame in read_rows(self.dataset, to_array(self.frames_of(candidates)).tolist()):
            segment, row = frame.ordinal >> SEGMENT_BITS, frame.ordinal & store.SEGMENT_MASK
            first = int(offsets[segment][row])
            for number, terms in enumerate(region_terms(frame), first):
                if token in terms.tokens:
                    found.setdefault(segment, BitMap()).add(number)
        return RegionSet(found)

    def _offsets(self) -> Mapping[int, UInt32Array]:
        slot = ("offsets", self._generation)
        found: Offsets | None = cache.get(slot)
        if found is None:
            found = Offsets()
            for segment, data in store.segments_of(RegionOffsets, self.dataset.pk, "offsets"):
                found.add(segment, np.frombuffer(data, dtype="<u4"))
            cache.put(slot, found, found.size_bytes)
        return found


def _frame_space(key: str) -> str:
    """Return the key in frame space that has the same values as one of regions, if one does."""
    return "label" if key == "rois.label" else key


def _in_range(
    data: bytes, numbers: bytes | None, representative: float, low: float, high: float
) -> BitMap:
    """Return the members of a bucket's posting that have a number in [low, high]."""
    if numbers is None:
        return load(data) if low <= representative <= high else BitMap()
    entries = np.frombuffer(numbers, dtype=ENTRY)
    values = entries["value"]
    return from_array(entries["row"][(values >= low) & (values <= high)])


def _by_term(rows: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, BitMap]]:
    """Join the segments of each term, given in order."""
    for value, group in groupby(rows, key=itemgetter(0)):
        yield value, union(load(data) for _, data in group)
