"""The datasets page: cards, search, order, paging."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from frames.models import Dataset, Project, Source
from frames.web import dataset_list
from tests.factories import make_frame, make_version
from tests.web.support import make_preview, next_link

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Version


def test_card_says_what_there_is(
    version: Version, base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    Dataset.objects.update(tags=["driving"], metadata={"a": 1}, is_example=True, updated_by=viewer)
    make_preview(Source.objects.get(frame__frame_id="a-2"))
    body = browse(viewer).get("/datasets/").content.decode()
    assert f'<a href="{base}/">{version.dataset.name}</a>' in body
    figures = re.findall(r"<dt[^>]*>(\w+)</dt><dd>([^<]+)</dd>", body)
    assert figures == [("version", "1"), ("frames", "6"), ("annotated", "67 %")]
    for part in ("just now", "by viewer", "✓ metadata", "Example", "driving", "/previews/"):
        assert part in body


def test_json_twin(
    version: Version, base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    page = browse(viewer).get("/datasets.json").json()
    assert (page["total"], page["matched"], page["next"]) == (1, 1, None)
    (card,) = page["items"]
    assert card["id"] == version.dataset.uid
    assert card["url"] == f"{base}/"
    assert (card["versions"], card["frames"], card["annotated_frames"]) == (1, 6, 4)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=night", ["Night"]),
        ("q=RAIN", ["Day", "Night"]),
        ("q=rain+night", ["Night"]),
        ("q=tagged", ["Day"]),
        ("q=nothing", []),
        ("sort=name", ["Day", "Night"]),
        ("sort=-name", ["Night", "Day"]),
    ],
)
def test_search_and_order(
    query: str,
    found: list[str],
    project: Project,
    browse: Callable[[User | None], Client],
    viewer: User,
) -> None:
    for name, tags in (("Day", ["tagged"]), ("Night", [])):
        Dataset.objects.create(project=project, name=name, description="rain", tags=tags)
    page = browse(viewer).get(f"/datasets.json?{query}&sort=name").json()
    if "sort" in query:
        page = browse(viewer).get(f"/datasets.json?{query}").json()
    assert [card["name"] for card in page["items"]] == found
    assert page["total"] == 2


def test_project_filter_shows_one_project(
    version: Version, project: Project, browse: Callable[[User | None], Client], viewer: User
) -> None:
    other = Project.objects.create(name="Other")
    other.grants.create(user=viewer)
    make_version(other)
    client = browse(viewer)
    assert client.get("/datasets.json").json()["total"] == 2
    assert client.get(f"/datasets.json?project={project.uid}").json()["total"] == 1
    assert client.get("/datasets/?project=unknown").status_code == 404


def test_load_more_brings_the_rest(
    project: Project,
    browse: Callable[[User | None], Client],
    viewer: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dataset_list, "PAGE_SIZE", 2)
    for number in range(5):
        Dataset.objects.create(project=project, name=f"{number}")
    client = browse(viewer)
    names: list[str] = []
    query = "?sort=name"
    while query:
        part = client.get(f"/datasets/{query}", headers={"HX-Request": "true"}).content.decode()
        assert "<html" not in part
        names += re.findall(r'<h2 class="plate-name"><a[^>]*>([^<]+)</a>', part)
        query = next_link(part)
    assert names == ["0", "1", "2", "3", "4"]
    found: list[str] = []
    after: int | None = 1
    while after:
        page = client.get(f"/datasets.json?sort=name&after={after}").json()
        found += [item["name"] for item in page["items"]]
        after = page["next"]
    assert found == names


@pytest.mark.parametrize("page", ["0", "-1", "x", "999999", "9" * 50, "²"])
def test_foreign_page_number_is_no_error(
    page: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    assert browse(viewer).get("/datasets/", {"after": page}).status_code == 200


def test_who_is_in_no_project_is_told_what_to_do(
    browse: Callable[[User | None], Client], outsider: User
) -> None:
    body = browse(outsider).get("/datasets/").content.decode()
    assert "You are in no project yet" in body
    assert "outsider" in body


def test_only_who_may_change_sees_the_buttons(
    project: Project, browse: Callable[[User | None], Client], viewer: User, editor: User
) -> None:
    assert "New dataset" not in browse(viewer).get("/datasets/").content.decode()
    body = browse(editor).get("/datasets/").content.decode()
    assert f'href="/datasets/new/?project={project.uid}"' in body
    assert f'href="/projects/{project.uid}/import/"' in body


def test_number_of_queries_does_not_grow(
    project: Project, browse: Callable[[User | None], Client], viewer: User
) -> None:
    client = browse(viewer)
    counts = []
    for more in (2, 8):
        for number in range(more):
            other = Project.objects.create(name=f"Project {more} {number}")
            other.grants.create(user=viewer)
            make_version(other, [make_frame("a"), make_frame("b")])
        with CaptureQueriesContext(connection) as captured:
            assert client.get("/datasets/").status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1]
    assert counts[0] <= 11


@pytest.mark.parametrize(
    ("persona", "labels"),
    [
        ("viewer", []),
        ("editor", ["Rename", "Add tag", "Edit metadata", "New empty version"]),
        ("admin", ["Rename", "Add tag", "Edit metadata", "New empty version", "Delete"]),
    ],
)
def test_d8_menu_of_a_card_has_what_the_reader_may_do(
    version: Version,
    browse: Callable[[User | None], Client],
    persona: str,
    labels: list[str],
    request: pytest.FixtureRequest,
) -> None:
    client = browse(request.getfixturevalue(persona))
    body = client.get("/datasets/").content.decode()
    menu = body.partition('<details class="menu plate-menu">')[2].partition("</details>")[0]
    found = re.findall(r'<a href="([^"]*)">([^<]*)</a>', menu)
    assert [label for _, label in found] == labels
    assert all(client.get(address).status_code == 200 for address, _ in found)


def test_d7_metadata_mark_leads_an_editor_to_the_form(
    version: Version, browse: Callable[[User | None], Client], editor: User, viewer: User
) -> None:
    version.dataset.metadata = {"licence": "CC0"}
    version.dataset.save()
    link = f'href="/datasets/{version.dataset.uid}/metadata/">✓ metadata'
    assert link in browse(editor).get("/datasets/").content.decode()
    shown = browse(viewer).get("/datasets/").content.decode()
    assert "✓ metadata" in shown
    assert link not in shown
