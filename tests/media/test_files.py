"""Files are opened without leaving the allowed folders, and only regular ones."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from frames.media import MediaError, MediaPolicy, files, list_uri, open_uri, policy_for
from frames.models import PreviewReason

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

    from frames.models import Project


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An allowed folder with a neighbour that is not."""
    (tmp_path / "allowed").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key.png").write_bytes(b"secret")
    return tmp_path / "allowed"


@pytest.fixture
def policy(folder: Path) -> MediaPolicy:
    return MediaPolicy(allow=(folder.as_uri(),), max_bytes=1000)


def reason_of(path: Path, policy: MediaPolicy) -> PreviewReason:
    """Return why a file is not opened."""
    with pytest.raises(MediaError) as caught, open_uri(path.as_uri(), policy):
        pass
    return caught.value.reason


def test_a_file_is_read_and_sought_in(folder: Path, policy: MediaPolicy) -> None:
    (folder / "a b%.png").write_bytes(b"0123456789")
    with open_uri((folder / "a b%.png").as_uri(), policy) as file:
        assert file.size == 10
        assert file.seek(4) == 4
        assert file.read() == b"456789"
    assert file.closed


def test_a_name_that_is_not_utf8(folder: Path, policy: MediaPolicy) -> None:
    path = os.fsencode(folder) + b"/\xff.png"
    Path(os.fsdecode(path)).write_bytes(b"x")
    found = list(list_uri(folder.as_uri(), policy))
    assert [entry.uri for entry in found] == [f"{folder.as_uri()}/%FF.png"]
    with open_uri(found[0].uri, policy) as file:
        assert file.read() == b"x"


def test_a_missing_file(folder: Path, policy: MediaPolicy) -> None:
    assert reason_of(folder / "a.png", policy) is PreviewReason.NOT_FOUND
    (folder / "file").touch()
    assert reason_of(folder / "file" / "a.png", policy) is PreviewReason.NOT_FOUND


def test_a_name_too_long_to_exist(folder: Path, policy: MediaPolicy) -> None:
    assert reason_of(folder / ("a" * 300), policy) is PreviewReason.NOT_FOUND


def test_a_file_outside(folder: Path, policy: MediaPolicy) -> None:
    assert reason_of(folder.parent / "secret" / "key.png", policy) is PreviewReason.NOT_ALLOWED


def test_a_link_inside_is_followed(folder: Path, policy: MediaPolicy) -> None:
    (folder / "real.png").write_bytes(b"real")
    (folder / "link.png").symlink_to("real.png")
    with open_uri((folder / "link.png").as_uri(), policy) as file:
        assert file.read() == b"real"


def test_links_that_lead_outside(folder: Path, policy: MediaPolicy) -> None:
    (folder / "link.png").symlink_to(folder.parent / "secret" / "key.png")
    (folder / "links").symlink_to(folder.parent / "secret")
    assert reason_of(folder / "link.png", policy) is PreviewReason.NOT_ALLOWED
    assert reason_of(folder / "links" / "key.png", policy) is PreviewReason.NOT_ALLOWED


def test_an_allowed_folder_that_is_itself_a_link(folder: Path) -> None:
    (folder / "a.png").write_bytes(b"a")
    (folder.parent / "alias").symlink_to(folder)
    alias = (folder.parent / "alias").as_uri()
    policy = MediaPolicy(allow=(alias,))
    with open_uri(f"{alias}/a.png", policy) as file:
        assert file.read() == b"a"
    assert [entry.uri for entry in list_uri(alias, policy)] == [f"{alias}/a.png"]


