"""A frame: one revision of the metadata of one instant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import models

from frames.models.base import BYTES, RowId
from frames.models.dataset import Dataset
from frames.models.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterable

ORDINAL_BITS: Final = 32
ORDINAL_MASK: Final = (1 << ORDINAL_BITS) - 1


def frame_pk(dataset_pk: int, ordinal: int) -> int:
    """Return the primary key of a dataset's frame revision number `ordinal`."""
    return dataset_pk << ORDINAL_BITS | ordinal


def ordinal_of(pk: int) -> int:
    """Return the number, inside its dataset, of the frame revision with this primary key."""
    return pk & ORDINAL_MASK


class FrameQuerySet(models.QuerySet["Frame"]):
    """Frames by their place in the index."""

    def at(self, dataset: Dataset, ordinals: Iterable[int]) -> FrameQuerySet:
        """Keep the revisions with these numbers inside the dataset."""
        return self.filter(pk__in=[frame_pk(dataset.pk, ordinal) for ordinal in ordinals])

    def with_writer(self) -> FrameQuerySet:
        """Read with each, as `writer_uid`, the public id of the version that wrote it."""
        writer = Version.objects.filter(pk=models.OuterRef("saved_in_version_id"))
        return self.annotate(**{"writer_uid": models.Subquery(writer.values("uid"))})


class Frame(models.Model):
    """One revision of one frame.

    The primary key is `dataset.pk << 32 | ordinal`: a dataset's revisions lie together, its
    bitmaps hold the 32-bit ordinals, and `pk >> 16`, the segment, belongs to one dataset alone.
    `frame_id` is the frame's identity across versions. Which versions hold the revision is told
    by membership (frames/index), never by a column here.

    `timestamp` is in the unit the producer chose, milliseconds for videos; `extra` keeps the
    exact number where a float64 would round it, and every key Framedeck does not know.
    `saved_ms` is the epoch time of writing in milliseconds. `digest` is 16 bytes of BLAKE2b over
    the content, sources included: equal content, equal digest, on every machine.
    """

    id = RowId(primary_key=True)
    dataset = models.ForeignKey(
        Dataset, on_delete=models.CASCADE, related_name="frames", db_index=False
    )
    frame_id = models.CharField(max_length=255, db_collation=BYTES)
    # No index: revisions of a version are found by membership, and garbage by key range.
    saved_in_version = models.ForeignKey(
        Version, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    context_id = models.CharField(max_length=2048, db_collation=BYTES)
    timestamp = models.FloatField(default=0)
    saved_ms = models.BigIntegerField()
    meta = models.JSONField(default=dict)
    rois = models.JSONField(default=list)
    extra = models.JSONField(default=dict)
    digest = models.BinaryField(max_length=16)

    # None where it was not asked for, or where that version has been deleted.
    writer_uid: str | None = None

    objects = FrameQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~models.Q(frame_id=""), name="frame_id_not_empty"),
            models.CheckConstraint(
                condition=models.Q(id__gte=models.F("dataset") * 2**ORDINAL_BITS)
                & models.Q(id__lt=(models.F("dataset") + 1) * 2**ORDINAL_BITS),
                name="frame_pk_lies_in_its_dataset",
            ),
        ]
        indexes = [
            models.Index(fields=["dataset", "frame_id"], name="frame_by_id"),
            # Without the key: indexes that cover a query are taken by a planner without statistics,
            # and a frame's id was looked for along all timestamps: 1.2 s at ten million.
            models.Index(
                fields=["dataset", "context_id", "timestamp", "frame_id"], name="frame_by_context"
            ),
            models.Index(fields=["dataset", "timestamp", "frame_id"], name="frame_by_timestamp"),
        ]

    def __str__(self) -> str:
        return self.frame_id

    @property
    def ordinal(self) -> int:
        """The revision's number inside its dataset."""
        return ordinal_of(self.id)
