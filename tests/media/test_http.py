"""Files behind http: ranges, redirects, caps, time, and only checked addresses."""

from __future__ import annotations

import datetime
import gzip
import io
import os
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from frames.media import MediaError, MediaPolicy, addresses, http, open_uri
from frames.models import PreviewReason

if TYPE_CHECKING:
    from pathlib import Path

    from tests.media.site import Site

BLOCK = http.BLOCK_BYTES


def error_of(url: str, policy: MediaPolicy) -> MediaError:
    """Return why a URL cannot be read to its end."""
    with pytest.raises(MediaError) as caught, open_uri(url, policy) as file:
        file.read()
    return caught.value


def reason_of(url: str, policy: MediaPolicy) -> PreviewReason:
    """Return the reason why a URL cannot be read to its end."""
    return error_of(url, policy).reason


def test_a_small_file_takes_one_request(site: Site, policy: MediaPolicy) -> None:
    url = site.file("/a.png", b"0123456789")
    with open_uri(url, policy) as file:
        assert file.size == 10
        assert file.read() == b"0123456789"
        assert file.seek(-3, io.SEEK_END) == 7
        assert file.read() == b"789"
    assert len(site.requests) == 1
    assert site.requests[0][1]["Accept-Encoding"] == "identity"


def test_an_empty_file(site: Site, policy: MediaPolicy) -> None:
    with open_uri(site.file("/empty", b""), policy) as file:
        assert file.read() == b""


def test_only_what_is_read_is_fetched(site: Site, policy: MediaPolicy) -> None:
    """The head and the tail of a large file, as of a video whose index is at its end."""
    data = os.urandom(9 * BLOCK + 123)
    url = site.file("/a.mp4", data)
    with open_uri(url, policy, max_bytes=len(data)) as file:
        assert file.read(100) == data[:100]
        file.seek(-100, io.SEEK_END)
        assert file.read(100) == data[-100:]
        file.seek(50)
        assert file.read(10) == data[50:60]
    assert [headers["Range"] for _, headers in site.requests] == [
        f"bytes=0-{BLOCK - 1}",
        f"bytes={9 * BLOCK}-{len(data) - 1}",
    ]


def test_reading_on_asks_for_more_at_a_time(site: Site, policy: MediaPolicy) -> None:
    data = os.urandom(9 * BLOCK)
    with open_uri(site.file("/a.bin", data), policy) as file:
        assert file.read() == data
    assert len(site.requests) == 4  # 1, 2, 4 and 2 blocks


def test_few_blocks_are_kept(site: Site, policy: MediaPolicy) -> None:
    data = bytes(40 * BLOCK)
    policy = replace(policy, max_bytes=len(data))
    with open_uri(site.file("/a.bin", data), policy) as file:
        while file.read(BLOCK):
            pass
        assert isinstance(file.raw, http.RangeReader)
        assert len(file.raw._blocks) == http.CACHED_BLOCKS


def test_a_server_without_ranges_is_spooled(site: Site, policy: MediaPolicy) -> None:
    data = os.urandom(3 * BLOCK)
    with open_uri(site.file("/a.bin", data, ranges=False), policy) as file:
        assert file.size == len(data)
        file.seek(BLOCK)
        assert file.read() == data[BLOCK:]
    assert len(site.requests) == 1


def test_spooling_stops_at_the_cap(site: Site, policy: MediaPolicy) -> None:
    """Also for a video: what cannot be read in ranges is capped as a picture is."""
    policy = replace(policy, max_bytes=BLOCK)
    url = site.file("/a.mp4", bytes(2 * BLOCK), ranges=False)
    with (
        pytest.raises(MediaError) as caught,
        open_uri(url, policy, max_bytes=policy.max_video_bytes),
    ):
        pass
    assert caught.value.reason is PreviewReason.TOO_LARGE


