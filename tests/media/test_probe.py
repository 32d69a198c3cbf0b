"""Asking whether a URI can be read, without reading it."""

from __future__ import annotations

from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

import pytest

from frames.media import MediaError, MediaPolicy, probe
from frames.models import PreviewReason

if TYPE_CHECKING:
    from pathlib import Path

    from tests.media.site import Site


def reason_of(uri: str, policy: MediaPolicy) -> PreviewReason:
    with pytest.raises(MediaError) as caught:
        probe(uri, policy)
    return caught.value.reason


def test_a_byte_of_a_large_file_is_asked_for(site: Site, policy: MediaPolicy) -> None:
    url = site.file("/a.mp4", b"x" * 5_000_000)
    probe(url, replace(policy, max_bytes=10))
    assert [headers["Range"] for _, headers in site.requests] == ["bytes=0-0"]


def test_a_server_without_ranges_is_not_read_to_its_end(site: Site, policy: MediaPolicy) -> None:
    sent: list[int] = []

    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(10**12))
        request.end_headers()
        try:
            while len(sent) < 1_000:
                request.wfile.write(b"x" * 65_536)
                sent.append(1)
        except OSError:
            request.close_connection = True

    site.answers["/endless"] = endless
    probe(f"{site.url}/endless", policy)
    assert len(sent) < 1_000


def test_an_empty_file_can_be_read(site: Site, policy: MediaPolicy) -> None:
    probe(site.file("/empty", b""), policy)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (404, PreviewReason.NOT_FOUND),
        (410, PreviewReason.NOT_FOUND),
        (401, PreviewReason.FORBIDDEN),
        (403, PreviewReason.FORBIDDEN),
        (500, PreviewReason.UNREACHABLE),
    ],
)
def test_a_refusal_has_its_reason(
    site: Site, policy: MediaPolicy, status: int, reason: PreviewReason
) -> None:
    assert reason_of(site.status("/a.png", status), policy) is reason


def test_what_the_policy_forbids_is_not_asked_for(site: Site, policy: MediaPolicy) -> None:
    url = site.file("/a.png", b"x")
    assert reason_of(url, replace(policy, allow=())) is PreviewReason.NOT_ALLOWED
    private = replace(policy, private_hosts=frozenset())
    assert reason_of(url, private) is PreviewReason.PRIVATE_ADDRESS
    away = site.status("/away", 302, Location="http://127.0.0.1:1/a.png")
    assert reason_of(away, policy) is PreviewReason.NOT_ALLOWED
    assert [path for path, _ in site.requests] == ["/away"]


def test_files_are_asked_for_by_opening_them(
    site: Site, policy: MediaPolicy, tmp_path: Path
) -> None:
    there = tmp_path / "there.png"
    there.write_bytes(b"x" * 100)
    policy = replace(policy, allow=(tmp_path.as_uri(),), max_bytes=10)
    probe(there.as_uri(), policy)
    assert reason_of((tmp_path / "gone.png").as_uri(), policy) is PreviewReason.NOT_FOUND
    assert reason_of(tmp_path.as_uri(), policy) is PreviewReason.UNSUPPORTED
    assert reason_of("file:///etc/hostname", policy) is PreviewReason.NOT_ALLOWED
