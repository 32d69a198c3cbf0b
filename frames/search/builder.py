"""A filter as cards and rules, for who does not write Lucene: to query text and back. Pure.

Filters are joined by OR, the rules of one by AND. The text has one shape: each region rule is
`rois:( ... )`, with NOT before it where it excludes, the frame rule stands in parentheses, the
source rule is `sources:( ... )`. Any other text is one filter whose frame rule is that text, so
nothing is lost either way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from luqum import tree

from frames.search.errors import QueryError
from frames.search.syntax import (
    All,
    And,
    Between,
    Equal,
    Single,
    parse,
    parse_inside,
    parse_text,
    phrase,
    source_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class RegionRule:
    """What regions of a frame there must be, or may not be where it `excludes`.

    All `labels` sit on one region, any region where there are none; `confidence` is least and
    most, both closed, and is only asked beside labels. `count` is the least and most regions
    that match, 1 at least where it is None. With `lucene`, a text about one region, it stands
    for labels and confidence.
    """

    excludes: bool = False
    labels: tuple[str, ...] = ()
    confidence: tuple[float | None, float | None] = (None, None)
    count: tuple[int, int | None] | None = None
    lucene: str = ""


@dataclass(frozen=True, slots=True)
class FrameFilter:
    """Rules that must all hold; empty texts are no rules."""

    regions: tuple[RegionRule, ...] = ()
    frame_rule: str = ""
    source_rule: str = ""


@dataclass(frozen=True, slots=True)
class Builder:
    """Filters of which one must hold; one without rules keeps every frame."""

    filters: tuple[FrameFilter, ...] = (FrameFilter(),)


def to_text(builder: Builder) -> str:
    """Return the query text; raise QueryError where a rule's own text cannot be read."""
    if len(builder.filters) > 1:
        return " OR ".join(f"({_filter_text(each)})" for each in builder.filters)
    (only,) = builder.filters
    if only == FrameFilter():
        return ""
    if only == FrameFilter(frame_rule=only.frame_rule):
        # Without parentheses of its own, unless it would be read as something else.
        return only.frame_rule if from_text(only.frame_rule) == builder else f"({only.frame_rule})"
    return _filter_text(only)


def from_text(text: str) -> Builder:
    """Return the cards and rules of a query text, whatever it is."""
    text = text.strip()
    if not text:
        return Builder()
    try:
        root = parse_text(text)
        parse(text)
    except QueryError:
        return Builder((FrameFilter(frame_rule=text),))
    parts = list(root.children) if isinstance(root, tree.OrOperation) else []
    if parts and all(isinstance(part, tree.Group) for part in parts):
        inner = [part.children[0] for part in parts]
        return Builder(
            tuple(
                _read_filter(node, text) or FrameFilter(frame_rule=source_of(node, text))
                for node in inner
            )
        )
    return Builder((_read_filter(root, text) or FrameFilter(frame_rule=text),))


def region_text(rule: RegionRule) -> str:
    """Return what a rule without a text of its own asks of one region, as such a text."""
    clauses = [f"label:{phrase(label)}" for label in rule.labels]
    if rule.labels and rule.confidence != (None, None):
        clauses.append(f"confidence:{_range(*rule.confidence)}")
    return " AND ".join(clauses) or "*"


def read_region_text(text: str) -> RegionRule | None:
    """Return the rule of a text about one region; None where labels and range do not say it."""
    clause = parse_inside(text, "rois")
    if isinstance(clause, All):
        return RegionRule()
    clauses = clause.children if isinstance(clause, And) else (clause,)
    labels = [c.value for c in clauses if isinstance(c, Equal) and c.field == "rois.label"]
    ranges = [c for c in clauses if isinstance(c, Between) and c.field == "rois.confidence"]
    if not labels or len(labels) + len(ranges) != len(clauses) or len(ranges) > 1:
        return None
    if not all(label.isprintable() and label.strip() for label in labels):
        return None  # no field of a form holds it
    confidence: tuple[float | None, float | None] = (None, None)
    for each in ranges:
        confidence = _finite(each.low), _finite(each.high)
        if confidence == (None, None) or each.of_times:
            return None
        if not all(bound is None or 0 <= bound <= 1 for bound in confidence):
            return None
    return RegionRule(labels=tuple(dict.fromkeys(labels)), confidence=confidence)


