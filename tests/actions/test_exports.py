"""Exports: the frames that matched, whole or not at all, whatever happens meanwhile."""

from __future__ import annotations

import csv
import errno
import io
import json
import zipfile
from datetime import timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.core.files.storage import storages
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from frames.actions import export_content, exports, imports, jobs, versions
from frames.actions.export_content import of_version
from frames.actions.fields import Refused
from frames.actions.frames import change_membership, lock_draft
from frames.formats.singleframe import parse_frame
from frames.formats.writers import OUTPUT_FORMATS
from frames.index import membership
from frames.index.bitmaps import BitMap
from frames.models import AuditEvent, Dataset, Frame, Job, Preview, Source, Version
from frames.previews.spec import PREVIEW_EDGE_PX, spec_for
from frames.search.errors import QueryError
from frames.search.query import FrameQuery
from tests.factories import add_frames, make_frame, make_version
from tests.formats.test_singleframe import frames as frame_values
from tests.properties import tries

if TYPE_CHECKING:
    from pathlib import Path

    from django.contrib.auth.models import User

    from frames.models import Project

pytestmark = pytest.mark.django_db

ALL = FrameQuery()


@pytest.fixture
def version(project: Project) -> Version:
    """Frames of three contexts, written out of their order."""
    frames = [
        make_frame(f"{context}-{number}", context_id=context, timestamp=number, labels=labels)
        for number in (10, 9, 1)
        for context, labels in (("b", ["car"]), ("a", ["bus", "car"]), ("c", []))
    ]
    return make_version(project, frames)


IN_ORDER = [f"{context}-{number}" for context in "abc" for number in (1, 9, 10)]


def start(version: Version, name: str = "jsonl", query: FrameQuery = ALL, **given: Any) -> Job:
    return exports.start_export(
        content=of_version(version, query), format_name=name, **(given or {"actor": None})
    )


def run(version: Version, name: str = "jsonl", query: FrameQuery = ALL) -> Job:
    """Return an export that has ended."""
    job = start(version, name, query)
    exports.run(job.uid)
    job.refresh_from_db()
    return job


def content(job: Job) -> bytes:
    with storages["exports"].open(job.result["file"]) as file:
        data: bytes = file.read()
        return data


def ids(job: Job) -> list[str]:
    return [json.loads(line)["id"] for line in content(job).splitlines()]


def left(job: Job) -> list[str]:
    """Return the names of the files that an export has left."""
    folder: Path = settings.EXPORTS_DIR / job.uid
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_all_frames_are_written_in_order_of_context_time_and_id(version: Version) -> None:
    job = run(version)
    assert (job.state, job.message) == (Job.State.DONE, "")
    assert ids(job) == IN_ORDER
    assert (job.position, job.total) == (9, 9)
    assert job.result["bytes"] == len(content(job))
    assert left(job) == [job.result["file"].rpartition("/")[2]]
    assert job.staged == b""


def test_the_order_goes_on_over_the_chunks(
    version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_content, "CHUNK_FRAMES", 2)
    assert ids(run(version)) == IN_ORDER


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (FrameQuery(label="bus"), ["a-1", "a-9", "a-10"]),
        (FrameQuery(q="timestamp:[9 TO *] AND NOT label:car"), ["c-9", "c-10"]),
        # How the page shows them does not matter.
        (FrameQuery(label="bus", group="none", sort="-id"), ["a-1", "a-9", "a-10"]),
    ],
)
def test_only_what_matches_is_written(
    version: Version, query: FrameQuery, expected: list[str]
) -> None:
    assert ids(run(version, query=query)) == expected


def test_what_is_written_is_what_matched_when_it_was_asked_for(version: Version) -> None:
    """Frames that are added, changed or taken away before the worker comes change nothing."""
    expected = content(run(version))
    job = start(version)
    add_frames(version, [make_frame("a-0", context_id="a", labels=["car"])])
    add_frames(version, [make_frame("b-1", context_id="b", timestamp=1, labels=["changed"])])
    draft = lock_draft(version.pk)
    held = membership.members(draft.pk)
    change_membership(draft, add=BitMap(), remove=BitMap([held.min()]))
    exports.run(job.uid)
    job.refresh_from_db()
    assert content(job) == expected


