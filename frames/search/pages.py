"""The read side: what a page, its JSON twin, the API and the wire protocols show.

No HTTP and no user: whoever calls has checked that the version may be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.core.cache import cache as shared_cache

from frames.index import store
from frames.index.bitmaps import BitMap
from frames.index.reader import DatasetIndex
from frames.models import Frame, Source
from frames.models.frame import ORDINAL_MASK, frame_pk
from frames.search import contexts, groups, order, strips
from frames.search.lucene import frames_matching
from frames.search.query import GROUP_URL, decode_after, encode_after
from frames.search.rows import FrameRow, rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frames.models import Version
    from frames.search.query import FrameQuery
    from frames.search.strips import Timeline

LABELS_MAX: Final = 1_000
_EDGE_PROBES: Final = 4
# No id has one, and PostgreSQL refuses to be asked for it.
_NULL: Final = "\x00"
# So few rows of each of 50 contexts are read together sooner than one order after the other.
_SMALL_CONTEXT: Final = 256


@dataclass(frozen=True, slots=True)
class FramePage:
    """Frames of a version: `matched` of `total`, some of them, and where to go on."""

    total: int
    matched: int
    items: list[FrameRow]
    next: str | None


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group: how many of its frames the version holds and the query matches, and the first.

    `value` is the context id, or what the group's key has, of `kind` TEXT, NUMBER or BOOLEAN.
    Timestamps are those of the first and last frame of the context that the version holds; None
    for groups by another key. The cover is the first that matches, of any where none does.
    `timeline` is there for contexts under a filter.
    """

    kind: int
    value: str | float
    frames: int
    matched: int
    first_timestamp: float | None
    last_timestamp: float | None
    cover: FrameRow
    timeline: Timeline | None


@dataclass(frozen=True, slots=True)
class GroupPage:
    """Groups of a version's frames: `matched` frames of `total`, some groups, where to go on."""

    total: int
    matched: int
    items: list[GroupRow]
    next: str | None


@dataclass(frozen=True, slots=True)
class ContextPage:
    """The frames of one context in timestamp order, a page of them."""

    context_id: str
    total: int
    matched: int
    first_timestamp: float
    last_timestamp: float
    items: list[FrameRow]
    next: str | None


@dataclass(frozen=True, slots=True)
class Mark:
    """A frame on a context's strip; `position` counts from 0, `place` runs from 0 to 1."""

    position: int
    timestamp: float
    frame_id: str
    place: float


@dataclass(frozen=True, slots=True)
class ContextStrip:
    """A context along its time, with the frames to jump to."""

    timeline: Timeline
    marks: list[Mark]


@dataclass(frozen=True, slots=True)
class FrameDetail:
    """A frame and its place among its context's frames; the others by frame id."""

    row: FrameRow
    position: int
    count: int
    previous: str | None
    next: str | None
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class LabelCount:
    """A label and how many of the version's frames have it."""

    label: str
    frames: int


def frame_page(version: Version, query: FrameQuery, limit: int) -> FramePage:
    """Return one page of the frames that match. Raises QueryError.

    Queries: up to 3 for the filter's postings not in the cache, up to 3 for the order, 2 for rows.
    """
    index = DatasetIndex(version.dataset)
    members = index.members(version)
    matched = matching(index, members, query)
    ordinals, after = order.page_of(index, matched, query, limit)
    return FramePage(len(members), len(matched), rows_of(version.dataset, ordinals), after)


def group_page(version: Version, query: FrameQuery, limit: int) -> GroupPage:
    """Return one page of groups, in order of their value, of which any, every or no frame matches.

    Raises QueryError. Queries: those of the filter, 1 to 2 for the groups, 2 for rows, 2 for the
    first and last frames; under a filter those come with the timelines: 2 and 1 for each large
    context, none where a page has shown them since the last write.
    """
    index = DatasetIndex(version.dataset)
    members = index.members(version)
    matched = matching(index, members, query)
    found, after = groups.page_of(index, members, matched, query, limit)
    spans: dict[str, _Span] = {}
    if query.group == GROUP_URL:
        is_filtered = matched is not members and query.scope != "none"
        spans = _spans(index, members, found, is_filtered=is_filtered)
        covers = [spans[str(group.value)].cover for group in found]
    else:
        covers = [(group.hits or group.held).min() for group in found]
    # A card shows its cover's picture alone.
    rows = rows_of(version.dataset, covers, without=("meta", "rois", "extra"))
    items = []
    for group, row in zip(found, rows, strict=True):
        span = spans.get(str(group.value))
        items.append(
            GroupRow(
                kind=group.kind,
                value=group.value,
                frames=len(group.held),
                matched=len(group.hits),
                first_timestamp=span.first_timestamp if span else None,
                last_timestamp=span.last_timestamp if span else None,
                cover=row,
                timeline=span.timeline if span else None,
            )
        )
    return GroupPage(len(members), len(matched), items, after)