def test_a_link_put_in_place_after_the_check(
    folder: Path, policy: MediaPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path that was checked has a link in it by the time it is opened."""
    (folder / "day").mkdir()
    (folder / "day" / "key.png").write_bytes(b"harmless")
    real_open = files._open_real

    def swap_and_open(path: str) -> int:
        (folder / "day").rename(folder / "night")
        (folder / "day").symlink_to(folder.parent / "secret")
        return real_open(path)

    monkeypatch.setattr(files, "_open_real", swap_and_open)
    with pytest.raises(MediaError), open_uri((folder / "day" / "key.png").as_uri(), policy):
        pass


def test_a_link_in_place_for_the_moment_of_opening(
    folder: Path, policy: MediaPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path is as it was before and after, but it is not the file that was opened."""
    (folder / "day").mkdir()
    (folder / "day" / "key.png").write_bytes(b"harmless")
    real_open = os.open

    def swap_and_open(path: str, flags: int, *args: int) -> int:
        if not path.endswith("key.png"):
            return real_open(path, flags, *args)
        (folder / "day").rename(folder / "night")
        (folder / "day").symlink_to(folder.parent / "secret")
        descriptor = real_open(path, flags, *args)
        (folder / "day").unlink()
        (folder / "night").rename(folder / "day")
        return descriptor

    monkeypatch.setattr(os, "open", swap_and_open)
    assert reason_of(folder / "day" / "key.png", policy) is PreviewReason.NOT_ALLOWED


def test_what_is_not_a_regular_file(folder: Path, policy: MediaPolicy) -> None:
    os.mkfifo(folder / "fifo.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket.png"))
        for name in ("fifo.png", "socket.png", "."):
            assert reason_of(folder / name, policy) is PreviewReason.UNSUPPORTED
    devices = MediaPolicy(allow=("file:///dev",))
    assert reason_of(Path("/dev/zero"), devices) is PreviewReason.UNSUPPORTED


def test_a_file_over_the_cap(folder: Path, policy: MediaPolicy) -> None:
    (folder / "large.png").write_bytes(bytes(1001))
    assert reason_of(folder / "large.png", policy) is PreviewReason.TOO_LARGE


def test_a_file_without_the_right_to_read(
    folder: Path, policy: MediaPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The suite may run as root, who may read all: the system's answer is given here."""

    def refuse(path: str) -> int:
        raise PermissionError(13, "Permission denied")

    (folder / "a.png").write_bytes(b"a")
    monkeypatch.setattr(files, "_open_real", refuse)
    assert reason_of(folder / "a.png", policy) is PreviewReason.FORBIDDEN


def test_the_state_folder_needs_a_prefix_of_its_own(tmp_path: Path, settings: Settings) -> None:
    settings.VAR_DIR = tmp_path / "var"
    (tmp_path / "var" / "uploads").mkdir(parents=True)
    (tmp_path / "var" / "secret_key").write_bytes(b"key")
    (tmp_path / "var" / "uploads" / "a.png").write_bytes(b"a")
    for prefix in ("file:///", tmp_path.as_uri(), (tmp_path / "var").as_uri()):
        policy = MediaPolicy(allow=(prefix,))
        assert reason_of(tmp_path / "var" / "secret_key", policy) is PreviewReason.NOT_ALLOWED
    policy = MediaPolicy(allow=((tmp_path / "var" / "uploads").as_uri(),))
    with open_uri((tmp_path / "var" / "uploads" / "a.png").as_uri(), policy) as file:
        assert file.read() == b"a"


def test_a_folder_is_listed_in_order_and_in_depth(folder: Path, policy: MediaPolicy) -> None:
    for name in ("b.png", "a/2.png", "a/1.png", "a b.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"1234")
    (folder / "above").symlink_to(folder)
    os.mkfifo(folder / "fifo")
    found = list(list_uri(folder.as_uri(), policy))
    assert [entry.uri.removeprefix(folder.as_uri()) for entry in found] == [
        "/a/1.png",
        "/a/2.png",
        "/a%20b.png",
        "/b.png",
    ]
    assert {entry.size for entry in found} == {4}
    assert all(entry.modified.startswith("20") for entry in found)


def test_listing_a_missing_or_forbidden_folder(folder: Path, policy: MediaPolicy) -> None:
    with pytest.raises(MediaError) as missing:
        list(list_uri(f"{folder.as_uri()}/none", policy))
    assert missing.value.reason is PreviewReason.NOT_FOUND
    with pytest.raises(MediaError) as outside:
        list(list_uri((folder.parent / "secret").as_uri(), policy))
    assert outside.value.reason is PreviewReason.NOT_ALLOWED


def test_a_project_reads_its_own_uploads_and_prefixes(project: Project, settings: Settings) -> None:
    settings.MEDIA_ALLOW = ["s3://everyone/"]
    project.media_allow = ["https://example.com/"]
    policy = policy_for(project)
    policy.check(f"{settings.UPLOADS_DIR.as_uri()}/{project.uid}/a/1.png")
    policy.check("s3://everyone/a.png")
    policy.check("https://example.com/a.png")
    for uri in (f"{settings.UPLOADS_DIR.as_uri()}/other/1.png", "s3://someone/a.png"):
        with pytest.raises(MediaError):
            policy.check(uri)
