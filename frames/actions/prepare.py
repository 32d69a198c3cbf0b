"""What can be done for a batch of frames before its transaction: JSON texts and terms.

Knows no database, so that it can be done ahead, in another process.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from frames.formats.singleframe import derived_id
from frames.index.gather import TermBatch

if TYPE_CHECKING:
    from frames.formats.base import FrameData, SourceData

# The columns of PreparedFrame.row and of its sources, in order.
FRAME_COLUMNS: Final = ("context_id", "timestamp", "meta", "rois", "extra")
SOURCE_COLUMNS: Final = (
    "source_id",
    "uri",
    "content_type",
    "width",
    "height",
    "timestamp",
    "masks",
    "preview",
    "meta",
    "extra",
)


class PreparedFrame(NamedTuple):
    """One frame as its rows; `number` is its index in the input.

    `is_derived` tells that the input gave it no id.
    """

    number: int
    frame_id: str
    is_derived: bool
    row: tuple[Any, ...]
    sources: list[tuple[Any, ...]]

    def digest(self) -> bytes:
        """Return 16 bytes that stand for the content, as in `Frame.digest`.

        Left to whoever writes the frame: reading takes longer than writing, and they run at once.
        """
        # JSON is stored with its keys sorted, so equal values are equal texts.
        content = orjson.dumps((self.row, self.sources))
        return hashlib.blake2b(content, digest_size=16).digest()


@dataclass(slots=True)
class PreparedBatch:
    """Consecutive frames of an input, ready to be written; frame n's terms are at position n.

    `size_bytes` is about what the frames take as JSON.
    """

    size_bytes: int = 0
    frames: list[PreparedFrame] = field(default_factory=list)
    terms: TermBatch = field(default_factory=TermBatch)

    def __getstate__(self) -> tuple[Any, ...]:
        """Return what crosses to another process: plain tuples do in a third of the time."""
        self.terms.gather()
        return self.size_bytes, [tuple(frame) for frame in self.frames], self.terms

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.size_bytes, frames, self.terms = state
        self.frames = list(map(PreparedFrame._make, frames))

    def add(self, index: int, frame: FrameData) -> None:
        """Add a frame that stands at `index` in the input."""
        row, sources = _row(frame), [_source_row(source) for source in frame.sources]
        self.size_bytes += len(row[2]) + len(row[3]) + len(row[4]) + 200 * len(sources)
        frame_id = frame.frame_id or derived_id(frame)
        self.frames.append(PreparedFrame(index, frame_id, not frame.frame_id, row, sources))
        self.terms.add(
            context_id=frame.context_id,
            timestamp=frame.timestamp,
            meta=frame.meta,
            sources=frame.sources,
            rois=frame.rois,
        )


def _row(frame: FrameData) -> tuple[Any, ...]:
    return (
        frame.context_id,
        frame.timestamp,
        _json(frame.meta),
        _json(frame.rois),
        _json(frame.extra),
    )


def _source_row(source: SourceData) -> tuple[Any, ...]:
    return (
        source.source_id,
        source.uri,
        source.content_type,
        source.width,
        source.height,
        source.timestamp,
        _json_or_null(source.masks),
        _json_or_null(source.preview),
        _json_or_null(source.meta),
        _json(source.extra),
    )


def _json(value: Any) -> str:
    """Return JSON text with sorted keys: the same for equal values, and on every database."""
    if value == {}:
        return "{}"
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        # orjson refuses integers over 64 bits, which JSON and both databases allow.
        return json.dumps(value, sort_keys=True)


def _json_or_null(value: Any) -> str | None:
    return None if value is None else _json(value)
