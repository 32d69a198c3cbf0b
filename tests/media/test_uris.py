"""URIs are taken apart once; prefixes are compared by whole components."""

from __future__ import annotations

import pytest

from frames.media import MediaError, MediaPolicy, parse_uri
from frames.models import PreviewReason


@pytest.mark.parametrize(
    ("text", "scheme", "authority", "path"),
    [
        ("file:///srv/a%20b/c.png", "file", "", ("srv", "a b", "c.png")),
        ("file://localhost/srv/c#1.png", "file", "", ("srv", "c#1.png")),
        ("HTTPS://Example.COM/a/b.jpg", "https", "example.com", ("a", "b.jpg")),
        ("https://example.com:443/a", "https", "example.com", ("a",)),
        ("http://example.com:8080/a", "http", "example.com:8080", ("a",)),
        ("http://example.com./a", "http", "example.com", ("a",)),
        ("s3://bucket/a//b?c#d.png", "s3", "bucket", ("a", "", "b?c#d.png")),
        ("s3://Minio:9000/bucket/key", "s3", "minio:9000", ("bucket", "key")),
        ("gs://bucket/key", "gs", "bucket", ("key",)),
    ],
)
def test_parts(text: str, scheme: str, authority: str, path: tuple[str, ...]) -> None:
    uri = parse_uri(text)
    assert (uri.scheme, uri.authority, uri.path) == (scheme, authority, path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "picture.jpg",
        "/etc/passwd",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "ftp://example.com/a",
        "file:relative",
        "file://host/share/a.png",
        "file:///srv/../etc/passwd",
        "file:///srv/%2e%2e/etc/passwd",
        "file:///srv/a%00.png",
        "http:///a",
        "https://user:secret@example.com/a",
        "https://example.com/a/../b",
        "https://example.com/a/%2e%2e/b",
        "https://example.com/a/..%2fb",
        "https://example.com/a/%2E%2E%5Cb",
        "https://example.com/a\r\nHost: other",
        "https://[::1/a",
        "s3://bucket/a/../b",
        "s3:///key",
        "s3://user@host:9000/bucket/key",
        "s3://host:port/bucket/key",
        "gs://bu cket/key",
    ],
)
def test_what_is_never_read(text: str) -> None:
    policy = MediaPolicy(allow=("file:///", "http://", "https://", "s3://", "gs://"))
    with pytest.raises(MediaError) as caught:
        policy.check(text)
    assert caught.value.reason is PreviewReason.NOT_ALLOWED


@pytest.mark.parametrize(
    ("prefix", "uri", "allowed"),
    [
        ("file:///srv/a", "file:///srv/a/b.png", True),
        ("file:///srv/a/", "file:///srv/a/b.png", True),
        ("file:///srv/a", "file:///srv/a", True),
        ("file:///srv/a", "file:///srv/ab/b.png", False),
        ("file:///", "file:///etc/passwd", True),
        ("s3://bucket", "s3://bucket/key", True),
        ("s3://bucket", "s3://bucket-2/key", False),
        ("s3://bucket/a/", "s3://bucket/ab/key", False),
        ("s3://bucket/a/", "gs://bucket/a/key", False),
        ("s3://host:9000/bucket/", "s3://host:9000/bucket/key", True),
        ("s3://host:9000/bucket/", "s3://host:9001/bucket/key", False),
        ("s3://bucket/", "s3://host:9000/bucket/key", False),
        ("https://example.com/a/", "https://example.com/a/b?c=d", True),
        ("https://example.com/a/", "http://example.com/a/b", False),
        ("https://example.com/", "https://example.com.evil.test/a", False),
        ("https://example.com", "https://example.com:444/a", False),
        ("https://", "https://anything.test/a", True),
        ("https://", "http://anything.test/a", False),
    ],
)
def test_prefixes(prefix: str, uri: str, allowed: bool) -> None:
    policy = MediaPolicy(allow=(prefix,))
    if allowed:
        policy.check(uri)
    else:
        with pytest.raises(MediaError) as caught:
            policy.check(uri)
        assert caught.value.reason is PreviewReason.NOT_ALLOWED


def test_a_prefix_that_cannot_be_read_allows_nothing() -> None:
    policy = MediaPolicy(allow=("/srv/pictures", "*", ""))
    with pytest.raises(MediaError):
        policy.check("file:///srv/pictures/a.png")