def context_page(
    version: Version, context_id: str, query: FrameQuery, limit: int
) -> ContextPage | None:
    """Return a page of a context's frames in timestamp order; None if it has none here.

    Queries: those of the filter, 1 to 3 for the order, 2 for rows.
    """
    if _NULL in context_id:
        return None
    index = DatasetIndex(version.dataset)
    held = index.text("context_id", context_id) & index.members(version)
    if not held:
        return None
    matched = matching(index, held, query)
    place = decode_after(query.after, str)
    everything = contexts.in_order(index, context_id, held)
    found = contexts.in_order(index, context_id, matched, after=place[0] if place else None)
    shown = found[:limit].tolist()
    rows = rows_of(version.dataset, [*shown, int(everything[0]), int(everything[-1])])
    items, first, last = rows[:-2], rows[-2].frame, rows[-1].frame
    return ContextPage(
        context_id,
        len(held),
        len(matched),
        first.timestamp,
        last.timestamp,
        items,
        encode_after(items[-1].frame.frame_id) if len(found) > limit else None,
    )


def context_strip(
    version: Version, context_id: str, query: FrameQuery, max_marks: int = 200
) -> ContextStrip | None:
    """Return a context along its time; None if it has no frame here. Raises QueryError.

    Of the frames that match up to `max_marks` are marked, evenly thinned, first and last among
    them. Queries: those of the filter, 1 for the order, 1 for the marks.
    """
    if _NULL in context_id:
        return None
    index = DatasetIndex(version.dataset)
    held = index.text("context_id", context_id) & index.members(version)
    if not held:
        return None
    matched = matching(index, held, query)
    column = contexts.column_of(index, context_id).of(held)
    timeline = strips.timeline(column.timestamps, column.is_in(matched))
    hits = timeline.hits
    count = min(len(hits), max_marks)
    chosen = [int(hits[round(i * (len(hits) - 1) / max(1, count - 1))]) for i in range(count)]
    ordinals = column.ordinals[chosen].tolist()
    ids = dict(Frame.objects.at(version.dataset, ordinals).values_list("pk", "frame_id"))
    marks = [
        Mark(
            position,
            float(column.timestamps[position]),
            ids[frame_pk(version.dataset_id, ordinal)],
            float(timeline.places[position]),
        )
        for position, ordinal in zip(chosen, ordinals, strict=True)
    ]
    return ContextStrip(timeline, marks)


def frame_detail(version: Version, frame_id: str, query: FrameQuery) -> FrameDetail | None:
    """Return a frame of a version and its neighbours that match; None if it is not in there.

    A frame that does not match itself is still shown: the place is counted over its context.
    """
    if _NULL in frame_id:
        return None
    index = DatasetIndex(version.dataset)
    members = index.members(version)
    revisions = Frame.objects.filter(dataset=version.dataset, frame_id=frame_id).with_writer()
    frame = next((f for f in revisions if f.ordinal in members), None)
    if frame is None:
        return None
    held = index.text("context_id", frame.context_id) & members
    matched = matching(index, held, query)
    ordered = contexts.in_order(index, frame.context_id, matched | BitMap([frame.ordinal])).tolist()
    position = ordered.index(frame.ordinal)
    wanted = {
        "previous": ordered[position - 1] if position else None,
        "next": ordered[position + 1] if position + 1 < len(ordered) else None,
        "first": ordered[0],
        "last": ordered[-1],
    }
    ids = dict(
        Frame.objects.at(
            version.dataset, {o for o in wanted.values() if o is not None}
        ).values_list("pk", "frame_id")
    )
    names = {
        name: None if o is None else ids[frame_pk(version.dataset_id, o)]
        for name, o in wanted.items()
    }
    row = FrameRow(frame, list(Source.objects.filter(frame=frame).order_by("position")))
    return FrameDetail(
        row,
        position,
        len(ordered),
        names["previous"],
        names["next"],
        names["first"] or frame_id,
        names["last"] or frame_id,
    )


