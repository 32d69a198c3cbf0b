"""Collecting garbage: all that nothing needs goes, and nothing else, whatever goes on beside it."""

from __future__ import annotations

import io
import json
import os
import zipfile
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as site
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone
from hypothesis.stateful import Bundle, consumes, invariant, rule, run_state_machine_as_test

from frames import tasks
from frames.actions import garbage, imports, jobs, previews, versions
from frames.actions.fields import Refused
from frames.actions.frames import (
    Stager,
    VersionNotWritable,
    change_membership,
    lock_dataset,
    lock_draft,
)
from frames.actions.prepare import PreparedBatch
from frames.index.bitmaps import BitMap, dump
from frames.index.check import check
from frames.models import AuditEvent, Dataset, Frame, Job, Preview, Project, Source, Unheld, Version
from frames.previews.storage import has_preview, save_preview
from tests.actions.test_versions import Lineages, numbers
from tests.factories import add_frames, make_frame, make_version
from tests.properties import tries

if TYPE_CHECKING:
    from pathlib import Path

    from django.contrib.auth.models import User
    from django.test import Client

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
Pairs = set[tuple[str, int]]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No worker, nobody to leave the lock to, and empty folders."""
    monkeypatch.setattr(site, "PREVIEWS_DIR", tmp_path / "previews")
    monkeypatch.setattr(site, "UPLOADS_DIR", tmp_path / "uploads")
    monkeypatch.setattr("frames.actions.garbage.time.sleep", lambda spent: None)
    for module in ("garbage", "imports", "previews"):
        monkeypatch.setattr(f"frames.actions.{module}.enqueue", lambda task, **kwargs: None)


def age(hours: int = 25) -> None:
    """Let time pass for all that waits for its grace period to end."""
    for unheld in Unheld.objects.all():
        unheld.seen_at -= timedelta(hours=hours)
        unheld.save()
    Preview.objects.update(updated_at=timezone.now() - timedelta(hours=hours))
    Job.objects.exclude(finished_at=None).update(
        finished_at=timezone.now() - timedelta(hours=hours)
    )


def collect(project: Project, *, grace: timedelta = timedelta(), **options: Any) -> Any:
    job = garbage.collect_now(project, grace_s=round(grace.total_seconds()), **options)
    assert job.state == Job.State.DONE, job.message
    return garbage.Collected(**job.result)


def note_edit(draft: Version, replaced: BitMap) -> None:
    """Keep what would undo an edit."""
    Job.objects.create(
        kind=Job.Kind.EDIT,
        state=Job.State.DONE,
        finished_at=timezone.now(),
        project=draft.dataset.project,
        dataset=draft.dataset,
        version=draft,
        replaced=dump(replaced),
    )


def names(version: Version) -> set[str]:
    """Return the ids of the revisions of the version's dataset that have rows, held or not."""
    assert list(check(Dataset.objects.get(pk=version.dataset_id))) == []
    return set(Frame.objects.filter(dataset=version.dataset_id).values_list("frame_id", flat=True))


