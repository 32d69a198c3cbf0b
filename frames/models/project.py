"""A project: the unit of access. Who is not in it sees nothing of it."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from frames.models.base import VisibleQuerySet, new_uid


class ProjectQuerySet(VisibleQuerySet["Project"]):
    """Projects by who may see them."""

    grants = "grants"


class Project(models.Model):
    """A named group of datasets with members.

    `media_allow` lists the URI prefixes (file:///srv/a/, s3://bucket/prefix/, https://host/)
    that this project's sources may be read from, beside the operator's MEDIA_ALLOW.
    """

    uid = models.CharField(max_length=32, unique=True, default=new_uid, editable=False)
    name = models.CharField(max_length=255, unique=True)
    description = models.TextField(blank=True)
    media_allow = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=~models.Q(name=""), name="project_name_not_empty"),
        ]

    def __str__(self) -> str:
        return self.name


class Grant(models.Model):
    """What one person may do in one project. Each role includes the one before it."""

    class Role(models.IntegerChoices):
        """Viewer: read. Editor: change drafts. Admin: publish, delete, grant."""

        VIEWER = 10, "viewer"
        EDITOR = 20, "editor"
        ADMIN = 30, "admin"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="grants")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="grants"
    )
    role = models.PositiveSmallIntegerField(choices=Role.choices, default=Role.VIEWER)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="grant_once_per_person"),
            models.CheckConstraint(condition=models.Q(role__in=[10, 20, 30]), name="grant_role"),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.get_role_display()} of {self.project}"
