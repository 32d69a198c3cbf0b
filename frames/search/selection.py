"""Which frames a page of a version is about, all of them, whatever page of them is shown."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np

from frames.index.bitmaps import BitMap, from_array, to_array, union
from frames.index.reader import DatasetIndex
from frames.search import pages, samples, values
from frames.search.errors import QueryError
from frames.search.groups import is_wanted
from frames.search.query import GROUP_URL, FrameQuery

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from frames.models import Version

# As many texts as a key may have before it cannot be grouped by; numbers can be more.
VALUES_MAX: Final = 20_000
# The fields of a query that can say which frames.
SELECTION: Final = ("q", "label", "group", "scope", "sample", "match")


def selection_of(query: FrameQuery) -> FrameQuery:
    """Return the part of a query that says which frames, without how they are shown.

    A grouping alone chooses none: it arranges those that match.
    """
    if query.sample:
        return FrameQuery(query.q, query.label, query.group, sample=query.sample, match=query.match)
    if query.is_grouped and query.scope != "any":
        return FrameQuery(query.q, query.label, query.group, scope=query.scope)
    return FrameQuery(query.q, query.label)


def selected_frames(version: Version, query: FrameQuery) -> BitMap:
    """Return the frames that match, those of the groups shown, or those sampled.

    With a scope, all frames of each group of which every, or no, frame matches. Not to be changed.
    Raises QueryError. Queries: those of the filter, and of a walk along the key of the groups.
    """
    query = selection_of(query)
    index = DatasetIndex(version.dataset)
    members = index.members(version)
    matched = pages.matching(index, members, query)
    if query.sample:
        return union(_within_reason(query, samples.samples_of(index, matched, query)))
    if query.scope == "any":
        return matched
    if query.group == GROUP_URL:
        return _of_contexts(index, members, matched, query.scope)
    return union(_within_reason(query, _of_values(index, members, matched, query)))


def _of_contexts(index: DatasetIndex, members: BitMap, matched: BitMap, scope: str) -> BitMap:
    """Return the frames of the contexts wanted, having counted the frames of all."""
    terms, numbers = index.numbering("context_id")
    ordinals = to_array(members)
    contexts = numbers[ordinals]
    size = len(terms) + 1
    held = np.bincount(contexts, minlength=size)
    hits = np.bincount(numbers[to_array(matched)], minlength=size)
    return from_array(ordinals[((hits == 0) if scope == "none" else (hits == held))[contexts]])


def _of_values(
    index: DatasetIndex, members: BitMap, matched: BitMap, query: FrameQuery
) -> Iterator[BitMap]:
    """Yield the frames of each value that is wanted, none where it is not."""
    if index.is_overflowed(query.group):
        raise QueryError(f"{query.group} has too many values to group by.", field="group")
    for group in values.groups(index, members, query.group):
        held = group.frames & members
        wanted = is_wanted(query.scope, len(held), len(held & matched))
        yield held if wanted else BitMap()


def _within_reason(query: FrameQuery, parts: Iterable[BitMap]) -> Iterator[BitMap]:
    found = iter(parts)
    yield from islice(found, VALUES_MAX)
    if next(found, None) is not None:
        raise QueryError(
            f"{query.group} has over {VALUES_MAX:,} values. Narrow the filter.",
            field="group",
        )
