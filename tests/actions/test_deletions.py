"""Deleting a dataset: what it asks for, that it is gone at once, and that its rows go."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.utils import timezone

from frames.actions import deletions, jobs, versions
from frames.actions.datasets import create_dataset, update_dataset
from frames.actions.fields import Refused
from frames.index.check import check
from frames.index.reader import DatasetIndex
from frames.models import (
    AuditEvent,
    Dataset,
    DeletedVersion,
    Job,
    Project,
    Version,
)
from tests.factories import add_frames, make_frame, make_version

if TYPE_CHECKING:
    from django.contrib.auth.models import User

pytestmark = pytest.mark.django_db

# What belongs to datasets and versions, by table.
TABLES = (
    *("dataset", "version", "version_parents", "deletedversion", "frame", "source", "key", "term"),
    *("posting", "membership", "regionoffsets", "identities"),
)


def counts() -> dict[str, int]:
    """Return how many rows each table has."""
    found = {}
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT COUNT(*) FROM frames_{table}")
            found[table] = cursor.fetchone()[0]
    return found


def filled(project: Project) -> Dataset:
    """Return a dataset with two published versions, two drafts and a deleted one."""
    frames = [
        make_frame(f"f{n}", context_id=f"drive {n % 4}", labels=["car", f"label {n}"])
        for n in range(20)
    ]
    version = make_version(project, frames)
    release, current = versions.snapshot(version, actor=None, reason="unchecked", name="v1")
    add_frames(current, [make_frame("f1", labels=["bus"]), make_frame("new")])
    versions.snapshot(current, actor=None, reason="unchecked", name="v2")
    draft = versions.create_version(
        dataset=version.dataset, name="draft", parents=[release], actor=None
    )
    versions.create_version(dataset=version.dataset, name="other", parents=[release], actor=None)
    versions.delete_version(draft, actor=None)
    return Dataset.objects.get(pk=version.dataset_id)


def delete(dataset: Dataset) -> Job:
    """Delete a dataset with all it has."""
    return deletions.delete_dataset(
        dataset, actor=None, confirmation=dataset.name, delete_all_versions=True, force=True
    )


def test_m9_an_empty_dataset_is_deleted_by_its_name_alone(project: Project) -> None:
    dataset = create_dataset(project=project, name="Empty", actor=None)
    job = deletions.delete_dataset(dataset, actor=None, confirmation=" Empty ")
    deletions.run(job.uid)
    assert not Dataset.objects.exists()


@pytest.mark.parametrize("typed", ["", "empty", "Empt", "Empty 2"])
def test_m9_another_name_deletes_nothing(project: Project, typed: str) -> None:
    dataset = create_dataset(project=project, name="Empty", actor=None)
    with pytest.raises(Refused, match="Type the dataset's name, Empty"):
        deletions.delete_dataset(dataset, actor=None, confirmation=typed)
    assert Dataset.objects.live().exists()


def test_m9_drafts_with_frames_want_delete_all_versions(project: Project) -> None:
    dataset = make_version(project, [make_frame("a")]).dataset
    for force in (False, True):
        with pytest.raises(Refused, match="has frames"):
            deletions.delete_dataset(dataset, actor=None, confirmation=dataset.name, force=force)
    deletions.delete_dataset(
        dataset, actor=None, confirmation=dataset.name, delete_all_versions=True
    )
    assert not Dataset.objects.live().exists()


def test_m9_published_versions_want_force(project: Project) -> None:
    dataset = filled(project)
    with pytest.raises(Refused, match="has published versions"):
        deletions.delete_dataset(
            dataset, actor=None, confirmation=dataset.name, delete_all_versions=True
        )
    assert Dataset.objects.live().exists()
    delete(dataset)
    assert not Dataset.objects.live().exists()


def test_a_deleted_dataset_is_hidden_at_once_and_its_name_is_free(
    project: Project, viewer: User, admin: User
) -> None:
    dataset = filled(project)
    delete(dataset)
    admin.is_superuser = True
    for user in (viewer, admin):
        assert not Dataset.objects.visible_to(user).exists()
        assert not Version.objects.visible_to(user).exists()
        assert not DeletedVersion.objects.visible_to(user).exists()
    assert create_dataset(project=project, name=dataset.name, actor=None).pk != dataset.pk


def test_nothing_is_written_to_a_deleted_dataset(project: Project) -> None:
    version = make_version(project, [make_frame("a")])
    delete(version.dataset)
    with pytest.raises(Refused, match="has been deleted"):
        add_frames(version, [make_frame("b")])
    with pytest.raises(Refused, match="has been deleted"):
        versions.create_version(dataset=version.dataset, name="new", actor=None)
    with pytest.raises(Refused, match="has been deleted"):
        versions.publish(version, actor=None, reason="unchecked")
    with pytest.raises(Refused, match="has been deleted"):
        update_dataset(version.dataset, actor=None, name="renamed")
    with pytest.raises(Refused, match="has been deleted"):
        delete(version.dataset)


def test_nothing_is_deleted_under_a_job(project: Project) -> None:
    version = make_version(project, [make_frame("a")])
    jobs.create(
        Job.Kind.IMPORT, project=project, dataset=version.dataset, version=version, actor=None
    )
    with pytest.raises(Refused, match="A job works on"):
        delete(version.dataset)


def test_the_job_removes_all_rows_of_its_dataset_and_no_others(project: Project) -> None:
    kept = filled(project)
    before = counts()
    dataset = filled(project)
    job = delete(dataset)
    deletions.run(job.uid)
    assert counts() == before
    job.refresh_from_db()
    assert (job.state, job.message) == (Job.State.DONE, f"{dataset.name} is removed.")
    assert list(check(kept)) == []
    release = Version.objects.get(dataset=kept, name="v1")
    assert len(DatasetIndex(kept).members(release)) == 20


def test_previews_that_nothing_shows_any_more_are_collected(project: Project) -> None:
    job = delete(make_version(project, [make_frame("a")]).dataset)
    deletions.run(job.uid)
    assert Job.objects.get(kind=Job.Kind.COLLECT).project == project


class Killed(BaseException):
    """What no code under test may catch, as it cannot a kill -9."""


@pytest.mark.parametrize("batch", range(1, 40, 3))
def test_a_killed_deletion_goes_on_where_it_stopped(
    project: Project, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletions, "FRAMES_PER_BATCH", 5)
    monkeypatch.setattr(deletions, "TERMS_PER_BATCH", 4)
    monkeypatch.setattr(deletions, "VERSIONS_PER_BATCH", 1)
    filled(project)
    before = counts()
    job = delete(filled(project))
    renew = jobs.renew
    left = iter(range(batch))

    def die(job: Job) -> None:
        renew(job)
        if next(left, None) is None:
            raise Killed

    monkeypatch.setattr(jobs, "renew", die)
    with pytest.raises(Killed):
        deletions.run(job.uid)
    assert counts() != before
    monkeypatch.setattr(jobs, "renew", renew)
    Job.objects.filter(pk=job.pk).update(heartbeat_at=timezone.now() - timedelta(minutes=5))
    deletions.run(job.uid)
    assert counts() == before


def test_a_deletion_cannot_be_cancelled(project: Project) -> None:
    job = delete(filled(project))
    jobs.cancel(job)
    deletions.run(job.uid)
    job.refresh_from_db()
    assert job.state == Job.State.DONE
    assert not any(counts().values())


def test_a_deletion_that_failed_is_started_again_after_an_hour(project: Project) -> None:
    job = delete(filled(project))
    Dataset.objects.update(deleted_at=timezone.now() - timedelta(hours=3))
    deletions.sweep()
    assert Job.objects.filter(kind=Job.Kind.DELETE).count() == 1  # it is still queued
    Job.objects.update(state=Job.State.FAILED, finished_at=timezone.now())
    deletions.sweep()
    assert Job.objects.filter(kind=Job.Kind.DELETE).count() == 1  # it failed just now
    Job.objects.update(finished_at=timezone.now() - timedelta(hours=2))
    deletions.sweep()
    again = Job.objects.filter(kind=Job.Kind.DELETE).exclude(pk=job.pk).get()
    deletions.run(again.uid)
    assert not Dataset.objects.exists()


def test_a_deletion_that_comes_twice_does_no_harm(project: Project) -> None:
    job = delete(filled(project))
    deletions.run(job.uid)
    before = counts()
    Job.objects.filter(pk=job.pk).update(state=Job.State.QUEUED, finished_at=None)
    deletions.run(job.uid)
    assert counts() == before


def test_a_deletion_is_in_the_audit_log(project: Project, admin: User) -> None:
    dataset = filled(project)
    deletions.delete_dataset(
        dataset, actor=admin, confirmation=dataset.name, delete_all_versions=True, force=True
    )
    event = AuditEvent.objects.get(verb="delete", object_kind="dataset")
    assert (event.actor, event.object_uid) == (admin, dataset.uid)
    assert event.details == {"drafts": 2, "published": 2, "frames": 82}
