"""A data view: a saved query over versions."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from frames.models.base import VisibleQuerySet, new_uid
from frames.models.project import Project


class DataViewQuerySet(VisibleQuerySet["DataView"]):
    """Data views by who may see them and by state."""

    def active(self) -> DataViewQuerySet:
        """Keep those that are not in the archive."""
        return self.filter(archived_at__isnull=True)

    def archived(self) -> DataViewQuerySet:
        """Keep those in the archive."""
        return self.filter(archived_at__isnull=False)


class DataView(models.Model):
    """A saved query over versions of any datasets: which frames, under which labels, in what order.

    `definition` is the query (frames/search/view_definition.py). It names datasets and versions by
    their public ids and not by keys, since a view outlives what it names: a version that is
    deleted leaves a view that says so.

    What the view held at `saved_at`: `saved_count` frames; `fingerprint`, which tells on this
    installation whether they are still the same; and, where all that it names was published,
    `content_hash`, which is the same wherever the same frames are (docs/views.md), empty until
    it has been computed.
    """

    class Status(models.TextChoices):
        """Draft: can be changed. Published: never changes again."""

        DRAFT = "draft", "Draft"
        PUBLISHED = "published", "Published"

    uid = models.CharField(max_length=32, unique=True, default=new_uid, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="data_views")
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.DRAFT)
    definition = models.JSONField(default=dict)
    saved_at = models.DateTimeField(null=True, blank=True)
    saved_count = models.PositiveBigIntegerField(default=0, editable=False)
    fingerprint = models.CharField(max_length=32, blank=True, editable=False)
    is_pinned = models.BooleanField(default=False, editable=False)
    content_hash = models.CharField(max_length=64, blank=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = DataViewQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=~models.Q(name=""), name="data_view_name_not_empty"),
            models.CheckConstraint(
                condition=models.Q(status="draft", published_at__isnull=True)
                | models.Q(status="published", published_at__isnull=False),
                name="data_view_published_has_a_date",
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="data_view_by_time"),
            models.Index(fields=["name", "id"], name="data_view_by_name"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_draft(self) -> bool:
        """Whether what it asks for can still be changed."""
        return self.status == self.Status.DRAFT

    @property
    def is_archived(self) -> bool:
        """Whether it lies in the archive."""
        return self.archived_at is not None
