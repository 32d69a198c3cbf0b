"""The page that exports, the job that it starts, and the file that is downloaded."""

from __future__ import annotations

import csv
import io
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from frames.actions import exports
from frames.actions.export_content import of_version
from frames.actions.views import save_view
from frames.formats.writers import OUTPUT_FORMATS
from frames.models import Job, Project
from frames.search.query import FrameQuery
from frames.search.view_definition import RANDOM, Definition, Iteration, Scope
from tests.factories import make_frame, make_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.http.response import HttpResponseBase
    from django.test import Client

    from frames.models import Version

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(browse: Callable[[User | None], Client], viewer: User) -> Client:
    """A viewer: who may see frames may take them along."""
    return browse(viewer)


@pytest.fixture
def job(version: Version, viewer: User) -> Job:
    """A viewer's export that is done."""
    started = exports.start_export(
        content=of_version(version, FrameQuery()), format_name="jsonl", actor=viewer
    )
    exports.run(started.uid)
    return Job.objects.get(pk=started.pk)


def body(response: HttpResponseBase) -> bytes:
    return b"".join(response)


def download(job: Job) -> str:
    return reverse("frames:job_download", args=[job.uid])


def test_it_tells_how_many_frames_of_the_filter_and_which_formats(
    client: Client, base: str
) -> None:
    page = client.get(f"{base}/export/?q=label:car&label=person&group=none&size=l")
    text = page.content.decode()
    assert "1 of 6 frames" in text
    assert "Export 1 frame<" in text
    assert 'name="q" value="label:car"' in text
    for output in OUTPUT_FORMATS:
        assert output.title in text
    data = client.get(f"{base}/export.json?q=label:car").json()
    assert (data["total"], data["matched"], data["q"]) == (6, 3, "label:car")
    assert [one["name"] for one in data["formats"]] == [one.name for one in OUTPUT_FORMATS]


def test_a_viewer_exports_what_is_filtered_and_downloads_it(client: Client, base: str) -> None:
    given = {"q": "label:car", "label": "", "format": "jsonl"}
    response = client.post(f"{base}/export/", given)
    job = Job.objects.get()
    assert response.status_code == 302
    assert response["Location"] == f"/jobs/{job.uid}/"
    assert job.options == {"format": "jsonl", "q": "label:car"}
    exports.run(job.uid)

    page = client.get(f"/jobs/{job.uid}/").content.decode()
    assert f'href="{download(job)}"' in page
    assert "The file is kept until" in page
    response = client.get(download(job))
    assert [json.loads(line)["id"] for line in body(response).splitlines()] == ["a-0", "a-2", "b-1"]
    disposition = response["Content-Disposition"]
    assert disposition.startswith("attachment; ")
    assert disposition.endswith('.jsonl"')
    assert response["Content-Type"] == "application/x-ndjson"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response["Content-Security-Policy"]
    assert client.get(f"{base}/export/").content.decode().count(f"/jobs/{job.uid}/") == 1


def test_the_page_carries_what_chooses_frames_from_the_browser_to_the_job(
    client: Client, base: str
) -> None:
    """The browser's own link leads here with its groups, and the form carries them on."""
    look = "?label=car&scope=every&size=l&sort=-context_id"
    link = f"{base}/export/?label=car&amp;sort=-context_id&amp;scope=every&amp;size=l"
    assert link in client.get(f"{base}/{look}").content.decode()
    text = client.get(f"{base}/export/{look}").content.decode()
    assert "all frames of the contexts of which every frame matches" in text
    assert 'name="scope" value="every"' in text
    assert 'name="size"' not in text
    data = client.get(f"{base}/export.json{look}").json()
    client.post(f"{base}/export/", {"label": "car", "scope": "none", "format": "jsonl"})
    job = Job.objects.get()
    assert job.total is not None
    assert data["matched"] + job.total < data["total"] == 6
    assert job.options == {"format": "jsonl", "label": "car", "scope": "none"}
    page = client.get(f"/jobs/{job.uid}/").content.decode()
    assert "contexts of which none frame" not in page
    assert "of which no frame matches" in page
    text = client.get(f"{base}/export/?group=meta.k&sample=3").content.decode()
    assert "3 of each of the values of meta.k" in text


def test_what_a_format_cannot_hold_is_told_on_the_jobs_page(
    client: Client, project: Project
) -> None:
    version = make_version(project, [make_frame("a", rois=[{"label": ["day"]}, {"poly": [1, 2]}])])
    job = exports.start_export(
        content=of_version(version, FrameQuery()), format_name="voc", actor=None
    )
    exports.run(job.uid)
    page = client.get(f"/jobs/{job.uid}/").content.decode()
    assert "What the format cannot hold" in page
    assert "labels of a whole frame are left out" in page
    assert "regions without a label are left out" in page
    changes = client.get(f"/jobs/{job.uid}.json").json()["result"]["changes"]
    assert changes["labels of a whole frame are left out"] == 1


