"""A data view: a saved query over versions."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from frames.models.base import VisibleQuerySet, new_uid
from frames.models.project import Project
from frames.models.version import Version


class DataViewQuerySet(VisibleQuerySet["DataView"]):
    """Data views by who may see them."""


class DataView(models.Model):
    """A saved query over one or more versions of a project's datasets."""

    class Status(models.TextChoices):
        """Draft: can be changed. Published: never changes again."""

        DRAFT = "draft", "Draft"
        PUBLISHED = "published", "Published"

    uid = models.CharField(max_length=32, unique=True, default=new_uid, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="data_views")
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.DRAFT)
    query = models.JSONField(default=dict)
    versions = models.ManyToManyField(Version, related_name="data_views", blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = DataViewQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at"]
        constraints = [
            models.CheckConstraint(condition=~models.Q(name=""), name="data_view_name_not_empty"),
        ]

    def __str__(self) -> str:
        return self.name