def test_a_body_without_a_length_stops_at_the_cap(site: Site, policy: MediaPolicy) -> None:
    sent = 0

    def answer(request: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        request.send_response(200)
        request.send_header("Connection", "close")
        request.end_headers()
        with suppress(OSError):
            while sent < 200 * BLOCK:
                request.wfile.write(bytes(BLOCK))
                sent += BLOCK
        request.close_connection = True

    site.answers["/endless"] = answer
    policy = replace(policy, max_bytes=3 * BLOCK, timeout_s=20)
    assert reason_of(f"{site.url}/endless", policy) is PreviewReason.TOO_LARGE
    assert sent < 100 * BLOCK


def test_a_range_over_the_cap_is_not_read(site: Site, policy: MediaPolicy) -> None:
    policy = replace(policy, max_bytes=1000)
    error = error_of(site.file("/a.png", bytes(1001)), policy)
    assert error.reason is PreviewReason.TOO_LARGE
    assert "1.0 KB" in error.detail


def test_a_compressed_body_is_never_inflated(site: Site, policy: MediaPolicy) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 100_000
    url = site.file("/a.png", bomb, ranges=False, headers={"Content-Encoding": "gzip"})
    assert reason_of(url, policy) is PreviewReason.UNSUPPORTED


@pytest.mark.parametrize(
    ("status", "reason", "retryable"),
    [
        (401, PreviewReason.FORBIDDEN, False),
        (403, PreviewReason.FORBIDDEN, False),
        (404, PreviewReason.NOT_FOUND, False),
        (410, PreviewReason.NOT_FOUND, False),
        (418, PreviewReason.UNREACHABLE, False),
        (429, PreviewReason.UNREACHABLE, True),
        (500, PreviewReason.UNREACHABLE, True),
        (503, PreviewReason.UNREACHABLE, True),
        (304, PreviewReason.UNREACHABLE, False),
    ],
)
def test_refusals(
    site: Site, policy: MediaPolicy, status: int, reason: PreviewReason, retryable: bool
) -> None:
    error = error_of(site.status("/a.png", status), policy)
    assert (error.reason, error.retryable) == (reason, retryable)
    assert f"HTTP {status}" in error.detail


def test_nobody_listens(site: Site) -> None:
    site.server.shutdown()
    site.server.server_close()
    url = f"{site.url}/a.png"
    policy = MediaPolicy(allow=(url,), private_hosts=frozenset({"127.0.0.1"}), timeout_s=1)
    error = error_of(url, policy)
    assert (error.reason, error.retryable) == (PreviewReason.UNREACHABLE, True)


def test_loopback_is_refused_unless_the_operator_lists_it(site: Site, policy: MediaPolicy) -> None:
    url = site.file("/a.png", b"x")
    for hosts in (frozenset[str](), frozenset({f"127.0.0.1:{site.port + 1}"})):
        refused = replace(policy, private_hosts=hosts)
        assert reason_of(url, refused) is PreviewReason.PRIVATE_ADDRESS
    assert site.requests == []


def test_the_checked_address_is_the_one_connected_to(
    site: Site, policy: MediaPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that changes its address between check and connection gains nothing."""
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    monkeypatch.setattr(addresses, "resolve", lambda host, port: next(answers))
    site.file("/a.png", b"x")
    host = f"pictures.test:{site.port}"
    policy = replace(policy, allow=(f"http://{host}",), private_hosts=frozenset({host}))
    with open_uri(f"http://{host}/a.png", policy) as file:
        assert file.read() == b"x"
    assert site.requests[0][1]["Host"] == host
    assert next(answers) == ["10.0.0.1"]


def test_each_request_is_checked_anew(
    site: Site, policy: MediaPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even a kept connection serves a name that has moved to a private address."""
    known = {"pictures.test": "127.0.0.1"}
    monkeypatch.setattr(addresses, "resolve", lambda host, port: [known[host]])
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")
    site.file("/a.bin", bytes(3 * BLOCK))
    base = f"http://pictures.test:{site.port}"
    policy = replace(policy, allow=(base,), private_hosts=frozenset())
    with open_uri(f"{base}/a.bin", policy) as file:
        known["pictures.test"] = "10.0.0.1"
        with pytest.raises(MediaError) as caught:
            file.read()
    assert caught.value.reason is PreviewReason.PRIVATE_ADDRESS


def test_redirects_inside_the_allowed_prefix_are_followed(site: Site, policy: MediaPolicy) -> None:
    site.file("/b/c.png", b"there")
    site.status("/b/a.png", 302, Location="c.png")
    url = site.status("/a.png", 301, Location="/b/a.png")
    with open_uri(url, policy) as file:
        assert file.read() == b"there"


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost:{port}/private/a.png",
        "/private/a.png",
        "//evil.test/a.png",
        "http://user:secret@127.0.0.1:{port}/public/b.png",
    ],
)
def test_redirects_outside_of_the_allowed_prefix(
    site: Site, policy: MediaPolicy, location: str
) -> None:
    site.file("/private/a.png", b"secret")
    site.file("/public/b.png", b"b")
    policy = replace(policy, allow=(f"{site.url}/public/",))
    url = site.status("/public/a.png", 302, Location=location.format(port=site.port))
    error = error_of(url, policy)
    assert error.reason is PreviewReason.NOT_ALLOWED
    assert "secret" not in error.detail
    assert "169.254" not in error.detail
    assert [path for path, _ in site.requests] == ["/public/a.png"]


def test_a_redirect_to_an_allowed_name_at_a_private_address(
    site: Site, policy: MediaPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"127.0.0.1": "127.0.0.1", "inside.test": "10.0.0.1"}
    monkeypatch.setattr(addresses, "resolve", lambda host, port: [known[host]])
    policy = replace(policy, allow=(site.url, "http://inside.test"))
    url = site.status("/a.png", 302, Location="http://inside.test/a.png")
    error = error_of(url, policy)
    assert error.reason is PreviewReason.PRIVATE_ADDRESS
    assert "10.0.0.1" not in error.detail


@pytest.mark.parametrize("location", ["file:///etc/passwd", "s3://bucket/key", "gopher://a/"])
def test_redirects_to_other_schemes(site: Site, policy: MediaPolicy, location: str) -> None:
    policy = replace(policy, allow=(site.url, "file:///", "s3://"))
    error = error_of(site.status("/a.png", 302, Location=location), policy)
    assert error.reason is PreviewReason.UNREACHABLE


