"""Lucene query text to a set of frames.

Fields: `label`, `rois.*` (true where any one region has it), `meta.*`, `sources.*`,
`context_id`, `id`, `timestamp`; a trailing `.keyword` is accepted. AND, OR, NOT, `+`, `-`,
parentheses, phrases, `*` and `?` in values, ranges, comparisons and `_exists_`. A word without a
field is a label. Terms that stand beside each other are joined by AND.

Source: the query syntax of Apache Lucene's classic query parser; parsed by luqum.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from luqum import tree
from luqum.exceptions import ParseError
from luqum.thread import parse

from frames.index.bitmaps import BitMap, union
from frames.models import Frame
from frames.models.frame import ordinal_of
from frames.search.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from frames.index.reader import DatasetIndex

DEPTH_MAX: Final = 100
TERMS_MAX: Final = 500
WILDCARD_TERMS_MAX: Final = 20_000
_WILDCARD: Final = re.compile(r"(?<!\\)[*?]")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_FIELDS: Final = re.compile(
    r"^(label|context_id|id|timestamp|meta\..+|rois\.(label|confidence|sources|meta\..+)"
    r"|sources\.(id|content_type|width|height|meta\..+))$"
)


def frames_matching(index: DatasetIndex, universe: BitMap, text: str) -> BitMap:
    """Return those of the frames that a query text matches. Raises QueryError.

    Queries: up to 4 a term of the text, none for terms in the cache.
    """
    try:
        root = parse(text)
    except ParseError as error:
        raise _syntax_error(text, error) from error
    except RecursionError as error:
        raise QueryError("The query is nested too deeply.") from error
    _check_size(root)
    return _Evaluation(index, universe).frames(root, "label")


def _check_size(root: tree.Item) -> None:
    """Refuse a query that would take long, before anything is looked up for it."""
    terms = 0
    waiting = [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        terms += isinstance(node, tree.Term | tree.Range | tree.From | tree.To)
        if depth > DEPTH_MAX:
            raise QueryError("The query is nested too deeply.", position=node.pos)
        if terms > TERMS_MAX:
            raise QueryError(f"The query has more than {TERMS_MAX:,} terms.", position=node.pos)
        waiting += [(child, depth + 1) for child in node.children]


def _syntax_error(text: str, error: Exception) -> QueryError:
    place = re.search(r"at position (\d+)", str(error))
    position = int(place.group(1)) if place else len(text)
    near = text[position : position + 20]
    where = f"at “{near}”" if near else "at its end"
    return QueryError(f"The query cannot be read {where}.", position=position)


class _Evaluation:
    """One text over one universe of frames."""

    def __init__(self, index: DatasetIndex, universe: BitMap) -> None:
        self.index = index
        self.universe = universe

    def frames(self, node: tree.Item, field: str) -> BitMap:
        """Return the frames of the universe that a part of the text matches."""
        if isinstance(node, tree.Group | tree.FieldGroup | tree.Plus | tree.Boost):
            return self.frames(node.children[0], field)
        if isinstance(node, tree.Not | tree.Prohibit):
            return self.universe - self.frames(node.children[0], field)
        if isinstance(node, tree.AndOperation | tree.UnknownOperation):
            found = self.universe
            for child in node.children:
                found = found & self.frames(child, field)
            return found
        if isinstance(node, tree.OrOperation):
            return union(self.frames(child, field) for child in node.children)
        if isinstance(node, tree.SearchField):
            if node.name == "_exists_":
                return self._exists(node)
            return self.frames(node.expr, self._field(node))
        return self._leaf(node, field) & self.universe

    def _field(self, node: tree.SearchField) -> str:
        name = _ESCAPE.sub(r"\1", str(node.name)).removesuffix(".keyword")
        if not _FIELDS.match(name):
            raise QueryError(f"There is no field {name}.", position=node.pos)
        return "label" if name == "rois.label" else name

    def _exists(self, node: tree.SearchField) -> BitMap:
        name = _ESCAPE.sub(r"\1", str(node.expr)).strip('"').removesuffix(".keyword")
        if name in ("id", "context_id", "timestamp"):
            return self.universe
        if name in ("label", "rois.label", "rois"):
            return self.index.has("label") & self.universe
        if name.startswith("rois."):
            return self.index.frames_of(self.index.region_has(name)) & self.universe
        return self.index.has(name) & self.universe

    def _leaf(self, node: tree.Item, field: str) -> BitMap:
        if isinstance(node, tree.Phrase):
            return self._equal(field, _ESCAPE.sub(r"\1", node.value[1:-1]))
        if isinstance(node, tree.Word):
            if _WILDCARD.search(node.value):
                return self._wildcard(field, node)
            return self._equal(field, _ESCAPE.sub(r"\1", node.value))
        if isinstance(node, tree.Range):
            return self._range(
                field,
                node,
                str(node.low),
                str(node.high),
                include_low=node.include_low,
                include_high=node.include_high,
            )
        if isinstance(node, tree.From):
            return self._range(field, node, str(node.a), "*", include_low=node.include)
        if isinstance(node, tree.To):
            return self._range(field, node, "*", str(node.a), include_high=node.include)
        kind = type(node).__name__.lower()
        raise QueryError(f"A {kind} is not understood here.", position=node.pos)

    def _equal(self, field: str, value: str) -> BitMap:
        if field == "id":
            rows = Frame.objects.filter(dataset=self.index.dataset, frame_id=value)
            return BitMap([ordinal_of(pk) for pk in rows.values_list("pk", flat=True)])
        number = _number(value)
        if field.startswith("rois."):
            found = self.index.region_text(field, value)
            if number is not None:
                found = found | self.index.region_number_range(field, number, number)
            return self.index.frames_of(found)
        frames = self.index.text(field, value)
        if number is not None:
            frames = frames | self.index.number_range(field, number, number)
        if value in ("true", "false"):
            frames = frames | self.index.boolean(field, value=value == "true")
        return frames

    def _wildcard(self, field: str, node: tree.Word) -> BitMap:
        if node.value == "*":
            return self._any(field)
        if field.startswith("rois.") or field == "id":
            raise QueryError(f"{field} takes whole values, no * or ?.", position=node.pos)
        too_many = QueryError(
            f"{field} has over {WILDCARD_TERMS_MAX:,} values, too many for * and ?.",
            position=node.pos,
        )
        if self.index.is_overflowed(field):
            raise too_many
        pattern = _pattern(node.value)
        found = []
        for number, term in enumerate(self.index.walk(field, first=1024)):
            if number >= WILDCARD_TERMS_MAX:
                raise too_many
            if pattern(term.value):
                found.append(term.frames)
        return union(found)

    def _any(self, field: str) -> BitMap:
        if field in ("id", "context_id", "timestamp"):
            return self.universe
        if field.startswith("rois."):
            return self.index.frames_of(self.index.region_has(field))
        return self.index.has(field)

    def _range(
        self,
        field: str,
        node: tree.Item,
        low: str,
        high: str,
        *,
        include_low: bool = True,
        include_high: bool = True,
    ) -> BitMap:
        least = -math.inf if low == "*" else _number(low.strip('"'))
        most = math.inf if high == "*" else _number(high.strip('"'))
        if least is None or most is None:
            raise QueryError("A range is of numbers, as in [0.5 TO 1].", position=node.pos)
        if not include_low and math.isfinite(least):
            least = math.nextafter(least, math.inf)
        if not include_high and math.isfinite(most):
            most = math.nextafter(most, -math.inf)
        if field.startswith("rois."):
            return self.index.frames_of(self.index.region_number_range(field, least, most))
        return self.index.number_range(field, least, most)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in text else None


def _pattern(text: str) -> Callable[[str], bool]:
    """Return a test for a text with `*` and `?`.

    Each piece between two `*` is looked for once, from left to right: no pattern is slow, where
    a regular expression with ten `*` would go back and forth.
    """
    pieces = [
        [None if char == "?" else char[-1] for char in re.findall(r"\\.|[^\\]", part, re.DOTALL)]
        for part in re.split(r"(?<!\\)\*", text)
    ]

    def at(value: str, piece: list[str | None], start: int) -> bool:
        return all(
            wanted is None or value[start + offset] == wanted for offset, wanted in enumerate(piece)
        )

    def matches(value: str) -> bool:
        first, *middle, last = pieces if len(pieces) > 1 else (pieces[0], [])
        if len(pieces) == 1:
            return len(value) == len(first) and at(value, first, 0)
        if len(value) < sum(map(len, pieces)) or not at(value, first, 0):
            return False
        end = len(value) - len(last)
        place = len(first)
        for piece in middle:
            while place + len(piece) <= end and not at(value, piece, place):
                place += 1
            if place + len(piece) > end:
                return False
            place += len(piece)
        return at(value, last, end)

    return matches