def _filter_text(each: FrameFilter) -> str:
    if each == FrameFilter():
        return "*"
    parts = [_region_rule_text(rule) for rule in each.regions]
    if each.frame_rule:
        parse(each.frame_rule)
        parts.append(f"({each.frame_rule})")
    if each.source_rule:
        parse_inside(each.source_rule, "sources")
        parts.append(f"sources:({each.source_rule})")
    if each == FrameFilter(frame_rule=each.frame_rule):
        first = from_text(f"({each.frame_rule}) OR (*)").filters[0]
        return each.frame_rule if first == each else parts[0]
    return " AND ".join(parts)


def _region_rule_text(rule: RegionRule) -> str:
    if rule.lucene:
        parse_inside(rule.lucene, "rois")
        clauses = [f"({rule.lucene})"]
    else:
        clauses = [text for text in (region_text(rule),) if text != "*"]
    if rule.count is not None:
        clauses.append(f"count:{_range(*rule.count)}")
    return f"{'NOT ' if rule.excludes else ''}rois:({' AND '.join(clauses) or '*'})"


def _range(low: float | None, high: float | None) -> str:
    return f"[{_bound(low)} TO {_bound(high)}]"


def _bound(number: float | None) -> str:
    if number is None:
        return "*"
    return repr(number).removesuffix(".0")


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _read_filter(node: tree.Item, text: str) -> FrameFilter | None:
    """Return the rules of a node; None where it has another shape."""
    parts = node.children if isinstance(node, tree.AndOperation) else [node]
    if len(parts) == 1 and isinstance(node, tree.Word) and node.value == "*":
        return FrameFilter()
    regions: list[RegionRule] = []
    frame_rule = source_rule = ""
    for part in parts:
        excludes = isinstance(part, tree.Not)
        asked = part.children[0] if excludes else part
        name = asked.name if isinstance(asked, tree.SearchField) else ""
        if name == "rois":
            regions.append(_read_region_rule(asked, text, excludes=excludes))
        elif name == "sources" and not excludes and not source_rule:
            source_rule = _inside(asked.expr, text)
        elif isinstance(asked, tree.Group) and not excludes and not frame_rule:
            frame_rule = _inside(asked, text)
        else:
            return None
    return FrameFilter(tuple(regions), frame_rule, source_rule)


def _read_region_rule(node: tree.SearchField, text: str, *, excludes: bool) -> RegionRule:
    whole = parse(source_of(node, text))
    assert isinstance(whole, Single)  # noqa: S101  it is what `rois:` is read as
    inner = node.expr
    if isinstance(inner, tree.FieldGroup):
        inner = inner.children[0]
    together = isinstance(inner, tree.AndOperation | tree.UnknownOperation)
    members: Sequence[tree.Item] = inner.children if together else [inner]
    rest = [member for member in members if not _is_count(member)]
    count = None
    if len(rest) < len(members):
        count = whole.least, None if math.isinf(whole.most) else int(whole.most)
    if len(rest) == 1 and isinstance(rest[0], tree.Group):
        return RegionRule(excludes=excludes, count=count, lucene=_inside(rest[0], text))
    if len(rest) == len(members):
        asked = source_of(inner, text)
    else:
        asked = " AND ".join(_closed(member, text) for member in rest) or "*"
    plain = read_region_text(asked)
    if plain is None:
        return RegionRule(excludes=excludes, count=count, lucene=asked)
    return RegionRule(excludes, plain.labels, plain.confidence, count)


def _is_count(node: tree.Item) -> bool:
    return isinstance(node, tree.SearchField) and node.name in ("count", "rois.count")


def _inside(node: tree.Item, text: str) -> str:
    """Return the text inside a pair of parentheses, or of what has none."""
    is_group = isinstance(node, tree.Group | tree.FieldGroup)
    return source_of(node.children[0] if is_group else node, text)


def _closed(node: tree.Item, text: str) -> str:
    """Return a node's text so that AND beside it does not part it."""
    found = source_of(node, text)
    return f"({found})" if isinstance(node, tree.BaseOperation) else found
