"""An audit event: who did what, when, to what. Never changed, never deleted.

The database's triggers refuse both (frames/migrations); what is refused here says so sooner.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models

from frames.models.base import VisibleQuerySet
from frames.models.project import Project


class AuditEventQuerySet(VisibleQuerySet["AuditEvent"]):
    """Audit events by who may see them; they cannot be changed or deleted."""

    def update(self, **kwargs: Any) -> int:
        """Refuse: the log is append-only."""
        raise TypeError("audit events are append-only")

    def bulk_create(self, *args: Any, **kwargs: Any) -> list[AuditEvent]:
        """Insert; raise TypeError where rows that exist would be changed."""
        if kwargs.get("update_conflicts"):
            raise TypeError("audit events are append-only")
        return super().bulk_create(*args, **kwargs)

    def delete(self) -> tuple[int, dict[str, int]]:
        """Refuse: the log is append-only."""
        raise TypeError("audit events are append-only")


class AuditEvent(models.Model):
    """One act. `object_uid`, `object_name` and `dataset_uid` outlive what they name.

    `dataset_uid` is that of the dataset the object is or belongs to, empty for a project.
    """

    at = models.DateTimeField(auto_now_add=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    verb = models.CharField(max_length=64)
    project = models.ForeignKey(
        Project, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    object_kind = models.CharField(max_length=32)
    object_uid = models.CharField(max_length=32)
    object_name = models.CharField(max_length=255)
    dataset_uid = models.CharField(max_length=32, blank=True)
    details = models.JSONField(default=dict, blank=True)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [
            # Each filter of the audit page, in the page's order.
            models.Index(fields=["-at", "-id"], name="audit_newest"),
            models.Index(fields=["project", "-at", "-id"], name="audit_of_a_project"),
            models.Index(fields=["dataset_uid", "-at", "-id"], name="audit_of_a_dataset"),
            models.Index(fields=["object_uid", "-at", "-id"], name="audit_of_an_object"),
            models.Index(fields=["actor", "-at", "-id"], name="audit_of_a_person"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.verb} {self.object_kind} {self.object_name}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert; raise TypeError for a row that exists already."""
        if self.pk is not None:
            raise TypeError("audit events are append-only")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Refuse: the log is append-only."""
        raise TypeError("audit events are append-only")
