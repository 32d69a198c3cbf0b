"""A dataset: a named line of versions."""

from __future__ import annotations

import secrets

from django.conf import settings
from django.db import models

from frames.models.base import Named, VisibleQuerySet, new_uid
from frames.models.project import Project


def new_generation() -> int:
    """Return a number that stands for one state of a dataset: 62 random bits."""
    return secrets.randbits(62)


class DatasetQuerySet(VisibleQuerySet["Dataset"]):
    """Datasets by who may see them."""

    deleted = "deleted_at"

    def live(self) -> DatasetQuerySet:
        """Keep the datasets that nobody has deleted."""
        return self.filter(deleted_at=None)


class Dataset(Named):
    """A named line of versions inside a project.

    `next_ordinal` is the number the next frame revision gets (see `Frame`); it is moved under
    this row's lock, which every writer of the dataset holds. `generation` is a random number that
    every write replaces: whoever caches what was derived from the dataset puts it into the key.
    (A count would come again after a transaction that was rolled back.) A dataset with a
    `deleted_at` is there for nobody any more; a job removes its rows.
    """

    uid = models.CharField(max_length=32, unique=True, default=new_uid, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="datasets")
    description = models.TextField(blank=True)
    tags = models.JSONField(default=list, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    is_example = models.BooleanField(default=False)
    next_ordinal = models.BigIntegerField(default=0, editable=False)
    generation = models.BigIntegerField(default=new_generation, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    updated_at = models.DateTimeField(auto_now_add=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = DatasetQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name_key"],
                condition=models.Q(deleted_at__isnull=True),
                name="dataset_name_in_project",
            ),
            models.CheckConstraint(condition=~models.Q(name=""), name="dataset_name_not_empty"),
            models.CheckConstraint(
                # Bitmaps hold 32-bit ordinals.
                condition=models.Q(next_ordinal__gte=0, next_ordinal__lte=2**32),
                name="dataset_ordinals_fit_32_bits",
            ),
        ]

    def __str__(self) -> str:
        return self.name
