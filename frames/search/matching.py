"""Whether one frame, region or source, read off its row, satisfies a query's tree. Pure.

The index answers the same for a million frames at once; here it is one frame at a time, for the
explanation of a hit and for what the index cannot tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from frames.search.syntax import All, And, Between, Equal, Exists, Like, Not, Or, Single

if TYPE_CHECKING:
    from frames.models import Source
    from frames.search.rows import FrameRow
    from frames.search.syntax import Clause

Scalar: TypeAlias = str | float | bool | None
Values: TypeAlias = Callable[[str], Iterable[tuple[str, Scalar]]]


def frame_satisfies(clause: Clause, row: FrameRow) -> bool:
    """Whether a frame satisfies a tree."""
    if isinstance(clause, Single):
        found = region_numbers(clause, row) if clause.space == "rois" else source_ids(clause, row)
        return clause.least <= len(found) <= clause.most
    return _satisfies(clause, lambda field: _frame_values(row, field), row)


def region_satisfies(clause: Clause, roi: dict[str, Any]) -> bool:
    """Whether one region satisfies a tree about single regions."""
    return _satisfies(clause, lambda field: _region_values(roi, field))


def source_satisfies(clause: Clause, source: Source) -> bool:
    """Whether one source satisfies a tree about single sources."""
    return _satisfies(clause, lambda field: _source_values(source, field))


def region_numbers(clause: Clause, row: FrameRow) -> list[int]:
    """Return the places, in `rois`, of the regions a clause is about and that satisfy it."""
    if isinstance(clause, Single):
        if clause.space != "rois":
            return []
        clause = clause.child
    elif not _is_of_regions(clause):
        return []
    return [
        number
        for number, roi in enumerate(row.frame.rois)
        if region_satisfies(_in_region(clause), roi)
    ]


def source_ids(clause: Clause, row: FrameRow) -> list[str]:
    """Return the ids of the sources a clause is about and that satisfy it."""
    if isinstance(clause, Single):
        if clause.space != "sources":
            return []
        clause = clause.child
    elif not getattr(clause, "field", "").startswith("sources."):
        return []
    return [source.source_id for source in row.sources if source_satisfies(clause, source)]


def _is_of_regions(clause: Clause) -> bool:
    field = getattr(clause, "field", "")
    return field == "label" or field.startswith("rois.")


def _in_region(clause: Clause) -> Clause:
    """Return a clause over frames' labels as one over regions'."""
    match clause:
        case Equal(start, end, "label", value):
            return Equal(start, end, "rois.label", value)
        case Like(start, end, "label", pattern):
            return Like(start, end, "rois.label", pattern)
        case Exists(start, end, "label"):
            return Exists(start, end, "rois.label")
    return clause


def _satisfies(clause: Clause, values: Values, row: FrameRow | None = None) -> bool:
    match clause:
        case All():
            return True
        case And(_, _, children):
            return all(_child(child, values, row) for child in children)
        case Or(_, _, children):
            return any(_child(child, values, row) for child in children)
        case Not(_, _, child):
            return not _child(child, values, row)
        case Exists(_, _, field):
            return any(value is not None for _, value in values(field))
        case Equal(_, _, field) | Like(_, _, field) | Between(_, _, field):
            return any(key == field and clause.matches(value) for key, value in values(field))
    raise TypeError(f"{type(clause).__name__} is no clause of this space")


def _child(clause: Clause, values: Values, row: FrameRow | None) -> bool:
    if isinstance(clause, Single) and row is not None:
        return frame_satisfies(clause, row)
    return _satisfies(clause, values, row)


def _frame_values(row: FrameRow, field: str) -> Iterator[tuple[str, Scalar]]:
    """Yield (key, value) of what a frame has of a field, or of the fields of an object."""
    frame = row.frame
    if field == "label":
        for roi in frame.rois:
            for _, value in _region_values(roi, "rois.label"):
                yield field, value
    elif field.startswith("rois."):
        for roi in frame.rois:
            yield from _region_values(roi, field)
    elif field.startswith("sources."):
        for source in row.sources:
            yield from _source_values(source, field)
    elif field.startswith("meta"):
        yield from _below(field, "meta", frame.meta)
    else:
        columns: dict[str, Scalar] = {
            "id": frame.frame_id,
            "context_id": frame.context_id,
            "timestamp": frame.timestamp,
            "saved": frame.saved_ms,
            "saved_in_version": frame.writer_uid,
        }
        yield field, columns[field]


def _region_values(roi: dict[str, Any], field: str) -> Iterator[tuple[str, Scalar]]:
    if field in ("rois.label", "rois.sources"):
        for value in roi.get(field.removeprefix("rois.")) or ():
            yield field, value
    elif field == "rois.confidence":
        yield field, roi.get("confidence")
    else:
        yield from _below(field, "rois.meta", roi.get("meta") or {})


def _source_values(source: Source, field: str) -> Iterator[tuple[str, Scalar]]:
    if field.startswith("sources.meta"):
        yield from _below(field, "sources.meta", source.meta or {})
        return
    columns: dict[str, Scalar] = {
        "sources.id": source.source_id,
        "sources.uri": source.uri,
        "sources.content_type": source.content_type or None,
        "sources.width": source.width,
        "sources.height": source.height,
    }
    yield field, columns[field]


def _below(field: str, prefix: str, value: Any) -> Iterator[tuple[str, Scalar]]:
    """Yield (key, scalar) of a JSON object's scalars whose key is a field, or below it.

    Objects are joined with dots, lists give each of their values, and names that begin with an
    underscore are passed over, as the index does.
    """
    waiting: list[tuple[str, Any]] = [(prefix, value)]
    while waiting:
        key, item = waiting.pop()
        if isinstance(item, dict):
            waiting += [(f"{key}.{name}", child) for name, child in item.items() if name[:1] != "_"]
        elif isinstance(item, list):
            waiting += [(key, child) for child in item]
        elif key == field or key.startswith(f"{field}."):
            yield key, item
