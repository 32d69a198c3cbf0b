"""Two versions beside each other."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from frames.actions import versions
from tests.factories import add_frames, make_frame, make_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Project, Version

    Browse = Callable[[User | None], Client]


@pytest.fixture
def child(version: Version) -> Version:
    """A child with one frame added, two removed, and one relabelled and moved in time."""
    parent = versions.publish(version, actor=None, reason="unchecked")
    child = versions.create_version(
        dataset=parent.dataset, name="child", parents=[parent], actor=None
    )
    versions.delete_frames(child, ["b-0", "b-1"], actor=None)
    new = make_frame("new", context_id="drive/n", labels=["=cmd"])
    changed = make_frame(
        "a-2", context_id="drive/a", timestamp=67, labels=["truck"], meta={"light": "dusk"}
    )
    return add_frames(child, [new, changed])


@pytest.fixture
def address(version: Version, child: Version) -> str:
    return f"/datasets/{child.dataset.uid}/compare/{version.uid}/{child.uid}"


def test_changes_are_told_in_words(address: str, browse: Browse, viewer: User) -> None:
    body = browse(viewer).get(f"{address}/").content.decode()
    for text in ("Changed 1", "Added 1", "Removed 2", "a-2", "car → truck: relabelled"):
        assert text in body
    assert "light: none → &quot;dusk&quot;" in body
    assert "timestamp differs" in body


@pytest.mark.parametrize(
    ("side", "ids"), [("changed", ["a-2"]), ("added", ["new"]), ("removed", ["b-0", "b-1"])]
)
def test_json_twin(address: str, browse: Browse, viewer: User, side: str, ids: list[str]) -> None:
    page = browse(viewer).get(f"{address}.json?side={side}").json()
    assert (page["changed"], page["added"], page["removed"]) == (1, 1, 2)
    assert (page["side"], page["matched"], page["total"]) == (side, len(ids), 4)
    assert [item["frame_id"] for item in page["items"]] == ids
    item = page["items"][0]
    assert (item["before"] is None) == (side == "added")
    assert (item["after"] is None) == (side == "removed")
    assert {(d["label"], d["before"], d["after"]) for d in page["labels"]} == {
        ("car", 3, 1),
        ("bus", 1, 0),
        ("truck", 0, 1),
        ("=cmd", 0, 1),
    }


def test_csv_has_a_line_for_each_frame(address: str, browse: Browse, viewer: User) -> None:
    response = browse(viewer).get(f"{address}/?format=csv")
    assert response["Content-Disposition"].startswith("attachment")
    rows = list(csv.reader(io.StringIO(response.getvalue().decode())))
    assert rows[0] == ["change", "frame_id", "context_id", "timestamp", "what"]
    assert [(row[0], row[1]) for row in rows[1:]] == [
        ("changed", "a-2"),
        ("added", "new"),
        ("removed", "b-0"),
        ("removed", "b-1"),
    ]
    assert "meta.light" in rows[1][4]


def test_a_spreadsheet_takes_no_text_for_a_formula(
    project: Project, browse: Browse, viewer: User
) -> None:
    root = versions.publish(make_version(project), actor=None, reason="unchecked")
    child = versions.create_version(dataset=root.dataset, name="child", parents=[root], actor=None)
    add_frames(child, [make_frame("=1+1", context_id="@SUM(A1)")])
    address = f"/datasets/{root.dataset.uid}/compare/{root.uid}/{child.uid}/?format=csv"
    rows = list(csv.reader(io.StringIO(browse(viewer).get(address).getvalue().decode())))
    assert rows[1][1:3] == ["'=1+1", "'@SUM(A1)"]


def test_pages_follow_each_other(
    project: Project, browse: Browse, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frames.web.version_compare.PAGE_SIZE", 2)
    root = versions.publish(make_version(project), actor=None, reason="unchecked")
    child = versions.create_version(dataset=root.dataset, name="child", parents=[root], actor=None)
    add_frames(child, [make_frame(f"f{n}") for n in range(5)])
    address = f"/datasets/{root.dataset.uid}/compare/{root.uid}/{child.uid}.json?side=added"
    found, after = [], ""
    while after is not None:
        page = browse(viewer).get(f"{address}&after={after}").json()
        found += [item["frame_id"] for item in page["items"]]
        after = page["next"]
    assert found == [f"f{n}" for n in range(5)]


def test_equal_versions_say_so(version: Version, base: str, browse: Browse, viewer: User) -> None:
    address = f"/datasets/{version.dataset.uid}/compare/{version.uid}/{version.uid}/"
    body = browse(viewer).get(address).content.decode()
    assert "No frame was changed" in body
    assert "0 changed, 0 added, 0 removed" in body


def test_the_choice_of_two_leads_to_their_comparison(
    version: Version, child: Version, address: str, browse: Browse, viewer: User, outsider: User
) -> None:
    form = f"/datasets/{child.dataset.uid}/compare/?before={version.uid}&after={child.uid}"
    assert browse(viewer).get(form)["Location"] == f"{address}/"
    assert browse(outsider).get(form).status_code == 404
    assert browse(viewer).get(form.split("?")[0]).status_code == 404


def test_versions_of_two_datasets_are_not_found(
    project: Project, version: Version, browse: Browse, viewer: User
) -> None:
    other = make_version(project)
    address = f"/datasets/{version.dataset.uid}/compare/{version.uid}/{other.uid}/"
    assert browse(viewer).get(address).status_code == 404


@pytest.mark.parametrize("query", ["side=none", "side=changed&after=garbage"])
def test_a_query_that_means_nothing_is_no_error_of_ours(
    address: str, browse: Browse, viewer: User, query: str
) -> None:
    assert browse(viewer).get(f"{address}/?{query}").status_code in (302, 404)
    assert browse(viewer).get(f"{address}.json?{query}").status_code in (400, 404)


def test_more_frames_make_no_more_queries(project: Project, browse: Browse, viewer: User) -> None:
    counts = []
    client = browse(viewer)
    for number in (2, 12):
        root = versions.publish(
            make_version(project, [make_frame("kept")]), actor=None, reason="unchecked"
        )
        child = versions.create_version(
            dataset=root.dataset, name="child", parents=[root], actor=None
        )
        add_frames(child, [make_frame(f"f{n}") for n in range(number)])
        with CaptureQueriesContext(connection) as queries:
            client.get(f"/datasets/{root.dataset.uid}/compare/{root.uid}/{child.uid}/")
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_equal_changes_of_one_frame_are_counted(
    project: Project, browse: Browse, viewer: User
) -> None:
    parent = make_version(project, [make_frame("a", rois=_boxes("car", "car", "bus"))])
    parent = versions.publish(parent, actor=None, reason="unchecked")
    child = versions.create_version(
        dataset=parent.dataset, name="child", parents=[parent], actor=None
    )
    add_frames(child, [make_frame("a", rois=_boxes("van", "van", "truck"))])
    page = browse(viewer).get(
        f"/datasets/{parent.dataset.uid}/compare/{parent.uid}/{child.uid}.json"
    )
    assert page.json()["items"][0]["changes"] == [
        "2 \N{MULTIPLICATION SIGN} car → van: relabelled",
        "bus → truck: relabelled",
    ]


def _boxes(*labels: str) -> list[dict[str, Any]]:
    """Return a box for each label, each in a place of its own."""
    corners = [(n * 20, n * 20 + 10) for n in range(len(labels))]
    return [
        {"label": [label], "poly": [a, a, b, a, b, b, a, b], "sources": ["default"]}
        for label, (a, b) in zip(labels, corners, strict=True)
    ]
