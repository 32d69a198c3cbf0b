"""Frames in an order, a page at a time, from a place in it.

Each order answers a page at the cost of the page, not of the version. Where few frames are left
by the filter their rows are read and sorted; where many are, the order is walked along an index
or the terms, and what the filter does not hold is passed over.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from frames.index import store
from frames.index.bitmaps import BitMap, union
from frames.index.store import chunks
from frames.models import Frame
from frames.models.frame import ORDINAL_MASK, frame_pk
from frames.search import contexts
from frames.search.query import decode_after, encode_after
from frames.search.values import page_by_rows, page_by_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from frames.index.reader import DatasetIndex, TermFrames
    from frames.search.query import FrameQuery

# So many rows are read and sorted in about 10 ms; walking to them could take the whole index.
DIRECT_MAX: Final = 2_000
# The values of a key are read off a frame's JSON, ten times as slowly as its columns.
VALUES_MAX: Final = 200
# Where more than one revision in so many matches, a walk meets a page of them soon.
SPARSE_RATIO: Final = 20
_READ_CHUNK: Final = 10_000
# Reading a row by its key takes as long as so many rows of a scan along an index.
READ_COST: Final = 2

# A frame's ordinal, and its place in the order that is asked for: what a token tells of the last.
Placed = tuple[int, tuple[Any, ...]]


def is_sparse(index: DatasetIndex, matched: BitMap) -> bool:
    """Whether matches are better read one by one than met on a walk through their dataset.

    Walking 10,000 contexts for 41 hits took 72 ms, reading the 41 rows 0.2 ms. By share and not
    by number alone, so that a page of a small dataset is found as that of a large one is.
    """
    count = len(matched)
    return count <= DIRECT_MAX and count * SPARSE_RATIO < index.dataset.next_ordinal


def page_of(
    index: DatasetIndex, matched: BitMap, query: FrameQuery, limit: int
) -> tuple[list[int], str | None]:
    """Return the ordinals of one page of the matched frames, and the token of the next page.

    Raises QueryError for a token of another order. Queries: 0 to 3 where the matches lie spread;
    a walk through a stretch without any doubles its chunks, so the number grows with the
    logarithm of the stretch.
    """
    pages: dict[str, Callable[[DatasetIndex, BitMap, FrameQuery, int], Sequence[Placed]]]
    pages = {
        "context_id": _by_context,
        "timestamp": _by_timestamp,
        "id": _by_id,
        "saved": _by_ordinal,
    }
    find = pages.get(query.sort_key, _by_value)
    found = find(index, matched, query, limit + 1)
    more = len(found) > limit
    after = encode_after(*found[limit - 1][1]) if more else None
    return [ordinal for ordinal, _ in found[:limit]], after


def _by_ordinal(
    index: DatasetIndex, matched: BitMap, query: FrameQuery, limit: int
) -> Sequence[Placed]:
    """Order of writing: ordinals rise with time, so the bitmap itself is the order."""
    place = decode_after(query.after, int)
    total = len(matched)
    if query.descending:
        end = total if place is None else _rank(matched, place[0])
        found = list(matched[max(0, end - limit) : end])[::-1]
    else:
        start = 0 if place is None else _rank(matched, place[0] + 1)
        found = list(matched[start : start + limit])
    return [(ordinal, (ordinal,)) for ordinal in found]


def _rank(bitmap: BitMap, ordinal: int) -> int:
    """Return how many members are less than an ordinal."""
    if ordinal <= 0:
        return 0
    return int(bitmap.rank(min(ordinal, ORDINAL_MASK + 1) - 1))


def _by_timestamp(
    index: DatasetIndex, matched: BitMap, query: FrameQuery, limit: int
) -> Sequence[Placed]:
    place = decode_after(query.after, (int, float), str)
    return _by_columns(index, matched, ("timestamp", "frame_id"), place, query, limit)


def _by_id(index: DatasetIndex, matched: BitMap, query: FrameQuery, limit: int) -> Sequence[Placed]:
    place = decode_after(query.after, str)
    return _by_columns(index, matched, ("frame_id",), place, query, limit)


def _by_value(
    index: DatasetIndex, matched: BitMap, query: FrameQuery, limit: int
) -> Sequence[Placed]:
    """Order of the values of a key: from the rows of a few frames, along the terms for many."""
    few = len(matched) <= VALUES_MAX and is_sparse(index, matched)
    only = len(matched) <= DIRECT_MAX and index.is_overflowed(query.sort_key)
    find = page_by_rows if few or only else page_by_value
    return find(index, matched, query.sort_key, query.after, limit, descending=query.descending)


def _by_columns(
    index: DatasetIndex,
    matched: BitMap,
    columns: Sequence[str],
    place: list[Any] | None,
    query: FrameQuery,
    limit: int,
) -> Sequence[Placed]:
    """Order of columns that have an index of the database, the last of them unique in a version."""
    descending = query.descending
    if not matched:
        return []
    if is_sparse(index, matched):
        return _least(index, matched, columns, place, limit, descending=descending)
    found: list[Placed] = []
    # As many rows as should hold a page, if the matches lie evenly among all revisions.
    chunk = 64 + 2 * limit * index.dataset.next_ordinal // len(matched)
    # Where the matches lie late, scanning for them costs more than reading all of them.
    scan = _scan(index, columns, place, descending=descending, chunk=chunk)
    for ordinal, values in islice(scan, READ_COST * len(matched)):
        if ordinal in matched:
            found.append((ordinal, values))
            if len(found) == limit:
                return found
    if next(scan, None) is None:
        return found
    return _least(index, matched, columns, place, limit, descending=descending)


def _least(
    index: DatasetIndex,
    matched: BitMap,
    columns: Sequence[str],
    place: list[Any] | None,
    limit: int,
    *,
    descending: bool,
) -> Sequence[Placed]:
    """Read the columns of all matches, and return the first behind a place in their order."""
    first: list[tuple[tuple[Any, ...], int]] = []
    edge = None if place is None else tuple(place)
    for start in range(0, len(matched), _READ_CHUNK):
        part = matched[start : start + _READ_CHUNK]
        rows = [(tuple(row[1:]), row[0]) for row in read(index, part, columns)]
        if edge is not None:
            rows = [row for row in rows if (row[0] < edge if descending else row[0] > edge)]
        first = sorted([*first, *rows], reverse=descending)[:limit]
    return [(ordinal, values) for values, ordinal in first]


def _scan(
    index: DatasetIndex,
    columns: Sequence[str],
    place: list[Any] | None,
    *,
    descending: bool,
    chunk: int,
) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield (ordinal, values) of every revision in the order of the columns, from behind a place.

    Queries: one a chunk, which doubles.
    """
    while True:
        page = store.frames_behind(
            index.dataset.pk, columns, place, descending=descending, limit=chunk
        )
        for *values, pk in page:
            yield pk & ORDINAL_MASK, tuple(values)
        if len(page) < chunk:
            return
        # With the key: revisions of one frame share the columns, and a chunk may end between two.
        place = list(page[-1])
        chunk = min(chunk * 2, 100_000)


