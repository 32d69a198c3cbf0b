"""Importing real files: all of an input or nothing of it, and every problem in its place."""

from __future__ import annotations

import io
import json
import tarfile
import time
import zipfile
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.db.models import Model
from django.test import TestCase
from django.utils import timezone
from PIL import Image

from frames.actions import archives, imports, jobs
from frames.actions.datasets import create_dataset
from frames.index.check import check
from frames.index.reader import DatasetIndex
from frames.models import AuditEvent, Dataset, Frame, Job, Project, Version

if TYPE_CHECKING:
    from pathlib import Path

    from django.contrib.auth.models import User
    from pytest_django import DjangoCaptureOnCommitCallbacks

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """The tasks that were enqueued, which no worker takes here."""
    found: list[tuple[str, dict[str, Any]]] = []
    for module in ("imports", "jobs"):
        monkeypatch.setattr(
            f"frames.actions.{module}.enqueue",
            lambda task, **kwargs: found.append((task, kwargs)),
        )
    return found


def frame(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"f{number}",
        "context_id": "drive",
        "timestamp": number * 33,
        "sources": [{"id": "front", "uri": f"pictures/{number}.jpg", "timestamp": 0}],
        "rois": [{"label": ["car"], "poly": [0, 0, 9, 0, 9, 9], "sources": ["front"]}],
        **changes,
    }


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def run(path: Path, project: Project, **options: Any) -> Job:
    return imports.import_path(str(path), dataset_name="Drives", project=project, **options)


def held(project: Project, name: str = "Drives") -> set[str]:
    version = Version.objects.select_related("dataset").get(
        dataset__project=project, dataset__name=name
    )
    members = DatasetIndex(version.dataset).members(version)
    assert list(check(version.dataset)) == []
    return set(Frame.objects.at(version.dataset, members).values_list("frame_id", flat=True))


def test_a_manifest_is_imported_and_counted(project: Project, tmp_path: Path) -> None:
    manifest = {
        "dataset": {"name": "Theirs", "description": "Driving", "tags": ["night"]},
        "version": {"name": "First", "metadata": {"mask_labels": {"_all_": []}}},
        "frames": [frame(n) for n in range(5)],
    }
    job = run(write(tmp_path / "frames.json", manifest), project)
    assert (job.state, job.imported, job.failed) == (Job.State.DONE, 5, 0)
    dataset = Dataset.objects.get(name="Drives")
    version = dataset.versions.get()
    assert (dataset.description, dataset.tags) == ("Driving", ["night"])
    assert (version.name, version.metadata) == ("First", {"mask_labels": {"_all_": []}})
    assert (version.frame_count, version.annotated_count, version.region_count) == (5, 5, 5)
    source = Frame.objects.get(frame_id="f3").sources.get()
    assert source.uri == (tmp_path / "pictures" / "3.jpg").as_uri()


def test_what_a_header_says_that_cannot_be_kept_is_listed(project: Project, tmp_path: Path) -> None:
    """The frames are imported, and what else it says."""
    manifest = {
        "dataset": {"description": "x" * 10_001, "tags": ["night", "a\nb"]},
        "version": {
            "name": "a\u202eb",
            "description": "First",
            "metadata": {"mask_labels": {"_all_": [{"value": "road"}]}},
        },
        "frames": [frame(1)],
    }
    job = run(write(tmp_path / "one.json", manifest), project)
    assert (job.state, job.imported, job.failed) == (Job.State.DONE, 1, 4)
    assert list(job.errors.order_by("pk").values_list("path", flat=True)) == [
        "version.metadata",
        "dataset.description",
        "dataset.tags",
        "version.name",
    ]
    version = Version.objects.select_related("dataset").get()
    assert (version.name, version.description, version.metadata) == ("Current", "First", {})
    assert (version.dataset.description, version.dataset.tags) == ("", [])


