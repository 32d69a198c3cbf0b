"""Previews from wanted to shown: what is sent, what is rendered, what is tried again."""

from __future__ import annotations

import io
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
import time_machine
from django.core.cache import cache
from django.core.files.storage import storages
from django.utils import timezone
from PIL import Image

from frames import tasks
from frames.actions import previews
from frames.formats.base import FrameData, SourceData
from frames.media import MediaPolicy, open_uri
from frames.media.http import BLOCK_BYTES
from frames.models import Preview, PreviewReason, Source
from frames.previews.picture import render_picture
from frames.previews.spec import PREVIEW_EDGE_PX, VIEWER_EDGE_PX
from frames.previews.storage import save_preview
from tests.factories import add_frames, make_frame, make_version
from tests.media.site import Site
from tests.previews.test_picture import header_of, near
from tests.previews.videos import make_video, number_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pytest_django.fixtures import DjangoAssertNumQueries, Settings

    from frames.models import Project, Version

READY, PENDING, FAILED = Preview.State.READY, Preview.State.PENDING, Preview.State.FAILED


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Settings) -> Path:
    """The folder of pictures that every project may read."""
    settings.PREVIEWS_DIR = tmp_path / "previews"
    settings.MEDIA_ALLOW = [(tmp_path / "pictures").as_uri()]
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The keys of each message that goes onto the queue, in order."""
    messages: list[list[str]] = []

    def enqueue(task: str, *, keys: list[str]) -> None:
        assert hasattr(tasks, task.removeprefix("frames."))
        messages.append(keys)

    monkeypatch.setattr(previews, "enqueue", enqueue)
    return messages


def picture(folder: Path, name: str, color: tuple[int, int, int] = (200, 30, 30)) -> str:
    """Write a JPEG of 640 x 480; return its URI."""
    Image.new("RGB", (640, 480), color).save(folder / name, "JPEG")
    return (folder / name).as_uri()


def version_of(project: Project, uris: Sequence[str], **source: Any) -> Version:
    """Return a version with a frame for each URI, in this order."""
    return make_version(
        project,
        [
            FrameData(f"frame-{number}", "drive", number, [SourceData("camera", uri, **source)])
            for number, uri in enumerate(uris)
        ],
    )


def plan(version: Version) -> None:
    """Plan all frames of the version's dataset."""
    previews.plan(version.dataset_id, 0, version.dataset.next_ordinal)


def make_preview(project: Project, uri: str, **fields: Any) -> Preview:
    """Return a row that waits, as `plan` makes it."""
    number = Preview.objects.count()
    return Preview.objects.create(
        key=f"{number:040x}",
        project=project,
        uri=uri,
        **{"edge_px": PREVIEW_EDGE_PX, **fields},
    )


def render(*rows: Preview) -> list[Preview]:
    """Render the rows in one task; return them fresh."""
    previews.render([row.key for row in rows])
    for row in rows:
        row.refresh_from_db()
    return list(rows)


# --- planning -------------------------------------------------------------------------------


def test_each_picture_is_wanted_once(project: Project, folder: Path, sent: list[list[str]]) -> None:
    uris = [picture(folder, f"{number}.jpg") for number in range(3)]
    version = version_of(project, uris + uris)
    plan(version)
    rows = Preview.objects.all()
    assert sorted(row.uri for row in rows) == sorted(uris)
    assert {(row.state, row.edge_px, row.attempts) for row in rows} == {(PENDING, 320, 0)}
    assert [len(keys) for keys in sent] == [3]
    plan(version)
    assert len(sent) == 1


def test_only_the_planned_revisions_are_wanted(
    project: Project, folder: Path, sent: list[list[str]]
) -> None:
    uris = [f"{folder.as_uri()}/{number}.jpg" for number in range(5)]
    version = version_of(project, uris)
    previews.plan(version.dataset_id, 1, 3)
    assert sorted(Preview.objects.values_list("uri", flat=True)) == uris[1:3]
    previews.plan(version.dataset_id, 2, 5)
    assert sorted(Preview.objects.values_list("uri", flat=True)) == uris[1:]
    previews.plan(10**6, 0, 5)


