"""A few frames of each value of a property, spread evenly over those that have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from frames.index.bitmaps import BitMap
from frames.index.reader import DatasetIndex
from frames.index.terms import BOOLEAN, NUMBER, is_region_key
from frames.search import pages, values
from frames.search.errors import QueryError
from frames.search.groups import decode_group, encode_group
from frames.search.lucene import regions_matching
from frames.search.rows import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from frames.index.regions import RegionSet
    from frames.models import Version
    from frames.search.query import FrameQuery
    from frames.search.rows import FrameRow
    from frames.search.values import Group

# 80 labels of 6 frames each on one page.
FRAMES_MAX: Final = 480


@dataclass(frozen=True, slots=True)
class Sample:
    """Some of the `frames` with one value, of `kind` TEXT, NUMBER or BOOLEAN; None for no value."""

    kind: int | None
    value: str | float
    frames: int
    items: Sequence[FrameRow]


@dataclass(frozen=True, slots=True)
class SamplePage:
    """Samples of the values of a property: `matched` frames of `total`, and where to go on."""

    total: int
    matched: int
    items: list[Sample]
    next: str | None


def sample_page(version: Version, query: FrameQuery, without: Sequence[str] = ()) -> SamplePage:
    """Return samples of the next values, behind the last of them those without a value.

    Of a region's property each frame counts that has a region with the value, and `query.match`
    keeps the regions that count; frames without any are in no sample. `without` names columns of
    frames that whoever asks does not read. Raises QueryError. Queries:
    those of the filter, 2 for each 64 values, up to 6 for those without, 2 for rows.
    """
    key = query.group
    index = DatasetIndex(version.dataset)
    if index.is_overflowed(key):
        raise QueryError(f"{key} has too many values to sample by.", field="group")
    members = index.members(version)
    matched = pages.matching(index, members, query)
    regions = regions_matching(index, matched, query.match) if query.match else None
    limit = max(1, FRAMES_MAX // query.sample_size)
    found: list[tuple[Group | None, BitMap]] = []
    more = False
    for group, hits in _having(index, matched, regions, query):
        more = len(found) == limit
        if more:
            break
        found.append((group, hits))
    last = found[-1][0] if found else None
    if not more and (rest := _lacking(index, matched, regions, key)):
        found.append((None, rest))
    chosen = [spread(hits, query.sample_size) for _, hits in found]
    ordinals = [ordinal for part in chosen for ordinal in part]
    rows = iter(rows_of(version.dataset, ordinals, without))
    items = [
        Sample(
            kind=group.kind if group else None,
            value=group.value if group else "",
            frames=len(hits),
            items=[next(rows) for _ in part],
        )
        for (group, hits), part in zip(found, chosen, strict=True)
    ]
    following = encode_group(last) if more and last else None
    return SamplePage(len(members), len(matched), items, following)


def samples_of(index: DatasetIndex, matched: BitMap, query: FrameQuery) -> Iterator[BitMap]:
    """Yield what is sampled of each value, and at last of those without, as `sample_page` does.

    Raises QueryError. Queries: 2 for each 64 values, up to 6 at the end.
    """
    key = query.group
    if index.is_overflowed(key):
        raise QueryError(f"{key} has too many values to sample by.", field="group")
    regions = regions_matching(index, matched, query.match) if query.match else None
    for _, hits in _having(index, matched, regions, query):
        yield BitMap(spread(hits, query.sample_size))
    yield BitMap(spread(_lacking(index, matched, regions, key), query.sample_size))


def spread(frames: BitMap, size: int) -> list[int]:
    """Return up to `size` members of a set, evenly spread over it.

    >>> spread(BitMap(range(100)), 4)
    [12, 37, 62, 87]
    """
    count = len(frames)
    if count <= size:
        return list(frames)
    return [frames[(2 * number + 1) * count // (2 * size)] for number in range(size)]


def _having(
    index: DatasetIndex, matched: BitMap, regions: RegionSet | None, query: FrameQuery
) -> Iterator[tuple[Group, BitMap]]:
    """Yield each value with the matched frames that have it."""
    key = query.group
    within = matched if regions is None else index.frames_of(regions)
    start = decode_group(query.after)
    for group in values.groups(index, within, key, start=start, descending=query.descending):
        if not group.frames.intersect(within):
            continue
        if regions is None:
            hits = group.frames & matched
        else:
            hits = index.frames_of(_regions_with(index, key, group) & regions)
        if hits:
            yield group, hits


def _regions_with(index: DatasetIndex, key: str, group: Group) -> RegionSet:
    if group.kind == NUMBER:
        return index.region_number_range(key, float(group.value), float(group.value))
    if group.kind == BOOLEAN:
        return index.region_boolean(key, value=group.value == "true")
    return index.region_text(key, str(group.value))


def _lacking(index: DatasetIndex, matched: BitMap, regions: RegionSet | None, key: str) -> BitMap:
    """Return the matched frames without a value; of a region's key, with a region without."""
    if not is_region_key(key):
        return matched - index.valued(key)
    if regions is None:
        return matched & index.with_region_without(key)
    return index.frames_of(regions - index.region_has(key))
