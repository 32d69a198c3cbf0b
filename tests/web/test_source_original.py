"""The original bytes: whole, by range, and never as something that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.http import StreamingHttpResponse

from frames.models import Source
from frames.web.ranges import RangeError, requested_range
from frames.web.source_original import sniff
from tests.factories import make_frame, make_version

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from django.contrib.auth.models import User
    from django.http.response import HttpResponseBase
    from django.test import Client

    from frames.models import Project

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4


@pytest.fixture
def original(project: Project, tmp_path: Path) -> Callable[[str, bytes], str]:
    """Return the address of a source whose file holds these bytes."""
    project.media_allow = [tmp_path.as_uri() + "/"]
    project.save()

    def make(name: str, data: bytes) -> str:
        path = tmp_path / name
        path.write_bytes(data)
        version = make_version(project, [make_frame("f", uri=path.as_uri())])
        return f"/sources/{Source.objects.get(frame__dataset=version.dataset).pk}/original"

    return make


def body(response: HttpResponseBase) -> bytes:
    assert isinstance(response, StreamingHttpResponse)
    return b"".join(response)


def test_picture_is_streamed_whole(
    original: Callable[[str, bytes], str], browse: Callable[[User | None], Client], viewer: User
) -> None:
    response = browse(viewer).get(original("a.png", PNG))
    assert response.status_code == 200
    assert body(response) == PNG
    assert response["Content-Type"] == "image/png"
    assert response["Content-Length"] == str(len(PNG))
    assert response["Accept-Ranges"] == "bytes"
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert "private" in response["Cache-Control"]


@pytest.mark.parametrize(
    ("header", "first", "end"),
    [
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, len(PNG)),
        ("bytes=-10", len(PNG) - 10, len(PNG)),
        ("bytes=0-999999", 0, len(PNG)),
    ],
)
def test_range_is_answered_alone(
    header: str,
    first: int,
    end: int,
    original: Callable[[str, bytes], str],
    browse: Callable[[User | None], Client],
    viewer: User,
) -> None:
    response = browse(viewer).get(original("a.png", PNG), headers={"Range": header})
    assert response.status_code == 206
    assert response["Content-Range"] == f"bytes {first}-{end - 1}/{len(PNG)}"
    assert body(response) == PNG[first:end]


def test_range_past_the_end_is_refused(
    original: Callable[[str, bytes], str], browse: Callable[[User | None], Client], viewer: User
) -> None:
    response = browse(viewer).get(original("a.png", PNG), headers={"Range": "bytes=99999-"})
    assert response.status_code == 416
    assert response["Content-Range"] == f"bytes */{len(PNG)}"


@pytest.mark.parametrize("header", ["", "bytes=a-b", "bytes=0-1,5-6", "items=0-1", "bytes=-"])
def test_other_ranges_ask_for_everything(header: str) -> None:
    assert requested_range(header, 100) is None


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=5-2", "bytes=-0"])
def test_empty_ranges_are_errors(header: str) -> None:
    with pytest.raises(RangeError):
        requested_range(header, 100)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("page.png", b"<!doctype html><script>alert(1)</script>"),
        ("picture.svg", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'),
        ("empty.jpg", b""),
        ("page.html", b"<html>"),
    ],
)
def test_anything_else_is_a_file_to_save(
    name: str,
    data: bytes,
    original: Callable[[str, bytes], str],
    browse: Callable[[User | None], Client],
    viewer: User,
) -> None:
    response = browse(viewer).get(original(name, data))
    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Disposition"].startswith("attachment")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert body(response) == data


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"GIF89a", "image/gif"),
        (b"\x00\x00\x00\x20ftypisom", "video/mp4"),
        (b"\x00\x00\x00\x20ftypavif", "image/avif"),
        (b"\x1a\x45\xdf\xa3", "video/webm"),
        (b"RIFF\x00\x00\x00\x00WAVE", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_kind_is_told_by_the_bytes(head: bytes, content_type: str) -> None:
    assert sniff(head) == content_type


def test_head_has_no_body(
    original: Callable[[str, bytes], str], browse: Callable[[User | None], Client], viewer: User
) -> None:
    response = browse(viewer).head(original("a.png", PNG))
    assert response["Content-Length"] == str(len(PNG))
    assert body(response) == b""


def test_reason_is_said_where_there_are_no_bytes(
    original: Callable[[str, bytes], str],
    project: Project,
    tmp_path: Path,
    browse: Callable[[User | None], Client],
    viewer: User,
) -> None:
    address = original("a.png", PNG)
    (tmp_path / "a.png").unlink()
    response = browse(viewer).get(address)
    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/plain")
    project.media_allow = []
    project.save()
    response = browse(viewer).get(address)
    assert response.status_code == 403
    assert b"allowed prefixes" in response.content


def test_outsider_and_nobody_get_nothing(
    original: Callable[[str, bytes], str], browse: Callable[[User | None], Client], outsider: User
) -> None:
    address = original("a.png", PNG)
    assert browse(outsider).get(address).status_code == 404
    assert browse(None).get(address).status_code == 302
    assert browse(outsider).get("/sources/999999999/original").status_code == 404
