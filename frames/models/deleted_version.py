"""What is left of a deleted version: enough to tell who follows an old link."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from frames.models.base import VisibleQuerySet
from frames.models.dataset import Dataset
from frames.models.version import Version


class DeletedVersionQuerySet(VisibleQuerySet["DeletedVersion"]):
    """Deleted versions by who may know of them."""

    grants = "dataset__project__grants"
    deleted = "dataset__deleted_at"


class DeletedVersion(models.Model):
    """A version that is gone; `replaced_by` is the one it was made from."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="deleted_versions")
    uid = models.CharField(max_length=32, unique=True)
    name = models.CharField(max_length=255)
    deleted_at = models.DateTimeField(auto_now_add=True)
    deleted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    replaced_by = models.ForeignKey(
        Version, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    objects = DeletedVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-deleted_at"]

    def __str__(self) -> str:
        return self.name
