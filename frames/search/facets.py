"""What the frames under a filter have: values, ranges and coverage of every key, with counts.

A key's own clause does not narrow its own counts, so that a second value can be chosen beside
the first; every other condition does. All numbers of frames are exact: those of a bin too, which
is a union of postings (frames/index/bins.py).
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.core.cache import cache as shared_cache

from frames.index import counting
from frames.index.bitmaps import BitMap, union
from frames.index.counting import TYPE_LIST, TYPE_NULL
from frames.index.reader import DatasetIndex
from frames.index.terms import TEXT, TYPE_BOOLEAN, TYPE_NUMBER, TYPE_TEXT
from frames.search.clauses import Clause, FilterText, number_text
from frames.search.lucene import frames_matching
from frames.search.syntax import number_of, times_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from frames.index.bins import Edges
    from frames.index.counting import Bins, KeyInfo, ValueFrames
    from frames.models import Version
    from frames.search.query import FrameQuery

# A key of more texts is asked for its most frequent ones, or searched.
TEXTS_COUNTED_MAX: Final = 1_000
# So many keys have their coverage counted at once, and so many of them their values.
KEYS_MAX: Final = 200
OPEN_MAX: Final = 8
SEARCHED_MAX: Final = 100
SCALARS: Final = (TYPE_TEXT, TYPE_NUMBER, TYPE_BOOLEAN)
TYPE_OBJECT: Final = "object"
TYPES: Final = (*SCALARS, TYPE_NULL, TYPE_LIST, TYPE_OBJECT)
_ORDER: Final = ("label", "meta", "timestamp", "rois", "sources")
# Other keys hold texts that no range is of, or numbers.
_WITH_DATES: Final = ("meta.", "sources.meta.", "rois.meta.")
_SIMILAR_MIN_CHARS: Final = 5
_CACHE_S: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class ValueCount:
    """A value of a key and how many frames have it."""

    value: str
    frames: int
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many frames have a number in each bin. A frame with two numbers is in two bins.

    `of_times`: texts that are dates instead, by the epoch millisecond at which each begins.
    """

    edges: Edges
    frames: tuple[int, ...]
    of_times: bool = False

    @property
    def is_one_number(self) -> bool:
        """Whether all of them are the same number."""
        return self.edges.at[0] == self.edges.at[-1]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many of `total` frames have a key, by type.

    `types` holds text, number, boolean, null, list and object, where a frame has one; a list's
    values count as their own types too. `frames` have a value of it or in it, as `_exists_` asks;
    null is none. `similar` are names of other keys that are close to this one.
    """

    key: str
    total: int
    frames: int
    types: dict[str, int]
    similar: tuple[str, ...]

    @property
    def missing(self) -> int:
        """How many frames do not have it, those where it is null among them."""
        return self.total - self.frames

    @property
    def is_mixed(self) -> bool:
        """Whether its values are of different types, or sometimes in a list and sometimes not."""
        lists = self.types.get(TYPE_LIST, 0)
        kinds = sum(name in self.types for name in (*SCALARS, TYPE_OBJECT))
        return kinds > 1 or 0 < lists < self.frames


@dataclass(frozen=True, slots=True)
class Facet:
    """A key with its values, most frequent first, and the histogram of its numbers or dates.

    Texts and truth values are listed; a number is where it is the only one.
    `texts` is how many different texts the whole dataset has of it. Where they are too many,
    `values` are the most frequent (`is_partial`) or none (`is_overflowed`).
    """

    coverage: Coverage
    clause: Clause | None
    values: list[ValueCount]
    histogram: Histogram | None
    texts: int
    is_partial: bool
    is_overflowed: bool


@dataclass(frozen=True, slots=True)
class Facets:
    """The keys of a version under a filter: `matched` frames of `total`.

    `closed` are the keys whose values were not counted; `keys` is how many there are in all.
    """

    total: int
    matched: int
    text: FilterText
    open: list[Facet]
    closed: list[Coverage]
    keys: int


def facets(version: Version, query: FrameQuery, wanted: Collection[str] = ()) -> Facets:
    """Return the keys of a version under a query's filter; raise QueryError.

    Counted are the values of `wanted` keys, of those with a clause, and of OPEN_MAX in all. Kept
    in the shared cache under the dataset's generation: another page under the same filter, or
    another person, counts nothing again.
    Queries: those of the filter once, and once for each key with a clause; 6 for the keys,
    whatever their number and that of the frames, none of them for postings in the cache; the
    first time after a write, up to 4 for each histogram, and 3 for each 500 texts of dates.
    """
    asked = json.dumps([query.q, query.label, sorted(wanted)])
    digest = hashlib.blake2b(asked.encode(), digest_size=16).hexdigest()
    slot = f"facets:{version.pk}:{version.dataset.generation}:{digest}"
    found: Facets | None = shared_cache.get(slot)
    if found is None:
        found = _facets(version, query, wanted)
        shared_cache.set(slot, found, timeout=_CACHE_S)
    return found


def _facets(version: Version, query: FrameQuery, wanted: Collection[str]) -> Facets:
    counts = _Counts(version, query)
    known = sorted(counting.keys_of(counts.index), key=lambda key: _rank(key.name))
    held, coverage = counts.coverage(known[:KEYS_MAX])
    chosen = [key for key in held if key.name in wanted or counts.text.clause(key.name)]
    easy = [key for key in held if key not in chosen and key.texts <= TEXTS_COUNTED_MAX]
    shown = {key.name for key in chosen + easy[: max(0, OPEN_MAX - len(chosen))]}
    opened = [key for key in held if key.name in shown]
    return Facets(
        total=len(counts.members),
        matched=len(counts.matched),
        text=counts.text,
        open=counts.facets(opened, coverage),
        closed=[coverage[key.name] for key in held if key.name not in shown],
        keys=len(known),
    )


def facet(version: Version, query: FrameQuery, name: str, containing: str = "") -> Facets:
    """Return one key with its values, those that contain a text; raise QueryError.

    Without the key where the version has none such. Queries: as `facets`.
    """
    counts = _Counts(version, query)
    known = [key for key in counting.keys_of(counts.index) if key.name == name]
    held, coverage = counts.coverage(known)
    if held and containing:
        found = counting.values_containing(counts.index, held[0], containing, SEARCHED_MAX)
        opened = [counts.facet(held[0], coverage[name], found, None)]
    else:
        opened = counts.facets(held, coverage)
    return Facets(len(counts.members), len(counts.matched), counts.text, opened, [], len(held))


def is_of_times(version: Version, name: str) -> bool:
    """Whether a key's histogram is of dates, whatever the filter. Queries: those of its bins."""
    index = DatasetIndex(version.dataset)
    keys = [key for key in counting.keys_of(index) if key.name == name]
    members = index.members(version)
    return any(_date_bins(index, key, members, version.pk) is not None for key in keys)


