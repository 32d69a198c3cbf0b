"""What changed between two versions of a dataset."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from frames.index.bitmaps import BitMap, from_array, to_array
from frames.index.reader import DatasetIndex
from frames.search import order
from frames.search.rows import FrameRow, rows_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from frames.index.bitmaps import UInt32Array
    from frames.models import Version
    from frames.search.query import FrameQuery

Side = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The frames in which `after` differs from `before`, as sets of revisions.

    `added` and `changed` are revisions that `after` holds, `removed` ones that `before` holds.
    A frame is changed where both versions hold it in different revisions.
    """

    before: Version
    after: Version
    added: BitMap
    removed: BitMap
    changed: BitMap
    # In ascending order of what `after` holds, which stands beside what `before` does.
    _later: UInt32Array = field(repr=False)
    _earlier: UInt32Array = field(repr=False)

    def earlier(self, ordinal: int) -> int:
        """Return the revision that `before` holds of a changed frame."""
        return int(self._earlier[np.searchsorted(self._later, ordinal)])


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A frame that differs: as it is before and after, None where it is not there."""

    before: FrameRow | None
    after: FrameRow | None


@dataclass(frozen=True, slots=True)
class ComparisonPage:
    """Some of the frames that differ in one way, and where to go on."""

    matched: int
    items: list[ChangedRow]
    next: str | None


@dataclass(frozen=True, slots=True)
class LabelDelta:
    """How many regions have a label, before and after."""

    label: str
    before: int
    after: int


def compare(before: Version, after: Version) -> Comparison:
    """Return in which frames two versions of one dataset differ. Raises ValueError for others.

    Costs what differs, not what they hold: 500,000 different revisions take about 100 ms.
    Queries: 1 a version, 1 for each 500 segments with a difference.
    """
    if before.dataset_id != after.dataset_id:
        raise ValueError("versions of different datasets have nothing in common")
    index = DatasetIndex(after.dataset)
    old, new = index.members(before), index.members(after)
    gone, come = old - new, new - old
    _, gone_places, come_places = np.intersect1d(
        index.identities(gone), index.identities(come), assume_unique=True, return_indices=True
    )
    ascending = np.argsort(come_places)
    earlier = to_array(gone)[gone_places[ascending]]
    later = to_array(come)[come_places[ascending]]
    changed = from_array(later)
    return Comparison(
        before,
        after,
        added=come - changed,
        removed=gone - from_array(np.sort(earlier)),
        changed=changed,
        _later=later,
        _earlier=earlier,
    )


def page(comparison: Comparison, side: Side, query: FrameQuery, limit: int) -> ComparisonPage:
    """Return a page of the frames that differ in one way, in the query's order.

    Queries: up to 3 for the order, 2 for each version's rows. Raises QueryError.
    """
    dataset = comparison.after.dataset
    found: BitMap = getattr(comparison, side)
    ordinals, after = order.page_of(DatasetIndex(dataset), found, query, limit)
    rows = rows_of(dataset, ordinals)
    if side == "added":
        items = [ChangedRow(None, row) for row in rows]
    elif side == "removed":
        items = [ChangedRow(row, None) for row in rows]
    else:
        earlier = rows_of(dataset, [comparison.earlier(ordinal) for ordinal in ordinals])
        items = [ChangedRow(*pair) for pair in zip(earlier, rows, strict=True)]
    return ComparisonPage(len(found), items, after)


def label_deltas(comparison: Comparison) -> list[LabelDelta]:
    """Return the regions with each label before and after, where the number differs.

    Sorted by the size of the difference. Queries: none from the cache, else for each version 3,
    and 1 for each 500 labels.
    """
    index = DatasetIndex(comparison.after.dataset)
    before = index.label_counts_of(comparison.before)
    after = index.label_counts_of(comparison.after)
    deltas = [
        LabelDelta(label, before.get(label, 0), after.get(label, 0))
        for label in before.keys() | after.keys()
        if before.get(label, 0) != after.get(label, 0)
    ]
    return sorted(deltas, key=lambda delta: (-abs(delta.after - delta.before), delta.label))


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A metadata key that differs; None where it is not there, which `is_in` tells from null."""

    key: str
    before: Any
    after: Any
    is_in_before: bool
    is_in_after: bool


