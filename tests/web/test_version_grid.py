"""The frame browser's ways to look: order, views, sources, groups and samples."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from frames.formats.base import SourceData
from frames.models import Project, Source
from frames.web import version_detail
from tests.factories import make_frame, make_version
from tests.web.support import HOSTILE, make_preview, next_link

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.formats.base import FrameData
    from frames.models import Version

URI = "https://example.com/picture.jpg"


def drive(number: int, **fields: Any) -> FrameData:
    """Return a frame with a rear camera where it is even, and values of several types."""
    meta = {"weather": ["rain", "dusk"][number % 2], "speed": number * 1.5}
    frame = make_frame(
        f"f{number}",
        context_id=f"drive/{number // 4}",
        timestamp=number * 33,
        labels=["car"] * (number % 3) + ["bus"] * (number == 5),
        meta=meta,
    )
    sources = [SourceData("front", URI, "image/jpeg", 640, 480 + number, number * 33)]
    if number % 2 == 0:
        sources.append(SourceData("rear", f"{URI}?rear", "image/jpeg", 320, 240, number * 33))
    return replace(frame, sources=sources, **fields)


@pytest.fixture
def streets(project: Project) -> Version:
    return make_version(project, [drive(number) for number in range(8)])


@pytest.fixture
def address(streets: Version) -> str:
    return f"/datasets/{streets.dataset.uid}/versions/{streets.uid}"


@pytest.fixture
def body(
    address: str, browse: Callable[[User | None], Client], viewer: User
) -> Callable[[str], str]:
    """Return the HTML of the version's page with a query."""
    client = browse(viewer)

    def read(query: str) -> str:
        response = client.get(f"{address}/{query}")
        assert response.status_code == 200, response.content[:300]
        return response.content.decode()

    return read


@pytest.fixture
def twin(
    address: str, browse: Callable[[User | None], Client], viewer: User
) -> Callable[[str], dict[str, Any]]:
    """Return the JSON of the version's page with a query."""
    client = browse(viewer)
    return lambda query: client.get(f"{address}.json{query}").json()


def link(body: str, text: str) -> dict[str, list[str]]:
    """Return the query of the link with a text."""
    found = re.search(rf'<a[^>]*href="([^"]+)"[^>]*>(?:<[^>]+>)*{re.escape(text)}<', body)
    assert found, text
    return parse_qs(urlsplit(found[1].replace("&amp;", "&")).query)


def test_b1_label_filter_is_a_chip_that_is_taken_off(body: Callable[[str], str]) -> None:
    page = body("?label=bus&group=none")
    assert "Remove the label filter bus" in page
    assert page.count('<li class="card">') == 1


def test_b2_advanced_filter_opens_in_the_left_column(body: Callable[[str], str]) -> None:
    assert link(body("?q=car&size=l"), "Filter") == {
        "q": ["car"],
        "size": ["l"],
        "panel": ["filter"],
    }


def test_b3_found_out_of_all_is_said(body: Callable[[str], str]) -> None:
    assert "1 out of 8 found" in body("?q=bus")


@pytest.mark.parametrize(
    ("sort", "wanted"),
    [
        ("-id", ["f7", "f6", "f5"]),
        ("saved", ["f0", "f1", "f2"]),
        ("-sources.height", ["f7", "f6", "f5"]),
        ("-timestamp", ["f7", "f6", "f5"]),
        ("context_id", ["f0", "f1", "f2"]),
        ("meta.weather", ["f1", "f3", "f5"]),
        ("-meta.speed", ["f7", "f6", "f5"]),
        ("rois.label", ["f5", "f1", "f2"]),
    ],
)
def test_b4_sort_by(sort: str, wanted: list[str], twin: Callable[[str], dict[str, Any]]) -> None:
    items = twin(f"?group=none&sort={sort}")["items"]
    assert [item["id"] for item in items[:3]] == wanted


def test_b4_sorts_and_keys_are_offered_with_that_of_now(body: Callable[[str], str]) -> None:
    page = body("?group=none&sort=-meta.speed")
    assert '<option value="-meta.speed" selected>meta.speed</option>' in page
    assert '<option value="-sources.height">Dimensions</option>' in page
    assert '<option value="-rois.label">rois.label</option>' in page
    assert "sort=meta.speed" in page  # the other direction


def test_b5_refresh_keeps_the_place(
    body: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_detail, "PAGE_SIZE", 2)
    page = body("?group=none&q=car")
    following = link(page, "Load more")
    here = body(f"?group=none&q=car&after={following['after'][0]}")
    assert link(here, "Refresh") == following


