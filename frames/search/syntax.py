"""Lucene query text to a tree of clauses: what is asked, before anything is looked up. Pure.

Source: the query syntax of Apache Lucene's classic query parser; parsed by luqum. docs/search.md
describes the fields, and `rois:( ... )` and `sources:( ... )`, which Lucene does not have.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from luqum import tree
from luqum.exceptions import ParseError
from luqum.thread import parse as parse_lucene

from frames.index.patterns import Part, Pattern, Wild
from frames.search.errors import QueryError
from frames.search.query import Q_MAX_CHARS

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPTH_MAX: Final = 100
# More than any frame has.
_REGIONS_MAX: Final = 10**6
TERMS_MAX: Final = 500

Space: TypeAlias = Literal["", "rois", "sources"]

# A null character and half of a pair: no database is asked for them.
_UNSTORED: Final = re.compile("[\x00\ud800-\udfff]")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_NEEDS_ESCAPE: Final = re.compile(r"([^\w.@])")
_FRAME_FIELDS: Final = re.compile(
    r"label|context_id|id|timestamp|saved|saved_in_version|meta\..+"
    r"|rois\.(label|confidence|sources|meta\..+)"
    r"|sources\.(id|uri|content_type|width|height|meta\..+)"
)
_DEFAULT_FIELDS: Final = {"": "label", "rois": "rois.label", "sources": "sources.id"}
# Fields that hold nothing but texts, so that a range of numbers is never meant.
_TEXT_FIELDS: Final = frozenset(
    {"label", "context_id", "id", "saved_in_version", "rois.label", "rois.sources"}
    | {"sources.id", "sources.uri", "sources.content_type"}
)
_TIME_FIELDS: Final = frozenset({"saved", "timestamp"})
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DATE: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:(?P<minute>[T ]\d\d:\d\d)(?P<second>:\d\d)?(?P<fraction>\.\d{1,6})?"
    r"(?:Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)
_SYNTAX: Final = frozenset(':"()[]{}*?\\')
_QUOTES: Final = frozenset("\u201c\u201d\u201e\u201f\u00ab\u00bb")


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a query; `start` and `end` are where it stands in the text, in characters."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class All(Clause):
    """Everything there is in the space."""


@dataclass(frozen=True, slots=True)
class And(Clause):
    """What satisfies every child."""

    children: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Or(Clause):
    """What satisfies a child."""

    children: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Not(Clause):
    """What does not satisfy the child: the other frames, or inside a group the other regions."""

    child: Clause


@dataclass(frozen=True, slots=True)
class Single(Clause):
    """Frames of which one single region, or source, satisfies the child.

    `least` and `most` bound how many of the frame's regions do, both closed.
    """

    space: Literal["rois", "sources"]
    child: Clause
    least: int = 1
    most: float = math.inf


@dataclass(frozen=True, slots=True)
class Exists(Clause):
    """Has any value of a field but null; of an object, in any of its fields."""

    field: str


@dataclass(frozen=True, slots=True)
class Equal(Clause):
    """Has a value: a text, the number or the truth value that the text spells."""

    field: str
    value: str

    def matches(self, value: Any) -> bool:
        """Whether a JSON scalar is the one meant."""
        if isinstance(value, str):
            return value == self.value
        if isinstance(value, bool):
            return self.value == ("true" if value else "false")
        return value is not None and self.number is not None and _as_float(value) == self.number

    @property
    def number(self) -> float | None:
        """The number the value spells."""
        return number_of(self.value)


@dataclass(frozen=True, slots=True)
class Like(Clause):
    """Has a text of a pattern."""

    field: str
    pattern: Pattern

    def matches(self, value: Any) -> bool:
        """Whether a JSON scalar is one of those meant."""
        return isinstance(value, str) and self.pattern.matches(value)


@dataclass(frozen=True, slots=True)
class Between(Clause):
    """Has a number in [low, high], both closed; none where low > high.

    `of_times`: the bounds are epoch milliseconds, and texts that are ISO dates lie in it too.
    """

    field: str
    low: float
    high: float
    of_times: bool = False

    def matches(self, value: Any) -> bool:
        """Whether a JSON scalar lies in it."""
        if isinstance(value, bool) or value is None:
            return False
        if isinstance(value, str):
            instants = times_of(value) if self.of_times else None
            return instants is not None and self.low <= instants[0] <= self.high
        number = _as_float(value)
        return number is not None and self.low <= number <= self.high


def phrase(text: str) -> str:
    """Return a value as a query holds it, whatever its characters."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def field_name(name: str) -> str:
    """Return a field's name as a query holds it: with a backslash before a space, say."""
    return _NEEDS_ESCAPE.sub(r"\\\1", name)


