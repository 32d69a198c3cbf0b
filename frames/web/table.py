"""The frame browser's table: a row for each frame or group, with the columns that were chosen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from frames.index.rows import values_of
from frames.web.cards import FrameCard, GroupCard, value_text
from frames.web.labels import Label, distinct_labels
from frames.web.pictures import shown_source
from frames.web.text import count, dimensions, elapsed
from frames.web.toolbar import HEIGHT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frames.models import Source
    from frames.web.toolbar import Toolbar

MAX_VALUES_IN_CELL: Final = 3
MAX_LABELS_IN_CELL: Final = 4


@dataclass(frozen=True, slots=True)
class Header:
    """A column's name; `url` sorts by it, and `direction` is how it is sorted now."""

    label: str
    url: str = ""
    direction: str = ""
    is_key: bool = False


@dataclass(frozen=True, slots=True)
class File:
    """One source of a frame."""

    source: Source

    @property
    def dimensions(self) -> str:
        """Width x height in px, empty when unknown."""
        return dimensions(self.source.width or 0, self.source.height or 0)


@dataclass(frozen=True, slots=True)
class FrameLine:
    """One frame as a row."""

    card: FrameCard
    keys: Sequence[str]

    @property
    def files(self) -> list[File]:
        """Its sources in their order."""
        return [File(source) for source in self.card.row.sources]

    @property
    def objects(self) -> str:
        """The number of its regions."""
        return count(len(self.card.row.frame.rois))

    @property
    def labels(self) -> list[Label]:
        """The first few labels."""
        return [Label(name) for name in self._labels[:MAX_LABELS_IN_CELL]]

    @property
    def more_labels(self) -> int:
        """How many labels there are beside those."""
        return max(0, len(self._labels) - MAX_LABELS_IN_CELL)

    @property
    def updated_at(self) -> datetime:
        """When it was written."""
        return datetime.fromtimestamp(self.card.row.frame.saved_ms / 1000, UTC)

    @property
    def updated(self) -> str:
        """How long ago that was."""
        return elapsed(self.updated_at)

    @property
    def dimensions(self) -> str:
        """Width x height in px of the source that is shown first."""
        return File(shown_source(self.card.row.sources)).dimensions

    @property
    def cells(self) -> list[str]:
        """What it has of each chosen key, empty for nothing."""
        return [self._cell(key) for key in self.keys]

    def _cell(self, key: str) -> str:
        found = dict.fromkeys(
            value for _, value in values_of(self.card.row.frame, self.card.row.sources, key)
        )
        texts = [value_text(value) for value in found]
        more = len(texts) - MAX_VALUES_IN_CELL
        shown = ", ".join(texts[:MAX_VALUES_IN_CELL])
        return f"{shown} +{count(more)}" if more > 0 else shown

    @property
    def _labels(self) -> list[str]:
        return distinct_labels(self.card.row.frame.rois)


@dataclass(frozen=True, slots=True)
class Table:
    """Headers and rows; rows are of frames or of groups."""

    headers: list[Header]
    frames: list[FrameLine]
    groups: list[GroupCard]

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self.headers)


def table_of(cards: Sequence[object], bar: Toolbar) -> Table:
    """Return the table of a page's cards."""
    keys = bar.query.column_keys
    groups = [card for card in cards if isinstance(card, GroupCard)]
    if bar.query.is_grouped:
        first = _header("ID", "context_id", bar)
        return Table([Header("Files"), first, Header("Frames"), Header("Duration")], [], groups)
    headers = [
        Header("Files"),
        _header("ID", "id", bar),
        Header("Objects"),
        Header("Labels"),
        _header("Last update", "saved", bar),
        _header("Dimensions", HEIGHT, bar),
        *(_header(key, key, bar, is_key=True) for key in keys),
    ]
    frames = [FrameLine(card, keys) for card in cards if isinstance(card, FrameCard)]
    return Table(headers, frames, [])


def _header(label: str, key: str, bar: Toolbar, *, is_key: bool = False) -> Header:
    is_sorted = bar.query.sort_key == key
    descending = bar.query.descending
    sign = "-" if is_sorted and not descending else ""
    direction = ("descending" if descending else "ascending") if is_sorted else ""
    return Header(label, bar.url(sort=f"{sign}{key}"), direction, is_key)