@pytest.mark.parametrize(("size", "name"), [("s", "Small"), ("m", "Medium"), ("l", "Large")])
def test_b6_preview_sizes(size: str, name: str, body: Callable[[str], str]) -> None:
    page = body(f"?size={size}")
    assert f'class="grid size-{size} ' in page
    assert re.search(rf'title="{name}" aria-current="true"', page)


def test_b7_table_and_thumbnails_lead_to_each_other(body: Callable[[str], str]) -> None:
    table = body("?group=none&view=table&q=car")
    assert "<table" in table
    assert link(table, "Grid") == {"group": ["none"], "q": ["car"]}
    grid = body("?group=none&q=car")
    assert "<table" not in grid
    assert link(grid, "Table") == {"group": ["none"], "q": ["car"], "view": ["table"]}


def test_b7_table_of_groups_tells_how_many_frames_match(body: Callable[[str], str]) -> None:
    page = body("?view=table&q=bus")
    assert '<th scope="row"><a' in page
    assert "1 of 4 frames match" in page


def test_b8_table_has_files_labels_time_and_dimensions(body: Callable[[str], str]) -> None:
    page = body("?group=none&view=table&sort=-id")
    row = page.split("<tbody>")[1].split("</tr>")[0]
    assert "f7" in row
    assert '<td class="number">1</td>' in row
    assert "640 \N{MULTIPLICATION SIGN} 487" in row
    assert "1 file<" in row
    assert f'<span class="mono">{URI}</span>' in row
    assert "<span>car</span>" in row
    assert "just now" in row
    assert 'aria-sort="descending"><a' in page


def test_b8_columns_are_chosen_and_kept_in_the_address(
    address: str, body: Callable[[str], str], browse: Callable[[User | None], Client], viewer: User
) -> None:
    client = browse(viewer)
    form = client.get(f"{address}/columns/?view=table&columns=meta.speed&q=car").content.decode()
    assert '<input type="checkbox" name="column" value="meta.speed" checked>' in form
    assert '<input type="hidden" name="q" value="car">' in form
    chosen = client.get(f"{address}/columns/?q=car&column=meta.speed&column=sources.id&show=1")
    query = parse_qs(urlsplit(chosen["Location"]).query)
    assert query["columns"] == ["meta.speed,sources.id"]
    page = body(f"?{urlsplit(chosen['Location']).query}&sort=id&q=id:f2")
    assert "<td>3</td>" in page
    assert "<td>front, rear</td>" in page
    assert link(page.split("<thead>")[1], "meta.speed")["sort"] == ["meta.speed"]


def test_b8_too_many_columns_are_refused_with_the_ticks_kept(
    project: Project, browse: Callable[[User | None], Client], viewer: User
) -> None:
    version = make_version(project, [make_frame("one", meta={f"k{n}": n for n in range(14)})])
    address = f"/datasets/{version.dataset.uid}/versions/{version.uid}/columns/"
    ticked = "&".join(f"column=meta.k{n}" for n in range(13))
    response = browse(viewer).get(f"{address}?{ticked}&show=1")
    assert response.status_code == 400
    page = response.content.decode()
    assert "columns are up to 12 keys" in page
    assert page.count(" checked>") == 13


def test_b9_a_video_given_as_the_preview_has_controls(
    project: Project, browse: Callable[[User | None], Client], viewer: User
) -> None:
    project.media_allow = ["https://example.com/previews/"]
    project.save(update_fields=["media_allow"])
    allowed = "https://example.com/previews/a.mp4"
    frames = []
    for name, preview in (
        ("yes", allowed),
        ("no", "https://elsewhere.example/a.mp4"),
        ("none", ""),
    ):
        given = SourceData(name, URI, "image/jpeg", preview=preview or None)
        frames.append(replace(make_frame(name), sources=[given]))
    version = make_version(project, frames)
    address = f"/datasets/{version.dataset.uid}/versions/{version.uid}/?group=none"
    page = browse(viewer).get(address).content.decode()
    source = Source.objects.get(source_id="yes")
    assert re.findall(r'<video class="tile" controls preload="none" src="([^"]+)"', page) == [
        f"/sources/{source.pk}/preview"
    ]


