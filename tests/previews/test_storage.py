"""Previews in a folder: whole files, and URLs that only this site can make."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.core.files.storage import storages

from frames.models import Preview
from frames.previews.storage import (
    PreviewFolderStorage,
    preview_url,
    save_preview,
    verify_preview_url,
)

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

KEY = "0123456789abcdef0123456789abcdef01234567"
NAME = f"01/{KEY}.jpg"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Settings) -> Path:
    settings.PREVIEWS_DIR = tmp_path / "previews"
    return tmp_path / "previews"


def parts(url: str) -> tuple[str, str, str]:
    """Return path, expiry and signature."""
    split = urlsplit(url)
    query = parse_qs(split.query)
    return split.path, query["e"][0], query["s"][0]


def test_a_preview_is_kept_and_replaced(folder: Path) -> None:
    save_preview(NAME, b"first")
    save_preview(NAME, b"second")
    storage = storages["previews"]
    assert storage.exists(NAME)
    assert storage.size(NAME) == 6
    with storage.open(NAME) as file:
        assert file.read() == b"second"
    assert [path for path in folder.rglob("*") if path.is_file()] == [folder / NAME]
    storage.delete(NAME)
    storage.delete(NAME)
    assert not storage.exists(NAME)


def test_readers_never_see_half_a_file() -> None:
    """Two contents of one size replace each other while a reader reads."""
    contents = {b"a" * 300_000, b"b" * 300_000}
    save_preview(NAME, b"a" * 300_000)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for content in contents:
                save_preview(NAME, content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(200):
            with storages["previews"].open(NAME) as file:
                assert file.read() in contents
    finally:
        stop.set()
        writer.join()


def test_a_failed_write_leaves_nothing_behind(folder: Path) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise OSError("disk full")
            return super().read(2)

    save_preview(NAME, b"before")
    with pytest.raises(OSError, match="disk full"):
        storages["previews"].save(NAME, Failing(b"half"))
    assert [path.name for path in folder.rglob("*") if path.is_file()] == [f"{KEY}.jpg"]
    assert (folder / NAME).read_bytes() == b"before"


@pytest.mark.parametrize(
    "name", ["../../secret_key", "01/x.jpg", f"/{NAME}", f"{NAME}\n", "", f"01/../01/{KEY}.jpg"]
)
def test_only_names_of_previews_have_a_path(name: str) -> None:
    with pytest.raises(ValueError, match="not a preview's name"):
        PreviewFolderStorage().path(name)


def test_a_signed_url_is_verified() -> None:
    preview = Preview(key=KEY)
    path, expiry, signature = parts(preview_url(preview))
    assert path == f"/previews/{NAME}"
    assert verify_preview_url(NAME, expiry, signature)
    other = NAME.replace("0123", "0124")
    assert not verify_preview_url(other, expiry, signature)
    assert not verify_preview_url(NAME, str(int(expiry) + 1), signature)
    assert not verify_preview_url(NAME, expiry, "0" * len(signature))
    for wrong in ("", "x", "-1", "9" * 5000, "²"):
        assert not verify_preview_url(NAME, wrong, signature)
    assert not verify_preview_url(NAME, expiry, "ü")


def test_a_url_stays_the_same_for_hours_and_then_expires(settings: Settings) -> None:
    settings.SIGNED_URL_TTL_S = 24 * 3600
    with time_machine.travel("2026-01-01 00:10:00+00:00", tick=False) as clock:
        url = preview_url(Preview(key=KEY))
        _, expiry, signature = parts(url)
        clock.shift(11 * 3600)
        assert preview_url(Preview(key=KEY)) == url
        clock.shift(2 * 3600)
        assert preview_url(Preview(key=KEY)) != url
        assert verify_preview_url(NAME, expiry, signature)
        clock.shift(12 * 3600)
        assert not verify_preview_url(NAME, expiry, signature)


def test_another_sites_key_signs_otherwise(settings: Settings) -> None:
    url = preview_url(Preview(key=KEY))
    settings.SECRET_KEY = "another" * 9
    assert preview_url(Preview(key=KEY)) != url


def test_files_are_readable_by_the_owner_alone(folder: Path) -> None:
    save_preview(NAME, b"x")
    assert os.stat(folder / NAME).st_mode & 0o077 == 0