def label_counts(version: Version) -> list[LabelCount]:
    """Return the version's labels, most frequent first, at most LABELS_MAX of them.

    Kept in the shared cache under the dataset's generation: computed once for each write.
    """
    slot = f"labels:{version.pk}:{version.dataset.generation}"
    found: list[tuple[str, int]] | None = shared_cache.get(slot)
    if found is None:
        index = DatasetIndex(version.dataset)
        counts = index.counts("label", index.members(version), limit=LABELS_MAX)
        found = [(item.value, item.frames) for item in counts]
        shared_cache.set(slot, found, timeout=24 * 3600)
    return [LabelCount(label, count) for label, count in found]


def matched_frames(version: Version, query: FrameQuery) -> BitMap:
    """Return all frames of a version that match, whatever page of them is asked for.

    Not to be changed. Raises QueryError. Queries: those of the filter.
    """
    index = DatasetIndex(version.dataset)
    return matching(index, index.members(version), query)


def matching(index: DatasetIndex, within: BitMap, query: FrameQuery) -> BitMap:
    """Return those of the frames that the filter matches: `within` itself if there is none."""
    found = within
    if query.label:
        found = found & index.text("label", query.label)
    if query.q:
        found = frames_matching(index, found, query.q)
    return found


@dataclass(frozen=True, slots=True)
class _Span:
    """What a card says of a context: its ends, the ordinal of its cover, and its timeline."""

    first_timestamp: float
    last_timestamp: float
    cover: int
    timeline: Timeline | None


def _spans(
    index: DatasetIndex, members: BitMap, found: Sequence[groups.Group], *, is_filtered: bool
) -> dict[str, _Span]:
    """Return the span of each context by its id.

    Queries: as `contexts.columns_of` under a filter; for contexts without a column as `_edges`,
    twice, and once more under a filter.
    """
    ids = [str(group.value) for group in found]
    columns = contexts.columns_of(index, ids, strips.READ_MAX) if is_filtered else {}
    spans: dict[str, _Span] = {}
    others: list[tuple[str, BitMap]] = []
    hits = BitMap()
    for group in found:
        context_id = str(group.value)
        if context_id not in columns:
            others.append((context_id, group.held))
            hits |= group.hits
            continue
        column = columns[context_id].of(group.held)
        is_hit = column.is_in(group.hits)
        spans[context_id] = _Span(
            float(column.timestamps[0]),
            float(column.timestamps[-1]),
            int(column.ordinals[is_hit.argmax()]),
            strips.timeline(column.timestamps, is_hit),
        )
    first, last = _edges(index, members, others), _edges(index, members, others, last=True)
    covers = _edges(index, hits, others) if is_filtered else first
    for context_id, _ in others:
        spans[context_id] = _Span(
            first[context_id][1], last[context_id][1], covers[context_id][0], None
        )
    return spans


def _edges(
    index: DatasetIndex,
    within: BitMap,
    groups: Sequence[tuple[str, BitMap]],
    *,
    last: bool = False,
) -> dict[str, tuple[int, float]]:
    """Return (ordinal, timestamp) of the first, or last, frame in a set of each context.

    Queries: 1, which reads a few rows at the edge of each context off an index; 1 more for all
    contexts where those rows are not in the set, and 2 for each of them that is large.
    """
    if not groups:
        return {}
    edges: dict[str, tuple[int, float]] = {}
    for value, pk, timestamp in store.context_edges(
        index.dataset.pk, [value for value, _ in groups], last=last, probes=_EDGE_PROBES
    ):
        if value not in edges and (pk & ORDINAL_MASK) in within:
            edges[value] = (pk & ORDINAL_MASK, timestamp)
    small = BitMap()
    for value, held in groups:
        if value in edges:
            continue
        inside = held & within
        if len(inside) <= _SMALL_CONTEXT:
            small |= inside
            continue
        ordered = contexts.in_order(index, value, inside, descending=last)
        frame = Frame.objects.at(index.dataset, [int(ordered[0])]).only("timestamp").get()
        edges[value] = (frame.ordinal, frame.timestamp)
    rows = order.read(index, small, ("context_id", "timestamp", "frame_id"))
    # The last one written stays: the first, or last, in the order inside its context.
    for ordinal, value, timestamp, _ in sorted(rows, key=lambda row: row[1:], reverse=not last):
        edges[value] = (ordinal, timestamp)
    return edges
