"""What facets and statistics count in: a dataset's keys, and the values of several of them.

Sets are over every revision, as all answers of `DatasetIndex` are, and must not be changed.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np

from frames.index import regions, store
from frames.index.bins import (
    BINS_MAX,
    DATES_BEGIN_MS,
    DATES_END_MS,
    Bucket,
    Edges,
    date_edges,
    edges_of,
)
from frames.index.bitmaps import SEGMENT_BITS, BitMap, from_array, load, union
from frames.index.cache import cache
from frames.index.numbers import bounds, bucket
from frames.index.regions import RegionSet
from frames.index.terms import (
    ANY,
    BOOLEAN,
    LIST,
    NULL,
    TEXT,
    TYPE_NUMBER,
    TYPE_TEXT,
    is_region_key,
)
from frames.index.writer import ENTRY
from frames.models import Key, Posting, Term

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from frames.index.bitmaps import UInt32Array
    from frames.index.reader import DatasetIndex
    from frames.index.writer import NumberEntries

# The first and the last epoch ms that a text means, which is a date; None for another text.
TimesOf: TypeAlias = "Callable[[str], tuple[float, float] | None]"

TYPE_NULL, TYPE_LIST = "null", "list"
# What the bins of a region key may take in frame space: 120 up to 1.7 million frames, and 20 of
# ten million.
_REGION_BINS_BYTES: Final = 25_000_000
_BINS_MIN: Final = 16
# Which are always there, or the same as another: no facet of their own.
_NO_FACET: Final = ("context_id", "rois.label")


class KeyInfo(NamedTuple):
    """A key and how many different texts it has, those in hash buckets left out."""

    pk: int
    name: str
    texts: int
    overflowed: bool


class ValueFrames(NamedTuple):
    """A text or a truth value of a key, and the frames that have it."""

    kind: int
    value: str
    frames: BitMap


class RegionCount(NamedTuple):
    """A text or a truth value of a region key, and how many regions have it."""

    kind: int
    value: str
    regions: int


class Bins(NamedTuple):
    """The bins of a key's numbers, or dates, and the frames that have one in each."""

    edges: Edges
    frames: list[BitMap]


class RegionBins(NamedTuple):
    """The bins of a region key's numbers and the regions that have a number in each."""

    edges: Edges
    regions: list[RegionSet]


def keys_of(index: DatasetIndex) -> list[KeyInfo]:
    """Return the dataset's keys by name, but those that are Framedeck's own. Queries: 0 or 1."""
    slot = ("keys", index._generation)
    found: list[KeyInfo] | None = cache.get(slot)
    if found is None:
        rows = Key.objects.filter(dataset=index.dataset).exclude(name__startswith="_")
        rows = rows.exclude(name__in=_NO_FACET)
        keys = [KeyInfo(*row) for row in rows.values_list("pk", "name", "distinct", "overflowed")]
        # Here, since databases order texts each in its own way.
        found = sorted(keys, key=itemgetter(1))
        cache.put(slot, found, 200 * len(found))
    return found


def key_named(index: DatasetIndex, name: str) -> KeyInfo | None:
    """Return a key by its name. Queries: 1."""
    rows = Key.objects.filter(dataset=index.dataset, name=name)
    row = rows.values_list("pk", "name", "distinct", "overflowed").first()
    return None if row is None else KeyInfo(*row)


def types_of(index: DatasetIndex, keys: Sequence[KeyInfo]) -> dict[str, dict[str, BitMap]]:
    """Return, by the keys' names and by type, the frames that have a value of that type.

    Types are text, number, boolean, null and list; a list's values are there by their own types
    too. Queries: 3 for each 500 keys, none for the postings in the cache.
    """
    names = {key.pk: key.name for key in keys}
    terms: list[tuple[str, str, int]] = []
    for part in store.chunks(list(names)):
        rows = Term.objects.filter(key__in=part, kind__in=(ANY, NULL, LIST))
        for key_pk, kind, value, pk in rows.values_list("key", "kind", "value", "pk"):
            kind_name = {NULL: TYPE_NULL, LIST: TYPE_LIST}.get(kind, value)
            terms.append((names[key_pk], kind_name, pk))
    sets = _frames_of(index, [(name, pk) for name, _, pk in terms])
    found: dict[str, dict[str, BitMap]] = {key.name: {} for key in keys}
    for name, kind_name, pk in terms:
        found[name][kind_name] = sets[pk]
    for key in keys:
        # What is always a text has no posting for all of its values.
        if not found[key.name] and (key.texts or key.overflowed):
            found[key.name] = {TYPE_TEXT: index.valued(key.name)}
    return found