@pytest.mark.parametrize("kind", ["object", "list", "lines"])
def test_m10_each_shape_of_manifest_twice_changes_nothing(
    project: Project, tmp_path: Path, kind: str
) -> None:
    frames = [frame(n) for n in range(3)] + [{"sources": [{"uri": "same.jpg"}]}] * 2
    texts = {
        "object": json.dumps({"frames": frames}),
        "list": json.dumps(frames),
        "lines": "\n".join(json.dumps(f) for f in frames),
    }
    path = write(tmp_path / ("f.jsonl" if kind == "lines" else "f.json"), texts[kind])
    assert run(path, project).imported == 5
    before = list(Frame.objects.values_list("pk", "digest", "saved_ms"))
    again = run(path, project)
    assert (again.imported, again.unchanged, again.failed) == (0, 5, 0)
    assert list(Frame.objects.values_list("pk", "digest", "saved_ms")) == before
    assert len(held(project)) == 5


def test_m10_a_changed_frame_takes_the_place_of_the_old_one(
    project: Project, tmp_path: Path
) -> None:
    run(write(tmp_path / "a.json", [frame(1), frame(2)]), project)
    job = run(write(tmp_path / "a.json", [frame(1, meta={"new": True}), frame(2)]), project)
    assert (job.imported, job.unchanged) == (1, 1)
    assert held(project) == {"f1", "f2"}
    assert Version.objects.get().frame_count == 2
    assert Frame.objects.filter(frame_id="f1").count() == 2


BAD: dict[int, Any] = {
    100: frame(100, timestamp="soon"),
    200: frame(200, sources=[]),
    300: frame(300, rois=[{"label": ["x" * 100_000]}]),
    400: frame(400, sources=[{"uri": "javascript:alert(1)"}]),
    500: frame(0),
    600: "not an object",
    700: frame(700, rois=[{"label": ["car"], "confidence": float("nan")}]),
}


def ten_thousand() -> str:
    return json.dumps({"frames": [BAD.get(n, frame(n)) for n in range(10_000)]})


def test_m10_seven_bad_frames_of_ten_thousand_are_listed_and_the_rest_imported(
    project: Project, tmp_path: Path
) -> None:
    job = run(write(tmp_path / "big.json", ten_thousand()), project)
    assert (job.state, job.imported, job.failed) == (Job.State.DONE, 9_993, 7)
    errors = list(job.errors.all())
    assert [error.index for error in errors] == sorted(BAD)
    assert {error.index: error.path for error in errors} == {
        100: "timestamp",
        200: "sources",
        300: "rois[0].label[0]",
        400: "sources[0].uri",
        500: "id",
        600: "",
        700: "rois[0].confidence",
    }
    assert all(error.reason for error in errors)


def test_m10_a_frame_of_which_one_source_fails_is_not_imported(
    project: Project, tmp_path: Path
) -> None:
    """Nor is a part of it; what the version held of it stays."""
    good = frame(1, sources=[{"id": "left", "uri": "l.jpg"}, {"id": "right", "uri": "r.jpg"}])
    bad = frame(1, sources=[{"id": "left", "uri": "new.jpg"}, {"id": "right"}])
    worse = frame(2, sources=[{"id": "left", "uri": "l.jpg"}, {"id": "right"}])
    run(write(tmp_path / "one.json", [good]), project)
    job = run(write(tmp_path / "two.json", [bad, worse, frame(3)]), project)
    assert (job.imported, job.failed) == (1, 2)
    assert list(job.errors.values_list("index", "path")) == [
        (0, "sources[1].uri"),
        (1, "sources[1].uri"),
    ]
    assert held(project) == {"f1", "f3"}
    assert not Frame.objects.filter(frame_id="f2").exists()
    uris = Frame.objects.get(frame_id="f1").sources.values_list("uri", flat=True)
    assert [uri.rpartition("/")[2] for uri in uris] == ["l.jpg", "r.jpg"]


def test_m10_a_frame_imported_again_keeps_its_addresses(project: Project, tmp_path: Path) -> None:
    path = write(tmp_path / "one.json", [frame(1)])
    run(path, project)
    before = list(Frame.objects.get().sources.values_list("pk", "uri"))
    job = run(path, project)
    assert (job.imported, job.unchanged) == (0, 1)
    assert list(Frame.objects.get().sources.values_list("pk", "uri")) == before


