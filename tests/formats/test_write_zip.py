"""A zip file written is what Python's own reader, and any other, reads."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tempfile
import tracemalloc
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frames.formats import zip_writer
from frames.formats.zip_writer import ZipWriter

if TYPE_CHECKING:
    from pathlib import Path


def written(files: list[tuple[str, bytes]], stored: bytes | None = None) -> bytes:
    target = io.BytesIO()
    archive = ZipWriter(target, None)
    for name, data in files:
        archive.add(name, data)
    if stored is not None:
        with tempfile.TemporaryFile() as content:
            content.write(stored)
            archive.add_file("stored", content)
    archive.finish()
    return target.getvalue()


def read(data: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return [(name, archive.read(name)) for name in archive.namelist()]


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1)


@given(st.lists(st.tuples(names, st.binary(max_size=2000)), unique_by=lambda f: f[0], max_size=5))
def test_files_are_read_back(files: list[tuple[str, bytes]]) -> None:
    files = [(f"folder/{name}", data) for name, data in files]
    assert read(written(files)) == files
    assert read(written(files, b"abc")) == [*files, ("stored", b"abc")]
    assert read(written(files, b"")) == [*files, ("stored", b"")]


def test_the_same_files_are_the_same_bytes() -> None:
    assert written([("a", b"x")]) == written([("a", b"x")])


def test_over_65535_files_are_counted_right() -> None:
    count = 70_000
    data = written([(f"{n}", b"") for n in range(count)])
    assert len(read(data)) == count


@pytest.mark.parametrize("limit", [0, 40, 100])
def test_sizes_and_offsets_over_the_limit_are_wide(limit: int, monkeypatch: Any) -> None:
    """With 4 GiB made small: each field that is full is given again in 64 bits."""
    files = [(f"{n}", os.urandom(90)) for n in range(3)]
    real = zip_writer._LIMIT_32
    monkeypatch.setattr(zip_writer, "_is_wide", lambda value: value >= limit)
    assert real == zip_writer._LIMIT_32
    assert read(written(files, os.urandom(200)))[:3] == files


@pytest.mark.skipif(not shutil.which("unzip"), reason="no unzip on this machine")
def test_unzip_finds_no_error(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(written([("folder/é.txt", b"x" * 1000), ("b", b"")], b"stored"))
    subprocess.run(["unzip", "-tq", path], check=True, capture_output=True)


def test_memory_does_not_grow_with_the_files() -> None:
    def peak(count: int) -> int:
        with open(os.devnull, "wb") as target:
            tracemalloc.start()
            archive = ZipWriter(target, None)
            for number in range(count):
                archive.add(f"labels/{number:08}.txt", b"0 0.5 0.5 0.1 0.1\n")
            archive.finish()
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        return most

    assert peak(5_000) < peak(500) + 100_000