def parse(text: str) -> Clause:
    """Return the tree of a query text. Raises QueryError, with the place where there is one."""
    return _compile(parse_text(text), "")


def parse_inside(text: str, space: Literal["rois", "sources"]) -> Clause:
    """Return the tree of a text about single regions, or sources. Raises QueryError."""
    return _compile(parse_text(text), space)


def parse_text(text: str) -> tree.Item:
    """Return luqum's tree of a query text, once it is known not to take long."""
    if len(text) > Q_MAX_CHARS:
        raise QueryError(f"The query is longer than {Q_MAX_CHARS:,} characters.")
    unstored = _UNSTORED.search(text)
    if unstored:
        raise QueryError("No text holds this character.", position=unstored.start())
    _check_characters(text)
    try:
        root = parse_lucene(text)
    except ParseError as error:
        raise _syntax_error(text, error) from error
    except RecursionError as error:
        raise QueryError("The query is nested too deeply.") from error
    except ArithmeticError as error:
        # luqum reads `^.` and `~.` as a number.
        raise QueryError("A number is missing after ^ or ~.") from error
    _check_size(root)
    return root


def source_of(node: tree.Item, text: str) -> str:
    """Return the text of a node."""
    return text[node.pos : node.pos + node.size].strip()


def number_of(text: str) -> float | None:
    """Return the finite number a text spells."""
    found = _NUMBER.fullmatch(text)
    number = float(text) if found else math.inf
    return number if math.isfinite(number) else None