def values_of(index: DatasetIndex, keys: Sequence[KeyInfo]) -> dict[str, list[ValueFrames]]:
    """Return, by the keys' names, the texts and truth values of each and the frames that have them.

    For keys of not too many texts: those of all are in memory. Queries: 2 for each 500 keys or
    500 values, none for the postings in the cache.
    """
    names = {key.pk: key.name for key in keys}
    found: dict[str, list[ValueFrames]] = {key.name: [] for key in keys}
    for part in store.chunks(list(names)):
        terms = Term.objects.filter(key__in=part, kind__in=(TEXT, BOOLEAN))
        rows = [
            (names[key_pk], kind, value, pk)
            for key_pk, kind, value, pk in terms.values_list("key", "kind", "value", "pk")
        ]
        sets = _frames_of(index, [(name, pk) for name, _, _, pk in rows])
        for name, kind, value, pk in rows:
            found[name].append(ValueFrames(kind, value, sets[pk]))
    return found


def values_containing(
    index: DatasetIndex, key: KeyInfo, text: str, limit: int
) -> list[ValueFrames]:
    """Return up to `limit` texts of a key that contain a text, ASCII letters in either case.

    Of an overflowed key the text itself is looked for in its hash bucket too. Queries: 2, and 4
    more and a read of rows for an overflowed key.
    """
    terms = Term.objects.filter(key=key.pk, kind=TEXT, value__icontains=text).order_by("value")
    values = dict(terms.values_list("pk", "value")[:limit])
    sets = _frames_of(index, [(key.name, pk) for pk in values])
    found = [ValueFrames(TEXT, value, sets[pk]) for pk, value in values.items()]
    if key.overflowed and text not in values.values():
        frames = (
            index.frames_of(index.region_text(key.name, text))
            if is_region_key(key.name)
            else index.text(key.name, text)
        )
        found.append(ValueFrames(TEXT, text, frames))
    return found


def frames_with_numbers(
    index: DatasetIndex, key: str, numbers: Iterable[float]
) -> dict[float, BitMap]:
    """Return the frames that have each of some numbers of a key. Queries: 2."""
    wanted = {number: bucket(number) for number in numbers}
    terms = Term.objects.filter(
        key__dataset=index.dataset, key__name=key, number__in=set(wanted.values())
    )
    buckets = {pk: float(number or 0.0) for pk, number in terms.values_list("pk", "number")}
    found: defaultdict[float, list[BitMap]] = defaultdict(list)
    for pk, segment, data, exact in store.postings_of(list(buckets), numbers=True):
        for number, own in wanted.items():
            if own != buckets[pk]:
                continue
            if exact is None:
                members = load(data) if number == own else BitMap()
            else:
                entries = np.frombuffer(exact, dtype=ENTRY)
                members = from_array(entries["row"][entries["value"] == number])
            if is_region_key(key):
                members = index.frames_of(RegionSet({segment: members}))
            found[number].append(members)
    return {number: union(found[number]) for number in wanted}


def most_frequent(index: DatasetIndex, key: KeyInfo, limit: int) -> list[ValueFrames]:
    """Return the texts of a key that most revisions, or regions, have. Queries: 2, or 0."""
    slot = ("most frequent", key.pk, limit, index._generation)
    found: list[tuple[int, str]] | None = cache.get(slot)
    if found is None:
        found = store.most_frequent_terms(key.pk, TEXT, limit)
        cache.put(slot, found, 200 * len(found))
    sets = _frames_of(index, [(key.name, pk) for pk, _ in found])
    return [ValueFrames(TEXT, value, sets[pk]) for pk, value in found]


