"""Why a frame matches a filter, and what keeps every frame out of an empty result.

A frame is explained by its own row, without the index: a second opinion on the hit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from luqum import tree

from frames.index.bitmaps import BitMap
from frames.index.reader import DatasetIndex
from frames.models import Version
from frames.search.errors import QueryError
from frames.search.lucene import Evaluation
from frames.search.matching import frame_satisfies, region_numbers, source_ids
from frames.search.syntax import (
    And,
    Between,
    Equal,
    Exists,
    Like,
    Not,
    Or,
    Single,
    leaves,
    parse,
    parse_text,
    phrase,
    source_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from frames.search.query import FrameQuery
    from frames.search.rows import FrameRow
    from frames.search.syntax import Clause

# So many rules are tried without; a person reads no more.
RULES_MAX: Final = 12
# So many clauses times regions are tried in 0.2 s: 10,000 regions allow for 5 clauses.
_EVALUATIONS_MAX: Final = 50_000


@dataclass(frozen=True, slots=True)
class ClauseResult:
    """A clause of a filter on one frame: where it stands in `q`, and whether the frame has it.

    `regions` are places in the frame's `rois`, `sources` ids: those that satisfy the clause, or,
    of a clause with NOT, those that spoil it. The label filter stands nowhere: 0 to 0.
    """

    text: str
    start: int
    end: int
    matched: bool
    regions: tuple[int, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dropped:
    """How many frames there would be without one rule, and the filter that is left."""

    text: str
    frames: int
    q: str
    label: str


def explain(query: FrameQuery, row: FrameRow) -> list[ClauseResult]:
    """Return the clauses of a filter, in order, as a frame satisfies them. Raises QueryError.

    Of very many clauses on a frame of very many regions only the first.
    """
    results = []
    left = _EVALUATIONS_MAX
    if query.label:
        clause = Equal(0, 0, "label", query.label)
        results.append(_result(clause, f"label:{phrase(query.label)}", row))
    if query.q:
        for each in _clauses(parse(query.q)):
            left -= _weight(each) * (1 + len(row.frame.rois))
            if left < 0:
                break
            results.append(_result(each, _text_of(each, query.q), row))
    return results


def without_one(version: Version, query: FrameQuery) -> list[Dropped]:
    """Return how many frames match with each rule of the filter dropped in turn, up to 12 rules.

    The rules are what AND joins, in each of the filters that OR joins; a filter of one rule keeps
    it beside others, since without it everything would match. Empty where that takes too long or
    the filter cannot be read. Queries: those of the filter.
    """
    try:
        return list(_without_one(version, query))
    except QueryError:
        return []


def unknown_keys(version: Version, query: FrameQuery) -> list[str]:
    """Return the metadata keys that a filter names and no frame of the dataset has.

    None where the filter cannot be read. Queries: 1 for each key.
    """
    index = DatasetIndex(version.dataset)
    try:
        keys = dict.fromkeys(_keys_in(parse(query.q))) if query.q else {}
    except QueryError:
        return []
    return [key for key in keys if not index.keys_at(key)]


def _keys_in(clause: Clause) -> Iterator[str]:
    """Yield the metadata keys that a tree asks for."""
    match clause:
        case And(_, _, children) | Or(_, _, children):
            for child in children:
                yield from _keys_in(child)
        case Not(_, _, child) | Single(_, _, _, child):
            yield from _keys_in(child)
        case Exists(_, _, field) | Equal(_, _, field) | Like(_, _, field) | Between(_, _, field):
            if "meta." in field:
                yield field


def _without_one(version: Version, query: FrameQuery) -> Iterator[Dropped]:
    index = DatasetIndex(version.dataset)
    members = index.members(version)
    filters = _rules_of(query.q)
    evaluation = Evaluation(index)
    sets = [[evaluation.frames(parse(rule), members) for rule in rules] for rules in filters]
    within = index.text("label", query.label) & members if query.label else members
    found = [_all_of(each, members) for each in sets]
    if query.label:
        count = len(_any_of(found)) if filters else len(members)
        yield Dropped(f"label:{phrase(query.label)}", count, query.q, "")
    tried = 0
    for place, rules in enumerate(filters):
        if len(rules) == 1 and len(filters) > 1:
            continue
        others = _any_of([each for n, each in enumerate(found) if n != place])
        for number, rule in enumerate(rules):
            if tried == RULES_MAX:
                return
            tried += 1
            left = _all_of([each for n, each in enumerate(sets[place]) if n != number], members)
            kept = [r for n, r in enumerate(rules) if n != number]
            texts = [*filters[:place], kept, *filters[place + 1 :]]
            yield Dropped(rule, len((left | others) & within), _joined(texts), query.label)


def _rules_of(text: str) -> list[list[str]]:
    """Return the rules of a text: those that AND joins, in each part that OR joins."""
    if not text:
        return []
    root = _opened(parse_text(text))
    parts = root.children if isinstance(root, tree.OrOperation) else [root]
    return [[_closed(rule, text) for rule in _conjuncts(part)] for part in parts]


def _opened(node: tree.Item) -> tree.Item:
    while isinstance(node, tree.Group):
        node = node.children[0]
    return node


def _conjuncts(node: tree.Item) -> Iterator[tree.Item]:
    inner = _opened(node)
    if isinstance(inner, tree.AndOperation | tree.UnknownOperation):
        for child in inner.children:
            yield from _conjuncts(child)
    else:
        yield node


def _closed(node: tree.Item, text: str) -> str:
    """Return a rule's text so that it can stand beside AND."""
    found = source_of(node, text)
    return f"({found})" if isinstance(node, tree.BaseOperation) else found


def _joined(filters: Sequence[Sequence[str]]) -> str:
    texts = [" AND ".join(rules) for rules in filters]
    return texts[0] if len(texts) == 1 else " OR ".join(f"({text})" for text in texts)


def _all_of(sets: Sequence[BitMap], members: BitMap) -> BitMap:
    found = members
    for each in sorted(sets, key=len):
        found = found & each
    return found


def _any_of(sets: Sequence[BitMap]) -> BitMap:
    return BitMap.union(*sets) if len(sets) > 1 else sets[0] if sets else BitMap()


def _clauses(clause: Clause) -> Iterator[Clause]:
    """Yield the clauses of a tree in order; one with NOT is one, whatever stands inside."""
    if isinstance(clause, And | Or):
        for child in clause.children:
            yield from _clauses(child)
    else:
        yield clause


def _weight(clause: Clause) -> int:
    """Return how many questions a clause asks of a region."""
    return sum(_weight(each.child) if isinstance(each, Single) else 1 for each in leaves(clause))


def _result(clause: Clause, text: str, row: FrameRow) -> ClauseResult:
    regions, sources = region_numbers(clause, row), source_ids(clause, row)
    if isinstance(clause, Single):
        found = regions if clause.space == "rois" else sources
        matched = clause.least <= len(found) <= clause.most
    else:
        matched = frame_satisfies(clause, row)
    if isinstance(clause, Not) and not matched:
        spoilers = list(leaves(clause.child))
        regions = sorted({number for each in spoilers for number in region_numbers(each, row)})
        sources = sorted({name for each in spoilers for name in source_ids(each, row)})
    return ClauseResult(text, clause.start, clause.end, matched, tuple(regions), tuple(sources))


def _text_of(clause: Clause, text: str) -> str:
    """Return a clause's text, led by its field where that stands before a group of values."""
    found = text[clause.start : clause.end]
    field = getattr(clause, "field", "")
    return f"{field}:{found}" if field and ":" not in found else found