class Collections(Lineages):
    """Random lineages with imports under way, and collections with and without grace."""

    staged = Bundle("staged")

    def __init__(self) -> None:
        super().__init__()
        self.rows: Pairs = set()
        self.running: dict[int, Pairs] = {}
        self.waiting: Pairs | None = None
        self.is_old = False

    @rule(target=staged, version=Lineages.drafts, ids=numbers)
    def stage(self, version: Version, ids: set[int]) -> tuple[Job, Stager]:
        self.count += 1
        stager, batch = Stager(version), PreparedBatch()
        for n in ids:
            batch.add(n, make_frame(f"f{n}", labels=["car"], meta={"rev": self.count}))
        batch.terms.close()
        stager.stage(batch)
        job = Job.objects.create(
            kind="import",
            state="running",
            project=self.dataset.project,
            dataset=self.dataset,
            staged=dump(stager.staged),
        )
        self.running[job.pk] = {(f"f{n}", self.count) for n in ids}
        return job, stager

    @rule(work=consumes(staged))
    def end(self, work: tuple[Job, Stager]) -> None:
        job, stager = work
        pairs = self.running.pop(job.pk)
        try:
            version = stager.commit()
        except (Version.DoesNotExist, VersionNotWritable, Refused):
            pass
        else:
            self.model[version.pk] |= dict(pairs)
        jobs.finish(job, Job.State.FAILED, "")

    @rule()
    def collect_at_once(self) -> None:
        collect(self.dataset.project)
        self.rows -= self.unheld()
        self.waiting = None

    @rule()
    def collect(self) -> None:
        found = collect(self.dataset.project, grace=DAY)
        unheld = self.unheld()
        due = unheld & (self.waiting or set()) if self.is_old else set()
        self.rows -= due
        assert (found.frames, found.waiting) == (len(due), len(unheld - due))
        if not unheld - due:
            self.waiting = None
        elif self.waiting is None or self.is_old:
            self.waiting, self.is_old = unheld - due, False

    @rule()
    def grow_old(self) -> None:
        age()
        self.is_old = self.waiting is not None

    def unheld(self) -> Pairs:
        needed = [*(set(held.items()) for held in self.model.values()), *self.running.values()]
        return self.rows.difference(*needed)

    @invariant()
    def rows_are_what_is_needed_and_what_waits(self) -> None:
        frames = Frame.objects.filter(dataset=self.dataset)
        found = {
            (frame_id, meta["rev"]) for frame_id, meta in frames.values_list("frame_id", "meta")
        }
        # What was written since is there, and what was collected does not come back.
        assert self.rows <= found
        needed = [*(set(held.items()) for held in self.model.values()), *self.running.values()]
        self.rows |= set().union(*needed)
        self.rows |= {pair for pair in found if pair[1] == self.count}
        assert found == self.rows


def test_what_remains_is_what_a_brute_force_model_needs() -> None:
    run_state_machine_as_test(
        Collections,
        settings=tries(25, steps=20),
    )


@pytest.fixture
def draft(project: Project) -> Version:
    """A draft that has lost three of its five frames."""
    version = make_version(project, [make_frame(f"f{n}", labels=["car"]) for n in range(5)])
    versions.delete_frames(version, ["f0", "f1", "f2"], actor=None)
    return version


def test_nothing_goes_before_its_grace_period_has_ended(project: Project, draft: Version) -> None:
    assert collect(project, grace=DAY) == garbage.Collected(waiting=3)
    age(23)
    assert collect(project, grace=DAY) == garbage.Collected(waiting=3)
    versions.delete_frames(draft, ["f3"], actor=None)
    age(2)
    assert collect(project, grace=DAY) == garbage.Collected(frames=3, waiting=1)
    assert names(draft) == {"f3", "f4"}
    age(24)
    assert collect(project, grace=DAY) == garbage.Collected(frames=1)
    assert not Unheld.objects.exists()


def test_what_is_held_again_stays(project: Project, draft: Version) -> None:
    collect(project, grace=DAY)
    age()
    with transaction.atomic():
        change_membership(lock_draft(draft.pk), add=BitMap([1]), remove=BitMap())
    assert collect(project, grace=DAY).frames == 2
    assert names(draft) == {"f1", "f3", "f4"}


