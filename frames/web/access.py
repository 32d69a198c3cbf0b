"""Who may enter which page: what one may not see is not there (404), what one may not do is 403."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef
from django.http import Http404
from django.shortcuts import get_object_or_404

from frames.models import (
    AuditEvent,
    Dataset,
    DataView,
    DeletedVersion,
    Grant,
    Job,
    Preview,
    Project,
    Source,
    Version,
)
from frames.models.frame import ORDINAL_BITS

if TYPE_CHECKING:
    from collections.abc import Collection

    from django.contrib.auth.models import User


class VersionGone(Http404):
    """The version that was asked for has been deleted; the answer is 410 and says so."""

    def __init__(self, deleted: DeletedVersion) -> None:
        super().__init__()
        self.deleted = deleted


class DatasetGone(Http404):
    """The dataset that was asked for, or the one of that version, has been deleted; also 410."""

    def __init__(self, event: AuditEvent) -> None:
        super().__init__()
        self.event = event


def project_or_404(user: User, project_uid: str) -> Project:
    """Return a project the user is in."""
    _refuse_null(project_uid)
    return get_object_or_404(Project.objects.visible_to(user), uid=project_uid)


def dataset_or_404(user: User, dataset_uid: str) -> Dataset:
    """Return a dataset of a project the user is in, with its project.

    Raises DatasetGone for one that was deleted.
    """
    datasets = Dataset.objects.visible_to(user).select_related("project")
    try:
        return get_object_or_404(datasets, uid=dataset_uid)
    except Http404:
        # All that is left of it once its rows are removed.
        events = AuditEvent.objects.visible_to(user).select_related("project", "actor")
        event = events.filter(object_uid=dataset_uid, object_kind="dataset", verb="delete").first()
        if event is None:
            raise
        raise DatasetGone(event) from None


def version_or_404(user: User, dataset_uid: str, version_uid: str) -> Version:
    """Return a version of a project the user is in, with its dataset and project.

    Raises VersionGone for one that was deleted, DatasetGone where all of its dataset was.
    """
    _refuse_null(version_uid)
    versions = Version.objects.visible_to(user).select_related("dataset__project", "created_by")
    try:
        return get_object_or_404(versions, uid=version_uid, dataset__uid=dataset_uid)
    except Http404:
        gone = DeletedVersion.objects.visible_to(user).select_related(
            *("dataset", "deleted_by", "replaced_by")
        )
        deleted = gone.filter(uid=version_uid, dataset__uid=dataset_uid).first()
        if deleted is not None:
            raise VersionGone(deleted) from None
        dataset_or_404(user, dataset_uid)
        raise


def job_or_404(user: User, job_uid: str) -> Job:
    """Return a job of a project the user is in, with its project, dataset and version.

    It outlives these: a deleted dataset is none, also while its rows are still being removed.
    Of the list of a data view the user must see every dataset that is in it.
    """
    jobs = Job.objects.visible_to(user).select_related("project", "dataset", "version")
    # The bitmaps an import goes on with can be megabytes, and the page is asked every second.
    jobs = jobs.defer("staged", "replaced", "seen", "selected")
    job = get_object_or_404(jobs, uid=job_uid)
    named = job.options.get("datasets", [])
    if named and Dataset.objects.visible_to(user).filter(uid__in=named).count() < len(named):
        raise Http404
    if job.dataset is not None and job.dataset.deleted_at is not None:
        job.dataset = job.version = None
    return job


def view_or_404(user: User, view_uid: str) -> DataView:
    """Return a data view of a project the user is in, with its project."""
    views = DataView.objects.visible_to(user).select_related("project", "created_by")
    return get_object_or_404(views, uid=view_uid)


def previews_of(user: User, keys: list[str]) -> list[Preview]:
    """Return those of the previews that belong to projects the user is in."""
    visible = Project.objects.visible_to(user).filter(pk=OuterRef("project"))
    keys = [key for key in keys if "\x00" not in key]
    return list(Preview.objects.filter(Exists(visible), pk__in=keys))


def preview_or_404(user: User, key: str) -> Preview:
    """Return a preview of a project the user is in, with its project."""
    projects = Project.objects.visible_to(user)
    previews = Preview.objects.filter(project__in=projects).select_related("project")
    return get_object_or_404(previews, pk=key)


def source_or_404(user: User, source_pk: int) -> tuple[Source, Project]:
    """Return a source of a project the user is in, and that project."""
    source = get_object_or_404(Source, pk=source_pk)
    datasets = Dataset.objects.visible_to(user).select_related("project")
    dataset = get_object_or_404(datasets, pk=source.frame_id >> ORDINAL_BITS)
    return source, dataset.project


def role_in(user: User, project: Project) -> int:
    """Return the user's role in the project, 0 for none; one query."""
    if user.is_superuser:
        return Grant.Role.ADMIN
    grants = Grant.objects.filter(project=project, user=user)
    return grants.values_list("role", flat=True).first() or 0


def roles_in(user: User, project_pks: Collection[int]) -> dict[int, int]:
    """Return the user's role in each of some projects, 0 for none; one query."""
    if user.is_superuser:
        return dict.fromkeys(project_pks, Grant.Role.ADMIN)
    grants = Grant.objects.filter(project__in=project_pks, user=user)
    return {**dict.fromkeys(project_pks, 0), **dict(grants.values_list("project", "role"))}


def may(user: User, project: Project, role: Grant.Role) -> bool:
    """Tell whether the user has at least this role in the project; one query."""
    return role_in(user, project) >= role


def require(user: User, project: Project, role: Grant.Role) -> None:
    """Raise PermissionDenied unless the user has at least this role in the project."""
    if not may(user, project, role):
        raise PermissionDenied


def editable_projects(user: User) -> list[Project]:
    """Return the projects the user may change, by name."""
    if user.is_superuser:
        return list(Project.objects.all())
    editors = Grant.objects.filter(user=user, role__gte=Grant.Role.EDITOR)
    return list(Project.objects.filter(pk__in=editors.values("project")))


def administered_projects(user: User) -> list[Project]:
    """Return the projects the user is an admin of, by name."""
    if user.is_superuser:
        return list(Project.objects.all())
    admins = Grant.objects.filter(user=user, role=Grant.Role.ADMIN)
    return list(Project.objects.filter(pk__in=admins.values("project")))


def _refuse_null(uid: str) -> None:
    """Raise Http404 for what is no id; PostgreSQL refuses to be asked for a null character."""
    if "\x00" in uid:
        raise Http404
