"""Making the postings of a dataset again from its rows."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import numpy as np
from django.db import transaction
from django.db.models import Min

from frames.index import store
from frames.index.gather import TermBatch
from frames.index.writer import IndexWriter
from frames.models import Dataset, Frame, Identities, Key, Posting, RegionOffsets, Term
from frames.models.dataset import new_generation
from frames.models.frame import frame_pk, ordinal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

BATCH_FRAMES: Final = 5_000


def reindex(dataset_pk: int, *, progress: Callable[[int, int], None] | None = None) -> int:
    """Drop a dataset's postings and build them from its rows; return the number of revisions.

    One transaction: readers see the old postings until it ends, and a crash leaves them. Memory
    does not grow with the dataset. Queries: a few for each 5,000 frames.
    """
    with transaction.atomic():
        dataset = Dataset.objects.select_for_update().get(pk=dataset_pk)
        for pk in Term.objects.filter(key__dataset=dataset).values_list("pk", flat=True).iterator():
            store.delete_range(Posting, store.row_id(pk, 0), store.row_id(pk + 1, 0))
        keys = Key.objects.filter(dataset=dataset)
        # By key: as one statement with a join, PostgreSQL plans it badly until it has looked at
        # the tables, and 20,000 terms took minutes.
        for part in store.chunks(list(keys.values_list("pk", flat=True))):
            Term.objects.filter(key__in=part).delete()
        keys.delete()
        first, end = store.row_id(dataset.pk, 0), store.row_id(dataset.pk + 1, 0)
        store.delete_range(RegionOffsets, first, end)
        store.delete_range(Identities, first, end)
        writer = IndexWriter(dataset)
        done, after = 0, frame_pk(dataset.pk, 0) - 1
        while True:
            batch = list(
                Frame.objects.filter(pk__gt=after, pk__lt=frame_pk(dataset.pk + 1, 0))
                .prefetch_related("sources")
                .order_by("pk")[:BATCH_FRAMES]
            )
            if not batch:
                break
            ordinals = np.array([frame.ordinal for frame in batch], dtype=np.int64)
            writer.write_identities(ordinals, _first_revisions(dataset, batch))
            writer.write(gather(batch), ordinals)
            after = batch[-1].pk
            done += len(batch)
            if progress is not None:
                progress(done, dataset.next_ordinal)
        Dataset.objects.filter(pk=dataset.pk).update(generation=new_generation())
    return done


def gather(frames: Iterable[Frame]) -> TermBatch:
    """Return the terms of frame rows whose sources are prefetched."""
    terms = TermBatch()
    writers: defaultdict[int, list[int]] = defaultdict(list)
    for number, frame in enumerate(frames):
        writers[frame.saved_in_version_id].append(number)
        terms.add(
            context_id=frame.context_id,
            timestamp=frame.timestamp,
            meta=frame.meta,
            sources=list(frame.sources.all()),
            rois=frame.rois,
        )
    terms.close()
    for version_pk, numbers in writers.items():
        terms.note_version(version_pk, numbers)
    return terms


def _first_revisions(dataset: Dataset, batch: Sequence[Frame]) -> npt.NDArray[np.int64]:
    """Return the ordinal of each frame's first revision. Queries: 1 for each 500 frames."""
    first: dict[str, int] = {}
    for part in store.chunks([frame.frame_id for frame in batch]):
        rows = Frame.objects.filter(dataset=dataset, frame_id__in=part).values("frame_id")
        first |= {
            row["frame_id"]: ordinal_of(row["least"]) for row in rows.annotate(least=Min("pk"))
        }
    return np.array([first[frame.frame_id] for frame in batch], dtype=np.int64)
