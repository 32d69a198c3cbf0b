"""CSV written, read by Python's reader, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frames.formats.csv_writer import inert
from frames.formats.singleframe import parse_frame
from tests.formats.test_singleframe import frames as frame_values
from tests.formats.writing import BASE, BOX, TRIANGLE, frame, region, write


def rows(name: str, *frames: object) -> list[dict[str, str]]:
    data, _ = write(name, frames)  # type: ignore[arg-type]
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_a_row_for_each_region() -> None:
    rois = [
        region(BOX, "b2d", confidence=0.5, label=["car", "parked"], meta={"a": [1]}),
        region(label=["day"]),
    ]
    box, label = rows("csv-regions", frame(timestamp=33.5, meta={"rain": True}, rois=rois))
    assert (box["frame_id"], box["context_id"], box["timestamp"]) == ("f", "drive", "33.5")
    assert (box["region"], box["labels"], box["confidence"]) == ("0", "car | parked", "0.5")
    assert (box["type"], json.loads(box["poly"])) == ("b2d", BOX)
    assert [box[k] for k in ("x_min", "y_min", "x_max", "y_max")] == ["10", "20", "50", "80"]
    assert json.loads(box["region_meta"]) == {"_type": "b2d", "a": [1]}
    assert (box["sources"], box["uri"]) == ("default", "file:///data/a.png")
    assert (box["width"], box["height"], json.loads(box["meta"])) == ("100", "200", {"rain": True})
    assert (label["region"], label["labels"], label["poly"], label["x_min"]) == ("1", "day", "", "")


def test_a_frame_without_regions_has_a_row_too() -> None:
    (row,) = rows("csv-regions", frame())
    assert (row["frame_id"], row["region"], row["labels"]) == ("f", "", "")
    assert row["uri"] == "file:///data/a.png"


def test_a_region_has_the_source_that_it_names() -> None:
    sources = [{"id": "front", "uri": "a.png"}, {"id": "rear", "uri": "b.png"}]
    named, both = rows(
        "csv-regions",
        frame(sources=sources, rois=[region(BOX, sources=["rear"]), region(BOX)]),
    )
    assert (named["sources"], named["uri"]) == ("rear", "file:///data/b.png")
    assert (both["sources"], both["uri"]) == ("front | rear", "file:///data/a.png")


def test_a_row_for_each_frame() -> None:
    rois = [region(BOX), region(TRIANGLE, label=["bus", "car"])]
    (row,) = rows("csv-frames", frame(rois=rois))
    assert (row["regions"], row["labels"], row["meta"]) == ("2", "car | bus", "{}")


@pytest.mark.parametrize("name", ["csv-regions", "csv-frames"])
def test_what_it_cannot_hold_is_counted(name: str) -> None:
    given = frame(
        vendor=1,
        sources=[{"uri": "a.png", "meta": {"fov": 1}}],
        rois=[region(BOX, track=3)],
    )
    _, changes = write(name, [given])
    assert len(changes) == 3
    assert set(changes.values()) == {1}


@pytest.mark.parametrize("name", ["csv-regions", "csv-frames"])
def test_no_text_of_the_data_is_a_formula(name: str) -> None:
    evil = '=HYPERLINK("http://x","y")'
    given = frame(id=evil, context_id="@SUM(1)", rois=[region(BOX, label=["+1"])])
    for row in rows(name, given):
        assert row["frame_id"] == f"'{evil}"
        assert row["context_id"] == "'@SUM(1)"
        assert row["labels"] == "'+1"


def test_numbers_stay_numbers() -> None:
    (row,) = rows("csv-regions", frame(timestamp=-5, rois=[region([-1, -2, 3, 4, 5, 6])]))
    assert (row["timestamp"], row["x_min"]) == ("-5", "-1")


@given(st.text())
def test_what_is_inert_begins_no_formula(text: str) -> None:
    assert not inert(text).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert inert(text).removeprefix("'") == text.removeprefix("'")


@given(st.lists(frame_values, max_size=3))
def test_every_region_of_any_frame_is_read_back(values: list[dict[str, object]]) -> None:
    frames = [parse_frame(value, BASE) for value in values]
    found = rows("csv-regions", *frames)
    expected = [
        (inert(one.frame_id), roi.get("poly"), roi.get("meta"))
        for one in frames
        for roi in one.rois or [{}]
    ]
    assert [
        (
            row["frame_id"],
            json.loads(row["poly"]) if row["poly"] else None,
            json.loads(row["region_meta"]) if row["region_meta"] else None,
        )
        for row in found
    ] == expected
    assert [row["frame_id"] for row in rows("csv-frames", *frames)] == [
        inert(one.frame_id) for one in frames
    ]
