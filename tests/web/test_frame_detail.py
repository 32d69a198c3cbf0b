"""A frame's page: the picture, what is drawn over it, what is said of it, the way on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from frames.formats.base import SourceData
from frames.models import Preview, Source
from frames.previews.spec import VIEWER_EDGE_PX
from frames.web.addresses import frame_address
from tests.factories import make_frame, make_version
from tests.web.support import fail, make_preview

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Project, Version


def steps(body: str) -> dict[str, str]:
    """Return where each step leads."""
    links = re.findall(r'href="([^"]+)" data-step="(\w+)"', body)
    return {name: href.replace("&amp;", "&") for href, name in links}


def test_steps_lead_along_the_context(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    client = browse(viewer)
    first = client.get(f"{base}/frames/a-0/").content.decode()
    middle = client.get(f"{base}/frames/a-1/").content.decode()
    assert steps(first) == {
        "next": f"{base}/frames/a-1/",
        "last": f"{base}/frames/a-2/",
    }
    assert steps(middle) == {
        "first": f"{base}/frames/a-0/",
        "previous": f"{base}/frames/a-0/",
        "next": f"{base}/frames/a-2/",
        "last": f"{base}/frames/a-2/",
    }
    assert "2 / 3" in middle
    assert "00:00:00.033" in middle


def test_steps_keep_the_filter_and_the_source(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    body = browse(viewer).get(f"{base}/frames/a-0/?label=car&source=default").content.decode()
    assert steps(body)["next"] == f"{base}/frames/a-2/?label=car&source=default"
    assert "Stepping through the frames that match" in body


def test_json_twin_is_singleframe_json_with_its_place(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    frame = browse(viewer).get(f"{base}/frames/a-1.json").json()
    assert frame["id"] == "a-1"
    assert frame["url"] == f"{base}/frames/a-1/"
    assert (frame["position"], frame["count"]) == (1, 3)
    assert frame["previous"] == f"{base}/frames/a-0/"
    assert frame["next"] == f"{base}/frames/a-2/"


@pytest.mark.parametrize(
    "frame_id",
    [
        "plain",
        "folder/name.json",
        "50% of ?&#;+",
        "ü/日本",
        "..",
        "a/../b",
        "./a",
        "a//b",
        "/root",
        "trailing/",
        "line\nbreak",
        "back\\slash",
        " ",
    ],
)
def test_every_frame_id_has_an_address_that_leads_to_it(
    frame_id: str, project: Project, browse: Callable[[User | None], Client], viewer: User
) -> None:
    version = make_version(project, [make_frame(frame_id)])
    address = frame_address(version, frame_id, {})
    client = browse(viewer)
    assert client.get(address).status_code == 200
    path, mark, query = address.partition("?")
    twin = f"{path.removesuffix('/')}.json{mark}{query}"
    assert client.get(twin).json()["id"] == frame_id
    # As a browser sends it: dots and doubled slashes are folded away.
    assert "/../" not in path
    assert "//" not in path


def test_unknown_frame_is_not_found(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    assert browse(viewer).get(f"{base}/frames/{quote('no such')}/").status_code == 404
    assert browse(viewer).get(f"{base}/frames/").status_code == 404


def test_regions_are_drawn_and_said_in_words(
    project: Project, browse: Callable[[User | None], Client], viewer: User
) -> None:
    rois: list[dict[str, Any]] = [
        {"label": ["car"], "poly": [12, 40, 96, 40, 96, 210, 12, 210], "confidence": 0.93},
        {"label": ["wheel"], "poly": [10, 20, 5, 3, 0.5], "meta": {"_type": "elp"}},
        {"label": ["pose"], "poly": [1, 2, 3, 4], "meta": {"_type": "k2d"}},
        {"label": ["road"], "mask": {"id": "seg", "value": [3, 3, 3]}},
        {"label": ["rain"]},
    ]
    version = make_version(project, [make_frame("f", rois=rois)])
    body = browse(viewer).get(frame_address(version, "f", {})).content.decode()
    assert 'viewBox="0 0 640 480"' in body
    assert 'd="M12 40L96 40L96 210L12 210Z"' in body
    assert 'rx="5" ry="3" transform="rotate(28.65 10 20)"' in body
    for words in (
        "3 regions",
        "box 12,40-96,210",
        "0.93",
        "ellipse at 10,20, radii 5,3, turned 28.65°",
        "2 key points within 1,2-3,4",
        "mask seg value 3,3,3",
        "Frame labels",
    ):
        assert words in body


def test_label_of_a_small_region_waits_until_it_is_looked_at(
    project: Project, browse: Callable[[User | None], Client], viewer: User
) -> None:
    rois = [
        {"label": ["near"], "poly": [0, 0, 600, 0, 600, 400, 0, 400]},
        {"label": ["far"], "poly": [100, 100, 110, 100, 110, 120, 100, 120]},
    ]
    version = make_version(project, [make_frame("f", rois=rois)])
    body = browse(viewer).get(frame_address(version, "f", {})).content.decode()
    shapes = re.findall(r'<g class="shape ([^"]+)" data-shape="(\d)"', body)
    assert [(number, "small" in style) for style, number in shapes] == [("0", False), ("1", True)]
    # The first touches the top: its label is moved inside.
    assert re.findall(r'<text x="0.0" y="([\d.]+)"', body) == ["14.0"]


def test_sources_are_tabs_and_each_shows_its_own_regions(
    project: Project, browse: Callable[[User | None], Client], viewer: User
) -> None:
    frame = make_frame(
        "f",
        rois=[
            {"label": ["ahead"], "poly": [0, 0, 1, 0, 1, 1], "sources": ["front"]},
            {"label": ["behind"], "poly": [0, 0, 1, 0, 1, 1], "sources": ["rear"]},
            {"label": ["both"], "poly": [0, 0, 1, 0, 1, 1]},
        ],
    )
    frame.sources = [
        SourceData("rear", "https://example.com/r.jpg", width=640, height=480),
        SourceData("front", "https://example.com/f.jpg", width=640, height=480),
    ]
    version = make_version(project, [frame])
    client = browse(viewer)

    def regions(address: str) -> list[str]:
        body = client.get(address).content.decode()
        listed = body.split('<ol class="regions">')[1].split("</ol>")[0]
        return re.findall(r"<span>(\w+)</span>", listed)

    assert regions(frame_address(version, "f", {})) == ["ahead", "both"]
    assert regions(frame_address(version, "f", {"source": "rear"})) == ["behind", "both"]
    # A neighbour may not have the source: its first one is shown.
    assert regions(frame_address(version, "f", {"source": "lidar"})) == ["ahead", "both"]


def picture(body: str) -> str:
    match = re.search(r'<div class="plane">\s*<img src="([^"]+)"', body)
    return match[1] if match else ""


def test_small_displayable_original_is_shown_as_it_is(
    base: str, version: Version, browse: Callable[[User | None], Client], viewer: User
) -> None:
    source = Source.objects.get(frame__frame_id="a-0")
    make_preview(source)
    body = browse(viewer).get(f"{base}/frames/a-0/").content.decode()
    assert picture(body) == f"/sources/{source.pk}/original"
    assert not Preview.objects.filter(edge_px=VIEWER_EDGE_PX).exists()


def test_large_original_is_shown_by_its_tile_until_the_viewers_preview_is_there(
    base: str, version: Version, browse: Callable[[User | None], Client], viewer: User
) -> None:
    source = Source.objects.get(frame__frame_id="a-0")
    tile = make_preview(source, original_width=4000, original_height=3000)
    body = browse(viewer).get(f"{base}/frames/a-0/").content.decode()
    wanted = Preview.objects.get(edge_px=VIEWER_EDGE_PX)
    assert tile.name in picture(body)
    assert f'data-key="{wanted.key}"' in body
    assert f'data-full="/sources/{source.pk}/original"' in body

    Preview.objects.filter(pk=wanted.pk).update(
        state=Preview.State.READY, width=1280, height=960, original_width=4000, original_height=3000
    )
    body = browse(viewer).get(f"{base}/frames/a-0/").content.decode()
    assert wanted.name in picture(body)
    assert "data-key=" not in body


def test_frame_of_a_video_is_never_shown_by_its_original(
    project: Project, browse: Callable[[User | None], Client], viewer: User
) -> None:
    version = make_version(project, [make_frame("f", uri="https://example.com/a.mp4")])
    Source.objects.update(content_type="video/mp4")
    make_preview(Source.objects.get(), original_displayable=False)
    body = browse(viewer).get(frame_address(version, "f", {})).content.decode()
    assert picture(body).startswith("/previews/")
    assert 'data-full=""' in body


def test_next_frames_of_a_video_are_asked_for_together(
    project: Project, browse: Callable[[User | None], Client], viewer: User
) -> None:
    frames = [
        make_frame(f"{n:02}", timestamp=n * 33, uri="https://example.com/a.mp4") for n in range(40)
    ]
    version = make_version(project, frames)
    Source.objects.update(content_type="video/mp4")
    client = browse(viewer)

    def wanted() -> list[float]:
        rows = Preview.objects.filter(edge_px=VIEWER_EDGE_PX).order_by("timestamp_ms")
        return list(rows.values_list("timestamp_ms", flat=True))

    client.get(frame_address(version, "10", {}))
    assert wanted() == [n * 33 for n in range(10, 27)]
    # A frame of those asks again for itself and what follows; what is asked for stays.
    client.get(frame_address(version, "20", {}))
    assert wanted() == [n * 33 for n in range(10, 37)]


def test_tile_given_with_the_source_says_nothing_of_the_sources_size(
    project: Project, browse: Callable[[User | None], Client], viewer: User
) -> None:
    frame = make_frame("f")
    frame.sources[0].preview = {"uri": "https://example.com/small.jpg"}
    frame.sources[0].width = frame.sources[0].height = None
    version = make_version(project, [frame])
    make_preview(Source.objects.get())
    body = browse(viewer).get(frame_address(version, "f", {})).content.decode()
    assert Preview.objects.filter(edge_px=VIEWER_EDGE_PX).exists()
    assert 'data-width="0"' in body


def test_failed_picture_says_why_and_lets_an_editor_retry(
    base: str,
    version: Version,
    browse: Callable[[User | None], Client],
    viewer: User,
    editor: User,
) -> None:
    source = Source.objects.get(frame__frame_id="a-0")
    preview = make_preview(source, edge_px=VIEWER_EDGE_PX, original_displayable=False)
    fail(preview, "forbidden")
    body = browse(editor).get(f"{base}/frames/a-0/").content.decode()
    assert "Forbidden: the storage refused" in body
    assert f"/previews/{preview.key}/retry/" in body
    assert "/retry/" not in browse(viewer).get(f"{base}/frames/a-0/").content.decode()


def test_file_of_another_shape_than_declared_is_said(
    base: str, version: Version, browse: Callable[[User | None], Client], viewer: User
) -> None:
    make_preview(Source.objects.get(frame__frame_id="a-0"), original_width=480, original_height=640)
    body = browse(viewer).get(f"{base}/frames/a-0/").content.decode()
    assert "The file has 480 × 640 pixels, the frame says 640 × 480." in body  # noqa: RUF001


def test_number_of_queries_does_not_grow_with_the_context(
    project: Project, browse: Callable[[User | None], Client], viewer: User
) -> None:
    client = browse(viewer)
    counts = []
    for size in (5, 50):
        frames = [make_frame(f"{n:03}", timestamp=n) for n in range(size)]
        version = make_version(project, frames)
        address = frame_address(version, "002", {})
        client.get(address)  # asks for the viewer's preview, and keeps the order in memory
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address).status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1]
    assert counts[0] <= 24


def test_metadata_of_regions_and_times_are_written_as_they_came(
    project: Project, browse: Callable[[User | None], Client], viewer: User
) -> None:
    """Values are JSON's, not Python's, and a number has its unit."""
    roi = {"label": ["car"], "poly": [0, 0, 9, 0, 9, 9, 0, 9], "sources": ["default"]}
    roi["meta"] = {"by": None, "occluded": False}
    version = make_version(project, [make_frame("a", timestamp=33, rois=[roi])])
    page = f"/datasets/{version.dataset.uid}/versions/{version.uid}/frames/a/"
    body = browse(viewer).get(page).content.decode()
    assert "by null · occluded false" in body
    assert "<dd>33 ms</dd>" in body
