"""What an export is of: the frames that a page's groups and samples show, or a view's list."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from django.core.files.storage import storages

from frames.actions import exports, views
from frames.actions.export_content import of_version, of_view
from frames.actions.fields import Refused
from frames.actions.frames import change_membership, lock_draft
from frames.formats.writers import OUTPUT_FORMATS
from frames.index import membership
from frames.index.bitmaps import BitMap
from frames.models import AuditEvent, Frame, Job, Source, Version
from frames.search import view_order
from frames.search import views as search_views
from frames.search.errors import QueryError
from frames.search.query import FrameQuery
from tests.factories import make_frame, make_version
from tests.search.test_views import definition, drives, names

if TYPE_CHECKING:
    from frames.actions.export_content import Content
    from frames.formats.writers import OutputFormat
    from frames.models import DataView, Project
    from frames.search.view_definition import Definition

pytestmark = pytest.mark.django_db


def start(content: Content, name: str = "jsonl") -> Job:
    return exports.start_export(content=content, format_name=name, actor=None)


def finish(job: Job) -> Job:
    exports.run(job.uid)
    job.refresh_from_db()
    return job


def lines(job: Job) -> list[dict[str, Any]]:
    assert job.state == Job.State.DONE, job.message
    with storages["exports"].open(job.result["file"]) as file:
        return [json.loads(line) for line in file]


def saved(project: Project, asked: Definition) -> DataView:
    return views.save_view(project=project, name="Night drives", definition=asked, actor=None)


def view_content(project: Project, asked: Definition) -> Content:
    return of_view(saved(project, asked), search_views.evaluate(asked, Version.objects.all()))


# --- of a page --------------------------------------------------------------------------------


@pytest.fixture
def version(project: Project) -> Version:
    """Context a has cars throughout, b in one frame, c in none."""
    cars = {"a": ["car", "car"], "b": ["car", ""], "c": ["", ""]}
    frames = [
        make_frame(
            f"{context}-{number}",
            context_id=context,
            timestamp=number,
            labels=[label] if label else [],
            meta={"half": number},
        )
        for context, labels in cars.items()
        for number, label in enumerate(labels)
    ]
    return make_version(project, frames)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, ["a-0", "a-1", "b-0"]),
        ({"scope": "every"}, ["a-0", "a-1"]),
        ({"scope": "none"}, ["c-0", "c-1"]),
        ({"group": "meta.half", "scope": "every"}, []),
        ({"group": "meta.half", "sample": "1"}, ["a-1", "b-0"]),
        ({"group": "none", "scope": "none"}, ["a-0", "a-1", "b-0"]),
    ],
)
def test_b12_groups_and_samples_are_exported_as_the_page_shows_them(
    version: Version, given: dict[str, str], wanted: list[str]
) -> None:
    query = FrameQuery(label="car", **given)
    if not wanted:
        with pytest.raises(Refused, match="nothing to export"):
            of_version(version, query)
        return
    job = finish(start(of_version(version, query)))
    assert [line["id"] for line in lines(job)] == wanted


def test_a_job_remembers_what_chooses_frames_and_not_their_look(version: Version) -> None:
    query = FrameQuery(label="car", scope="every", size="l", view="table")
    assert start(of_version(version, query)).options == {
        "format": "jsonl",
        "label": "car",
        "scope": "every",
    }


# --- of a view --------------------------------------------------------------------------------


@pytest.fixture
def two(project: Project) -> list[Version]:
    """Two datasets, of two projects."""
    return [make_version(project, drives(12)), make_version(frames=drives(9, label="van"))]


@pytest.mark.parametrize(
    "iteration",
    [
        {},
        {"limit": 7},
        {"order": "random", "random_seed": 5},
        {"order": "random", "limit": 8},
        {"order": "random", "clip_length": 3, "limit": 8},
    ],
)
def test_a_view_is_exported_in_its_order(
    project: Project,
    two: list[Version],
    iteration: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Order, ratios, limit and seed are those of the view's page, over chunks too."""
    monkeypatch.setattr("frames.actions.export_content.CHUNK_FRAMES", 5)
    filters = [{"q": "label:car", "weight": 3}, {"q": "NOT label:car", "weight": 1}]
    asked = definition(*two, filters=filters, iteration=iteration)
    found = search_views.evaluate(asked, Version.objects.all())
    wanted = [frame_id for _, frame_id in names(view_order.frames(found))]
    job = finish(start(view_content(project, asked)))
    assert [line["id"] for line in lines(job)] == wanted
    assert (job.total, job.version, job.dataset) == (len(wanted), None, None)
    assert job.result["file"].endswith("/Night_drives.jsonl")
    event = AuditEvent.objects.get(verb="export")
    assert (event.object_kind, event.object_name) == ("dataview", "Night drives")


