"""Groups of frames, by context or by the value of a key, a page at a time."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from frames.index.terms import NUMBER, TEXT, VALUE_KINDS
from frames.models import Frame
from frames.search import contexts, order, values
from frames.search.errors import QueryError
from frames.search.query import GROUP_URL, decode_after, encode_after, foreign_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt

    from frames.index.bitmaps import BitMap
    from frames.index.reader import DatasetIndex, TermFrames
    from frames.search.query import FrameQuery


class Group(NamedTuple):
    """A context, or the value of a key: its frames that the version holds and that match."""

    kind: int
    value: str | float
    held: BitMap
    hits: BitMap


def page_of(
    index: DatasetIndex, members: BitMap, matched: BitMap, query: FrameQuery, limit: int
) -> tuple[list[Group], str | None]:
    """Return the next groups in order of which any, every or no frame matches, and the token.

    Raises QueryError. Queries: 1 to 3; as many as a walk along the key needs where few groups
    are wanted.
    """
    by_context = query.group == GROUP_URL
    find = _contexts if by_context else _values
    found: list[Group] = []
    for group in find(index, members, matched, query, limit + 1):
        found.append(group)
        if len(found) > limit:
            break
    if len(found) <= limit:
        return found, None
    last = found[limit - 1]
    return found[:limit], encode_after(last.value) if by_context else encode_group(last)


def encode_group(group: Group | values.Group) -> str:
    """Return the token of the groups behind one value of a key."""
    return encode_after(group.kind, group.value)


def decode_group(after: str) -> tuple[int, str | float] | None:
    """Return the kind and value of a token; raise QueryError for one of another order."""
    place = decode_after(after, int, (int, float, str))
    if place is None:
        return None
    kind, value = place
    if kind not in VALUE_KINDS or isinstance(value, str) == (kind == NUMBER):
        raise foreign_token()
    return kind, float(value) if kind == NUMBER else value


def is_wanted(scope: str, held: int, hits: int) -> bool:
    """Whether a group is shown of which so many frames are held and so many of them match."""
    if scope == "none":
        return held > 0 and hits == 0
    return hits > 0 and (scope == "any" or hits == held)


def candidates_of(members: BitMap, matched: BitMap, query: FrameQuery) -> BitMap:
    """Return frames of which every wanted group has one."""
    return members - matched if query.scope == "none" else matched


def _values(
    index: DatasetIndex, members: BitMap, matched: BitMap, query: FrameQuery, limit: int
) -> Iterator[Group]:
    if index.is_overflowed(query.group):
        raise QueryError(f"{query.group} has too many values to group by.", field="group")
    start = decode_group(query.after)
    within = candidates_of(members, matched, query)
    for kind, value, frames in values.groups(
        index, within, query.group, start=start, descending=query.descending
    ):
        if not frames.intersect(within):
            continue
        hits = frames & matched
        held = hits if matched is members else frames & members
        if is_wanted(query.scope, len(held), len(hits)):
            yield Group(kind, value, held, hits)


def _contexts(
    index: DatasetIndex, members: BitMap, matched: BitMap, query: FrameQuery, limit: int
) -> Iterator[Group]:
    place = decode_after(query.after, str)
    after = place[0] if place else None
    within = candidates_of(members, matched, query)
    if order.is_sparse(index, within):
        terms: Iterable[TermFrames] = _of_few(index, within, after, query, limit)
        yield from _wanted(terms, members, matched, query)
        return
    walk = index.walk("context_id", after=after, descending=query.descending)
    for term in islice(walk, contexts.WALK_MAX):
        after = term.value
        yield from _wanted([term], members, matched, query)
    if next(walk, None) is None:
        return

    def wanted(count: Callable[[BitMap], npt.NDArray[np.int64]]) -> npt.NDArray[np.bool_]:
        hits = count(matched)
        if query.scope == "any":
            return np.greater(hits, 0)
        held = count(members)
        if query.scope == "every":
            return np.greater(hits, 0) & np.equal(hits, held)
        return np.greater(held, 0) & np.equal(hits, 0)

    terms = contexts.behind(index, wanted, after, limit, descending=query.descending)
    yield from _wanted(terms, members, matched, query)


def _wanted(
    terms: Iterable[TermFrames], members: BitMap, matched: BitMap, query: FrameQuery
) -> Iterator[Group]:
    for value, frames in terms:
        hits = frames & matched
        if hits or query.scope == "none":
            held = hits if matched is members else frames & members
            if is_wanted(query.scope, len(held), len(hits)):
                yield Group(TEXT, value, held, hits)


def _of_few(
    index: DatasetIndex, frames: BitMap, after: str | None, query: FrameQuery, limit: int
) -> Iterator[TermFrames]:
    """Yield the contexts of a few frames, found through their rows, in order. Queries: 2."""
    rows = Frame.objects.at(index.dataset, frames).values_list("context_id", flat=True)
    found = sorted(set(rows), reverse=query.descending)
    if after is not None:
        found = [v for v in found if (v < after if query.descending else v > after)]
    size = limit
    while found:
        yield from index.texts("context_id", found[:size])
        found, size = found[size:], size * 4
