"""Making projects, and making and describing datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.utils import timezone

from frames.actions import audit
from frames.actions.fields import (
    Refused,
    clean_description,
    clean_metadata,
    clean_name,
    clean_tags,
    refuse_taken,
)
from frames.actions.frames import lock_dataset
from frames.models import Dataset, Grant, Project, Version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.contrib.auth.models import User

CURRENT: Final = "Current"


@transaction.atomic
def create_project(*, name: str, actor: User | None, description: str = "") -> Project:
    """Make a project whose maker is its admin. Raises Refused."""
    name = clean_name(name, "project")
    if Project.objects.filter(name=name).exists():
        raise Refused(f"There is a project named {name} already.")
    project = Project.objects.create(name=name, description=description)
    if actor is not None:
        Grant.objects.create(project=project, user=actor, role=Grant.Role.ADMIN)
    audit.record("create", project, project=project, actor=actor)
    return project


def create_dataset(
    *,
    project: Project,
    name: str,
    actor: User | None,
    description: str = "",
    is_example: bool = False,
) -> Dataset:
    """Make a dataset with one empty draft. Raises Refused."""
    name = clean_name(name, "dataset")
    description = clean_description(description)
    with transaction.atomic():
        _lock_project(project)
        refuse_taken(name, project.datasets.live(), project, "dataset")
        dataset = Dataset.objects.create(
            project=project,
            name=name,
            description=description,
            is_example=is_example,
            created_by=actor,
            updated_by=actor,
        )
        Version.objects.create(dataset=dataset, name=CURRENT, created_by=actor)
        audit.record("create", dataset, project=project, actor=actor)
    return dataset


def update_dataset(
    dataset: Dataset,
    *,
    actor: User | None,
    name: str | None = None,
    description: str | None = None,
    tags: Sequence[str] | None = None,
    metadata: Any = None,
) -> Dataset:
    """Change what is said of a dataset. Raises Refused."""
    with transaction.atomic():
        project = _lock_project(dataset.project)
        dataset = lock_dataset(dataset.pk)
        dataset.project = project
        changed: dict[str, Any] = {}
        if name is not None:
            changed["name"] = clean_name(name, "dataset")
            others = project.datasets.live().exclude(pk=dataset.pk)
            refuse_taken(changed["name"], others, project, "dataset")
        if description is not None:
            changed["description"] = clean_description(description)
        if tags is not None:
            changed["tags"] = clean_tags(tags)
        if metadata is not None:
            changed["metadata"] = clean_metadata(metadata)
        before = {field: getattr(dataset, field) for field in changed}
        for field, value in changed.items():
            setattr(dataset, field, value)
        dataset.updated_at = timezone.now()
        dataset.updated_by = actor
        dataset.save(update_fields=[*changed, "updated_at", "updated_by"])
        audit.record("update", dataset, project=project, actor=actor, before=before, after=changed)
    return dataset


def _lock_project(project: Project) -> Project:
    """Return the project's row, locked, so that no two datasets take one name."""
    return Project.objects.select_for_update().get(pk=project.pk)
