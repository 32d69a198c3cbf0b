"""How URIs of a manifest become absolute."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frames.formats.uris import UriError, from_path, resolve
from frames.media.uris import SCHEMES

MANIFEST = "file:///data/drive/frames.json"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("a.jpg", "file:///data/drive/a.jpg"),
        ("images/a.jpg", "file:///data/drive/images/a.jpg"),
        ("./images//a.jpg", "file:///data/drive/images/a.jpg"),
        ("images/../a.jpg", "file:///data/drive/a.jpg"),
        ("a b.jpg", "file:///data/drive/a%20b.jpg"),
        ("a%20b.jpg", "file:///data/drive/a%20b.jpg"),
        ("100%.jpg", "file:///data/drive/100%25.jpg"),
        ("a#1?.jpg", "file:///data/drive/a%231%3F.jpg"),
        ("Straße.jpg", "file:///data/drive/Stra%C3%9Fe.jpg"),
        ("..a.jpg", "file:///data/drive/..a.jpg"),
        ("/srv/a b.jpg", "file:///srv/a%20b.jpg"),
        ("file:///etc/passwd", "file:///etc/passwd"),
        ("https://example.com/a b.jpg?x=1", "https://example.com/a b.jpg?x=1"),
        ("s3://store:9000/bucket/a.jpg", "s3://store:9000/bucket/a.jpg"),
    ],
)
def test_resolves_against_a_file(uri: str, expected: str) -> None:
    assert resolve(uri, MANIFEST) == expected


@pytest.mark.parametrize(
    ("uri", "base", "expected"),
    [
        ("images/a b#1.jpg", "s3://bucket/set/frames.json", "s3://bucket/set/images/a b#1.jpg"),
        ("a.jpg?v=2", "https://example.com/x/frames.json?t=1", "https://example.com/x/a.jpg?v=2"),
        ("a.jpg", "s3://store:9000/bucket/frames.json", "s3://store:9000/bucket/a.jpg"),
    ],
)
def test_resolves_against_other_stores(uri: str, base: str, expected: str) -> None:
    assert resolve(uri, base) == expected


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("", "is empty"),
        ("../a.jpg", "leaves the manifest's folder"),
        ("images/../../a.jpg", "leaves the manifest's folder"),
        ("%2e%2e/a.jpg", "leaves the manifest's folder"),
        ("..%2fa.jpg", "escaped slash"),
        ("//example.com/a.jpg", "no scheme"),
        ("javascript:alert(1)", "scheme 'javascript'"),
        ("JavaScript:alert(1)", "scheme 'javascript'"),
        ("data:image/png;base64,AAAA", "scheme 'data'"),
        (r"C:\pictures\a.jpg", "scheme 'c'"),
        ("java\nscript:alert(1)", "control character U+000A"),
        ("a\0.jpg", "control character U+0000"),
        ("https:///a.jpg", "no host"),
        ("s3:bucket/a.jpg", "no bucket"),
        ("file://server/share/a.jpg", "a file of this machine"),
        ("http://[::1/a.jpg", "not a URI"),
        ("a" * 2048, "longer than 2048 bytes"),
        (".", "names no file"),
    ],
)
def test_refuses(uri: str, reason: str) -> None:
    with pytest.raises(UriError, match=re.escape(reason)):
        resolve(uri, MANIFEST)


def test_a_relative_uri_needs_a_manifest() -> None:
    with pytest.raises(UriError, match="relative"):
        resolve("a.jpg", "")


def test_a_path_from_the_root_is_refused_outside_files() -> None:
    with pytest.raises(UriError, match="leaves"):
        resolve("/a.jpg", "s3://bucket/set/frames.json")


@given(st.text(max_size=40), st.sampled_from([MANIFEST, "s3://b/x/f.json", "http://h/x/f.json"]))
def test_whatever_is_relative_stays_in_the_folder(uri: str, base: str) -> None:
    """Any text gives an allowed absolute URI, one below the manifest's folder, or an error."""
    try:
        absolute = resolve(uri, base)
    except (UriError, UnicodeEncodeError):
        return
    assert absolute.partition(":")[0].lower() in SCHEMES
    if absolute != uri and not uri.startswith("/"):
        assert absolute.startswith(base.rpartition("/")[0] + "/")
        assert ".." not in absolute.partition("?")[0].split("/")


def test_from_path_escapes() -> None:
    assert from_path("/data/a b/../c#.jpg") == "file:///data/c%23.jpg"