def times_of(text: str) -> tuple[float, float] | None:
    """Return the first and last epoch millisecond of an ISO date, day, minute or second.

    None for other texts. A time without a zone is UTC.

    >>> times_of("2026-11-21T10:00Z")
    (1795255200000.0, 1795255259999.0)
    """
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=UTC)
        first = (instant - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        return None
    if found["fraction"]:
        return first, first
    length_ms = 1_000 if found["second"] else 60_000 if found["minute"] else 86_400_000
    return first, first + length_ms - 1


# --- reading the text ----------------------------------------------------------------------------


def _check_characters(text: str) -> None:
    """Refuse what looks like the syntax but is not, outside phrases: it would find nothing."""
    in_phrase = escaped = False
    for position, char in enumerate(text):
        if escaped or char == "\\":
            escaped = not escaped
            continue
        if char == '"':
            in_phrase = not in_phrase
        if in_phrase or char.isascii():
            continue
        meant = '"' if char in _QUOTES else unicodedata.normalize("NFKC", char)
        if meant in _SYNTAX:
            raise QueryError(
                f"“{char}” is another character than {meant}, which is meant here. "
                "Put it in quotes if it is part of a value.",
                position=position,
            )
        if unicodedata.category(char) in ("Cf", "Cc", "Cs"):
            raise QueryError(
                f"An invisible character (U+{ord(char):04X}) stands here. Delete it, "
                "or put the value in quotes.",
                position=position,
            )


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
    # The last one: the message may quote the text, which may say the same.
    places = re.findall(r"at position (\d+)", str(error))
    position = int(places[-1]) if places else len(text)
    near = text[position : position + 20]
    message = f"The query cannot be read {f'at “{near}”' if near else 'at its end'}."
    before = text[:position].rstrip()
    if near.startswith(":"):
        message += " A value with a colon is written in quotes."
    elif near.startswith('"'):
        message += " A quote is missing."
    elif near.startswith("-") and before.endswith((">", "<", "=")):
        message += " A negative bound is written in quotes, or as [-5 TO *]."
    elif not near and text.count("(") > text.count(")"):
        message += " A closing parenthesis is missing."
    return QueryError(message, position=position)


# --- luqum's tree to ours ------------------------------------------------------------------------


def _compile(node: tree.Item, space: Space, field: str = "") -> Clause:
    start, end = _span(node)
    if isinstance(node, tree.Group | tree.FieldGroup | tree.Plus | tree.Boost):
        return _compile(node.children[0], space, field)
    if isinstance(node, tree.Not | tree.Prohibit):
        return Not(start, end, _compile(node.children[0], space, field))
    if isinstance(node, tree.AndOperation | tree.UnknownOperation):
        return And(start, end, tuple(_compile(child, space, field) for child in node.children))
    if isinstance(node, tree.OrOperation):
        return Or(start, end, tuple(_compile(child, space, field) for child in node.children))
    if isinstance(node, tree.SearchField):
        return _field(node, space)
    return _leaf(node, space, field, start, end)


def _span(node: tree.Item) -> tuple[int, int]:
    """Return where a node stands, without the white space that luqum counts to it."""
    size = len(str(node).rstrip()) if isinstance(node, _WITH_TAIL) else node.size
    return node.pos, node.pos + size


_WITH_TAIL: Final = (
    tree.SearchField
    | tree.AndOperation
    | tree.OrOperation
    | tree.UnknownOperation
    | tree.Not
    | tree.Prohibit
    | tree.Plus
)


def _field(node: tree.SearchField, space: Space) -> Clause:
    start, end = _span(node)
    name = str(node.name)
    if name == "*" and isinstance(node.expr, tree.Word) and node.expr.value == "*":
        return All(start, end)
    if name == "_exists_":
        return _exists(node, space)
    if space == "" and name in ("rois", "sources"):
        return _single(node, name)  # type: ignore[arg-type]
    if space == "rois" and name in ("count", "rois.count"):
        raise QueryError(
            "count stands beside the other clauses of rois:( ), joined to them by AND.",
            position=start,
        )
    if isinstance(node.expr, tree.SearchField):
        raise QueryError("A value with a colon is written in quotes.", position=node.expr.pos)
    field = _name(name, space, start)
    negative = node.expr
    if isinstance(negative, tree.Prohibit) and isinstance(negative.children[0], tree.Word):
        # `meta.speed:-3` is the number, not the speeds that are not 3.
        value = f"-{negative.children[0].value}"
        if number_of(value) is not None:
            return _equal(field, value, start, end)
    if isinstance(node.expr, tree.Term | tree.Range | tree.From | tree.To):
        return _leaf(node.expr, space, field, start, end)
    return _compile(node.expr, space, field)


def _name(raw: str, space: Space, position: int) -> str:
    """Return the whole name of a field as it is known to the index."""
    if re.search(r"(?<!\\)[*?]", raw):
        raise QueryError("The name of a field takes no * or ?.", position=position)
    name = _ESCAPE.sub(r"\1", raw).removesuffix(".keyword")
    whole = f"{space}.{name.removeprefix(f'{space}.')}" if space else name
    if not _FRAME_FIELDS.fullmatch(whole):
        inside = f" inside {space}:( )" if space else ""
        hint = "" if "." in name else f" A metadata key is written meta.{name}."
        raise QueryError(f"There is no field {name}{inside}.{hint}", position=position)
    return "label" if whole == "rois.label" and not space else whole


def _exists(node: tree.SearchField, space: Space) -> Clause:
    start, end = _span(node)
    if not isinstance(node.expr, tree.Word | tree.Phrase):
        raise QueryError("_exists_ takes the name of one field.", position=start)
    raw = node.expr.value.strip('"')
    if space == "" and raw == "rois":
        return Single(start, end, "rois", All(start, end))
    if space == "" and raw == "sources":
        return All(start, end)
    if raw.removeprefix(f"{space}.") == "meta":
        return Exists(start, end, f"{space}.meta" if space else "meta")
    if space == "" and raw in ("rois.meta", "sources.meta"):
        return Exists(start, end, raw)
    return Exists(start, end, _name(raw, space, node.expr.pos))


def _single(node: tree.SearchField, space: Literal["rois", "sources"]) -> Clause:
    start, end = _span(node)
    inner = node.expr
    while isinstance(inner, tree.Group | tree.FieldGroup):
        inner = inner.children[0]
    together = isinstance(inner, tree.AndOperation | tree.UnknownOperation)
    members = list(inner.children) if together else [inner]
    counts = [child for child in members if space == "rois" and _is_count(child)]
    rest = [child for child in members if not any(child is count for count in counts)]
    least, most = (0, math.inf) if counts else (1, math.inf)
    for count in counts:
        low, high = _count(count)
        least, most = max(least, low), min(most, high)
    if not rest:
        child: Clause = All(*_span(inner))
    elif len(rest) == 1:
        child = _compile(rest[0], space)
    else:
        child = And(*_span(inner), tuple(_compile(each, space) for each in rest))
    return Single(start, end, space, child, least, most)


def _is_count(node: tree.Item) -> bool:
    return isinstance(node, tree.SearchField) and node.name in ("count", "rois.count")


def _count(node: tree.SearchField) -> tuple[int, float]:
    """Return the least and the most regions that `count:` allows."""
    found = _compile(node.expr, "", "meta.count")
    if isinstance(found, Equal) and found.number is not None:
        low = high = found.number
    elif isinstance(found, Between) and not found.of_times:
        low, high = found.low, found.high
    else:
        raise QueryError("count takes a number, as 3 or [2 TO 5].", position=node.pos)
    least = math.ceil(min(max(low, 0), _REGIONS_MAX))
    return least, (high if high == math.inf else math.floor(min(high, _REGIONS_MAX)))


def _leaf(node: tree.Item, space: Space, field: str, start: int, end: int) -> Clause:
    is_bare = not field
    field = field or _DEFAULT_FIELDS[space]
    if isinstance(node, tree.Phrase):
        return _equal(field, _ESCAPE.sub(r"\1", node.value[1:-1]), start, end)
    if isinstance(node, tree.Word):
        if node.value == "*":
            return All(start, end) if is_bare else Exists(start, end, field)
        if is_bare and (node.value in ("&&", "||") or node.value.startswith("!")):
            raise QueryError(
                "AND, OR and NOT are written as words, not as &&, || and !. "
                "Put it in quotes if it is a label.",
                position=start,
            )
        parts = _parts(node.value)
        if any(isinstance(part, Wild) for part in parts):
            if field in _TIME_FIELDS or field == "rois.confidence":
                raise QueryError(f"{field} takes no * or ?.", position=start)
            return Like(start, end, field, Pattern(parts))
        return _equal(field, "".join(map(str, parts)), start, end)
    if isinstance(node, tree.Range):
        low, high = _bound(node.low), _bound(node.high)
        return _between(
            field,
            start,
            end,
            low,
            high,
            include_low=node.include_low,
            include_high=node.include_high,
        )
    if isinstance(node, tree.From):
        return _between(field, start, end, _bound(node.a), None, include_low=node.include)
    if isinstance(node, tree.To):
        return _between(field, start, end, None, _bound(node.a), include_high=node.include)
    kind = type(node).__name__.lower()
    raise QueryError(f"A {kind} is not understood here.", position=start)


def _parts(raw: str) -> tuple[Part, ...]:
    """Return the characters of a word, `*` and `?` as wild ones unless a backslash is before."""
    return tuple(
        char[-1] if len(char) > 1 else Wild(char) if char in "*?" else char
        for char in re.findall(r"\\.|[^\\]", raw, re.DOTALL)
    )


def _equal(field: str, value: str, start: int, end: int) -> Clause:
    if field in _TIME_FIELDS:
        times = times_of(value)
        if times is not None:
            return Between(start, end, field, times[0], times[1], of_times=True)
        if number_of(value) is None:
            raise QueryError(
                f"{field} takes a number or a date, as 2026-11-21 or [2026-11-01 TO *].",
                position=start,
            )
    return Equal(start, end, field, value)


def _bound(node: tree.Item) -> str | None:
    """Return the text of a range's bound, None for an open one."""
    if isinstance(node, tree.Prohibit):
        return "-" + (_bound(node.children[0]) or "")
    if isinstance(node, tree.Phrase):
        return _ESCAPE.sub(r"\1", node.value[1:-1])
    value: str = node.value
    return None if value == "*" else _ESCAPE.sub(r"\1", value)


def _between(
    field: str,
    start: int,
    end: int,
    low: str | None,
    high: str | None,
    *,
    include_low: bool = True,
    include_high: bool = True,
) -> Clause:
    if field in _TEXT_FIELDS:
        raise QueryError(
            f"{field} holds texts, and a range is of numbers or dates.", position=start
        )
    first, last = _instants(low, start), _instants(high, start)
    of_times = isinstance(first, tuple) or isinstance(last, tuple)
    least, most = -math.inf, math.inf
    if first is not None:
        begin, close = first if isinstance(first, tuple) else (first, first)
        least = begin if include_low else math.nextafter(close, math.inf)
    if last is not None:
        begin, close = last if isinstance(last, tuple) else (last, last)
        most = close if include_high else math.nextafter(begin, -math.inf)
    if first is not None and last is not None and _begin(first) > _begin(last):
        raise QueryError(f"The range runs backwards: {low} is more than {high}.", position=start)
    return Between(start, end, field, least, most, of_times)


def _instants(text: str | None, position: int) -> float | tuple[float, float] | None:
    """Return a bound as a number, or as the first and last instant of a date."""
    if text is None:
        return None
    number = number_of(text)
    if number is not None:
        return number
    times = times_of(text)
    if times is None:
        raise QueryError(
            "A range is of numbers or dates, as in [0.5 TO 1] or [2026-11-01 TO 2026-11-21].",
            position=position,
        )
    return times


def _begin(bound: float | tuple[float, float]) -> float:
    return bound[0] if isinstance(bound, tuple) else bound


def _as_float(value: float) -> float | None:
    """Return a JSON number as the index holds it; None where it does not."""
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def leaves(clause: Clause) -> Iterator[Clause]:
    """Yield the clauses that ask of values, groups included as a whole."""
    waiting = [clause]
    while waiting:
        node = waiting.pop()
        if isinstance(node, And | Or):
            waiting += node.children[::-1]
        elif isinstance(node, Not):
            waiting.append(node.child)
        else:
            yield node