def region_counts(
    index: DatasetIndex, key: KeyInfo, within: RegionSet, *, limit: int
) -> list[RegionCount]:
    """Return how many of some regions have each text and truth value of a region key.

    Of a key of more than `limit` texts, only the texts that most regions of all revisions have.
    Queries: 2, and 1 for each 500 values; where `within` is every region no posting is read.
    """
    terms = Term.objects.filter(key=key.pk, kind__in=(TEXT, BOOLEAN))
    if key.texts > limit:
        frequent = [pk for pk, _ in store.most_frequent_terms(key.pk, TEXT, limit)]
        terms = Term.objects.filter(pk__in=frequent)
    values = {pk: (kind, value) for pk, kind, value in terms.values_list("pk", "kind", "value")}
    counts: defaultdict[int, int] = defaultdict(int)
    if len(within) == len(index.every_region()):
        counts.update(store.cardinalities_of(list(values)))
    else:
        for pk, segment, data, _ in store.postings_of(list(values)):
            if segment in within.segments:
                counts[pk] += within.segments[segment].intersection_cardinality(load(data))
    return [RegionCount(*values[pk], count) for pk, count in counts.items() if count]


def region_weights(index: DatasetIndex, found: RegionSet) -> UInt32Array:
    """Return how many of the regions each revision of the dataset has: uint32 by its ordinal."""
    return regions.weights(found, index._offsets(), index.dataset.next_ordinal)


def bins_of(index: DatasetIndex, key: str, within: BitMap, scope: int) -> Bins | None:
    """Return the bins of a key's numbers in frame space; None where it has no number.

    The edges suit the numbers of the frames `within`, which `scope` stands for in the cache; a
    region key's suit all of its numbers. Queries: 0, or the first time after a write up to 4 for
    each 500 buckets; of a region key, so many for each segment of 65,536 frames.
    """
    of_regions = is_region_key(key)
    slot = ("bins", key, 0 if of_regions else scope, index._generation)
    if (known := _cached_bins(slot)) is not None:
        return Bins(known[0], known[1]) if known[0] else None
    binning = _binning(index, key, None if of_regions else within, _bins_max(index, key))
    frames: list[BitMap] = []
    if binning is not None:
        frames = _frames_in_bins(index, binning) if of_regions else _members_of_bins(binning)
    edges = binning.edges if binning else None
    _cache_bins(slot, edges, frames, [len(bitmap.serialize()) for bitmap in frames])
    return Bins(edges, frames) if edges else None


def region_bins_of(index: DatasetIndex, key: str) -> RegionBins | None:
    """Return the bins of a region key's numbers; None where it has no number. Queries: as above."""
    slot = ("region bins", key, index._generation)
    if (known := _cached_bins(slot)) is not None:
        return RegionBins(known[0], known[1]) if known[0] else None
    binning = _binning(index, key, None, BINS_MAX)
    if binning is None:
        _cache_bins(slot, None, [], [])
        return None
    parts: list[dict[int, BitMap]] = [{} for _ in range(len(binning.edges))]
    for at, segment, members in binning.pieces(store.bucket_postings(list(binning.numbers))):
        if segment in parts[at]:
            parts[at][segment] |= members
        else:
            parts[at][segment] = members
    found = [RegionSet(part) for part in parts]
    sizes = [sum(len(bitmap.serialize()) for bitmap in part.values()) for part in parts]
    _cache_bins(slot, binning.edges, found, sizes)
    return RegionBins(binning.edges, found)


def date_bins_of(
    index: DatasetIndex, key: KeyInfo, within: BitMap, scope: int, times_of: TimesOf
) -> Bins | None:
    """Return the bins of a key's dates in frame space, each by its first ms; None if not all are.

    What the frames `within` have of it, which `scope` stands for in the cache, must be texts that
    `times_of` reads, and no number; what other frames have does not matter. Queries: 0, or the
    first time after a write 4 and 3 for each 500 texts.
    """
    slot = ("date bins", key.name, scope, index._generation)
    if (known := _cached_bins(slot)) is not None:
        return Bins(known[0], known[1]) if known[0] else None
    dates = _dates_within(index, key, within, times_of)
    edges, frames = None, []
    if dates:
        edges = date_edges(
            [Bucket(date.first, date.members) for date in sorted(dates, key=attrgetter("first"))],
            min(date.last - date.first + 1 for date in dates),
        )
        frames = _frames_by_date(index, key, edges, dates)
    _cache_bins(slot, edges, frames, [len(bitmap.serialize()) for bitmap in frames])
    return Bins(edges, frames) if edges else None


class _Date(NamedTuple):
    """A term that is a date, from its first to its last epoch ms, and how many have it."""

    term_pk: int
    first: float
    last: float
    members: int