def test_labels_are_mapped_and_numbered_as_the_view_does(
    project: Project, two: list[Version]
) -> None:
    source = {"dataset": "*", "version": "*", "labels": ["van"]}
    asked = definition(
        *two,
        mapping={"rules": [{"source": source, "target": "vehicle"}]},
        labels_enumeration={"vehicle": 7, "bus": 3},
    )
    content = view_content(project, asked)
    found = [
        (label, roi["label_num"])
        for line in lines(finish(start(content)))
        for roi in line["rois"]
        for label in roi["label"]
    ]
    assert set(found) == {("car", -1), ("vehicle", 7)}

    with (
        storages["exports"].open(finish(start(content, "yolo-detect")).result["file"]) as file,
        zipfile.ZipFile(file) as archive,
    ):
        text = next(archive.read(n).decode() for n in archive.namelist() if n.endswith(".yaml"))
    # In the order of the numbers, then those without.
    assert [text.index(name) for name in ("bus", "vehicle", "car")] == sorted(
        text.index(name) for name in ("bus", "vehicle", "car")
    )


@pytest.mark.parametrize("output", OUTPUT_FORMATS, ids=lambda output: output.name)
def test_a_view_is_written_in_every_format(
    project: Project, two: list[Version], output: OutputFormat
) -> None:
    job = finish(start(view_content(project, definition(*two)), output.name))
    assert (job.state, job.position) == (Job.State.DONE, 21)


def test_what_is_written_is_what_the_view_held_when_it_was_asked_for(
    project: Project, two: list[Version]
) -> None:
    """Its drafts may change meanwhile, and so may the view."""
    asked = definition(*two)
    content = view_content(project, asked)
    wanted = [frame_id for _, frame_id in names(view_order.frames(content.view))]  # type: ignore[attr-defined]
    job = start(content)
    draft = lock_draft(two[0].pk)
    change_membership(draft, add=BitMap(), remove=membership.members(draft.pk))
    views.update_view(content.source, actor=None, definition=definition(two[1]))  # type: ignore[arg-type]
    assert [line["id"] for line in lines(finish(job))] == wanted


def test_frames_that_are_removed_meanwhile_end_a_views_export(
    project: Project, two: list[Version]
) -> None:
    for iteration in ({}, {"order": "random"}, {"order": "random", "clip_length": 2}):
        job = start(view_content(project, definition(*two, iteration=iteration)))
        gone = Frame.objects.filter(dataset=two[0].dataset)[:1]
        Source.objects.filter(frame__in=[frame.pk for frame in gone]).delete()
        Frame.objects.filter(pk__in=[frame.pk for frame in gone]).delete()
        finish(job)
        assert job.state == Job.State.FAILED
        assert "removed meanwhile" in job.message


def test_a_deleted_view_or_version_ends_its_export(project: Project, two: list[Version]) -> None:
    without_view = start(view_content(project, definition(two[0])))
    content = view_content(project, definition(two[1]))
    without_version = start(content)
    type(content.source).objects.exclude(pk=content.source.pk).delete()
    two[1].delete()
    for job in (without_view, without_version):
        assert finish(job).state == Job.State.FAILED
        assert "has been deleted" in job.message


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        ({"iteration": {"infinite": True}}, Refused, "without end"),
        ({"filters": [{"q": "label:tram"}]}, Refused, "holds no frame"),
        ({"filters": [{"q": "meta.n:[1 TO"}]}, QueryError, "cannot be read"),
    ],
)
def test_a_view_without_a_list_is_refused(
    project: Project,
    two: list[Version],
    parts: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    asked = definition(*two, **parts)
    found = search_views.evaluate(asked, Version.objects.all())
    source = saved(project, definition(*two))
    with pytest.raises(error, match=message):
        of_view(source, found)