@pytest.mark.parametrize("output", OUTPUT_FORMATS, ids=lambda output: output.name)
def test_every_format_is_written_and_named(version: Version, output: Any) -> None:
    job = run(version, output.name)
    assert job.state == Job.State.DONE
    assert job.result["file"].endswith(output.suffix)
    data = content(job)
    if output.suffix.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            # All frames show one picture: each has a file all the same.
            assert sum(name.endswith((".txt", ".xml")) for name in archive.namelist()) >= 9
    elif output.name == "parquet":
        assert parquet.read_table(io.BytesIO(data)).column("id").to_pylist() == IN_ORDER
    elif output.name == "coco":
        assert [image["frame_id"] for image in json.loads(data)["images"]] == IN_ORDER
    elif output.name.startswith("csv"):
        rows = csv.DictReader(io.StringIO(data.decode()))
        assert list(dict.fromkeys(row["frame_id"] for row in rows)) == IN_ORDER
    elif output.name == "singleframe":
        assert [frame["id"] for frame in json.loads(data)["frames"]] == IN_ORDER


def test_a_manifest_that_was_imported_comes_back_equal(project: Project, tmp_path: Path) -> None:
    """Dataset and version, every frame, and the keys that Framedeck does not know."""
    manifest = {
        "dataset": {"name": "Streets", "description": "Wet ones", "tags": ["rain"]},
        "version": {"name": "First", "metadata": {"mask_labels": {"_all_": []}}},
        "frames": [
            {
                "id": f"f{number}",
                "context_id": "drive",
                "timestamp": number + 0.5,
                "meta": {"b": [1, {"c": None}], "a": "é", "far": 1e300, "near": -1e-300},
                "num_frames": 1,
                "sources": [
                    {
                        "id": "front",
                        "uri": "https://example.com/a.png",
                        "content_type": "image/png",
                        "width": 10,
                        "height": 20,
                        "timestamp": 33.5,
                        "preview": {"uri": "https://example.com/b.png", "x": 1},
                        "masks": [{"id": 1, "uri": "https://example.com/m.png"}],
                        "meta": {"fov": 90},
                        "lens": "wide",
                    }
                ],
                "rois": [
                    {"label": ["car"], "poly": [1, 2.5, 3, 4, 5, 6], "confidence": 1, "id": "r"},
                    {"label": ["road"], "mask": {"id": "seg", "value": [1]}, "track": {"a": 1}},
                ],
            }
            for number in range(3)
        ],
    }
    path = tmp_path / "in.json"
    path.write_text(json.dumps(manifest))
    job = imports.import_path(str(path), dataset_name="Streets", project=project)
    version = Version.objects.get(jobs=job)
    target = tmp_path / "out.json"
    exported = exports.export_to_path(
        content=of_version(version, ALL), format_name="singleframe", path=target
    )
    assert json.loads(target.read_text()) == manifest
    assert (exported.frames, exported.bytes, exported.changes) == (3, target.stat().st_size, {})
    assert sorted(found.name for found in tmp_path.iterdir()) == ["in.json", "out.json"]

    # And imported again it changes nothing.
    again = imports.import_path(str(target), dataset_name="Streets", project=project)
    assert (again.imported, again.unchanged) == (0, 3)


def as_floats(text: str | bytes) -> Any:
    """Read JSON with all numbers as float64: PostgreSQL gives 1e16 back as its digits."""
    return json.loads(text, parse_int=float)


@tries(30)
@given(values=st.lists(frame_values, min_size=1, max_size=3))
def test_any_frame_comes_back_equal_from_the_database(values: list[dict[str, Any]]) -> None:
    values = [{**value, "id": f"f{number}"} for number, value in enumerate(values)]
    version = make_version(None, [parse_frame(value, "file:///a.json") for value in values])
    written = [as_floats(line) for line in content(run(version)).splitlines()]
    assert sorted(written, key=itemgetter("id")) == as_floats(json.dumps(values))


def test_what_the_format_cannot_hold_is_in_the_result(version: Version) -> None:
    job = run(version, "yolo-detect")
    assert job.result["changes"] == {"pictures of the same name have their frame's id in it": 8}


def test_labels_have_the_numbers_of_the_whole_version(version: Version) -> None:
    """Classes of two exports under two filters mean the same."""
    for query in (FrameQuery(label="bus"), FrameQuery(q="NOT label:bus")):
        found = json.loads(content(run(version, "coco", query)))["categories"]
        assert found == [{"id": 1, "name": "bus"}, {"id": 2, "name": "car"}]


def test_pictures_are_named_from_the_folder_they_share(project: Project) -> None:
    frames = [
        make_frame("1", uri="s3://bucket/drive/front/a.png"),
        make_frame("2", uri="s3://bucket/drive/frond/b.png"),
    ]
    version = make_version(project, frames)
    images = json.loads(content(run(version, "coco")))["images"]
    assert [image["file_name"] for image in images] == ["front/a.png", "frond/b.png"]