def test_strict_imports_none_of_a_manifest_with_bad_frames(
    project: Project, tmp_path: Path
) -> None:
    run(write(tmp_path / "ok.json", [frame(1)]), project)
    job = run(write(tmp_path / "big.json", ten_thousand()), project, strict=True)
    assert (job.state, job.imported, job.failed) == (Job.State.FAILED, 0, 7)
    assert held(project) == {"f1"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("this is not JSON", "JSON"),
        ("", "empty"),
        ('{"frames": [' + json.dumps(frame(7)) + ", {", ""),
        ('{"frames": [' + json.dumps(frame(7)) + ',{"id": "cut', ""),
        ("[" * 3_000_000, ""),
        ('{"nothing": 1}', ""),
    ],
    ids=["text", "empty", "truncated", "cut inside a string", "brackets", "no frames"],
)
def test_an_input_that_cannot_be_read_changes_nothing(
    project: Project, tmp_path: Path, content: str, said: str
) -> None:
    run(write(tmp_path / "ok.json", [frame(1), frame(7, meta={"old": 1})]), project)
    job = run(write(tmp_path / "bad.json", content), project)
    assert job.state == Job.State.FAILED
    assert said.lower() in job.message.lower()
    assert job.message.endswith("Nothing was imported.")
    assert held(project) == {"f1", "f7"}
    kept = Frame.objects.get(frame_id="f7", meta__old=1)
    version = Version.objects.get()
    assert kept.ordinal in DatasetIndex(version.dataset).members(version)


def test_a_path_that_does_not_exist_is_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(imports.ImportRefused, match="no such file"):
        run(tmp_path / "none.json", project)


