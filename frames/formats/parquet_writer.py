"""Parquet: a row for each frame, its sources and regions nested in it, in groups of rows.

Open objects (`meta` and keys Framedeck does not know) are JSON in text columns, since no schema
can foresee them. docs/formats.md lists the columns.
"""

from __future__ import annotations

from collections import Counter
from typing import IO, TYPE_CHECKING, Any, Final

from frames.formats.jsontext import dump

if TYPE_CHECKING:
    from frames.formats.base import About, FrameData, SourceData

ROWS_PER_GROUP: Final = 2_000
# Frames of ten thousand polygons each fill a group long before their number does.
NUMBERS_PER_GROUP: Final = 2_000_000
_ROI_KEYS: Final = frozenset({"label", "poly", "confidence", "sources", "mask", "meta"})


class ParquetWriter:
    """Writes frames whole; numbers of polygons and timestamps are 64-bit floats."""

    def __init__(self, file: IO[bytes], about: About) -> None:
        # 90 MB of memory and 0.1 s: only who writes Parquet pays for it.
        import pyarrow
        from pyarrow import parquet

        self.changes = Counter[str]()
        self._arrow = pyarrow
        self._schema = _schema(pyarrow, about)
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []
        self._numbers = 0

    def write(self, frame: FrameData) -> None:
        """Write the next frame."""
        self._rows.append(
            {
                "id": frame.frame_id,
                "context_id": frame.context_id,
                "timestamp": frame.timestamp,
                "meta": dump(frame.meta).decode(),
                "sources": [_source(source) for source in frame.sources],
                "rois": [_roi(roi) for roi in frame.rois],
                "extra": _json(frame.extra or None),
            }
        )
        self._numbers += sum(len(roi.get("poly") or ()) for roi in frame.rois)
        if len(self._rows) >= ROWS_PER_GROUP or self._numbers > NUMBERS_PER_GROUP:
            self._write_group()

    def finish(self) -> None:
        """Write the last group and the schema."""
        if self._rows:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        table = self._arrow.Table.from_pylist(self._rows, schema=self._schema)
        self._rows, self._numbers = [], 0
        self._writer.write_table(table)


def _schema(arrow: Any, about: About) -> Any:
    text, number, whole = arrow.string(), arrow.float64(), arrow.int32()
    texts = arrow.list_(text)
    source = {
        **dict.fromkeys(("id", "uri", "content_type"), text),
        **dict.fromkeys(("width", "height"), whole),
        "timestamp": number,
        **dict.fromkeys(("masks", "preview", "meta", "extra"), text),
    }
    roi = {
        "label": texts,
        "poly": arrow.list_(number),
        "confidence": number,
        "sources": texts,
        **dict.fromkeys(("mask", "meta", "extra"), text),
    }
    columns = {
        **dict.fromkeys(("id", "context_id"), text),
        "timestamp": number,
        "meta": text,
        "sources": arrow.list_(arrow.struct(list(source.items()))),
        "rois": arrow.list_(arrow.struct(list(roi.items()))),
        "extra": text,
    }
    described = {"dataset": dump(about.header.dataset), "version": dump(about.header.version)}
    return arrow.schema(list(columns.items()), metadata=described)


def _source(source: SourceData) -> dict[str, Any]:
    return {
        "id": source.source_id,
        "uri": source.uri,
        "content_type": source.content_type or None,
        "width": source.width,
        "height": source.height,
        "timestamp": source.timestamp,
        **{key: _json(getattr(source, key)) for key in ("masks", "preview", "meta")},
        "extra": _json(source.extra or None),
    }


def _roi(roi: dict[str, Any]) -> dict[str, Any]:
    unknown = {key: value for key, value in roi.items() if key not in _ROI_KEYS}
    return {
        "label": roi.get("label"),
        "poly": roi.get("poly"),
        "confidence": roi.get("confidence"),
        "sources": roi.get("sources"),
        **{key: _json(roi.get(key)) for key in ("mask", "meta")},
        "extra": _json(unknown or None),
    }


def _json(value: Any) -> str | None:
    return None if value is None else dump(value).decode()