def test_b9_bytes_of_a_given_preview_are_served_as_a_source_s_own_are(
    project: Project,
    browse: Callable[[User | None], Client],
    viewer: User,
    outsider: User,
    tmp_path: Path,
) -> None:
    video = tmp_path / "a.mp4"
    video.write_bytes(b"\0\0\0\x18ftypisom" + b"0" * 100)
    project.media_allow = [tmp_path.as_uri()]
    project.save(update_fields=["media_allow"])
    given = {"given": video.as_uri(), "elsewhere": "file:///etc/hostname", "none": None}
    sources = [SourceData(name, URI, "image/jpeg", preview=uri) for name, uri in given.items()]
    make_version(project, [replace(make_frame("one"), sources=sources)])
    address = {source.source_id: f"/sources/{source.pk}/preview" for source in Source.objects.all()}
    response = browse(viewer).get(address["given"], headers={"Range": "bytes=4-11"})
    assert (response.status_code, response["Content-Type"]) == (206, "video/mp4")
    assert response.getvalue() == b"ftypisom"
    assert "sandbox" in response["Content-Security-Policy"]
    assert browse(viewer).get(address["elsewhere"]).status_code == 403
    assert browse(viewer).get(address["none"]).status_code == 404
    assert browse(outsider).get(address["given"]).status_code == 404


