"""Making projects and datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import IntegrityError, transaction

from frames.actions import audit
from frames.models import Dataset, Grant, Project, Version

if TYPE_CHECKING:
    from django.contrib.auth.models import User

CURRENT: Final = "Current"
NAME_MAX_CHARS: Final = 255


class Refused(Exception):
    """What was asked cannot be done; the message says why and what to do."""


def clean_name(name: str, what: str) -> str:
    """Return a name without surrounding blanks; raise Refused if it cannot be one."""
    name = name.strip()
    if not name:
        raise Refused(f"Give the {what} a name.")
    if len(name) > NAME_MAX_CHARS:
        raise Refused(f"The {what}'s name is longer than {NAME_MAX_CHARS} characters.")
    if not name.isprintable():
        raise Refused(f"The {what}'s name holds control characters.")
    return name


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
    try:
        with transaction.atomic():
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
    except IntegrityError as error:
        raise Refused(f"{project.name} has a dataset named {name} already.") from error
    return dataset