def test_stills_go_in_small_tasks_and_a_video_in_its_own(
    project: Project, folder: Path, sent: list[list[str]]
) -> None:
    """Two cameras take turns in the frames; each video's frames go together, in order."""
    base = folder.as_uri()
    version = version_of(project, [f"{base}/{number}.jpg" for number in range(70)])
    videos = [
        FrameData(
            f"video-{number}",
            "drive",
            number,
            [SourceData("camera", f"{base}/{number % 2}.mp4", timestamp=1000 - number)],
        )
        for number in range(600)
    ]
    add_frames(version, videos)
    version.dataset.refresh_from_db()
    plan(version)
    by_key = Preview.objects.in_bulk()
    assert [len(keys) for keys in sent] == [32, 32, 6, 256, 44, 256, 44]
    for keys in sent[3:]:
        assert len({by_key[key].uri for key in keys}) == 1
        times = [by_key[key].timestamp_ms for key in keys]
        assert times == sorted(times)


def test_planning_costs_few_queries(
    project: Project,
    folder: Path,
    sent: list[list[str]],
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    version = version_of(project, [f"{folder.as_uri()}/{number}.jpg" for number in range(40)])
    # dataset / sources / which rows are there / savepoint, new rows, release
    with django_assert_num_queries(6):
        plan(version)


# --- rendering ------------------------------------------------------------------------------


def test_a_rendered_preview_says_what_it_is(project: Project, folder: Path) -> None:
    (row,) = render(make_preview(project, picture(folder, "a.jpg")))
    assert (row.state, row.reason, row.detail, row.attempts) == (READY, "", "", 1)
    assert (row.width, row.height) == (320, 240)
    assert (row.original_width, row.original_height) == (640, 480)
    assert row.original_displayable
    assert near(bytes.fromhex(row.color[1:]), (200, 30, 30))
    with storages["previews"].open(row.name) as file:
        data = file.read()
    assert row.bytes == len(data)
    assert Image.open(io.BytesIO(data)).size == (320, 240)


def test_what_is_ready_is_not_made_again(
    project: Project, folder: Path, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    (row,) = render(make_preview(project, picture(folder, "a.jpg")))
    made = storages["previews"].path(row.name)
    with open(made, "wb") as file:
        file.write(b"as it was")
    # savepoint / what waits / release
    with django_assert_num_queries(3):
        previews.render([row.key, "0" * 40])
    with open(made, "rb") as file:
        assert file.read() == b"as it was"


def test_a_batch_costs_a_fixed_number_of_queries(
    project: Project, folder: Path, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    rows = [make_preview(project, picture(folder, f"{number}.jpg")) for number in range(32)]
    # savepoint, what waits, count the attempt, release / projects / savepoint, results, release
    with django_assert_num_queries(8):
        previews.render([row.key for row in rows])
    assert Counter(Preview.objects.values_list("state", flat=True)) == {READY: 32}


@pytest.fixture
def site() -> Iterator[Site]:
    """A web server that stops with the test."""
    site = Site()
    site.thread.start()
    yield site
    site.server.shutdown()
    site.server.server_close()
    site.thread.join()


def test_every_failure_has_its_own_reason(
    project: Project, folder: Path, site: Site, settings: Settings
) -> None:
    """And one bad file keeps none of its neighbours from being shown."""
    settings.MEDIA_ALLOW += [site.url, "http://localhost"]
    settings.MEDIA_PRIVATE_HOSTS = [f"127.0.0.1:{site.port}"]
    settings.MEDIA_MAX_BYTES = 1_000_000
    site.status("/forbidden.jpg", 403)
    site.status("/gone.jpg", 404)
    site.status("/teapot.jpg", 418)
    base = folder.as_uri()
    (folder / "page.jpg").write_bytes(b"<!doctype html><title>Sign in</title>")
    (folder / "huge.png").write_bytes(header_of(30_000, 30_000))
    (folder / "large.jpg").write_bytes(bytes(1_000_001))
    whole = picture(folder, "whole.jpg")
    (folder / "half.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:2000])
    (folder / "short.mp4").write_bytes(make_video(30))
    (folder / "sweep.pcd.bin").write_bytes(bytes(100))
    wanted = {
        f"{base}/none.jpg": PreviewReason.NOT_FOUND,
        f"{site.url}/gone.jpg": PreviewReason.NOT_FOUND,
        f"{site.url}/forbidden.jpg": PreviewReason.FORBIDDEN,
        "file:///etc/passwd": PreviewReason.NOT_ALLOWED,
        "javascript:alert(1)": PreviewReason.NOT_ALLOWED,
        "http://localhost/a.jpg": PreviewReason.PRIVATE_ADDRESS,
        f"{site.url}/teapot.jpg": PreviewReason.UNREACHABLE,
        f"{base}/huge.png": PreviewReason.TOO_LARGE,
        f"{base}/large.jpg": PreviewReason.TOO_LARGE,
        f"{base}/page.jpg": PreviewReason.NOT_AN_IMAGE,
        f"{base}/half.jpg": PreviewReason.CODEC,
        f"{base}/short.mp4": PreviewReason.OUT_OF_RANGE,
        f"{base}/sweep.pcd.bin": PreviewReason.UNSUPPORTED,
        whole: "",
    }
    rows = [make_preview(project, uri, timestamp_ms=5000) for uri in wanted]
    render(*rows)
    assert {row.uri: row.reason for row in rows} == wanted
    assert {row.state for row in rows if row.reason} == {FAILED}
    assert all(row.detail for row in rows if row.reason)
    assert not any("\n" in row.detail for row in rows)
    assert rows[-1].state == READY


def test_what_may_pass_is_tried_again_later_and_at_last_given_up(
    project: Project, site: Site, settings: Settings, sent: list[list[str]]
) -> None:
    settings.MEDIA_ALLOW = [site.url]
    settings.MEDIA_PRIVATE_HOSTS = ["127.0.0.1"]
    row = make_preview(project, site.status("/a.jpg", 503))
    waits = []
    with time_machine.travel("2026-01-01 00:00:00+00:00", tick=False) as clock:
        for attempt in range(1, previews.MAX_ATTEMPTS):
            render(row)
            assert (row.state, row.reason, row.attempts) == (PENDING, "", attempt)
            assert "503" in row.detail
            waits.append(row.due_at - timezone.now())
            assert previews.sweep() == 0
            clock.move_to(row.due_at)
            assert previews.sweep() == 1
        render(row)
    assert (row.state, row.reason) == (FAILED, PreviewReason.UNREACHABLE)
    assert waits == sorted(set(waits))
    assert waits[0] < timedelta(minutes=1)
    assert sent == [[row.key]] * (previews.MAX_ATTEMPTS - 1)


def test_what_recovers_is_shown(project: Project, site: Site, settings: Settings) -> None:
    settings.MEDIA_ALLOW = [site.url]
    settings.MEDIA_PRIVATE_HOSTS = ["127.0.0.1"]
    row = make_preview(project, site.status("/a.jpg", 503))
    render(row)
    file = io.BytesIO()
    Image.new("RGB", (10, 10)).save(file, "PNG")
    site.file("/a.jpg", file.getvalue())
    render(row)
    assert (row.state, row.detail, row.attempts) == (READY, "", 2)


def test_a_fault_of_framedeck_spares_the_neighbours(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [make_preview(project, picture(folder, f"{number}.jpg")) for number in range(3)]
    real, calls = render_picture, []

    def fail_once(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("a secret of the operator")
        return real(*args, **kwargs)

    monkeypatch.setattr("frames.actions.previews.render_picture", fail_once)
    render(*rows)
    failed = [row for row in rows if row.state == FAILED]
    assert len(failed) == 1
    assert failed[0].reason == PreviewReason.INTERNAL
    assert "secret" not in failed[0].detail


def test_a_full_disk_is_tried_again(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(name: str, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("frames.actions.previews.save_preview", full)
    (row,) = render(make_preview(project, picture(folder, "a.jpg")))
    assert (row.state, row.attempts) == (PENDING, 1)
    assert row.due_at > timezone.now()


def test_a_project_deleted_meanwhile(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make_preview(project, picture(folder, "a.jpg"))
    real = render_picture

    def render_and_delete(*args: Any, **kwargs: Any) -> Any:
        project.delete()
        return real(*args, **kwargs)

    monkeypatch.setattr("frames.actions.previews.render_picture", render_and_delete)
    previews.render([row.key])
    assert not Preview.objects.exists()


def test_each_project_has_its_own_policy(
    project: Project, folder: Path, settings: Settings
) -> None:
    """What one project may read another may not, though both ask in one task."""
    from frames.models import Project as ProjectModel

    settings.MEDIA_ALLOW = []
    project.media_allow = [folder.as_uri()]
    project.save()
    other = ProjectModel.objects.create(name="Other")
    uri = picture(folder, "a.jpg")
    allowed, refused = render(make_preview(project, uri), make_preview(other, uri))
    assert allowed.state == READY
    assert (refused.state, refused.reason) == (FAILED, PreviewReason.NOT_ALLOWED)


# --- videos ---------------------------------------------------------------------------------


def test_a_videos_frames_are_rendered_from_one_opening(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.mp4").write_bytes(make_video(60))
    uri = (folder / "a.mp4").as_uri()
    opened = []
    real = open_uri

    def counted(uri: str, *args: Any, **kwargs: Any) -> Any:
        opened.append(uri)
        return real(uri, *args, **kwargs)

    monkeypatch.setattr("frames.actions.previews.open_uri", counted)
    rows = [
        make_preview(project, uri, timestamp_ms=number * 1000 / 30) for number in range(0, 60, 7)
    ]
    render(*rows)
    assert opened == [uri]
    for number, row in zip(range(0, 60, 7), rows, strict=True):
        with storages["previews"].open(row.name) as file:
            assert number_in(file.read()) == number


def test_the_same_moment_in_two_sizes(project: Project, folder: Path) -> None:
    (folder / "a.mp4").write_bytes(make_video(10, size=(640, 320)))
    uri = (folder / "a.mp4").as_uri()
    small, large = render(
        make_preview(project, uri), make_preview(project, uri, edge_px=VIEWER_EDGE_PX)
    )
    assert (small.width, large.width) == (320, 640)


def test_a_video_that_cannot_be_opened_fails_all_its_frames(project: Project, folder: Path) -> None:
    (folder / "a.mp4").write_bytes(b"no video")
    uri = (folder / "a.mp4").as_uri()
    rows = render(*(make_preview(project, uri, timestamp_ms=at) for at in range(3)))
    assert {(row.state, row.reason) for row in rows} == {(FAILED, PreviewReason.CODEC)}


def test_a_task_lets_go_of_a_long_video(
    project: Project, folder: Path, sent: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frame at hand counts its attempt; the others go into another task as they were."""
    (folder / "a.mp4").write_bytes(make_video(60))
    uri = (folder / "a.mp4").as_uri()
    rows = [make_preview(project, uri, timestamp_ms=at) for at in (0, 500, 1000)]
    monkeypatch.setattr(previews, "TASK_BUDGET_S", 0.0)
    render(*rows)
    assert [(row.state, row.attempts) for row in rows] == [(PENDING, 1), (PENDING, 0), (PENDING, 0)]
    assert sent == [[rows[1].key, rows[2].key]]
    monkeypatch.undo()
    render(*rows)
    assert {row.state for row in rows} == {READY}


def test_a_task_lets_go_of_stills_that_take_too_long(
    project: Project, folder: Path, sent: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least one is answered, so that the work goes on."""
    rows = [make_preview(project, picture(folder, f"{number}.jpg")) for number in range(3)]
    monkeypatch.setattr(previews, "TASK_BUDGET_S", 0.0)
    render(*rows)
    assert sorted((row.state, row.attempts) for row in rows) == [
        (PENDING, 0),
        (PENDING, 0),
        (READY, 1),
    ]
    assert [len(keys) for keys in sent] == [2]


def test_results_are_written_while_a_long_task_runs(
    project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.mp4").write_bytes(make_video(30))
    rows = [
        make_preview(project, (folder / "a.mp4").as_uri(), timestamp_ms=at) for at in (0, 500, 900)
    ]
    seen: list[int] = []
    real = save_preview

    def save(name: str, data: bytes) -> None:
        seen.append(Preview.objects.filter(state=READY).count())
        real(name, data)

    monkeypatch.setattr("frames.actions.previews.save_preview", save)
    monkeypatch.setattr(previews, "FLUSH_S", 0.0)
    render(*rows)
    assert seen == [0, 1, 2]


def test_a_remote_video_is_not_fetched_whole(
    project: Project, site: Site, settings: Settings
) -> None:
    """Two frames of a large file take its index and the groups around them."""
    settings.MEDIA_ALLOW = [site.url]
    settings.MEDIA_PRIVATE_HOSTS = ["127.0.0.1"]
    noise = np.random.default_rng(1).integers(0, 255, (480, 640, 3), np.uint8)
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("mjpeg", rate=30, options={"strict": "-1", "qscale": "1"})
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for number in range(300):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(noise, number))))
        output.mux(stream.encode(None))
    data = file.getvalue()
    assert len(data) > 10 * BLOCK_BYTES, len(data)
    uri = site.file("/large.mp4", data)
    rows = render(*(make_preview(project, uri, timestamp_ms=at) for at in (0, 5000)))
    assert {row.state for row in rows} == {READY}
    spans = [headers["Range"].removeprefix("bytes=").split("-") for _, headers in site.requests]
    assert sum(int(last) + 1 - int(first) for first, last in spans) < len(data) / 2


# --- lost work ------------------------------------------------------------------------------


class WorkerDied(BaseException):
    """Stands for a kill: what the rows say by then is all that remains."""


@pytest.fixture
def deadly(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a picture whose rendering kills the worker."""
    render_still, flush = previews._render_still, previews._Results.flush
    dead: set[previews._Results] = set()

    def render_or_die(preview: Preview, policy: MediaPolicy, results: previews._Results) -> None:
        if preview.uri.endswith("deadly.jpg"):
            dead.add(results)
            raise WorkerDied
        render_still(preview, policy, results)

    def flush_alive(results: previews._Results) -> None:
        if results not in dead:
            flush(results)

    monkeypatch.setattr(previews, "_render_still", render_or_die)
    monkeypatch.setattr(previews._Results, "flush", flush_alive)
    return "deadly.jpg"


def test_what_a_dead_worker_held_is_sent_again_after_its_lease(
    project: Project, folder: Path, sent: list[list[str]], deadly: str
) -> None:
    with time_machine.travel("2026-01-01 00:00:00+00:00", tick=False) as clock:
        rows = [make_preview(project, picture(folder, name)) for name in ("a.jpg", deadly)]
        with pytest.raises(WorkerDied):
            previews.render([row.key for row in rows])
        assert previews.sweep() == 0
        clock.shift(previews.LEASE)
        assert previews.sweep() == 2
        assert previews.sweep() == 0
    assert [sorted(keys) for keys in sent] == [[row.key for row in rows]]


def test_a_file_that_kills_its_worker_is_set_apart_and_given_up(
    project: Project, folder: Path, sent: list[list[str]], deadly: str
) -> None:
    """Its neighbours are shown, and no worker dies of it for ever.

    A broker delivers again at once what a dead worker held.
    """
    poison = make_preview(project, picture(folder, deadly))
    others = [make_preview(project, picture(folder, f"{number}.jpg")) for number in range(3)]
    queue = [[poison.key, *(row.key for row in others)]]
    deaths = 0
    while queue:
        keys = queue.pop(0)
        try:
            previews.render(keys)
        except WorkerDied:
            deaths += 1
            assert deaths <= previews.MAX_ATTEMPTS
            queue.append(keys)
        queue += sent
        sent.clear()
    for row in (poison, *others):
        row.refresh_from_db()
    assert {row.state for row in others} == {READY}
    assert (poison.state, poison.reason) == (FAILED, PreviewReason.INTERNAL)


# --- on request -----------------------------------------------------------------------------


def test_a_request_makes_what_is_missing_once(
    project: Project,
    folder: Path,
    sent: list[list[str]],
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    """And takes no lock where nothing is missing: a page never waits for a writer.

    What no worker has begun is asked for again, since it may wait in the queue of an import.
    """
    version = version_of(project, [picture(folder, f"{number}.jpg") for number in range(3)])
    sources = list(Source.objects.filter(frame__dataset=version.dataset))
    found = previews.request(project, sources, VIEWER_EDGE_PX)
    assert found.keys() == {source.pk for source in sources}
    assert {row.edge_px for row in found.values()} == {VIEWER_EDGE_PX}
    assert [len(keys) for keys in sent] == [3]
    for begun, messages in ((0, 2), (1, 2)):
        Preview.objects.update(attempts=begun)
        with django_assert_num_queries(1):
            again = previews.request(project, sources, VIEWER_EDGE_PX)
        assert {row.key for row in again.values()} == {row.key for row in found.values()}
        assert len(sent) == messages
    previews.render(sent[0])
    assert {row.state for row in previews.request(project, sources, VIEWER_EDGE_PX).values()} == {
        READY
    }


def test_a_retry_starts_anew(project: Project, folder: Path, sent: list[list[str]]) -> None:
    row = make_preview(project, f"{folder.as_uri()}/late.jpg")
    ready = make_preview(project, picture(folder, "a.jpg"))
    render(row, ready)
    assert row.reason == PreviewReason.NOT_FOUND
    picture(folder, "late.jpg")
    assert previews.retry([row.key, ready.key, "0" * 40]) == 1
    row.refresh_from_db()
    assert (row.state, row.reason, row.detail, row.attempts) == (PENDING, "", "", 0)
    assert sent == [[row.key]]
    assert previews.retry([row.key]) == 0
    render(row)
    assert row.state == READY


def test_a_preview_whose_file_is_gone_is_made_again(
    project: Project, folder: Path, sent: list[list[str]]
) -> None:
    """The previews' folder may be emptied, or not be part of a backup."""
    row, kept = render(
        make_preview(project, picture(folder, "a.jpg")),
        make_preview(project, picture(folder, "b.jpg")),
    )
    storages["previews"].delete(row.name)
    assert previews.retry([row.key, kept.key]) == 1
    assert sent == [[row.key]]
    render(row)
    assert row.state == READY
    assert storages["previews"].exists(row.name)


def test_the_sweep_takes_a_bounded_number(
    project: Project, sent: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "SWEEP_MAX_ROWS", 50)
    past = timezone.now() - timedelta(seconds=1)
    for number in range(120):
        make_preview(project, f"file:///{number}.jpg", due_at=past)
    make_preview(project, "file:///later.jpg", due_at=timezone.now() + timedelta(minutes=1))
    assert [previews.sweep() for _ in range(4)] == [50, 50, 20, 0]
    keys = [key for keys in sent for key in keys]
    assert len(keys) == len(set(keys)) == 120
    assert max(len(keys) for keys in sent) <= previews.STILLS_PER_TASK


def test_what_a_page_shows_is_planned_although_its_import_never_did(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost message leaves no tile pending for ever: looking at it asks again, once."""
    cache.clear()
    sent: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(previews, "enqueue", lambda task, **kwargs: sent.append((task, kwargs)))
    make_version(project, [make_frame("a", uri="file:///a.jpg")])
    source = Source.objects.get()
    for _ in range(3):
        previews.ask([source.pk], 320)
    assert sent == [("frames.plan_shown_previews", {"source_pks": [source.pk], "edge_px": 320})]
    previews.plan_shown([source.pk, 0], 320)
    assert Preview.objects.get().uri == "file:///a.jpg"
    assert sent[1][0] == "frames.render_requested"


def test_what_a_page_shows_does_not_wait_behind_the_previews_of_an_import(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that an import has planned are sent again past its queue, until a worker has begun."""
    sent: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(previews, "enqueue", lambda task, **kwargs: sent.append((task, kwargs)))
    version = make_version(project, [make_frame("a", uri="file:///a.jpg")])
    previews.plan(version.dataset_id, 0, 1)
    source, key = Source.objects.get(), Preview.objects.get().key
    previews.plan_shown([source.pk], 320)
    assert sent == [
        ("frames.render_previews", {"keys": [key]}),
        ("frames.render_requested", {"keys": [key]}),
    ]
    Preview.objects.update(attempts=1)
    previews.plan_shown([source.pk], 320)
    assert len(sent) == 2
