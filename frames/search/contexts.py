"""The order of the frames inside a context: timestamp, then frame id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from frames.index.bitmaps import UInt32Array, to_array
from frames.index.cache import cache
from frames.models import Frame
from frames.models.frame import ORDINAL_MASK

if TYPE_CHECKING:
    from frames.index.bitmaps import BitMap
    from frames.index.reader import DatasetIndex


def in_order(
    index: DatasetIndex,
    context_id: str,
    within: BitMap,
    *,
    descending: bool = False,
    after: str | None = None,
) -> UInt32Array:
    """Return the ordinals of a context's frames that are in a set: (n,) uint32, in order.

    With `after`, a frame id, only those behind that frame; none if the context never had it.
    Queries: up to 2.
    """
    order = _all_revisions(index, context_id)
    if descending:
        order = order[::-1]
    if after is not None:
        rows = Frame.objects.filter(dataset=index.dataset, frame_id=after)
        ordinals = [pk & ORDINAL_MASK for pk in rows.values_list("pk", flat=True)]
        places = np.flatnonzero(np.isin(order, ordinals))
        order = order[places[-1] + 1 :] if len(places) else order[:0]
    held = to_array(within)
    if not len(held):
        return order[:0]
    nearest = np.minimum(np.searchsorted(held, order), len(held) - 1)
    inside: UInt32Array = order[held[nearest] == order]
    return inside


def _all_revisions(index: DatasetIndex, context_id: str) -> UInt32Array:
    """Return every revision of a context in order, kept in the cache at 4 bytes each.

    Read off an index of the database alone: 70,000 frames take 40 ms the first time.
    """
    dataset = index.dataset
    slot = ("order", dataset.pk, dataset.generation, context_id)
    order: UInt32Array | None = cache.get(slot)
    if order is None:
        pks = (
            Frame.objects.filter(dataset=dataset, context_id=context_id)
            .order_by("timestamp", "frame_id", "pk")
            .values_list("pk", flat=True)
        )
        order = np.array([pk & ORDINAL_MASK for pk in pks], dtype=np.uint32)
        cache.put(slot, order, order.nbytes)
    return order