@pytest.mark.parametrize(
    ("given", "message", "status"),
    [
        ({"q": "label:(", "format": "jsonl"}, "", 400),
        ({"format": "pdf"}, "There is no format", 400),
        ({}, "There is no format", 400),
        ({"label": "tram", "format": "jsonl"}, "No frame matches", 400),
        ({"q": "x" * 20_000, "format": "jsonl"}, "is longer than", 400),
    ],
)
def test_what_cannot_be_exported_is_said_and_what_was_typed_is_kept(
    client: Client, base: str, given: dict[str, str], message: str, status: int
) -> None:
    response = client.post(f"{base}/export/", given)
    assert response.status_code == status
    text = response.content.decode()
    assert 'role="alert"' in text
    assert message in text
    if given.get("q"):
        assert f'name="q" value="{given["q"]}"' in text
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("query", "message", "way_out"),
    [
        ("?label=tram", "No frame matches, so there is nothing to export.", "Change the filter"),
        ("?q=label:tram", "No frame matches", "Change the filter"),
    ],
)
def test_a_filter_that_nothing_matches_leads_back_to_it(
    client: Client, base: str, query: str, message: str, way_out: str
) -> None:
    text = client.get(f"{base}/export/{query}").content.decode()
    assert message in text
    assert way_out in text
    assert "Format" not in text


def test_a_version_without_frames_says_so(client: Client, project: Project) -> None:
    version = make_version(project)
    text = client.get(f"/datasets/{version.dataset.uid}/versions/{version.uid}/export/").content
    assert b"The version has no frames yet." in text


def test_a_filter_that_cannot_be_read_is_an_error_of_the_page(client: Client, base: str) -> None:
    response = client.get(f"{base}/export/?q=label:(")
    assert response.status_code == 400
    assert 'class="button primary"' not in response.content.decode()
    assert client.get(f"{base}/export.json?q=label:(").json()["error"]


def test_neither_format_nor_filter_can_be_meant(client: Client, base: str) -> None:
    page = client.post(f"{base}/export/", {"format": "nope", "q": "label:("})
    assert page.status_code == 400
    assert 'value="label:("' in page.content.decode()


def test_an_outsider_neither_exports_nor_downloads(
    browse: Callable[[User | None], Client], outsider: User, base: str, job: Job
) -> None:
    client = browse(outsider)
    assert client.post(f"{base}/export/", {"format": "jsonl"}).status_code == 404
    assert client.get(download(job)).status_code == 404
    assert browse(None).get(download(job)).status_code == 302
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    ("header", "status", "part"),
    [
        ("", 200, slice(None)),
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=10-", 206, slice(10, None)),
        ("bytes=-5", 206, slice(-5, None)),
        ("bytes=99999999-", 416, None),
    ],
)
def test_a_download_is_resumed(
    client: Client, job: Job, header: str, status: int, part: slice | None
) -> None:
    whole = body(client.get(download(job)))
    response = client.get(download(job), headers={"Range": header} if header else {})
    assert response.status_code == status
    if part is not None:
        assert body(response) == whole[part]
        assert int(response["Content-Length"]) == len(whole[part])
    head = client.head(download(job))
    assert int(head["Content-Length"]) == len(whole)
    assert body(head) == b""


def test_a_reader_that_goes_away_harms_nothing(client: Client, job: Job) -> None:
    """The file is closed, stays whole, and the next reader has all of it."""
    response = client.get(download(job))
    path = storages["exports"].path(job.result["file"])
    assert next(iter(response))
    assert path in open_files()
    # As the server does it when its socket is closed.
    response._iterator.close()  # type: ignore[attr-defined]
    assert path not in open_files()
    assert len(body(client.get(download(job)))) == job.result["bytes"]


def open_files() -> list[str]:
    return [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]


def test_a_file_that_is_not_there_is_not_found(client: Client, job: Job, version: Version) -> None:
    waiting = exports.start_export(
        content=of_version(version, FrameQuery()), format_name="jsonl", actor=None
    )
    assert client.get(download(waiting)).status_code == 404
    storages["exports"].delete(job.result["file"])
    assert client.get(download(job)).status_code == 404


def test_a_file_that_was_removed_is_said_on_the_pages(client: Client, job: Job, base: str) -> None:
    over = timezone.now() - timedelta(days=settings.EXPORT_KEEP_DAYS, seconds=1)
    Job.objects.filter(pk=job.pk).update(finished_at=over)
    exports.sweep()
    assert client.get(download(job)).status_code == 404
    page = client.get(f"/jobs/{job.uid}/").content.decode()
    assert "The file has been removed. Export the frames again." in page
    assert download(job) not in page
    assert "Removed" in client.get(f"{base}/export/").content.decode()