def test_redirects_without_end(site: Site, policy: MediaPolicy) -> None:
    assert reason_of(site.status("/a.png", 302, Location="/a.png"), policy) is (
        PreviewReason.UNREACHABLE
    )
    assert len(site.requests) == http.MAX_REDIRECTS + 1
    assert reason_of(site.status("/b.png", 302), policy) is PreviewReason.UNREACHABLE


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 300, id="headers"),
        pytest.param(
            b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-999/1000\r\n"
            b"Content-Length: 1000\r\n\r\n" + bytes(1000),
            id="range",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + bytes(1000), id="body"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 1000, id="chunk"
        ),
    ],
)
def test_a_server_that_drips(site: Site, policy: MediaPolicy, data: bytes) -> None:
    """Each byte comes within the socket's time-out, all of them never would."""
    policy = replace(policy, timeout_s=0.5)
    head, _, body = data.partition(b"\r\n\r\n")

    def answer(request: BaseHTTPRequestHandler) -> None:
        with suppress(OSError):
            if body:
                request.wfile.write(head + b"\r\n\r\n")
            for byte in body or head:
                request.wfile.write(bytes([byte]))
                request.wfile.flush()
                time.sleep(0.05)
        request.close_connection = True

    site.answers["/a.png"] = answer
    began = time.monotonic()
    error = error_of(f"{site.url}/a.png", policy)
    assert (error.reason, error.retryable) == (PreviewReason.TIMED_OUT, True)
    assert time.monotonic() - began < 8


def test_a_server_that_never_answers(site: Site, policy: MediaPolicy) -> None:
    release = threading.Event()

    def answer(request: BaseHTTPRequestHandler) -> None:
        release.wait(10)

    site.answers["/a.png"] = answer
    policy = replace(policy, timeout_s=0.3)
    began = time.monotonic()
    assert reason_of(f"{site.url}/a.png", policy) is PreviewReason.TIMED_OUT
    assert time.monotonic() - began < 8
    release.set()


@pytest.mark.parametrize("ranges", [True, False])
def test_a_body_that_breaks_off(site: Site, policy: MediaPolicy, ranges: bool) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(206 if ranges else 200)
        if ranges:
            request.send_header("Content-Range", "bytes 0-99/100")
        request.send_header("Content-Length", "100")
        request.end_headers()
        request.wfile.write(b"half")
        request.close_connection = True

    site.answers["/a.png"] = answer
    error = error_of(f"{site.url}/a.png", policy)
    assert (error.reason, error.retryable) == (PreviewReason.UNREACHABLE, True)


def test_a_file_that_changes_while_it_is_read(site: Site, policy: MediaPolicy) -> None:
    site.file("/a.bin", bytes(3 * BLOCK), headers={"ETag": '"1"'})
    with open_uri(f"{site.url}/a.bin", policy) as file:
        site.file("/a.bin", bytes(3 * BLOCK), headers={"ETag": '"2"'})
        with pytest.raises(MediaError) as caught:
            file.read()
    assert caught.value.reason is PreviewReason.UNREACHABLE


def test_a_server_that_answers_another_range(site: Site, policy: MediaPolicy) -> None:
    site.status("/a.png", 206, b"abcd", Content_Range="bytes 4-7/8")
    assert reason_of(f"{site.url}/a.png", policy) is PreviewReason.UNREACHABLE


def test_a_connection_serves_many_files(
    site: Site, policy: MediaPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections = 0
    accept = site.server.get_request

    def get_request() -> Any:
        nonlocal connections
        connections += 1
        return accept()

    monkeypatch.setattr(site.server, "get_request", get_request)
    for number in range(5):
        with open_uri(site.file(f"/{number}.png", b"x" * 1000), policy) as file:
            file.read()
    assert connections == 1


def _certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_https_asks_for_the_name_at_the_checked_address(
    site: Site, policy: MediaPolicy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's name goes into the handshake and the certificate must be that name's."""
    path = _certificate(tmp_path, "pictures.test")
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    context.sni_callback = lambda sock, name, _: asked.append(name)
    site.server.socket = context.wrap_socket(site.server.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    monkeypatch.setattr(addresses, "resolve", lambda host, port: ["127.0.0.1"])
    http._pool.cache_clear()
    site.file("/a.png", b"x")
    for name, reason in (("pictures.test", None), ("other.test", PreviewReason.UNREACHABLE)):
        host = f"{name}:{site.port}"
        policy = replace(policy, allow=(f"https://{host}",), private_hosts=frozenset({host}))
        if reason is None:
            with open_uri(f"https://{host}/a.png", policy) as file:
                assert file.read() == b"x"
        else:
            error = error_of(f"https://{host}/a.png", policy)
            assert error.reason is reason
            assert "another host's" in error.detail
    assert asked == ["pictures.test", "other.test"]
    http._pool.cache_clear()
