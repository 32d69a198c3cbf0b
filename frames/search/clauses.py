"""Clauses of a filter text: how facets write them, and find again what they or a person wrote.

A facet adds one clause to the text, joined by AND, and takes the same one away. What else stands
in the text stays as it was typed.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from luqum import tree

from frames.search.syntax import field_name, number_of, parse_text, phrase, times_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_WILDCARD: Final = re.compile(r"(?<!\\)[*?]")


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition on one key, as facets know it: values joined by OR, a range, or no value.

    A bound of a range is a number, or an ISO date as it was typed.
    """

    key: str
    values: tuple[str, ...] = ()
    low: float | str | None = None
    high: float | str | None = None
    is_missing: bool = False

    def __str__(self) -> str:
        if self.is_missing:
            return f"NOT _exists_:{written_name(self.key)}"
        if self.values:
            texts = [phrase(value) for value in self.values]
            one = texts[0] if len(texts) == 1 else f"({' OR '.join(texts)})"
            return f"{written_name(self.key)}:{one}"
        return f"{written_name(self.key)}:[{_bound(self.low)} TO {_bound(self.high)}]"

    @property
    def reach(self) -> tuple[float, float]:
        """The least and the greatest number of the range: of dates, all that they mean, in ms."""
        return _reach(self.low, -math.inf)[0], _reach(self.high, math.inf)[1]


@dataclass(frozen=True, slots=True)
class FilterText:
    """A filter text as conditions joined by AND; for each key, the last clause is a facet's."""

    parts: tuple[tuple[str, Clause | None], ...]

    @classmethod
    def read(cls, text: str) -> FilterText:
        """Split a text; raise QueryError where it cannot be read."""
        if not text:
            return cls(())
        return cls(tuple((_text(node), _clause(node)) for node in _conditions(parse_text(text))))

    def clause(self, key: str) -> Clause | None:
        """Return the clause of a key."""
        at = self._place(key)
        return None if at is None else self.parts[at][1]

    def without(self, key: str) -> str:
        """Return the text without the clause of a key."""
        at = self._place(key)
        return _joined([text for place, (text, _) in enumerate(self.parts) if place != at])

    def with_(self, clause: Clause) -> str:
        """Return the text with a clause in the place of its key's, or at its end."""
        texts = [text for text, _ in self.parts]
        at = self._place(clause.key)
        if at is None:
            return _joined([*texts, str(clause)])
        texts[at] = str(clause)
        return _joined(texts)

    def toggled(self, key: str, value: str) -> str:
        """Return the text with a value of a key taken away if it is there, else added by OR."""
        old = self.clause(key)
        values = old.values if old else ()
        left = tuple(v for v in values if v != value) if value in values else (*values, value)
        return self.with_(Clause(key, left)) if left else self.without(key)

    def toggled_missing(self, key: str) -> str:
        """Return the text that asks for frames without a key, or no longer does."""
        old = self.clause(key)
        is_asked = old is not None and old.is_missing
        return self.without(key) if is_asked else self.with_(Clause(key, is_missing=True))

    def _place(self, key: str) -> int | None:
        places = [at for at, (_, clause) in enumerate(self.parts) if clause and clause.key == key]
        return places[-1] if places else None


def joined(*texts: str) -> str:
    """Return filter texts joined by AND; empty ones are left out."""
    parts = [text for text, _ in FilterText.read(" ".join(f"({t})" for t in texts if t)).parts]
    return _joined(parts)


def number_text(number: float) -> str:
    """Return a number as a filter holds it.

    >>> number_text(32.0), number_text(0.1), number_text(1e300)
    ('32', '0.1', '1e+300')
    """
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _joined(parts: Sequence[str]) -> str:
    return " AND ".join(parts)


def _conditions(node: tree.Item) -> Iterator[tree.Item]:
    """Yield what a text joins by AND."""
    if isinstance(node, tree.AndOperation | tree.UnknownOperation):
        for child in node.children:
            yield from _conditions(child)
    elif isinstance(node, tree.Group):
        yield from _conditions(node.children[0])
    else:
        yield node


def _text(node: tree.Item) -> str:
    text = str(node).strip()
    if (len(text) - len(text.rstrip("\\"))) % 2:
        text += " "  # an escaped one, which belongs to the name
    return f"({text})" if isinstance(node, tree.OrOperation) else text


def _clause(node: tree.Item) -> Clause | None:
    """Return a condition as a facet's clause, None where it is none."""
    if isinstance(node, tree.Not) and isinstance(field := node.children[0], tree.SearchField):
        if field.name == "_exists_" and isinstance(field.expr, tree.Word):
            return Clause(_key(field.expr.value), is_missing=True)
        return None
    if isinstance(node, tree.Word | tree.Phrase):
        value = _value(node)
        return None if value is None else Clause("label", (value,))
    if not isinstance(node, tree.SearchField) or node.name == "_exists_":
        return None
    key, expression = _key(node.name), node.expr
    if isinstance(expression, tree.Range):
        return _range(key, expression)
    if isinstance(expression, tree.FieldGroup):
        expression = expression.children[0]
    is_or = isinstance(expression, tree.OrOperation)
    values = [_value(child) for child in (expression.children if is_or else [expression])]
    if any(value is None for value in values):
        return None
    return Clause(key, tuple(value for value in values if value is not None))


def _range(key: str, node: tree.Range) -> Clause | None:
    if not (node.include_low and node.include_high):
        return None
    bounds: list[float | str | None] = []
    for text in (str(node.low).strip().strip('"'), str(node.high).strip().strip('"')):
        number = number_of(text)
        if text != "*" and number is None and times_of(text) is None:
            return None
        bounds.append(None if text == "*" else text if number is None else number)
    return Clause(key, low=bounds[0], high=bounds[1])


def _value(node: tree.Item) -> str | None:
    """Return the text of a word or phrase, None for what is neither or has wildcards."""
    if isinstance(node, tree.Phrase):
        return _ESCAPE.sub(r"\1", node.value[1:-1])
    if isinstance(node, tree.Word) and not _WILDCARD.search(node.value):
        return _ESCAPE.sub(r"\1", node.value)
    return None


def _key(name: str) -> str:
    key = _ESCAPE.sub(r"\1", str(name)).removesuffix(".keyword")
    return "label" if key == "rois.label" else key


def written_name(key: str) -> str:
    """Return a key's name as a filter holds it."""
    # A key that ends so by itself: the reader takes one such ending away.
    return field_name(key) + (".keyword" if key.endswith(".keyword") else "")


def _bound(bound: float | str | None) -> str:
    if isinstance(bound, str):
        return phrase(bound) if ":" in bound else bound
    return "*" if bound is None else number_text(bound)


def _reach(bound: float | str | None, open_end: float) -> tuple[float, float]:
    if isinstance(bound, str):
        return times_of(bound) or (open_end, open_end)
    return (open_end, open_end) if bound is None else (bound, bound)
