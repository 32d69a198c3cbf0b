"""The rows of the bitmap index. Only frames/index reads or writes them.

Keys are composed, not looked up: a posting's key is `term << 16 | segment`, a membership's
`version << 16 | segment`, an offsets' or identities' `dataset << 16 | segment`. So all segments
of one term lie together in key order, and no second index is kept (10 M frames: 153 segments).
"""

from __future__ import annotations

from django.db import models

from frames.models.base import BYTES, RowId
from frames.models.dataset import Dataset


class Key(models.Model):
    """A field that frames of a dataset have, such as `meta.weather` or `rois.label`.

    `distinct` counts its text terms; past the limit new texts go into hash buckets and
    `overflowed` is set (frames/index/terms.py).
    """

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=255)
    distinct = models.PositiveIntegerField(default=0)
    overflowed = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dataset", "name"], name="key_in_dataset"),
        ]

    def __str__(self) -> str:
        return self.name


class Term(models.Model):
    """One value, or one range of numbers, of a key. `number` is its lower bound for numbers.

    ANY stands for all values of one type, which its `value` names; LIST for values in a list.
    """

    class Kind(models.IntegerChoices):
        """What the value stands for."""

        TEXT = 0, "text"
        NUMBER = 1, "number"
        BOOLEAN = 2, "boolean"
        NULL = 3, "null"
        HASH_BUCKET = 4, "texts with one hash"
        ANY = 5, "any value"
        LIST = 6, "list"

    key = models.ForeignKey(Key, on_delete=models.CASCADE, related_name="terms", db_index=False)
    kind = models.PositiveSmallIntegerField(choices=Kind.choices)
    # As long as a context's id, which is never cut.
    value = models.CharField(max_length=2048, db_collation=BYTES)
    number = models.FloatField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key", "kind", "value"], name="term_in_key"),
        ]
        indexes = [
            models.Index(
                fields=["key", "number"],
                condition=models.Q(number__isnull=False),
                name="term_by_number",
            ),
        ]

    def __str__(self) -> str:
        return self.value


class Posting(models.Model):
    """The frames, or regions, of one segment that have a term.

    `bitmap` is a serialised roaring bitmap: ordinals of frames, or numbers of regions inside
    the segment. `numbers` are the exact values, float64 in the order of the bitmap, where the
    term stands for a range of them.
    """

    id = RowId(primary_key=True)
    cardinality = models.PositiveIntegerField()
    bitmap = models.BinaryField()
    numbers = models.BinaryField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(cardinality__gt=0), name="posting_not_empty"),
        ]


class Membership(models.Model):
    """The frames of one segment that a version holds: the truth about its content."""

    id = RowId(primary_key=True)
    cardinality = models.PositiveIntegerField()
    bitmap = models.BinaryField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(cardinality__gt=0), name="membership_not_empty"
            ),
        ]


class RegionOffsets(models.Model):
    """Where each frame's regions begin in their segment's dense numbering.

    `offsets` is uint32, one entry a frame of the segment and one more at its end.
    """

    id = RowId(primary_key=True)
    offsets = models.BinaryField()


class Identities(models.Model):
    """Which frame each revision of a segment is one of: equal numbers, one frame id.

    `identities` is uint32, one entry a revision; the number is that of the frame's first
    revision, which need not exist any more.
    """

    id = RowId(primary_key=True)
    identities = models.BinaryField()


class Unheld(models.Model):
    """The revisions of a dataset that nothing held when it was last looked at, and when that was.

    Those that nothing holds a grace period later either are collected (frames/actions/garbage.py).
    """

    dataset = models.OneToOneField(
        Dataset, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    seen_at = models.DateTimeField()
    bitmap = models.BinaryField()
