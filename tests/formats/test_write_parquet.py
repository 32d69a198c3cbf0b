"""Parquet written, read by pyarrow into the frames it was written from."""

from __future__ import annotations

import io
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from frames.formats import parquet_writer
from frames.formats.base import About, Header
from frames.formats.singleframe import parse_frame
from tests.formats.test_singleframe import frames as frame_values
from tests.formats.writing import BASE, BOX, frame, region, write


def read(data: bytes) -> Any:
    return parquet.read_table(io.BytesIO(data))


def value(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def rebuilt(row: dict[str, Any]) -> dict[str, Any]:
    """Return the SingleFrame of a row, as docs/formats.md says."""
    sources = []
    for source in row["sources"]:
        extra = value(source.pop("extra")) or {}
        for key in ("masks", "preview", "meta"):
            source[key] = value(source[key])
        sources.append({**{k: v for k, v in source.items() if v is not None}, **extra})
    rois = []
    for roi in row["rois"]:
        extra = value(roi.pop("extra")) or {}
        for key in ("mask", "meta"):
            roi[key] = value(roi[key])
        rois.append({**{k: v for k, v in roi.items() if v is not None}, **extra})
    return {
        **{key: row[key] for key in ("id", "context_id", "timestamp")},
        "meta": value(row["meta"]),
        "sources": sources,
        "rois": rois,
        **(value(row["extra"]) or {}),
    }


@given(st.lists(frame_values, max_size=3))
def test_a_row_holds_its_frame_whole(values: list[dict[str, Any]]) -> None:
    frames = [parse_frame(one, BASE) for one in values]
    data, changes = write("parquet", frames)
    assert [rebuilt(row) for row in read(data).to_pylist()] == values
    assert changes == {}


def test_the_schema_holds_the_dataset_and_the_version() -> None:
    about = About(Header({"name": "Streets"}, {"metadata": {"a": 1}}))
    metadata = read(write("parquet", [frame()], about)[0]).schema.metadata
    assert json.loads(metadata[b"dataset"]) == {"name": "Streets"}
    assert json.loads(metadata[b"version"]) == {"metadata": {"a": 1}}


def test_no_frames_are_a_table_all_the_same() -> None:
    table = read(write("parquet", [])[0])
    assert table.num_rows == 0
    assert table.column_names == [
        *("id", "context_id", "timestamp", "meta", "sources", "rois", "extra")
    ]


def test_rows_are_written_in_groups(monkeypatch: Any) -> None:
    """So that neither the writer nor a reader ever holds all of them."""
    monkeypatch.setattr(parquet_writer, "ROWS_PER_GROUP", 10)
    frames = [frame(id=str(n), rois=[region(BOX)]) for n in range(25)]
    data, _ = write("parquet", frames)
    file = parquet.ParquetFile(io.BytesIO(data))
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [10, 10, 5]
    assert file.read().column("id").to_pylist() == [str(n) for n in range(25)]

    monkeypatch.setattr(parquet_writer, "NUMBERS_PER_GROUP", 3 * len(BOX))
    file = parquet.ParquetFile(io.BytesIO(write("parquet", frames)[0]))
    assert file.metadata.row_group(0).num_rows == 4