def _dates_within(
    index: DatasetIndex, key: KeyInfo, within: BitMap, times_of: TimesOf
) -> list[_Date]:
    """Return the dates that some frames have; none where they have anything else."""
    if key.overflowed:
        return []
    numbers = types_of(index, [key])[key.name].get(TYPE_NUMBER)
    if numbers is not None and numbers.intersect(within):
        return []
    times: dict[int, tuple[float, float]] = {}
    others: list[int] = []
    for pk, text in index.text_terms(key.name):
        read = times_of(text)
        if read is not None and DATES_BEGIN_MS <= read[0] < DATES_END_MS:
            times[pk] = read
        else:
            others.append(pk)
    if any(True for _ in _members_within(index, key, within, others)):
        return []
    members: Counter[int] = Counter()
    for pk, count in _members_within(index, key, within, list(times)):
        members[pk] += count
    return [_Date(pk, *times[pk], count) for pk, count in members.items()]


def _members_within(
    index: DatasetIndex, key: KeyInfo, within: BitMap, term_pks: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """Yield (term, members in a segment) of those of a key's terms that some frames have."""
    of_regions = is_region_key(key.name)
    inside = index.regions_of(within).segments if of_regions and term_pks else {}
    for pk, segment, data, _ in store.postings_of(term_pks):
        frames_or_regions = inside.get(segment) if of_regions else within
        if frames_or_regions is None:
            continue
        if count := frames_or_regions.intersection_cardinality(load(data)):
            yield pk, count


def _frames_by_date(
    index: DatasetIndex, key: KeyInfo, edges: Edges, dates: Sequence[_Date]
) -> list[BitMap]:
    """Return the frames of each bin."""
    places = {date.term_pk: edges.bin_of(date.first) for date in dates}
    parts: list[defaultdict[int, BitMap]] = [defaultdict(BitMap) for _ in range(len(edges))]
    for pk, segment, data, _ in store.postings_of(list(places)):
        parts[places[pk]][segment] |= load(data)
    if is_region_key(key.name):
        return [index.frames_of(RegionSet(part)) for part in parts]
    return [union(part.values()) for part in parts]


class _Binning:
    """The edges of a key's bins, and which bin each posting of its buckets falls into."""

    def __init__(self, edges: Edges, numbers: dict[int, float]) -> None:
        self.edges = edges
        self.numbers = numbers
        self._exact = {pk: edges.bin_of(number) for pk, number in numbers.items()}
        ends = {pk: tuple(map(edges.bin_of, bounds(n))) for pk, n in numbers.items()}
        self._whole = {pk: first for pk, (first, last) in ends.items() if first == last}

    def pieces(
        self, postings: Iterable[tuple[int, int, bytes, bool]]
    ) -> Iterator[tuple[int, int, BitMap]]:
        """Yield (bin, segment, members) of (term, segment, bitmap, whether exact) of postings.

        Queries: 1 for each 500 postings that lie across an edge.
        """
        across: list[int] = []
        for pk, segment, data, is_exact in postings:
            at = self._exact[pk] if is_exact else self._whole.get(pk)
            if at is None:
                across.append(store.row_id(pk, segment))
            else:
                yield at, segment, load(data)
        last = len(self.edges) - 1
        for posting_pk, entries in _exact_numbers(across):
            places = np.searchsorted(self.edges.at, entries["value"], side="right") - 1
            places = np.clip(places, 0, last)
            for at in np.unique(places).tolist():
                rows = from_array(entries["row"][places == at])
                yield at, posting_pk & store.SEGMENT_MASK, rows


def _binning(
    index: DatasetIndex, key: str, within: BitMap | None, bins_max: int
) -> _Binning | None:
    """Return how a key's numbers are put into bins; None where it, or the frames, have none."""
    terms = (
        Term.objects.filter(key__dataset=index.dataset, key__name=key, number__isnull=False)
        .order_by("number")
        .values_list("pk", "number")
    )
    numbers = {pk: float(number or 0.0) for pk, number in terms}
    if within is None or len(within) == len(index.revisions()):
        # Nothing is left out: the rows' own counts, and no bitmap is read.
        members = dict(store.cardinalities_of(list(numbers)))
    else:
        members = dict.fromkeys(numbers, 0)
        for pk, _, data, _ in store.bucket_postings(list(numbers)):
            members[pk] += within.intersection_cardinality(load(data))
    buckets = [Bucket(number, members[pk]) for pk, number in numbers.items() if members.get(pk)]
    if not buckets:
        return None
    term_of = {number: pk for pk, number in numbers.items()}

    def extremes(number: float) -> tuple[float, float]:
        return _extremes(number, term_of[number], within)

    return _Binning(edges_of(buckets, extremes, bins_max), numbers)


def _bins_max(index: DatasetIndex, key: str) -> int:
    """Return into how many bins a key's numbers may be put in frame space.

    A frame with several regions is in several bins, each then as dense as a bit a frame.
    """
    if not is_region_key(key):
        return BINS_MAX
    bin_bytes = max(index.dataset.next_ordinal // 8, 1)
    return min(BINS_MAX, max(_BINS_MIN, _REGION_BINS_BYTES // bin_bytes))


def _members_of_bins(binning: _Binning) -> list[BitMap]:
    """Return the frames of each bin of a key of frame space."""
    found = [BitMap() for _ in range(len(binning.edges))]
    for at, _, members in binning.pieces(store.bucket_postings(list(binning.numbers))):
        found[at] |= members
    return found


def _frames_in_bins(index: DatasetIndex, binning: _Binning) -> list[BitMap]:
    """Return the frames of which a region is in each bin.

    Segment by segment, so that a table of which frame each region is of is made once for all
    bins: of ten million frames a third of the time, and the sets of regions are never there whole.
    """
    found = [BitMap() for _ in range(len(binning.edges))]
    for segment, offsets in index._offsets().items():
        regions_in: defaultdict[int, list[BitMap]] = defaultdict(list)
        postings = store.bucket_postings_in(segment, list(binning.numbers))
        for at, _, members in binning.pieces(postings):
            regions_in[at].append(members)
        frame_of = regions.FrameOf(offsets)
        for at, parts in regions_in.items():
            rows = frame_of.each_once(union(parts))
            found[at] |= from_array(rows + np.uint32(segment << SEGMENT_BITS))
    return found


def _extremes(number: float, term_pk: int, within: BitMap | None) -> tuple[float, float]:
    """Return the least and the greatest number of a bucket that the frames within have."""
    least = greatest = math.nan
    for _, _, data, exact in store.postings_of([term_pk], numbers=True):
        if exact is None:
            values = np.array([number] if within is None or within.intersect(load(data)) else [])
        else:
            entries = np.frombuffer(exact, dtype=ENTRY)
            values = entries["value"]
            if within is not None:
                values = values[[row in within for row in entries["row"].tolist()]]
        if len(values):
            least = float(np.fmin(least, values.min()))
            greatest = float(np.fmax(greatest, values.max()))
    return least, greatest


def _exact_numbers(posting_pks: list[int]) -> Iterator[tuple[int, NumberEntries]]:
    for pk, numbers in store.rows_by_id(Posting, posting_pks, "numbers"):
        yield pk, np.frombuffer(numbers, dtype=ENTRY)


def _frames_of(index: DatasetIndex, terms: Iterable[tuple[str, int]]) -> dict[int, BitMap]:
    """Return the frames of terms given with their keys. Queries: 1 for each 500 uncached."""
    spaces: defaultdict[bool, list[int]] = defaultdict(list)
    of_region = ""
    for key, pk in terms:
        spaces[is_region_key(key)].append(pk)
        of_region = key if is_region_key(key) else of_region
    # Any region key says that these are terms of regions.
    return {**index._postings(spaces[False]), **index._frames_of_terms(of_region, spaces[True])}


def _cached_bins(slot: tuple[Hashable, ...]) -> tuple[Edges | None, list[Any]] | None:
    """Return the edges and the members of each bin, None where one is not in the cache."""
    kept: tuple[Edges | None] | None = cache.get(slot)
    if kept is None:
        return None
    (edges,) = kept
    members = [cache.get((*slot, at)) for at in range(len(edges) if edges else 0)]
    return None if any(part is None for part in members) else (edges, members)


def _cache_bins(
    slot: tuple[Hashable, ...], edges: Edges | None, members: Sequence[Any], sizes: Sequence[int]
) -> None:
    """Keep each bin under its own slot: all together can be too large for one."""
    cache.put(slot, (edges,), 0)
    for at, (part, size) in enumerate(zip(members, sizes, strict=True)):
        cache.put((*slot, at), part, size)