@pytest.mark.parametrize("is_replaced_again", [False, True])
def test_what_is_needed_again_while_it_is_collected_stays(
    is_replaced_again: bool, project: Project, draft: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the reading of a batch and its lock: held again, or kept by an edit of that."""

    def restore_then_lock(dataset_pk: int) -> Dataset:
        monkeypatch.setattr(garbage, "lock_dataset", lock_dataset)
        with transaction.atomic():
            change_membership(lock_draft(draft.pk), add=BitMap([1]), remove=BitMap())
        if is_replaced_again:
            with transaction.atomic():
                change_membership(lock_draft(draft.pk), add=BitMap(), remove=BitMap([1]))
                note_edit(draft, BitMap([1]))
        return lock_dataset(dataset_pk)

    monkeypatch.setattr(garbage, "lock_dataset", restore_then_lock)
    assert collect(project).frames == 2
    assert names(draft) == {"f1", "f3", "f4"}


def test_a_batch_reads_postings_and_jobs_before_its_lock(project: Project, draft: Version) -> None:
    """What there is to read grows with the dataset and its edits, and writers wait for the lock."""
    outside = len(connection.savepoint_ids)
    before: list[str] = []
    under_lock: list[str] = []

    def note(execute: Any, sql: str, *args: Any) -> Any:
        (under_lock if len(connection.savepoint_ids) > outside else before).append(sql)
        return execute(sql, *args)

    with connection.execute_wrapper(note):
        assert collect(project).frames == 3
    assert any(sql.startswith("DELETE FROM frames_frame") for sql in under_lock)
    for read in ("SELECT id, bitmap, numbers", 'SELECT "frames_job"."staged"'):
        assert any(sql.startswith(read) for sql in before)
        assert not any(sql.startswith(read) for sql in under_lock)


def test_what_a_running_job_has_staged_stays_until_the_job_has_failed(
    project: Project, draft: Version
) -> None:
    job = jobs.create(
        Job.Kind.IMPORT, project=project, dataset=draft.dataset, version=draft, actor=None
    )
    Job.objects.filter(pk=job.pk).update(staged=dump(BitMap([0])), replaced=dump(BitMap([1])))
    assert collect(project).frames == 1
    assert names(draft) == {"f0", "f1", "f3", "f4"}
    claimed = jobs.claim(job.uid)
    assert claimed is not None
    jobs.finish(claimed, Job.State.FAILED, "")
    assert collect(project).frames == 2
    assert names(draft) == {"f3", "f4"}


def test_what_an_edit_needs_to_be_undone_stays_while_its_draft_stands(
    project: Project, draft: Version
) -> None:
    note_edit(draft, BitMap([0, 1]))
    assert collect(project).frames == 1
    versions.publish(draft, actor=None, reason="unchecked")
    assert collect(project).frames == 2
    assert names(draft) == {"f3", "f4"}


def test_a_child_keeps_what_its_parent_has_lost(project: Project) -> None:
    version = make_version(project, [make_frame("f0"), make_frame("f1")])
    release, child = versions.snapshot(version, actor=None, reason="unchecked")
    versions.delete_frames(child, ["f0"], actor=None)
    assert collect(project).frames == 0
    versions.delete_version(child, actor=None)
    assert collect(project).frames == 0
    assert names(release) == {"f0", "f1"}


def test_another_project_is_left_alone(project: Project, draft: Version) -> None:
    other = make_version()
    assert collect(other.dataset.project).frames == 0
    assert len(names(draft)) == 5


class Killed(BaseException):
    """Ends a run as kill -9 would: nothing in it is cleaned up."""


def test_a_killed_collection_is_finished_by_the_next_worker(
    project: Project, draft: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(garbage, "BATCH_MIN", 1)
    monkeypatch.setattr(garbage, "BATCH_S", 0)

    def die(job: Job) -> None:
        if job.position == 2:
            raise Killed

    with pytest.raises(Killed):
        collect(project, progress=die)
    assert len(names(draft)) == 3
    job = Job.objects.get(kind=Job.Kind.COLLECT)
    assert (job.state, job.position, job.total) == (Job.State.RUNNING, 2, 3)
    Job.objects.update(heartbeat_at=timezone.now() - timedelta(hours=1))
    tasks.run_job(job.uid)
    job.refresh_from_db()
    assert (job.state, job.position, job.total) == (Job.State.DONE, 3, 3)
    assert job.result["frames"] == 3
    assert names(draft) == {"f3", "f4"}


def test_two_collectors_at_once_remove_everything_once(
    project: Project, draft: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(garbage, "BATCH_MIN", 1)
    monkeypatch.setattr(garbage, "BATCH_S", 0)
    others: list[int] = []

    def another(job: Job) -> None:
        if not others:
            others.append(0)
            others[0] = collect(project).frames

    assert collect(project, progress=another).frames == 1
    assert others == [2]
    assert names(draft) == {"f3", "f4"}


def test_a_collection_can_be_cancelled(
    project: Project, draft: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(garbage, "BATCH_MIN", 1)
    monkeypatch.setattr(garbage, "BATCH_S", 0)
    job = garbage.collect_now(project, grace_s=0, progress=jobs.cancel)
    assert (job.state, job.position) == (Job.State.CANCELLED, 2)
    assert len(names(draft)) == 3


def test_a_dry_run_counts_what_the_run_removes(
    project: Project, draft: Version, tmp_path: Path
) -> None:
    for number, preview in enumerate(planned(draft)):
        keep(preview, b"x" * (number + 1))
    Source.objects.filter(frame__frame_id="f4").update(uri="https://example.com/other.jpg")
    upload(project, "broken.json", b"{")
    expected = garbage.estimate(project, grace_s=0)
    assert expected.frames == 3
    assert len(names(draft)) == 5
    assert garbage.estimate(project, grace_s=0) == expected
    assert collect(project) == expected
    assert garbage.estimate(project, grace_s=0) == garbage.Collected()


def test_dataset_that_is_being_deleted_is_left_to_its_deletion(
    project: Project, draft: Version
) -> None:
    Dataset.objects.filter(pk=draft.dataset_id).update(deleted_at=timezone.now())
    assert collect(project).frames == 0
    assert Frame.objects.count() == 5


# --- previews -------------------------------------------------------------------------------


def planned(version: Version) -> list[Preview]:
    previews.plan(version.dataset_id, 0, Dataset.objects.get(pk=version.dataset_id).next_ordinal)
    return list(Preview.objects.order_by("pk"))


def keep(preview: Preview, data: bytes = b"jpeg") -> None:
    """Make a preview ready, its file stored."""
    save_preview(preview.name, data)
    preview.state, preview.width, preview.height = Preview.State.READY, 1, 1
    preview.bytes = len(data)
    preview.save()


def test_a_preview_goes_with_the_last_frame_that_shows_it(project: Project) -> None:
    shared, own = "https://example.com/shared.jpg", "https://example.com/own.jpg"
    version = make_version(
        project,
        [
            make_frame("a", uri=shared),
            make_frame("b", uri=shared),
            make_frame("c", uri=own),
            make_frame("v", uri="https://example.com/drive.mp4", timestamp=40),
        ],
    )
    for preview in planned(version):
        keep(preview)
    large = Preview.objects.create(key="f" * 40, project=project, uri=own, edge_px=1280)
    versions.delete_frames(version, ["a", "c", "v"], actor=None)
    assert collect(project) == garbage.Collected(frames=3, previews=3, bytes=8)
    left = Preview.objects.get()
    assert (left.uri, has_preview(left.name)) == (shared, True)
    assert not Preview.objects.filter(pk=large.pk).exists()
    assert len([*site.PREVIEWS_DIR.rglob("*.jpg")]) == 1


def test_previews_of_a_failed_import_and_of_retimed_videos_go(project: Project) -> None:
    uri = "https://example.com/drive.mp4"
    version = make_version(project, [make_frame("v", uri=uri, timestamp=40)])
    planned(version)
    add_frames(version, [make_frame("v", uri=uri, timestamp=80)])
    assert len(planned(version)) == 2
    assert collect(project).previews == 1
    assert Preview.objects.get().timestamp_ms == 80


def test_a_preview_that_was_just_asked_for_is_not_collected(project: Project) -> None:
    Preview.objects.create(key="f" * 40, project=project, uri="https://x/a.jpg", edge_px=320)
    assert collect(project, grace=DAY).previews == 0
    age()
    assert collect(project, grace=DAY).previews == 1


def test_preview_files_without_a_row_are_deleted(project: Project) -> None:
    """A project that was deleted leaves them, and so does a worker killed while it wrote."""
    known = Preview.objects.create(key="ab" * 20, project=project, uri="https://x/a", edge_px=320)
    stray = Preview(key="cd" * 20)
    save_preview(known.name, b"jpeg")
    save_preview(stray.name, b"jpeg")
    half = site.PREVIEWS_DIR / f"{known.name}.{'0' * 32}"
    half.write_bytes(b"jp")
    assert garbage.collect_strays() == 0
    for path in site.PREVIEWS_DIR.rglob("*.jpg*"):
        os.utime(path, (0, 0))
    assert garbage.collect_strays() == 2
    assert has_preview(known.name)
    assert not has_preview(stray.name)
    assert not half.exists()


# --- uploads --------------------------------------------------------------------------------


def upload(project: Project, name: str, content: bytes) -> Job:
    job = imports.start_import(
        project=project,
        dataset_name="Uploads",
        user=None,
        upload=SimpleUploadedFile(name, content),
    )
    imports.run(job.uid)
    job.refresh_from_db()
    return job


def archive(uri: str) -> bytes:
    """Return an archive of a picture and of a manifest that names a picture."""
    out = io.BytesIO()
    manifest = [{"id": "f", "sources": [{"id": "front", "uri": uri}]}]
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("frames.json", json.dumps(manifest))
        file.writestr("pictures/1.jpg", b"jpeg")
    return out.getvalue()


def uploads(project: Project) -> set[str]:
    root = site.UPLOADS_DIR / project.uid
    return {path.name for path in root.glob("*/*")} if root.exists() else set()


def test_upload_of_a_failed_import_goes_after_the_grace_period(project: Project) -> None:
    job = upload(project, "broken.json", b"{")
    assert job.state == Job.State.FAILED
    assert collect(project, grace=DAY).uploads == 0
    age()
    [folder] = (site.UPLOADS_DIR / project.uid).iterdir()
    os.utime(folder, (0, 0))
    assert collect(project, grace=DAY) == garbage.Collected(uploads=1, bytes=1)
    assert not folder.exists()


def test_unpacked_pictures_stay_while_a_frame_shows_them(project: Project) -> None:
    """The archive itself is done with; what was unpacked is what the frames are made of."""
    job = upload(project, "drives.zip", archive("pictures/1.jpg"))
    assert job.state == Job.State.DONE, job.message
    collect(project)
    assert uploads(project) == {"drives.zip.unpacked"}
    version = Version.objects.get(dataset__name="Uploads")
    versions.delete_frames(version, ["f"], actor=None)
    assert collect(project).uploads == 1
    assert uploads(project) == set()


def test_unpacked_folder_that_no_frame_shows_goes(project: Project) -> None:
    upload(project, "drives.zip", archive("https://example.com/1.jpg"))
    collect(project)
    assert uploads(project) == set()


def test_upload_that_waits_for_its_import_stays(project: Project) -> None:
    imports.start_import(
        project=project,
        dataset_name="Uploads",
        user=None,
        upload=SimpleUploadedFile("a.json", b"[]"),
    )
    assert collect(project).uploads == 0
    assert uploads(project) == {"a.json"}


# --- who starts it --------------------------------------------------------------------------


def test_sweep_starts_a_collection_a_day_of_each_project(project: Project) -> None:
    tasks.sweep()
    assert not Job.objects.exists(), "a new project has no garbage yet"
    Project.objects.update(created_at=timezone.now() - 2 * DAY)
    tasks.sweep()
    tasks.sweep()
    job = Job.objects.get()
    assert (job.kind, job.project) == (Job.Kind.COLLECT, project)
    assert job.options == {"grace_s": site.GARBAGE_GRACE_S}
    tasks.run_job(job.uid)
    tasks.sweep()
    assert Job.objects.count() == 1
    Job.objects.update(created_at=timezone.now() - DAY, finished_at=timezone.now() - DAY)
    tasks.sweep()
    assert Job.objects.count() == 2


def test_collections_are_audited_where_something_went(
    project: Project, draft: Version, editor: User
) -> None:
    collect(project)
    collect(project)
    event = AuditEvent.objects.get(verb="collect garbage")
    assert event.details == {"frames": 3, "previews": 0, "uploads": 0, "bytes": 0}
    age()
    collect(project, grace=DAY)
    assert Job.objects.filter(kind=Job.Kind.COLLECT).count() == 1


def test_command_says_what_went(
    project: Project, draft: Version, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("collect_garbage", "Streets", "--dry-run", "--grace-hours=0")
    assert capsys.readouterr().out == (
        "Streets: 3 frame revisions, 0 previews, 0 uploads would be removed, 0 bytes of files\n"
    )
    call_command("collect_garbage")
    assert capsys.readouterr().out == (
        "Streets: 0 frame revisions, 0 previews, 0 uploads removed, 0 bytes of files\n"
        "Streets: 3 frame revisions within the grace period\n"
        "0 preview files without a row removed\n"
    )
    call_command("collect_garbage", project.uid, "--grace-hours=0")
    assert capsys.readouterr().out.startswith("Streets: 3 frame revisions")
    with pytest.raises(CommandError, match="no such project: Nowhere"):
        call_command("collect_garbage", "Nowhere")


def test_job_of_a_collection_says_what_went(
    project: Project, draft: Version, client: Client, admin: User
) -> None:
    job = garbage.collect_now(project, grace_s=0)
    client.force_login(admin)
    body = client.get(f"/jobs/{job.uid}/").content.decode()
    assert "<dt>frames removed</dt><dd>3</dd>" in body