def test_b10_load_more_of_a_table_brings_rows_alone(
    address: str,
    browse: Callable[[User | None], Client],
    viewer: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(version_detail, "PAGE_SIZE", 3)
    client = browse(viewer)
    page = client.get(f"{address}/?group=none&view=table").content.decode()
    assert next_link(page)
    part = client.get(next_link(page), headers={"HX-Request": "true"}).content.decode()
    assert part.strip().startswith("<tr>")
    assert part.count('<th scope="row">') == 3


def test_b11_a_card_and_a_row_open_the_frame(body: Callable[[str], str], address: str) -> None:
    wanted = f'href="{address}/frames/f5/?q=bus"'
    assert wanted in body("?group=none&q=bus")
    assert wanted in body("?group=none&view=table&q=bus")


def test_b12_menu_copies_the_query_and_refreshes(body: Callable[[str], str]) -> None:
    page = body("?q=label:car AND meta.speed:[2 TO 5]")
    assert 'data-copy="label:car AND meta.speed:[2 TO 5]"' in page
    assert "Preview source" in page
    assert link(page, "As JSON")["q"] == ["label:car AND meta.speed:[2 TO 5]"]


def test_b12_grouping_by_a_key_leads_to_the_frames_with_each_value(
    twin: Callable[[str], dict[str, Any]],
    browse: Callable[[User | None], Client],
    viewer: User,
    body: Callable[[str], str],
) -> None:
    assert link(body("?q=car"), "meta.speed") == {"q": ["car"], "group": ["meta.speed"]}
    for key in (
        "meta.weather",
        "meta.speed",
        "label",
        "sources.id",
        "rois.label",
        "sources.height",
    ):
        page = twin(f"?group={key}&q=car")
        assert page["items"]
        for item in page["items"]:
            assert item["key"] == key
            path, _, query = item["url"].partition("?")
            narrowed = browse(viewer).get(f"{path.rstrip('/')}.json?{query}").json()
            assert narrowed["matched"] == item["matched"], item


def test_b12_a_key_with_too_many_values_cannot_be_chosen(
    project: Project,
    browse: Callable[[User | None], Client],
    viewer: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("frames.index.writer.TEXTS_PER_KEY_MAX", 2)
    version = make_version(project, [make_frame(f"f{n}", meta={"k": f"v{n}"}) for n in range(4)])
    address = f"/datasets/{version.dataset.uid}/versions/{version.uid}/"
    client = browse(viewer)
    page = client.get(address).content.decode()
    assert '<span class="key-name">meta.k</span> <span class="label-count">too many values' in page
    refused = client.get(f"{address}?group=meta.k&q=id:*")
    assert refused.status_code == 400
    assert "meta.k has too many values to group by." in refused.content.decode()
    assert f'href="{address}?q=id%3A%2A"' in refused.content.decode()


def test_b13_preview_source_is_the_first_by_its_id_or_a_named_one(
    twin: Callable[[str], dict[str, Any]], body: Callable[[str], str]
) -> None:
    front, rear = (Source.objects.get(frame__frame_id="f0", source_id=n) for n in ("front", "rear"))
    pictures = {make_preview(source).key: source.source_id for source in (front, rear)}
    for query, wanted in (("", "front"), ("&source=front", "front"), ("&source=rear", "rear")):
        (item,) = twin(f"?group=none&q=id:f0{query}")["items"]
        assert [name for key, name in pictures.items() if key in item["preview"]] == [wanted]
    page = body("?group=none&source=rear")
    assert page.count("Source not available") == 4  # the odd frames have no rear camera
    assert link(page, "All sources") == {"group": ["none"], "source": ["*"]}


def test_b13_all_sources_have_a_tile_each(body: Callable[[str], str]) -> None:
    page = body("?group=none&source=*")
    assert page.count('<span class="mosaic">') == 4
    assert page.count('<span class="mosaic-name">rear</span>') == 4
    assert page.count('<li class="card">') == 8
    assert "Source not available" in body("?group=none&source=left")


def test_g1_split_preview_has_a_card_for_each_frame(body: Callable[[str], str]) -> None:
    assert body("?group=none").count('<li class="card">') == 8


def test_g2_group_by_url_tells_how_many_frames_match_and_where(body: Callable[[str], str]) -> None:
    page = body("?q=meta.weather:rain")
    assert "2 of 4 frames match" in page
    lanes = re.findall(r'<svg class="lane".*?<title>([^<]*)<.*?class="hits" d="([^"]*)"', page)
    assert [text for text, _ in lanes] == ["Where they are in time"] * 2
    # The first and the third of four moments.
    assert lanes[0][1] == "M0 5h1M133 5h1"
    assert '<svg class="lane"' not in body("")


@pytest.mark.parametrize(
    ("scope", "wanted"),
    [("any", ["drive/0", "drive/1"]), ("every", ["drive/1"]), ("none", [])],
)
def test_g2_scope_keeps_contexts_of_which_any_every_or_no_frame_matches(
    scope: str, wanted: list[str], twin: Callable[[str], dict[str, Any]]
) -> None:
    page = twin(f"?q=meta.speed:[3 TO 100]&scope={scope}")
    assert [item["context_id"] for item in page["items"]] == wanted


def test_g2_contexts_without_a_match_show_all_of_their_frames(
    twin: Callable[[str], dict[str, Any]], body: Callable[[str], str], address: str
) -> None:
    (item,) = twin("?q=bus&scope=none")["items"]
    assert (item["matched"], item["frames"]) == (0, 4)
    assert item["url"] == f"{address}/context/?id=drive%2F0"
    page = body("?q=bus&scope=none")
    assert "no frame of 1 context matches" in page
    assert "0 of 4 frames match" in page
    assert link(page, "Every") == {"q": ["bus"], "scope": ["every"]}
    assert "In no group does every frame match." in body("?q=bus&scope=every")


def test_g3_a_context_opens_its_frames_in_order_of_time_with_the_hits_marked(
    address: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    page = browse(viewer).get(f"{address}/context/?id=drive/0&q=rain").content.decode()
    assert "Nothing matches" in page  # rain is no label
    page = browse(viewer).get(f"{address}/context/?id=drive/0&q=meta.weather:rain").content.decode()
    strip = re.search(r'<nav class="strip found".*?</nav>', page, flags=re.DOTALL)
    assert strip
    assert re.findall(r'<a href="[^"]*/frames/(\w+)/', strip[0]) == ["f0", "f2"]
    assert "2 out of 4 found" in page


def test_g4_a_frame_without_a_context_is_grouped_by_its_uri(
    project: Project, browse: Callable[[User | None], Client], viewer: User
) -> None:
    frames = [make_frame(name, context_id=f"https://example.com/{name}.jpg") for name in "ab"]
    version = make_version(project, frames)
    address = f"/datasets/{version.dataset.uid}/versions/{version.uid}.json"
    items = browse(viewer).get(address).json()["items"]
    assert [item["context_id"] for item in items] == [f.context_id for f in frames]


def test_g5_frames_that_share_a_source_are_each_shown(
    project: Project, browse: Callable[[User | None], Client], viewer: User
) -> None:
    version = make_version(project, [make_frame(f"f{n}", context_id="one.jpg") for n in range(3)])
    address = f"/datasets/{version.dataset.uid}/versions/{version.uid}/"
    client = browse(viewer)
    assert client.get(f"{address}?group=none").content.decode().count('<li class="card">') == 3
    assert "3 frames" in client.get(address).content.decode()


def test_g6_samples_are_rows_under_their_value(
    body: Callable[[str], str], twin: Callable[[str], dict[str, Any]]
) -> None:
    page = body("?group=rois.label&sample=2")
    headings = re.findall(r"<h2><a[^>]*>(ROI: [^<]+)</a> <span[^>]*>([^<]+)<", page)
    assert headings == [
        ("ROI: rois.label: bus", "1 frame"),
        ("ROI: rois.label: car", "5 frames"),
    ]
    rows = twin("?group=rois.label&sample=2")["items"]
    assert [[item["id"] for item in row["items"]] for row in rows] == [["f5"], ["f2", "f5"]]


def test_g6_frames_without_a_value_come_last(
    twin: Callable[[str], dict[str, Any]],
    body: Callable[[str], str],
    browse: Callable[[User | None], Client],
    viewer: User,
) -> None:
    rows = twin("?group=label&sample=3")["items"]
    assert [(row["value"], row["frames"]) for row in rows] == [("bus", 1), ("car", 5), (None, 3)]
    assert "FRAME: label: N/A" in body("?group=label&sample=3")
    for row in rows:
        path, _, query = row["url"].partition("?")
        found = browse(viewer).get(f"{path.rstrip('/')}.json?{query}").json()
        assert found["matched"] == row["frames"]


def test_g6_setting_is_kept_and_can_be_changed(
    body: Callable[[str], str], browse: Callable[[User | None], Client], viewer: User, address: str
) -> None:
    setting = "group=rois.label&sample=2&match=label:car&q=meta.speed:[0 TO 99]"
    page = body(f"?{setting}")
    assert "Up to 2 frames of each value of rois.label of the regions that match label:car" in page
    form = re.search(r'href="([^"]+/sample/[^"]*)" aria-label="Change the sample"', page)
    assert form
    filled = browse(viewer).get(form[1].replace("&amp;", "&")).content.decode()
    assert '<option value="rois.label" selected>' in filled
    assert 'name="match" value="label:car"' in filled
    assert 'name="sample" value="2"' in filled
    assert '<input type="hidden" name="q" value="meta.speed:[0 TO 99]">' in filled
    assert f'<form class="form narrow" method="get" action="{address}/">' in filled


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?group=label&sample=0", "sample is a number from 1 to 48."),
        ("?group=label&sample=x", "sample is a number from 1 to 48."),
        ("?group=label&sample=2&match=car", "Only regions are matched"),
        ("?sample=2", "Choose the property to sample by."),
        ("?group=rois.label&sample=2&match=((", "cannot be read"),
        ("?group=saved", "group is none, url, label, or a key"),
        ("?group=none&sort=uri", "sort is one of"),
        ("?scope=some", "scope is any, every or none."),
        ("?columns=uri", "columns are up to 12 keys"),
    ],
)
def test_g6_a_setting_that_cannot_be_meant_is_refused_with_a_way_out(
    query: str, message: str, address: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    response = browse(viewer).get(f"{address}/{query}")
    assert response.status_code == 400
    page = response.content.decode()
    assert message in page
    assert 'role="alert"' in page


@pytest.mark.parametrize("place", ["columns", "sample"])
def test_forms_of_a_bad_address_are_shown_with_its_filter(
    place: str, address: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    response = browse(viewer).get(f"{address}/{place}/?q=car&size=huge")
    assert response.status_code == 200
    assert '<input type="hidden" name="q" value="car">' in response.content.decode()


def test_names_and_values_that_are_no_words_are_only_text(
    project: Project, browse: Callable[[User | None], Client], viewer: User
) -> None:
    meta = {HOSTILE: HOSTILE, "a b:c": 'q"uo\\te'}
    version = make_version(project, [make_frame("one", meta=meta, labels=[HOSTILE])])
    client = browse(viewer)
    base = f"/datasets/{version.dataset.uid}/versions/{version.uid}"
    for query in ("/", "/columns/", "/sample/", "/?group=label&sample=2", "/?group=label"):
        assert b"<script>alert" not in client.get(base + query).content
    for key in ("label", f"meta.{HOSTILE}", "meta.a b:c"):
        page = client.get(f"{base}.json", {"group": key}).json()
        (item,) = page["items"]
        path, _, query = item["url"].partition("?")
        assert client.get(f"{path.rstrip('/')}.json?{query}").json()["matched"] == 1
        shown = client.get(f"{base}/", {"group": "none", "view": "table", "columns": key})
        assert b"<script>alert" not in shown.content


@pytest.mark.parametrize(
    "query",
    [
        "?group=none&view=table&columns=meta.n,sources.id&sort=-meta.n",
        "?group=meta.n&q=car",
        "?group=rois.label&sample=3",
        "?group=rois.label&sample=6&source=*",
        "?q=car&scope=every",
        "?group=none&source=*",
    ],
)
def test_queries_do_not_grow_with_the_frames(
    query: str, project: Project, browse: Callable[[User | None], Client], editor: User
) -> None:
    client = browse(editor)
    counts = []
    for size in (6, 42):
        frames = [
            make_frame(f"{n}", context_id=f"d/{n // 2}", timestamp=n, labels=["car"], meta={"n": n})
            for n in range(size)
        ]
        version = make_version(project, frames)
        address = f"/datasets/{version.dataset.uid}/versions/{version.uid}/{query}"
        client.get(address)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address).status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1]
    assert counts[0] <= 24
