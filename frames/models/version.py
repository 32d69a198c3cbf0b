"""A version of a dataset: a set of frame revisions, editable while it is a draft."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from frames.models.base import Named, VisibleQuerySet, new_uid
from frames.models.dataset import Dataset


class VersionQuerySet(VisibleQuerySet["Version"]):
    """Versions by who may see them and by status."""

    grants = "dataset__project__grants"
    deleted = "dataset__deleted_at"

    def drafts(self) -> VersionQuerySet:
        """Keep the versions that can still be changed."""
        return self.filter(status=Version.Status.DRAFT)

    def published(self) -> VersionQuerySet:
        """Keep the versions that never change again."""
        return self.filter(status=Version.Status.PUBLISHED)


class Version(Named):
    """A set of frame revisions with a name and parents.

    The counts are kept by the actions that write frames, so that no page counts rows:
    `frame_count` frames, `annotated_count` of them with at least one region, `region_count`.
    `sample` are the ordinals of a few frames, spread over all, to show on the dataset's card.
    """

    SAMPLE_FRAMES = 4

    class Status(models.TextChoices):
        """Draft: can be changed. Published: never changes again."""

        DRAFT = "draft", "Draft"
        PUBLISHED = "published", "Published"

    uid = models.CharField(max_length=32, unique=True, default=new_uid, editable=False)
    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="versions")
    description = models.TextField(blank=True)
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.DRAFT)
    parents = models.ManyToManyField("self", symmetrical=False, related_name="children", blank=True)
    tags = models.JSONField(default=list, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    frame_count = models.PositiveBigIntegerField(default=0, editable=False)
    annotated_count = models.PositiveBigIntegerField(default=0, editable=False)
    region_count = models.PositiveBigIntegerField(default=0, editable=False)
    sample = models.JSONField(default=list, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True, blank=True)

    objects = VersionQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "name_key"], name="version_name_in_dataset"),
            models.CheckConstraint(condition=~models.Q(name=""), name="version_name_not_empty"),
            models.CheckConstraint(
                condition=models.Q(status="draft", published_at__isnull=True)
                | models.Q(status="published", published_at__isnull=False),
                name="version_published_has_a_date",
            ),
            models.CheckConstraint(
                condition=models.Q(annotated_count__lte=models.F("frame_count")),
                name="version_annotated_within_frames",
            ),
        ]
        indexes = [
            # What the panel lists: the few updated last of a dataset with thousands of versions.
            models.Index(fields=["dataset", "-updated_at", "-id"], name="version_updated_last"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_draft(self) -> bool:
        """Whether frames can still be added, changed and deleted."""
        return self.status == self.Status.DRAFT