def test_a_size_that_no_producer_gave_is_that_of_the_preview(project: Project) -> None:
    frame = make_frame("a", labels=["car"])
    frame.sources[0].width = frame.sources[0].height = None
    version = make_version(project, [frame])
    source = Source.objects.get()
    spec = spec_for(source, PREVIEW_EDGE_PX)
    Preview.objects.create(
        key=spec.key(project.pk),
        project=project,
        uri=spec.uri,
        edge_px=spec.edge_px,
        state=Preview.State.READY,
        width=320,
        height=240,
        original_width=1280,
        original_height=960,
    )
    (image,) = json.loads(content(run(version, "coco")))["images"]
    assert (image["width"], image["height"]) == (1280, 960)


def test_what_does_not_match_anything_is_refused(version: Version) -> None:
    with pytest.raises(Refused, match="nothing to export"):
        start(version, query=FrameQuery(label="tram"))
    with pytest.raises(QueryError):
        start(version, query=FrameQuery(q="label:("))
    with pytest.raises(Refused, match="There is no format 'pdf'"):
        start(version, "pdf")
    assert not Job.objects.exists()


def test_a_person_has_few_exports_at_once(version: Version, viewer: User, editor: User) -> None:
    for _ in range(exports.AT_ONCE):
        job = start(version, actor=viewer)
    with pytest.raises(Refused, match="are not done yet"):
        start(version, actor=viewer)
    start(version, actor=editor)
    jobs.cancel(job)
    start(version, actor=viewer)


def test_an_export_is_audited(version: Version, viewer: User) -> None:
    job = start(version, "csv-frames", actor=viewer)
    exports.run(job.uid)
    event = AuditEvent.objects.get(verb="export")
    assert (event.actor, event.object_uid) == (viewer, version.uid)
    assert event.details == {"format": "csv-frames", "frames": 9, "job": job.uid}


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file that an export writes is on a disk that is full: /dev/full, of the kernel."""
    write = exports._write

    def on_full_disk(*given: Any) -> Any:
        given[2].symlink_to("/dev/full")
        return write(*given)

    monkeypatch.setattr(exports, "_write", on_full_disk)


@pytest.mark.usefixtures("no_room")
@pytest.mark.parametrize("output", OUTPUT_FORMATS, ids=lambda output: output.name)
def test_a_full_disk_leaves_nothing_and_says_so(version: Version, output: Any) -> None:
    job = run(version, output.name)
    assert job.state == Job.State.FAILED
    assert job.message == (
        "The disk is full. Export fewer frames, or ask the operator for room. Nothing was kept."
    )
    assert left(job) == []
    assert job.result == {}


@pytest.mark.usefixtures("no_room")
def test_a_full_disk_keeps_the_file_that_was_there(version: Version, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("before")
    with pytest.raises(Refused, match="disk is full"):
        exports.export_to_path(content=of_version(version, ALL), format_name="jsonl", path=path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_no_room_at_the_last_moment_leaves_nothing(
    version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many file systems find out when the bytes are to be on the disk."""

    def fsync(_: int) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr("os.fsync", fsync)
    job = run(version)
    assert job.state == Job.State.FAILED
    assert "disk is full" in job.message
    assert left(job) == []


def test_another_error_is_the_operators_and_leaves_nothing(
    version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_content, "_read", lambda *_: 1 / 0)
    job = start(version)
    with pytest.raises(ZeroDivisionError):
        exports.run(job.uid)
    job.refresh_from_db()
    assert job.state == Job.State.FAILED
    assert "operator's log" in job.message
    assert left(job) == []


def test_a_cancelled_export_leaves_nothing(
    version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_content, "CHUNK_FRAMES", 2)
    monkeypatch.setattr(exports, "ALIVE_EVERY_S", 0)
    job = start(version)
    renew = jobs.renew

    def cancel_midway(running: Job) -> None:
        if running.position == 4:
            jobs.cancel(running)
        renew(running)

    monkeypatch.setattr(jobs, "renew", cancel_midway)
    exports.run(job.uid)
    job.refresh_from_db()
    assert (job.state, job.position) == (Job.State.CANCELLED, 4)
    assert job.message == "Cancelled. Nothing was kept."
    assert left(job) == []
    assert job.staged == b""


class Killed(BaseException):
    """Ends a run as kill -9 would: nothing in it is cleaned up."""


