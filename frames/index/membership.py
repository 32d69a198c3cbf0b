"""What a version holds: one bitmap of ordinals a segment, written with the frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frames.index import store
from frames.index.bitmaps import SEGMENT_BITS, dump, from_array, load, to_array, union
from frames.models import Membership, Version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyroaring import BitMap

_COLUMNS = ("id", "cardinality", "bitmap")


def members(version_pk: int) -> BitMap:
    """Return the ordinals of all frames of a version. Queries: 1."""
    return union(load(data) for _, data in store.segments_of(Membership, version_pk, "bitmap"))


def held(dataset_pk: int) -> BitMap:
    """Return the ordinals that any version of a dataset holds. Queries: 1 for each 16 versions."""
    found = union(())
    for part in store.chunks(_versions(dataset_pk), 16):
        found |= union(load(data) for data in store.bitmaps_of_versions(part))
    return found


def held_in(dataset_pk: int, segment: int) -> BitMap:
    """Return those of a segment that any version holds. Queries: 1 for each 500 versions."""
    ids = [store.row_id(pk, segment) for pk in _versions(dataset_pk)]
    return union(load(data) for _, data in store.rows_by_id(Membership, ids, "bitmap"))


def holders(version_pks: Sequence[int], ordinals: Sequence[int]) -> dict[int, list[int]]:
    """Return which of the ordinals each version holds. Queries: 1 for each 500 rows looked at.

    A row a version and segment: one bitmap is in memory at a time.
    """
    by_segment: dict[int, list[int]] = {}
    for ordinal in ordinals:
        by_segment.setdefault(ordinal >> SEGMENT_BITS, []).append(ordinal)
    ids = [store.row_id(pk, segment) for pk in version_pks for segment in by_segment]
    found: dict[int, list[int]] = {}
    for pk, data in store.rows_by_id(Membership, ids, "bitmap"):
        bitmap = load(data)
        here = [o for o in by_segment[pk & store.SEGMENT_MASK] if o in bitmap]
        if here:
            found.setdefault(pk >> SEGMENT_BITS, []).extend(here)
    return found


def change(version_pk: int, *, add: BitMap, remove: BitMap) -> None:
    """Add and remove ordinals; the caller holds the dataset's row lock. Queries: at most 4."""
    segments = {int(s) for s in set((to_array(add | remove) >> SEGMENT_BITS).tolist())}
    ids = [store.row_id(version_pk, segment) for segment in sorted(segments)]
    held = {pk: load(data) for pk, data in store.rows_by_id(Membership, ids, "bitmap")}
    keep, empty = [], []
    for pk in ids:
        segment = pk & store.SEGMENT_MASK
        first, end = segment << SEGMENT_BITS, (segment + 1) << SEGMENT_BITS
        old = held.get(pk)
        new = _slice(add, first, end)
        if old is not None:
            new |= old
        new -= remove
        if new:
            keep.append((pk, len(new), dump(new)))
        elif old is not None:
            empty.append(pk)
    store.upsert(Membership, _COLUMNS, keep)
    store.delete_ids(Membership, empty)


def copy(parent_pk: int, child_pk: int) -> None:
    """Give a new version what its parent holds. Queries: 1, whatever the number of frames."""
    store.copy_membership(parent_pk, child_pk)


def delete(version_pk: int) -> None:
    """Forget what a version held. Queries: 1."""
    store.delete_range(Membership, store.row_id(version_pk, 0), store.row_id(version_pk + 1, 0))


def _versions(dataset_pk: int) -> list[int]:
    return list(Version.objects.filter(dataset=dataset_pk).values_list("pk", flat=True))


def _slice(bitmap: BitMap, first: int, end: int) -> BitMap:
    values = to_array(bitmap)
    return from_array(values[values.searchsorted(first) : values.searchsorted(end)])