def _by_context(
    index: DatasetIndex, matched: BitMap, query: FrameQuery, limit: int
) -> Sequence[Placed]:
    """Order of context, then timestamp, then frame id: walk the contexts, then order inside."""
    place = decode_after(query.after, str, (int, float), str)
    columns = ("context_id", "timestamp", "frame_id")
    if is_sparse(index, matched):
        return _by_columns(index, matched, columns, place, query, limit)
    found: Sequence[Placed] = []
    if place is not None:
        # The rest of the context that the page before ended in.
        rest = index.text("context_id", place[0]) & matched
        found = _inside(index, [(place[0], rest)], query, place, limit)
    wanted: list[tuple[str, BitMap]] = []
    missing = limit - len(found)
    if missing > 0:
        after = None if place is None else place[0]
        for term in _contexts(index, matched, after, missing, descending=query.descending):
            here = term.frames & matched
            if here:
                wanted.append((term.value, here))
                missing -= len(here)
                if missing <= 0:
                    break
    return [*found, *_inside(index, wanted, query, None, limit)][:limit]


def _contexts(
    index: DatasetIndex, matched: BitMap, after: str | None, limit: int, *, descending: bool
) -> Iterator[TermFrames]:
    """Yield the next contexts; past so many of them only those that hold a match, up to `limit`."""
    walk = index.walk("context_id", after=after, descending=descending)
    for term in islice(walk, contexts.WALK_MAX):
        after = term.value
        yield term
    if next(walk, None) is not None:
        yield from contexts.behind(
            index, lambda count: count(matched) > 0, after, limit, descending=descending
        )


def _inside(
    index: DatasetIndex,
    groups: list[tuple[str, BitMap]],
    query: FrameQuery,
    place: list[Any] | None,
    limit: int,
) -> Sequence[Placed]:
    """Order the frames of consecutive contexts, and return the first ones behind a place.

    Queries: 1 for all small contexts together, up to 2 for each large one, of which there is
    hardly ever more than one on a page.
    """
    columns = ("context_id", "timestamp", "frame_id")
    small = union(frames for _, frames in groups if len(frames) <= DIRECT_MAX)
    rows = read(index, small, columns)
    for context_id, frames in groups:
        if len(frames) > DIRECT_MAX:
            order = contexts.in_order(
                index,
                context_id,
                frames,
                descending=query.descending,
                after=None if place is None else place[2],
            )
            rows += read(index, BitMap(order[:limit].tolist()), columns)
    keyed = sorted(((tuple(row[1:]), row[0]) for row in rows), reverse=query.descending)
    if place is not None:
        edge = tuple(place)
        keyed = [k for k in keyed if (k[0] < edge if query.descending else k[0] > edge)]
    return [(ordinal, values) for values, ordinal in keyed[:limit]]


def read(index: DatasetIndex, ordinals: BitMap, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return (ordinal, *columns) of each frame. Queries: 1 for each 10,000."""
    rows: list[tuple[Any, ...]] = []
    for part in chunks(list(ordinals), _READ_CHUNK):
        pks = [frame_pk(index.dataset.pk, ordinal) for ordinal in part]
        for pk, *values in Frame.objects.filter(pk__in=pks).values_list("pk", *columns):
            rows.append((pk & ORDINAL_MASK, *values))
    return rows