class _Counts:
    """Counts under one filter of one version."""

    def __init__(self, version: Version, query: FrameQuery) -> None:
        self.version = version
        self.index = DatasetIndex(version.dataset)
        self.members = self.index.members(version)
        self.text = FilterText.read(query.q)
        self.label = query.label
        self.matched = self._matching(query.q, self.label)
        self._wider: dict[str, BitMap] = {}

    def within(self, key: str) -> BitMap:
        """Return the frames that a key's values are counted in: under all clauses but its own."""
        if self.text.clause(key) is None and not (key == "label" and self.label):
            return self.matched
        if key not in self._wider:
            label = "" if key == "label" else self.label
            self._wider[key] = self._matching(self.text.without(key), label)
        return self._wider[key]

    def coverage(self, keys: Sequence[KeyInfo]) -> tuple[list[KeyInfo], dict[str, Coverage]]:
        """Return those of the keys that the version has, and the coverage of each."""
        below = self._below(keys)
        nested_keys = [key for each in below.values() for key in each]
        types = counting.types_of(self.index, list({*keys, *nested_keys}))
        held = [
            key
            for key in keys
            if any(frames.intersect(self.members) for frames in types[key.name].values())
        ]
        similar = similar_names([key.name for key in held])
        found = {}
        for key in held:
            within, sets = self.within(key.name), types[key.name]
            nested = union(_having(types[key.name]) for key in below[key.name])
            own = _having(sets)
            counted = {
                name: count
                for name, frames in [*sets.items(), (TYPE_OBJECT, nested)]
                if (count := within.intersection_cardinality(frames))
            }
            found[key.name] = Coverage(
                key.name,
                len(within),
                within.intersection_cardinality(own | nested if nested else own),
                {name: counted[name] for name in TYPES if name in counted},
                similar.get(key.name, ()),
            )
        return held, found

    def _below(self, keys: Sequence[KeyInfo]) -> dict[str, list[KeyInfo]]:
        """Return, for each key, those that lie in an object of its name."""
        known = counting.keys_of(self.index)
        names = [key.name for key in known]
        found = {}
        for key in keys:
            # What sorts between "meta.n." and "meta.n/".
            first, end = bisect_left(names, f"{key.name}."), bisect_left(names, f"{key.name}/")
            found[key.name] = known[first:end]
        return found

    def facets(self, keys: Sequence[KeyInfo], coverage: dict[str, Coverage]) -> list[Facet]:
        """Return the values of some keys with their counts."""
        few = [key for key in keys if key.texts <= TEXTS_COUNTED_MAX]
        values = counting.values_of(self.index, few)
        found = []
        for key in keys:
            if key not in few and not key.overflowed:
                values[key.name] = counting.most_frequent(self.index, key, SEARCHED_MAX)
            histogram = None
            if TYPE_NUMBER in coverage[key.name].types:
                histogram = self._histogram(key.name)
            elif TYPE_TEXT in coverage[key.name].types:
                histogram = self._histogram_of_times(key, values.get(key.name, []))
            found.append(self.facet(key, coverage[key.name], values.get(key.name, []), histogram))
        return found

    def facet(
        self,
        key: KeyInfo,
        coverage: Coverage,
        values: Iterable[ValueFrames],
        histogram: Histogram | None,
    ) -> Facet:
        """Return a key with the counts of some of its values, and of those that are chosen."""
        clause = self.text.clause(key.name)
        chosen = set(clause.values if clause else ())
        if key.name == "label" and self.label:
            chosen.add(self.label)
        sets: defaultdict[str, list[BitMap]] = defaultdict(list)
        for value in values:
            # A text "true" and the truth value are found by one clause.
            sets[value.value].append(value.frames)
        # So are a text "60" and the number 60.
        spelt = {text: number for text in sets if (number := number_of(text)) is not None}
        if TYPE_NUMBER in coverage.types and spelt:
            same = counting.frames_with_numbers(self.index, key.name, spelt.values())
            for text, number in spelt.items():
                sets[text].append(same[number])
        within = self.within(key.name)
        counts = [
            ValueCount(
                value,
                within.intersection_cardinality(parts[0] if len(parts) == 1 else union(parts)),
                value in chosen,
            )
            for value, parts in sets.items()
        ]
        if histogram is not None and histogram.is_one_number:
            text = number_text(histogram.edges.at[0])
            if text not in sets:
                counts.append(ValueCount(text, histogram.frames[0], text in chosen))
            histogram = None
        missing = [
            ValueCount(value, len(self._having(within, key.name, value)), is_chosen=True)
            for value in chosen - {count.value for count in counts}
        ]
        shown = [count for count in counts if count.frames or count.is_chosen] + missing
        return Facet(
            coverage=coverage,
            clause=clause,
            values=sorted(shown, key=lambda count: (-count.frames, count.value)),
            histogram=histogram,
            texts=key.texts,
            is_partial=key.texts > TEXTS_COUNTED_MAX,
            is_overflowed=key.overflowed,
        )

    def _histogram(self, key: str) -> Histogram | None:
        bins = counting.bins_of(self.index, key, self.members, self.version.pk)
        if bins is None:
            return None
        within = self.within(key)
        return Histogram(bins.edges, tuple(map(within.intersection_cardinality, bins.frames)))

    def _histogram_of_times(self, key: KeyInfo, values: Iterable[ValueFrames]) -> Histogram | None:
        """Return the histogram of a key of dates; `values` are some of its own."""
        # Most keys are told by what is in memory, and cost no query.
        if any(
            value.frames.intersect(self.members)
            for value in values
            if value.kind == TEXT and times_of(value.value) is None
        ):
            return None
        bins = _date_bins(self.index, key, self.members, self.version.pk)
        if bins is None:
            return None
        within = self.within(key.name)
        counts = tuple(map(within.intersection_cardinality, bins.frames))
        return Histogram(bins.edges, counts, of_times=True)

    def _having(self, within: BitMap, key: str, value: str) -> BitMap:
        return frames_matching(self.index, within, str(Clause(key, (value,))))

    def _matching(self, text: str, label: str) -> BitMap:
        found = self.members
        if label:
            found = found & self.index.text("label", label)
        return frames_matching(self.index, found, text) if text else found