@dataclass(frozen=True, slots=True)
class RegionChange:
    """A region that differs, and how: added, removed, moved, relabelled or edited.

    The places are those in each frame's `rois`, None where the region is not there.
    """

    kinds: tuple[str, ...]
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class FrameChanges:
    """What differs between two revisions of one frame. `fields` names all else that does."""

    meta: list[KeyChange]
    regions: list[RegionChange]
    fields: list[str]


def frame_changes(before: FrameRow, after: FrameRow) -> FrameChanges:
    """Return what differs between two revisions of one frame."""
    old, new = before.frame, after.frame
    meta = [
        KeyChange(key, old.meta.get(key), new.meta.get(key), key in old.meta, key in new.meta)
        for key in sorted(old.meta.keys() | new.meta.keys())
        if key not in old.meta or key not in new.meta or old.meta[key] != new.meta[key]
    ]
    fields = [
        name
        for name, was, now in (
            ("context_id", old.context_id, new.context_id),
            ("timestamp", old.timestamp, new.timestamp),
            ("sources", _sources(before), _sources(after)),
            ("other keys", old.extra, new.extra),
        )
        if was != now
    ]
    return FrameChanges(meta, region_changes(old.rois, new.rois), fields)


def region_changes(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[RegionChange]:
    """Return how two lists of regions differ.

    Regions are the same one where their ids are, else where they are equal in all, else in
    geometry, else in labels and sources; first come, first served.
    """
    left, right = dict(enumerate(before)), dict(enumerate(after))
    pairs: list[tuple[int, int]] = []
    for key in (_by_id, _by_all, _by_geometry, _by_labels):
        waiting: dict[Hashable, list[int]] = {}
        for place, region in right.items():
            if (value := key(region)) is not None:
                waiting.setdefault(value, []).append(place)
        for place in list(left):
            value = key(left[place])
            if value is not None and waiting.get(value):
                other = waiting[value].pop(0)
                pairs.append((place, other))
                del left[place], right[other]
    changes = [
        RegionChange(kinds, place, other)
        for place, other in sorted(pairs)
        if (kinds := _kinds(before[place], after[other]))
    ]
    changes += [RegionChange(("removed",), place, None) for place in left]
    changes += [RegionChange(("added",), None, place) for place in right]
    return changes


def _kinds(before: dict[str, Any], after: dict[str, Any]) -> tuple[str, ...]:
    kinds = []
    if _by_geometry(before) != _by_geometry(after):
        kinds.append("moved")
    if Counter(before.get("label") or ()) != Counter(after.get("label") or ()):
        kinds.append("relabelled")
    rest = ("poly", "mask", "label")
    if _without(before, rest) != _without(after, rest):
        kinds.append("edited")
    return tuple(kinds)


def _by_id(region: dict[str, Any]) -> Hashable | None:
    own = region.get("id") or (region.get("meta") or {}).get("_id")
    return own if isinstance(own, str | int) else None


def _by_all(region: dict[str, Any]) -> Hashable | None:
    return _frozen(region)


def _by_geometry(region: dict[str, Any]) -> Hashable | None:
    shape = (region.get("poly"), region.get("mask"))
    return None if shape == (None, None) else _frozen((*shape, region.get("sources")))


def _by_labels(region: dict[str, Any]) -> Hashable | None:
    return _frozen((sorted(region.get("label") or ()), region.get("sources")))


def _without(region: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: value for key, value in region.items() if key not in keys}


def _frozen(value: Any) -> Hashable:
    if isinstance(value, dict):
        return tuple(sorted((key, _frozen(child)) for key, child in value.items()))
    if isinstance(value, list | tuple):
        return tuple(_frozen(child) for child in value)
    return (type(value).__name__, value) if isinstance(value, bool) else value


def _sources(row: FrameRow) -> list[tuple[Any, ...]]:
    return [
        (
            *(s.source_id, s.uri, s.content_type, s.width, s.height, s.timestamp),
            *(s.masks, s.preview, s.meta, s.extra),
        )
        for s in row.sources
    ]