def kill(job: Job, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Run an export whose worker dies where a function of exports would be called."""

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(f"frames.actions.{place}", die)
        patch.setattr(exports, "_discard", lambda folder: None)
        patch.setattr(storages["exports"], "delete", lambda name: None)
        with pytest.raises(Killed):
            exports.run(job.uid)


@pytest.mark.parametrize("place", ["export_content._read", "exports._keep", "exports.audit.record"])
def test_an_export_whose_worker_died_begins_anew(
    version: Version, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Wherever it died: before the file was whole, before it had its name, and behind that."""
    expected = content(run(version))
    job = start(version)
    kill(job, monkeypatch, place)
    assert len(left(job)) == 1

    job.refresh_from_db()
    assert job.state == Job.State.RUNNING
    exports.sweep()
    assert len(left(job)) == 1
    exports.run(job.uid)  # another worker has it
    assert Job.objects.get(pk=job.pk).state == Job.State.RUNNING

    silent_since = timezone.now() - jobs.STALE_AFTER - timedelta(seconds=1)
    Job.objects.filter(pk=job.pk).update(heartbeat_at=silent_since)
    exports.run(job.uid)
    job.refresh_from_db()
    assert job.state == Job.State.DONE
    assert content(job) == expected
    assert len(left(job)) == 1


def test_an_export_ends_though_its_version_is_deleted_while_it_is_written(
    version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it is of goes, and is not brought back by the job's last word."""
    job = start(version)
    keep = exports._keep

    def keep_late(*given: Any) -> None:
        versions.delete_version(version, actor=None)
        keep(*given)

    monkeypatch.setattr(exports, "_keep", keep_late)
    exports.run(job.uid)
    job.refresh_from_db()
    assert (job.state, job.version_id) == (Job.State.DONE, None)
    assert len(ids(job)) == 9


def test_an_export_that_is_cancelled_while_it_waits_names_no_frames(version: Version) -> None:
    """Frames that a job names are no garbage."""
    job = start(version)
    assert job.staged
    jobs.cancel(job)
    job.refresh_from_db()
    assert (job.state, bytes(job.staged)) == (Job.State.CANCELLED, b"")


def test_what_a_killed_export_left_is_swept_once_it_is_cancelled(
    version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = start(version)
    kill(job, monkeypatch, "exports._keep")
    Job.objects.filter(pk=job.pk).update(state=Job.State.QUEUED)
    jobs.cancel(Job.objects.get(pk=job.pk))
    exports.sweep()
    assert left(job) == []


def test_a_worker_that_was_thought_lost_leaves_the_file_of_the_next_one(
    version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = start(version)
    keep = exports._keep

    def keep_late(*given: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(exports, "_keep", keep)
            silent_since = timezone.now() - jobs.STALE_AFTER - timedelta(seconds=1)
            Job.objects.filter(pk=job.pk).update(heartbeat_at=silent_since)
            exports.run(job.uid)
        given[2]()

    monkeypatch.setattr(exports, "_keep", keep_late)
    exports.run(job.uid)
    job.refresh_from_db()
    assert job.state == Job.State.DONE
    assert ids(job) == IN_ORDER
    assert len(left(job)) == 1


def test_a_file_is_removed_when_its_days_are_over(version: Version) -> None:
    kept, old = run(version), run(version)
    over = timezone.now() - timedelta(days=settings.EXPORT_KEEP_DAYS, seconds=1)
    Job.objects.filter(pk=old.pk).update(finished_at=over)
    name = old.result["file"]
    exports.sweep()
    old.refresh_from_db()
    assert not exports.is_kept(old)
    assert exports.is_kept(kept)
    assert not storages["exports"].exists(name)
    assert left(old) == []
    assert ids(kept) == IN_ORDER
    assert old.result["bytes"] == kept.result["bytes"]


def test_the_file_of_a_project_that_is_gone_is_swept(version: Version) -> None:
    job = run(version)
    Job.objects.filter(pk=job.pk).delete()
    exports.sweep()
    assert left(job) == []


def test_a_version_that_is_deleted_meanwhile_refuses(version: Version) -> None:
    job = start(version)
    Job.objects.filter(pk=job.pk).update(version=None)
    exports.run(job.uid)
    job.refresh_from_db()
    assert job.message == "The version that this export was of has been deleted. Nothing was kept."


def test_frames_that_are_removed_meanwhile_are_not_passed_over(version: Version) -> None:
    job = start(version)
    gone = Frame.objects.get(dataset=version.dataset, frame_id="a-9")
    Source.objects.filter(frame=gone).delete()
    gone.delete()
    exports.run(job.uid)
    job.refresh_from_db()
    assert job.state == Job.State.FAILED
    assert job.message == (
        "Some of the frames were removed meanwhile. Start the export again. Nothing was kept."
    )
    assert left(job) == []


def test_it_asks_few_queries_a_chunk(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_content, "CHUNK_FRAMES", 20)
    frames = [
        make_frame(f"{n:03}", context_id=f"c{n // 5:03}", timestamp=n, labels=["car"])
        for n in range(200)
    ]
    version = make_version(project, frames)

    def queries(query: FrameQuery) -> int:
        job = start(version, "coco", query)
        with CaptureQueriesContext(connection) as captured:
            exports.run(job.uid)
        assert Job.objects.get(pk=job.pk).state == Job.State.DONE
        return len(captured)

    few, many = queries(FrameQuery(q="timestamp:[0 TO 99]")), queries(ALL)
    assert many - few <= 5 * 8


def test_large_frames_are_read_a_few_at_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk of frames of ten thousand polygons each would not fit the memory."""
    large = [{"label": ["car"], "poly": [1, 2, 3, 4, 5, 6] * 100}]
    frames = [
        make_frame(f"{n}", timestamp=n, rois=large if n in (3, 4, 5) else []) for n in range(9)
    ]
    version = make_version(project, frames)
    sizes = []
    read = export_content._read

    def spy(pks: list[int]) -> Any:
        sizes.append(len(pks))
        return read(pks)

    monkeypatch.setattr(export_content, "_read", spy)
    monkeypatch.setattr(export_content, "READ_MAX_CHARS", 2_000)
    assert ids(run(version)) == [f"{n}" for n in range(9)]
    assert sizes == [4, 1, 4]


def test_a_name_of_the_dataset_cannot_leave_the_folder(project: Project) -> None:
    version = make_version(project, [make_frame("a")])
    Dataset.objects.filter(pk=version.dataset_id).update(name="../../etc/é pass\nwd")
    version = Version.objects.select_related("dataset__project").get(pk=version.pk)
    job = run(version)
    assert job.result["file"] == f"{job.uid}/....etcé_passwd-Current.jsonl"
    assert ids(job) == ["a"]


def test_a_long_name_of_the_dataset_is_cut(project: Project) -> None:
    """File systems count bytes: two names of 255 Chinese characters are 1,530 of them."""
    version = make_version(project, [make_frame("a")])
    Dataset.objects.filter(pk=version.dataset_id).update(name="集" * 255)
    Version.objects.filter(pk=version.pk).update(name="版" * 255)
    version = Version.objects.select_related("dataset__project").get(pk=version.pk)
    job = run(version, "csv-regions")
    assert job.result["file"] == f"{job.uid}/{'集' * 33}-{'版' * 33}.regions.csv"
    assert job.state == Job.State.DONE


@pytest.mark.parametrize(
    ("name", "message"),
    [("", "is a folder"), ("missing/a.json", "there is no such folder")],
)
def test_a_path_that_cannot_be_written_is_refused(
    version: Version, tmp_path: Path, name: str, message: str
) -> None:
    with pytest.raises(Refused, match=message):
        exports.export_to_path(
            content=of_version(version, ALL), format_name="jsonl", path=tmp_path / name
        )


@pytest.mark.shared_data
def test_the_bicyclists_of_camvid_are_exported_as_coco(
    project: Project, shared_data: Path, tmp_path: Path
) -> None:
    """Of the frames at dusk with a bicyclist every polygon, as the manifest tells them."""
    path = shared_data / "camvid" / "frames.json"
    job = imports.import_path(str(path), dataset_name="CamVid", project=project)
    version = Version.objects.get(jobs=job)
    query = FrameQuery(q="meta.light:dusk", label="bicyclist")
    target = tmp_path / "coco.json"
    exports.export_to_path(content=of_version(version, query), format_name="coco", path=target)
    value = json.loads(target.read_text())
    names = {category["id"]: category["name"] for category in value["categories"]}
    files = {image["id"]: image["file_name"] for image in value["images"]}
    found = sorted(
        (files[a["image_id"]], names[a["category_id"]], a["segmentation"][0])
        for a in value["annotations"]
    )
    expected = sorted(
        (frame["sources"][0]["uri"].rpartition("/")[2], roi["label"][0], roi["poly"])
        for frame in json.loads(path.read_text())["frames"]
        if frame["meta"]["light"] == "dusk"
        and any("bicyclist" in roi["label"] for roi in frame["rois"])
        for roi in frame["rois"]
        if "poly" in roi
    )
    assert found == expected
    assert len(found) > 100
    assert all((image["width"], image["height"]) == (480, 360) for image in value["images"])