def _date_bins(index: DatasetIndex, key: KeyInfo, members: BitMap, scope: int) -> Bins | None:
    """Return the bins of a key's dates; None where not all are, or no filter asks for a range."""
    if not key.name.startswith(_WITH_DATES):
        return None
    return counting.date_bins_of(index, key, members, scope, times_of)


def _having(types: dict[str, BitMap]) -> BitMap:
    """Return the frames with any value but null."""
    scalars = [types[name] for name in SCALARS if name in types]
    return scalars[0] if len(scalars) == 1 else union(scalars)


def similar_names(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return, for each name that is close to another, the others that it is close to.

    Close are names that differ in case, width, hyphens, underscores or spaces alone, or in one
    letter of a part of at least 5 characters; digits tell names apart (`camera_1`, `camera_2`).

    >>> similar_names(["meta.weather", "meta.Weather", "meta.camera_1", "meta.camera_2"])
    {'meta.weather': ('meta.Weather',), 'meta.Weather': ('meta.weather',)}
    """
    named: defaultdict[str, set[str]] = defaultdict(set)
    changed: defaultdict[str, set[str]] = defaultdict(set)
    shorter: defaultdict[str, set[str]] = defaultdict(set)
    forms = {}
    for name in names:
        parts = [_folded(part) for part in name.split(".")]
        form = forms[name] = (".".join(parts), *_one_off(parts))
        named[form[0]].add(name)
        for pattern in form[1]:
            changed[pattern].add(name)
        for rest in form[2]:
            shorter[rest].add(name)
    found = {}
    for name, (folded, patterns, rests) in forms.items():
        close = named[folded] | shorter.get(folded, set())
        close = close.union(*(changed[p] for p in patterns), *(named.get(r, ()) for r in rests))
        if close != {name}:
            found[name] = tuple(sorted(close - {name}))
    return found


def _one_off(parts: list[str]) -> tuple[list[str], list[str]]:
    """Return the forms of a name with any one letter in a place, and with one letter less."""
    changed, shorter = [], []
    for at, part in enumerate(parts):
        for place, letter in enumerate(part):
            before, behind = part[:place], part[place + 1 :]
            if letter.isdigit() or len(part) < _SIMILAR_MIN_CHARS:
                continue
            changed.append(".".join([*parts[:at], f"{before}\0{behind}", *parts[at + 1 :]]))
            if len(part) > _SIMILAR_MIN_CHARS:
                shorter.append(".".join([*parts[:at], before + behind, *parts[at + 1 :]]))
    return changed, shorter


def _folded(part: str) -> str:
    folded = unicodedata.normalize("NFKC", part).casefold()
    return folded.translate({ord("_"): None, ord("-"): None, ord(" "): None}) or folded


def _rank(name: str) -> tuple[int, str]:
    root = name.partition(".")[0]
    return (_ORDER.index(root) if root in _ORDER else len(_ORDER), name)
