"""Two versions beside each other."""

from __future__ import annotations

import csv
import html
import io
import re
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape, strip_tags

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
    ("side", "rows"),
    [
        ("changed", [("a-2", "drive/a", "00:00:00.067")]),
        ("added", [("new", "drive/n", "00:00:00.000")]),
        ("removed", [("b-0", "drive/b", "00:00:00.000"), ("b-1", "drive/b", "00:00:01.000")]),
    ],
)
def test_frames_added_removed_and_changed_as_thumbnails_and_as_a_table(
    address: str, browse: Browse, viewer: User, side: str, rows: list[tuple[str, str, str]]
) -> None:
    """A page with its own URL each, that leads to the other and keeps what is listed."""
    client = browse(viewer)
    thumbnails, table = f"{address}/?side={side}", f"{address}/?view=table&side={side}"
    grid = client.get(thumbnails).content.decode()
    page = client.get(table).content.decode()
    assert f'href="{escape(table)}"' in grid
    assert f'href="{thumbnails}"' in page
    assert re.findall(r'<span class="card-name">(.*?)</span>', grid) == [row[0] for row in rows]
    assert [tuple(cells[1:5]) for cells in table_cells(page)] == [(*row, side) for row in rows]


def test_the_table_tells_what_changed_in_words(
    project: Project, browse: Browse, viewer: User
) -> None:
    """Metadata keys by name, regions by number, and the frame leads to where they are drawn."""
    meta = {f"key{n}": n for n in range(9)}
    parent = make_version(
        project, [make_frame("a", rois=_boxes("car", "bus", "van", "cat"), meta=meta)]
    )
    parent = versions.publish(parent, actor=None, reason="unchecked")
    child = versions.create_version(
        dataset=parent.dataset, name="child", parents=[parent], actor=None
    )
    rois = _boxes("truck", "lorry", "van")
    rois[2]["poly"] = [500, 500, 510, 500, 510, 510, 500, 510]
    add_frames(child, [make_frame("a", rois=rois, timestamp=5, meta={"light": "<dusk>"})])
    address = f"/datasets/{parent.dataset.uid}/compare/{parent.uid}/{child.uid}/"
    table = browse(viewer).get(address, {"view": "table"}).content.decode()
    (cells,) = table_cells(table)
    keys = "key0, key1, key2, key3, key4, key5, key6, key7 and 2 more"
    assert cells[5].split("\n") == [
        f"metadata: {keys}",
        "1 region removed",
        "1 region moved",
        "2 regions relabelled",
        "timestamp differs",
        "sources differ",
    ]
    (difference,) = re.findall(r'<th scope="row"><a href="(.*?)"', table)
    page, place = html.unescape(difference).split("#")
    assert f'id="{place}"' in browse(viewer).get(page).content.decode()


def table_cells(page: str) -> list[list[str]]:
    """Return the words in each cell of the table of frames, a line for each line of a cell."""
    body = page[page.index('<table class="frames') :] if "<table" in page else page
    rows = re.findall(r"<tr>(.*?)</tr>", body, flags=re.DOTALL)
    cells = [re.findall(r"<t[dh].*?</t[dh]>", row, flags=re.DOTALL) for row in rows]
    return [
        [strip_tags(cell.replace("</div><div>", "\n")).strip() for cell in row]
        for row in cells
        if not row[0].startswith('<th scope="col"')
    ]


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
    for frame in (item["before"], item["after"]):
        assert frame is None or frame["dataset"]["version"] in frame["url"]
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
    assert [(row[0], row[1]) for row in rows[1:5]] == [
        ("changed", "a-2"),
        ("added", "new"),
        ("removed", "b-0"),
        ("removed", "b-1"),
    ]
    # What the page and the JSON say, and how often each label is on a region.
    page = browse(viewer).get(f"{address}.json?side=changed").json()
    assert rows[1][4] == "; ".join(page["items"][0]["changes"])
    assert [(row[0], row[4]) for row in rows[5:]] == [
        ("label", "car: 3 regions before, 1 after"),
        ("label", "'=cmd: 0 regions before, 1 after"),
        ("label", "bus: 1 region before, 0 after"),
        ("label", "truck: 0 regions before, 1 after"),
    ]


def test_a_spreadsheet_takes_no_text_for_a_formula(
    project: Project, browse: Browse, viewer: User
) -> None:
    root = versions.publish(make_version(project), actor=None, reason="unchecked")
    child = versions.create_version(dataset=root.dataset, name="child", parents=[root], actor=None)
    add_frames(child, [make_frame("=1+1", context_id="@SUM(A1)")])
    address = f"/datasets/{root.dataset.uid}/compare/{root.uid}/{child.uid}/?format=csv"
    rows = list(csv.reader(io.StringIO(browse(viewer).get(address).getvalue().decode())))
    assert rows[1][1:3] == ["'=1+1", "'@SUM(A1)"]


def five_added(project: Project) -> str:
    """Return the address of a comparison that finds five added frames, without its last slash."""
    root = versions.publish(make_version(project), actor=None, reason="unchecked")
    child = versions.create_version(dataset=root.dataset, name="child", parents=[root], actor=None)
    add_frames(child, [make_frame(f"f{n}") for n in range(5)])
    return f"/datasets/{root.dataset.uid}/compare/{root.uid}/{child.uid}"


def test_more_rows_come_alone_and_keep_the_view(
    project: Project, browse: Browse, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frames.web.version_compare.PAGE_SIZE", 2)
    address = f"{five_added(project)}/"
    client = browse(viewer)
    page = client.get(address, {"view": "table", "side": "added"}).content.decode()
    found = [cells[1] for cells in table_cells(page)]
    while more := re.findall(r'hx-get="(.*?)"', page):
        following = html.unescape(more[0])
        whole = client.get(following).content.decode()
        page = client.get(following, headers={"HX-Request": "true"}).content.decode()
        assert page.lstrip().startswith("<tr>")
        assert "<table" not in page
        assert table_cells(whole) == table_cells(page)
        # From any page the thumbnails of the same frames are one step away.
        place = following.partition("&after=")[2]
        assert f'href="{address}?side=added&amp;after={place}"' in whole
        found += [cells[1] for cells in table_cells(page)]
    assert found == [f"f{n}" for n in range(5)]


def test_pages_follow_each_other(
    project: Project, browse: Browse, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frames.web.version_compare.PAGE_SIZE", 2)
    address = f"{five_added(project)}.json?side=added"
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


@pytest.mark.parametrize(
    "query", ["side=none", "view=none", "side=changed&after=garbage", "view=table&after=garbage"]
)
def test_a_query_that_means_nothing_is_no_error_of_ours(
    address: str, browse: Browse, viewer: User, query: str
) -> None:
    assert browse(viewer).get(f"{address}/?{query}").status_code in (302, 404)
    assert browse(viewer).get(f"{address}.json?{query}").status_code in (400, 404)


@pytest.mark.parametrize("view", ["grid", "table"])
def test_more_frames_make_no_more_queries(
    project: Project, browse: Browse, viewer: User, view: str
) -> None:
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
            client.get(
                f"/datasets/{root.dataset.uid}/compare/{root.uid}/{child.uid}/", {"view": view}
            )
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
