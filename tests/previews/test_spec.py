"""What a source's preview shows."""

from __future__ import annotations

import pytest

from frames.media.kinds import Kind, kind_of
from frames.models import Source
from frames.previews.spec import PREVIEW_EDGE_PX, VIEWER_EDGE_PX, spec_for


@pytest.mark.parametrize(
    ("uri", "content_type", "kind"),
    [
        ("file:///a.jpg", "", Kind.PICTURE),
        ("file:///a", "", Kind.PICTURE),
        ("file:///a.mp4", "", Kind.VIDEO),
        ("file:///A.MKV", "image/jpeg", Kind.VIDEO),
        ("s3://b/a", "video/mp4", Kind.VIDEO),
        ("https://h/a.mp4?X-Amz-Signature=1.jpg", "", Kind.VIDEO),
        ("https://h/a?file=b.mp4", "", Kind.PICTURE),
        ("https://h/a", "image/png; charset=x", Kind.PICTURE),
        ("s3://b/lidar.pcd.bin", "", Kind.OTHER),
        ("s3://b/lidar.pcd", "application/octet-stream", Kind.OTHER),
        ("s3://b/a.png", "application/octet-stream", Kind.PICTURE),
        ("s3://b/a.bin", "image/png", Kind.PICTURE),
        ("s3://b/points", "application/pcd", Kind.OTHER),
        ("s3://b/a.svg", "image/svg+xml", Kind.OTHER),
        ("s3://b/a.gif", "", Kind.PICTURE),
    ],
)
def test_kinds(uri: str, content_type: str, kind: Kind) -> None:
    assert kind_of(uri, content_type) is kind


def test_a_still_is_the_same_at_every_time() -> None:
    specs = {
        spec_for(Source(uri="file:///a.jpg", timestamp=at), PREVIEW_EDGE_PX) for at in (None, 0, 5)
    }
    assert len(specs) == 1


def test_a_video_differs_by_time() -> None:
    first = spec_for(Source(uri="file:///a.mp4", timestamp=None), PREVIEW_EDGE_PX)
    later = spec_for(Source(uri="file:///a.mp4", timestamp=33), PREVIEW_EDGE_PX)
    assert (first.timestamp_ms, later.timestamp_ms) == (0, 33)
    assert first.key(1) != later.key(1)


def test_keys_differ_by_project_and_size() -> None:
    source = Source(uri="file:///a.jpg")
    keys = {spec_for(source, edge).key(project) for edge in (320, 1280) for project in (1, 2)}
    assert len(keys) == 4


@pytest.mark.parametrize(
    "preview",
    ["file:///small.jpg", {"uri": "file:///small.jpg", "content_type": "image/jpeg"}],
)
def test_the_grid_shows_a_given_preview_and_the_viewer_the_source(preview: object) -> None:
    source = Source(uri="file:///a.mp4", content_type="video/mp4", timestamp=40, preview=preview)
    grid, viewer = spec_for(source, PREVIEW_EDGE_PX), spec_for(source, VIEWER_EDGE_PX)
    assert (grid.uri, grid.timestamp_ms) == ("file:///small.jpg", 0)
    assert (viewer.uri, viewer.timestamp_ms) == ("file:///a.mp4", 40)


def test_a_given_preview_may_be_a_moment_of_a_video() -> None:
    source = Source(uri="file:///a.bin", preview={"uri": "file:///a.mp4", "timestamp": 250})
    assert spec_for(source, PREVIEW_EDGE_PX).timestamp_ms == 250


@pytest.mark.parametrize("preview", [None, "", {}, {"uri": None}, {"uri": 5}, [], 7])
def test_a_preview_that_says_nothing_is_passed_over(preview: object) -> None:
    source = Source(uri="file:///a.jpg", preview=preview)
    assert spec_for(source, PREVIEW_EDGE_PX).uri == "file:///a.jpg"