def test_a_folder_of_pictures_has_a_card_for_each(project: Project, tmp_path: Path) -> None:
    for name in ("a.png", "b b.jpg"):
        Image.new("RGB", (8, 6)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    job = run(tmp_path, project)
    assert (job.state, job.imported) == (Job.State.DONE, 2)
    contexts = set(Frame.objects.values_list("context_id", flat=True))
    assert contexts == {(tmp_path / name).as_uri() for name in ("a.png", "b b.jpg")}


def test_an_import_goes_on_behind_what_a_lost_worker_had_done(
    project: Project, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.IMPORT_BATCH_FRAMES = 10
    path = write(tmp_path / "f.json", [frame(n) for n in range(35)])
    run(write(tmp_path / "old.json", [frame(5, meta={"old": 1}), frame(99)]), project)

    class Killed(BaseException):
        """Ends a run as kill -9 would: nothing in it is cleaned up."""

    def die(job: Job) -> None:
        if job.position == 20:
            raise Killed

    with pytest.raises(Killed):
        run(path, project, progress=die)
    job = Job.objects.latest("pk")
    assert (job.state, job.position) == (Job.State.RUNNING, 20)
    assert held(project) == {"f5", "f99"}
    imports.run(job.uid)
    job.refresh_from_db()
    assert job.state == Job.State.RUNNING, "its worker may still be alive"

    Job.objects.update(heartbeat_at=timezone.now() - timedelta(hours=1))
    jobs.sweep()
    imports.run(job.uid)
    job.refresh_from_db()
    assert (job.state, job.imported, job.failed) == (Job.State.DONE, 35, 0)
    assert held(project) == {f"f{n}" for n in range(35)} | {"f99"}


def test_a_worker_that_was_thought_lost_leaves_the_job_to_the_next_one(
    project: Project, tmp_path: Path, settings: Any
) -> None:
    """It hung for an hour, another worker did the whole import, and then it woke up."""
    settings.IMPORT_BATCH_FRAMES = 10
    path = write(tmp_path / "f.json", [*(frame(n) for n in range(35)), 7])
    others: list[Job] = []

    def hang(job: Job) -> None:
        if job.position == 20 and not others:
            others.append(job)
            Job.objects.update(heartbeat_at=timezone.now() - timedelta(hours=1))
            jobs.sweep()
            imports.run(job.uid)

    job = run(path, project, progress=hang)
    assert (job.state, job.imported, job.failed) == (Job.State.DONE, 35, 1)
    assert job.errors.count() == 1
    assert held(project) == {f"f{n}" for n in range(35)}
    assert AuditEvent.objects.filter(verb="import").count() == 1


def test_the_sweep_leaves_a_job_alone_that_ends_meanwhile(
    project: Project, sent: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = create_dataset(project=project, name="Drives", actor=None)
    Job.objects.create(
        kind="import", project=project, dataset=dataset, version=dataset.versions.get(), uri="x:"
    )
    Job.objects.update(heartbeat_at=timezone.now() - timedelta(hours=1))

    def read_then_end(*args: Any) -> Job:
        job: Job = Model.from_db.__func__(Job, *args)  # type: ignore[attr-defined]
        jobs.cancel(job)
        return job

    monkeypatch.setattr(Job, "from_db", read_then_end)
    jobs.sweep()
    assert Job.objects.get().state == Job.State.CANCELLED
    assert sent == []


def test_a_slow_archive_does_not_lose_its_worker(
    project: Project, editor: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frames.actions.ahead.WAIT_S", 0.05)
    beats: list[Job] = []
    unpack, keep_alive = archives.unpack, jobs.keep_alive

    def slow(uri: str, folder: Path) -> str:
        time.sleep(0.5)
        return unpack(uri, folder)

    def alive(job: Job) -> None:
        beats.append(job)
        keep_alive(job)

    monkeypatch.setattr("frames.actions.archives.unpack", slow)
    monkeypatch.setattr("frames.actions.jobs.keep_alive", alive)
    job = upload(project, editor, "a.zip", _zip({"f.json": json.dumps([frame(1)]).encode()}))
    assert job.state == Job.State.DONE
    assert beats


def test_a_queue_that_is_gone_takes_no_import_back(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from frames.actions import queue

    def gone(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("the queue is gone")

    monkeypatch.setattr("frames.actions.imports.enqueue", queue.enqueue)
    monkeypatch.setattr("celery.current_app.send_task", gone)
    with TestCase.captureOnCommitCallbacks(execute=True):
        job = run(write(tmp_path / "a.json", [frame(1)]), project)
    assert job.state == Job.State.DONE


def test_the_sweep_sends_lost_jobs_once(
    project: Project, sent: list[tuple[str, dict[str, Any]]]
) -> None:
    dataset = create_dataset(project=project, name="Drives", actor=None)
    job = Job.objects.create(
        kind="import", project=project, dataset=dataset, version=dataset.versions.get(), uri="x:"
    )
    Job.objects.update(heartbeat_at=timezone.now() - timedelta(hours=1))
    jobs.sweep()
    jobs.sweep()
    assert sent == [("frames.run_job", {"job_uid": job.uid})]


def test_two_imports_of_the_same_frames_leave_one_revision_of_each(
    project: Project, tmp_path: Path
) -> None:
    """The second is written while the first stages: what ends last wins, nothing is doubled."""
    first = write(tmp_path / "a.json", [frame(n, meta={"by": "first"}) for n in range(4)])
    second = write(tmp_path / "b.json", [frame(n, meta={"by": "second"}) for n in range(2, 6)])
    done: list[Job] = []

    def meanwhile(job: Job) -> None:
        if not done:
            done.append(job)
            run(second, project)

    run(first, project, progress=meanwhile)
    assert held(project) == {f"f{n}" for n in range(6)}
    assert Version.objects.get().frame_count == 6


def test_of_two_imports_that_overlap_the_one_that_ends_last_wins(
    project: Project, tmp_path: Path
) -> None:
    """The first has staged all before the second begins, and ends while that one runs."""
    first = write(tmp_path / "a.json", [frame(n, meta={"by": "first"}) for n in range(4)])
    second = write(tmp_path / "b.json", [frame(n, meta={"by": "second"}) for n in range(2, 6)])

    class Staged(BaseException):
        """Leaves an import when all is staged, before it is given to the version."""

    def leave(job: Job) -> None:
        raise Staged

    with pytest.raises(Staged):
        run(first, project, progress=leave)
    waiting = Job.objects.get()

    def meanwhile(job: Job) -> None:
        if job.state == Job.State.RUNNING:
            long_ago = timezone.now() - timedelta(hours=1)
            Job.objects.filter(pk=waiting.pk).update(heartbeat_at=long_ago)
            imports.run(waiting.uid)

    run(second, project, progress=meanwhile)
    assert held(project) == {f"f{n}" for n in range(6)}
    version = Version.objects.select_related("dataset").get()
    members = DatasetIndex(version.dataset).members(version)
    writers = dict(Frame.objects.at(version.dataset, members).values_list("frame_id", "meta__by"))
    assert [writers[f"f{n}"] for n in range(6)] == ["first"] * 2 + ["second"] * 4


def test_a_version_published_meanwhile_refuses(project: Project, tmp_path: Path) -> None:
    def publish(job: Job) -> None:
        Version.objects.update(status="published", published_at=timezone.now())

    job = run(write(tmp_path / "a.json", [frame(1)]), project, progress=publish)
    assert job.state == Job.State.FAILED
    assert "published" in job.message
    assert held(project) == set()


def test_a_cancelled_import_leaves_nothing(project: Project, tmp_path: Path, settings: Any) -> None:
    settings.IMPORT_BATCH_FRAMES = 2
    path = write(tmp_path / "a.json", [frame(n) for n in range(9)])
    job = run(path, project, progress=jobs.cancel)
    assert (job.state, job.imported) == (Job.State.CANCELLED, 0)
    assert held(project) == set()


def test_an_import_into_a_published_dataset_goes_into_a_child(
    project: Project, tmp_path: Path
) -> None:
    run(write(tmp_path / "a.json", [frame(1)]), project)
    Version.objects.update(status="published", published_at=timezone.now())
    run(write(tmp_path / "b.json", [frame(2)]), project)
    parent, child = Version.objects.order_by("pk")
    index = DatasetIndex(child.dataset)
    assert len(index.members(parent)) == 1
    assert len(index.members(child)) == 2
    assert child.is_draft
    assert list(child.parents.all()) == [parent]


def test_previews_are_asked_for_what_was_written(
    project: Project, tmp_path: Path, sent: list[tuple[str, dict[str, Any]]]
) -> None:
    run(write(tmp_path / "a.json", [frame(1), frame(2)]), project)
    dataset = Dataset.objects.get()
    assert sent == [
        (
            "frames.plan_previews",
            {"dataset_pk": dataset.pk, "first_ordinal": 0, "end_ordinal": 2},
        )
    ]


def test_imports_are_audited(project: Project, tmp_path: Path) -> None:
    run(write(tmp_path / "a.json", [frame(1)]), project)
    verbs = list(AuditEvent.objects.order_by("pk").values_list("verb", flat=True))
    assert verbs == ["allow media", "create", "start import", "import"]


def test_a_person_cannot_name_a_folder_the_operator_has_not_allowed(
    project: Project, editor: User, tmp_path: Path
) -> None:
    for uri in ("file:///etc/passwd", (tmp_path / "x").as_uri(), "s3://secret/", "ftp://x/y"):
        with pytest.raises(imports.ImportRefused):
            imports.start_import(project=project, dataset_name="D", user=editor, uri=uri)
    assert not Dataset.objects.exists()


def _zip(names: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    return out.getvalue()


def _tar(names: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in names.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("passwords")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return out.getvalue()


def upload(project: Project, user: User, name: str, content: bytes) -> Job:
    job = imports.start_import(
        project=project,
        dataset_name="Drives",
        user=user,
        upload=SimpleUploadedFile(name, content),
    )
    imports.run(job.uid)
    job.refresh_from_db()
    return job


@pytest.mark.parametrize(("name", "pack"), [("drives.zip", _zip), ("drives.tar.gz", _tar)])
def test_an_uploaded_archive_is_unpacked_and_imported(
    project: Project, editor: User, name: str, pack: Any
) -> None:
    content = {"drives/frames.json": json.dumps([frame(1)]).encode(), "drives/pictures/1.jpg": b""}
    job = upload(project, editor, name, pack(content))
    assert (job.state, job.imported) == (Job.State.DONE, 1), job.message
    source = Frame.objects.get().sources.get()
    assert source.uri.endswith("/drives/pictures/1.jpg")


def test_the_same_archive_imported_twice_changes_nothing(project: Project, editor: User) -> None:
    """Without ids: what frames are is derived from where their pictures lie."""
    content = _zip({"a/1.jpg": b"jpeg", "a/2.jpg": b"jpeg"})
    first = upload(project, editor, "pictures.zip", content)
    again = upload(project, editor, "pictures.zip", content)
    assert (first.imported, again.imported, again.unchanged) == (2, 0, 2)


def test_the_same_manifest_uploaded_twice_changes_nothing(project: Project, editor: User) -> None:
    content = json.dumps([{"sources": [{"uri": "1.jpg"}]}]).encode()
    first = upload(project, editor, "frames.json", content)
    again = upload(project, editor, "frames.json", content)
    assert (first.imported, again.imported, again.unchanged) == (1, 0, 1)


def test_an_archive_of_the_operator_is_unpacked_among_the_uploads(
    project: Project, tmp_path: Path
) -> None:
    """Its own folder may be read-only; and what is unpacked goes when no frame shows it."""
    path = tmp_path / "drives.zip"
    path.write_bytes(_zip({"a/1.jpg": b"jpeg"}))
    run(path, project)
    assert [entry.name for entry in tmp_path.iterdir() if "drives" in entry.name] == ["drives.zip"]
    assert "/uploads/" in Frame.objects.get().sources.get().uri
    path.write_bytes(_zip({"a/1.jpg": b"jpeg", "a/2.jpg": b"jpeg"}))
    assert run(path, project).imported == 2


def test_an_archive_of_folders_without_end_is_refused(project: Project, editor: User) -> None:
    job = upload(project, editor, "deep.zip", _zip({"a/" * 2_000 + "1.jpg": b""}))
    assert job.state == Job.State.FAILED
    assert "more than 64 folders" in job.message


@pytest.mark.parametrize("name", ["../../evil.json", "/etc/evil.json", "a/../../evil.json"])
@pytest.mark.parametrize("pack", [_zip, _tar])
def test_an_archive_that_leaves_its_folder_is_refused(
    project: Project, editor: User, name: str, pack: Any
) -> None:
    job = upload(project, editor, "a.zip" if pack is _zip else "a.tgz", pack({name: b"[]"}))
    assert job.state == Job.State.FAILED
    assert "outside" in job.message


def test_an_archive_that_unpacks_to_too_much_is_refused(
    project: Project, editor: User, settings: Any
) -> None:
    settings.ARCHIVE_MAX_BYTES = 1_000_000
    job = upload(project, editor, "bomb.zip", _zip({"zeros.json": bytes(50_000_000)}))
    assert job.state == Job.State.FAILED
    assert "1,000,000 bytes" in job.message


def test_a_damaged_archive_says_so(project: Project, editor: User) -> None:
    job = upload(project, editor, "a.zip", b"PK\x03\x04 no archive")
    assert job.state == Job.State.FAILED
    assert "cannot be unpacked" in job.message


@pytest.mark.parametrize("names", [["a", "a/b.jpg"], ["n" * 300 + ".jpg"]])
def test_an_archive_that_no_folder_can_hold_does_not_tell_where_it_lies(
    project: Project, editor: User, names: list[str], settings: Any
) -> None:
    job = upload(project, editor, "a.zip", _zip(dict.fromkeys(names, b"")))
    assert job.state == Job.State.FAILED
    assert "cannot be unpacked" in job.message
    assert str(settings.VAR_DIR) not in job.message


def test_an_uploads_name_cannot_leave_its_folder(project: Project, editor: User) -> None:
    job = upload(project, editor, "../../../evil.json", json.dumps([frame(1)]).encode())
    assert job.state == Job.State.DONE
    assert "/uploads/" in job.uri
    assert ".." not in job.uri


@pytest.mark.parametrize("name", ["", "   ", "x" * 256, "a\x00b", "a\nb"])
def test_a_name_that_is_none_is_refused(project: Project, editor: User, name: str) -> None:
    with pytest.raises(imports.ImportRefused):
        imports.start_import(
            project=project,
            dataset_name=name,
            user=editor,
            upload=SimpleUploadedFile("a.json", b"[]"),
        )


@pytest.mark.shared_data
def test_camvid_is_what_its_truth_says(project: Project, shared_data: Path) -> None:
    truth = json.loads((shared_data / "camvid" / "truth.json").read_text())
    job = run(shared_data / "camvid" / "frames.json", project)
    assert (job.imported, job.failed) == (truth["frames"], 0)
    from frames.search import pages
    from frames.search.query import FrameQuery

    version = Version.objects.select_related("dataset").get()
    groups = pages.group_page(version, FrameQuery(), 10)
    assert {g.value: g.frames for g in groups.items} == {
        context: len(times) for context, times in truth["contexts"].items()
    }
    for context, times in truth["contexts"].items():
        page = pages.context_page(version, context, FrameQuery(), 100)
        assert page is not None
        assert [row.frame.timestamp for row in page.items] == times
    counts = {c.label: c.frames for c in pages.label_counts(version)}
    assert counts == truth["label_frames"]
    index = DatasetIndex(version.dataset)
    assert {
        label: len(index.region_text("rois.label", label)) for label in truth["label_rois"]
    } == truth["label_rois"]
    assert held(project) == set(Frame.objects.values_list("frame_id", flat=True))


def test_a_committed_import_only_then_sends_its_task(
    project: Project,
    editor: User,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    from frames.actions.queue import enqueue

    monkeypatch.setattr("frames.actions.imports.enqueue", enqueue)
    with django_capture_on_commit_callbacks() as callbacks:
        imports.start_import(
            project=project,
            dataset_name="D",
            user=editor,
            upload=SimpleUploadedFile("a.json", b"[]"),
        )
    assert len(callbacks) == 1


def test_an_import_that_waits_for_its_input_stays_alive_and_can_be_cancelled(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The input is slow, as a COCO file of many GB is while it is being sorted."""
    monkeypatch.setattr("frames.actions.ahead.WAIT_S", 0.05)
    beats: list[Any] = []

    class Slow:
        """Reads nothing for a minute."""

        def __init__(self, *args: Any) -> None:
            time.sleep(60)

    monkeypatch.setattr("frames.actions.imports.open_reader", Slow)

    def alive(job: Job) -> None:
        keep_alive(job)
        beats.append(Job.objects.get(pk=job.pk).heartbeat_at)
        if len(beats) == 3:
            jobs.cancel(job)

    keep_alive = jobs.keep_alive
    monkeypatch.setattr("frames.actions.jobs.keep_alive", alive)
    monkeypatch.setattr("frames.actions.ahead._GRACE_S", 0.1)
    job = run(write(tmp_path / "a.json", [frame(1)]), project)
    assert job.state == Job.State.CANCELLED
    assert beats == sorted(set(beats))
    assert len(beats) == 3


def test_a_full_disk_leaves_the_job_to_go_on(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the frames nor the job's end can be written; with room, the rest is imported."""
    path = write(tmp_path / "a.json", [frame(n) for n in range(3)])

    def full(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("frames.actions.imports.Stager.stage", full)
        patch.setattr("frames.actions.jobs.finish", full)
        with pytest.raises(CommandError, match=r"disk is full\. Nothing was imported\. Make room"):
            call_command("import_frames", str(path), dataset="Drives", project=project.name)
    job = Job.objects.get()
    assert job.state == Job.State.RUNNING
    Job.objects.update(heartbeat_at=timezone.now() - timedelta(hours=1))
    imports.run(job.uid)
    job.refresh_from_db()
    assert (job.state, job.imported) == (Job.State.DONE, 3)
