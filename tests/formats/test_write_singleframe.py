"""SingleFrame JSON written comes back equal."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frames.formats.base import About, FormatError, Header
from frames.formats.manifest import ManifestReader
from frames.formats.singleframe import parse_frame
from frames.formats.writers import OUTPUT_FORMATS
from tests.formats.test_singleframe import EXAMPLE
from tests.formats.test_singleframe import frames as frame_values
from tests.formats.writing import BASE, frame, region, write

if TYPE_CHECKING:
    from frames.formats.base import FrameData

ABOUT = About(
    Header(
        {"name": "Streets", "description": "…", "tags": ["day"]},
        {"name": "Current", "metadata": {"mask_labels": {"_all_": []}}},
    )
)


def read(data: bytes, uri: str = BASE) -> tuple[list[FrameData], Header]:
    reader = ManifestReader(lambda: contextlib.nullcontext(io.BytesIO(data)), uri)
    items = list(reader)
    assert [item.problem for item in items if item.problem] == []
    return [item.frame for item in items if item.frame], reader.header


@pytest.mark.parametrize("name", ["singleframe", "jsonl"])
@given(values=st.lists(frame_values, max_size=3))
def test_what_was_read_comes_back_equal(name: str, values: list[dict[str, Any]]) -> None:
    """Unknown keys at every level included, as JSON and as frames."""
    frames = [parse_frame(value, BASE) for value in values]
    data, changes = write(name, frames, About(ABOUT.header) if name == "singleframe" else None)
    if name == "singleframe":
        assert json.loads(data)["frames"] == values
    else:
        assert [json.loads(line) for line in data.splitlines()] == values
    assert changes == {}
    if frames:
        uri = "file:///elsewhere/b.json" + ("l" if name == "jsonl" else "")
        assert read(data, uri)[0] == frames


def test_the_dataset_and_the_version_come_back() -> None:
    data, _ = write("singleframe", [frame()], ABOUT)
    assert read(data)[1] == ABOUT.header


def test_lines_say_that_they_hold_no_metadata_of_the_version() -> None:
    assert list(write("jsonl", [frame()], ABOUT)[1].values()) == [1]


def test_no_frames_are_a_manifest_all_the_same() -> None:
    assert json.loads(write("singleframe", [], ABOUT)[0])["frames"] == []


@pytest.mark.parametrize("output", OUTPUT_FORMATS, ids=lambda output: output.name)
def test_equal_frames_are_equal_bytes(output: Any) -> None:
    """Whatever the order of their keys is, which databases choose as they like."""
    rois = [region([1, 2, 3, 4, 5, 6], meta={"b": 1, "a": {"d": 1, "c": 2}}), region()]
    one = frame(meta={"b": 1, "a": 2}, rois=rois)
    other = frame(
        meta={"a": 2, "b": 1},
        rois=[dict(reversed(roi.items())) for roi in rois],
    )
    assert write(output.name, [one], ABOUT) == write(output.name, [other], ABOUT)


def test_what_reading_fills_in_is_written_out() -> None:
    """A frame of a picture alone: once written it reads the same, and is written the same."""
    short = parse_frame({"id": "a", "sources": [{"uri": "a.png"}]}, BASE)
    data, _ = write("jsonl", [short])
    assert json.loads(data) == {
        "id": "a",
        "context_id": "file:///data/a.png",
        "timestamp": 0,
        "meta": {},
        "rois": [],
        "sources": [{"id": "default", "uri": "file:///data/a.png"}],
    }
    assert write("jsonl", read(data, "file:///b.jsonl")[0])[0] == data


def test_the_example_of_every_field_comes_back_equal() -> None:
    value = {**EXAMPLE, "vendor": {"key": [1, None, {"a": 0.1}]}}
    data, _ = write("singleframe", [parse_frame(value, BASE)])
    assert json.loads(data)["frames"] == [value]


def _examples(folder: Path) -> list[tuple[str, str]]:
    found = []
    for path in sorted(folder.glob("*.md")):
        blocks = re.findall(r"```[a-z]*\n(.*?)```", path.read_text(), re.DOTALL)
        found += [(f"{path.name} {n}", block) for n, block in enumerate(blocks)]
    return found


def test_every_format_that_is_written_is_documented() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE)
    assert [one.name for one in OUTPUT_FORMATS] == [
        name for name in rows if name in {one.name for one in OUTPUT_FORMATS}
    ]


@pytest.mark.shared_data
def test_the_examples_of_the_documents_come_back_equal(shared_data: Path) -> None:
    """Each block of the reference that is a frame, read, written and read again."""
    taken = 0
    for name, block in _examples(shared_data.parent / "reference"):
        reader = ManifestReader(
            lambda block=block: contextlib.nullcontext(io.BytesIO(block.encode())),  # type: ignore[misc]
            BASE,
        )
        try:
            frames = [item.frame for item in reader if item.frame]
        except FormatError:
            continue  # a block of Python, or one that shows a structure
        for output in ("singleframe", "jsonl"):
            uri = "file:///b.jsonl" if output == "jsonl" else BASE
            data, _ = write(output, frames)
            if frames:
                assert read(data, uri)[0] == frames, name
        taken += len(frames)
    assert taken >= 5


@pytest.mark.shared_data
def test_camvid_comes_back_equal(shared_data: Path) -> None:
    path = shared_data / "camvid" / "frames.json"
    frames, header = read(path.read_bytes(), path.as_uri())
    data, _ = write("singleframe", frames, About(header))
    assert read(data) == (frames, header)