def test_a_file_of_a_format_that_is_not_written_any_more_is_still_there(
    client: Client, job: Job, base: str
) -> None:
    Job.objects.filter(pk=job.pk).update(options={"format": "gone"})
    assert "gone" in client.get(f"/jobs/{job.uid}/").content.decode()
    assert "gone" in client.get(f"{base}/export/").content.decode()
    assert len(body(client.get(download(job)))) == job.result["bytes"]


def test_who_asked_for_an_export_may_cancel_it_and_other_viewers_may_not(
    browse: Callable[[User | None], Client], viewer: User, editor: User, version: Version
) -> None:
    def queued(actor: User) -> Job:
        return exports.start_export(
            content=of_version(version, FrameQuery()), format_name="jsonl", actor=actor
        )

    client = browse(viewer)
    own, others = queued(viewer), queued(editor)
    address = f"/jobs/{own.uid}/cancel/"
    assert address in client.get(f"/jobs/{own.uid}/").content.decode()
    assert client.post(address).status_code == 302
    assert Job.objects.get(pk=own.pk).state == Job.State.CANCELLED
    assert "/cancel/" not in client.get(f"/jobs/{others.uid}/").content.decode()
    assert client.post(f"/jobs/{others.uid}/cancel/").status_code == 403


def test_the_command_writes_what_the_page_does(
    version: Version, job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "a.jsonl"
    options = {"dataset": version.dataset.name, "version": version.name, "format": "jsonl"}
    call_command("export_frames", **options, out=target)
    with storages["exports"].open(job.result["file"]) as file:
        assert target.read_bytes() == file.read()
    assert capsys.readouterr().out == f"exported 6 frames, {target.stat().st_size} bytes\n"
    call_command("export_frames", **options, out=target, q="label:bus")
    assert [json.loads(line)["id"] for line in target.read_text().splitlines()] == ["b-0"]


def test_the_command_takes_groups_samples_and_views(
    version: Version, client: Client, project: Project, tmp_path: Path
) -> None:
    target = tmp_path / "a.jsonl"

    def ids(**options: Any) -> list[str]:
        call_command("export_frames", format="jsonl", out=target, **options)
        return [json.loads(line)["id"] for line in target.read_text().splitlines()]

    name = version.dataset.name
    every = ids(dataset=name, q="context_id:drive*", scope="every")
    none = ids(dataset=name, q="context_id:drive*", scope="none")
    assert {frame_id[0] for frame_id in every} == {"a", "b"}
    assert len(every) + len(none) == 6
    assert len(ids(dataset=name, group="label", sample="1")) <= 6
    asked = Definition(
        (Scope(version.dataset.uid, version.uid),), iteration=Iteration(RANDOM, limit=4)
    )
    view = save_view(project=project, name="Few", definition=asked, actor=None)
    lines = client.get(f"/views/{view.uid}/?format=csv")
    rows = list(csv.DictReader(io.StringIO(body(lines).decode())))
    assert ids(view=view.uid) == [row["frame_id"] for row in rows]
    with pytest.raises(CommandError, match="There is no data view"):
        ids(view="none")


def test_the_command_says_what_the_format_cannot_hold(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    version = make_version(project, [make_frame("a", rois=[{"label": ["day"]}])])
    arguments = ["--dataset", version.dataset.name, "--version", "Current"]
    call_command("export_frames", *arguments, "--format", "voc", "--out", tmp_path / "a.zip")
    assert capsys.readouterr().err == "1: labels of a whole frame are left out\n"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "None such"}, "There is no dataset named None such"),
        ({"version": "None such"}, "has no version named None such"),
        ({"format": "pdf"}, "pdf"),
        ({"q": "label:("}, r"at character \d+"),
        ({"q": "label:tram"}, "nothing to export"),
        ({"project": "None such"}, "There is no dataset named"),
    ],
)
def test_the_command_says_what_is_wrong(
    version: Version, tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    options = {"dataset": version.dataset.name, "version": "Current", "format": "jsonl"}
    with pytest.raises(CommandError, match=message):
        call_command("export_frames", **{**options, **changes}, out=tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_the_command_asks_which_of_two_datasets_is_meant(version: Version, tmp_path: Path) -> None:
    twin = make_version(Project.objects.create(name="Other"), [make_frame("twin")])
    type(twin.dataset).objects.filter(pk=twin.dataset_id).update(
        name=version.dataset.name, name_key=version.dataset.name_key
    )
    options = {"dataset": version.dataset.name, "format": "jsonl", "out": tmp_path / "a"}
    with pytest.raises(CommandError, match=f"Other, {version.dataset.project.name}"):
        call_command("export_frames", **options)
    call_command("export_frames", **options, project="Other")
    assert json.loads((tmp_path / "a").read_text())["id"] == "twin"
