"""Writing the audit log: every action calls this inside its own transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from frames.models import AuditEvent, Dataset, Version

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from frames.models import DataView, Project


def record(
    verb: str,
    target: Project | Dataset | Version | DataView,
    *,
    project: Project,
    actor: User | None,
    **details: Any,
) -> None:
    """Append what was done to something named; `actor` is None for the operator."""
    dataset = target.dataset if isinstance(target, Version) else target
    AuditEvent.objects.create(
        verb=verb,
        actor=actor,
        project=project,
        object_kind=type(target).__name__.lower(),
        object_uid=target.uid,
        object_name=target.name,
        dataset_uid=dataset.uid if isinstance(dataset, Dataset) else "",
        details=details,
    )
