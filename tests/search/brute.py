"""Filters as plain data, their query text, and what they mean, read off frames' JSON alone.

Shares no code with the program: a second opinion on every filter.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from hypothesis import strategies as st

from frames.formats.base import FrameData, SourceData
from frames.models import Frame, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Filter: TypeAlias = tuple[Any, ...]
Getter: TypeAlias = "Callable[[str, bool], Iterator[Any]]"

LABELS = ["car", "bus", "traffic light", "Car"]
TEXTS = ["rain", "rainfall", "60", "true", "2026-11-20", "2026-11-21T10:30:00Z", "a:b (c)", "*"]
NUMBERS = [0, 1, 60, -3, 0.5, 0.8, 20.5, 1_795_132_800_000]

scalars = st.one_of(st.sampled_from(TEXTS), st.sampled_from(NUMBERS), st.booleans(), st.none())
metas = st.dictionaries(
    st.sampled_from(["weather", "n", "_own"]),
    st.one_of(
        scalars,
        st.lists(scalars, max_size=2),
        st.dictionaries(st.just("deep"), scalars, max_size=1),
    ),
    max_size=3,
)


@st.composite
def rois(draw: st.DrawFn) -> dict[str, Any]:
    """Return a region."""
    roi: dict[str, Any] = {
        "label": draw(st.lists(st.sampled_from(LABELS), max_size=2, unique=True)),
        "poly": [0, 0, 9, 0, 9, 9],
    }
    if draw(st.booleans()):
        roi["confidence"] = draw(st.sampled_from([0, 0.5, 0.8, 0.85, 1]))
    if draw(st.booleans()):
        roi["sources"] = draw(st.lists(st.sampled_from(["front", "rear"]), max_size=2))
    if draw(st.booleans()):
        roi["meta"] = draw(metas)
    return roi


@st.composite
def frames(draw: st.DrawFn, number: int) -> FrameData:
    """Return a frame of one or two cameras."""
    cameras = draw(st.sampled_from([["front"], ["rear"], ["front", "rear"]]))
    return FrameData(
        frame_id=f"f{number}-{draw(st.sampled_from('ab'))}",
        context_id=draw(st.sampled_from(["drive/1", "drive/2", "s3://b/x.mp4"])),
        timestamp=float(draw(st.sampled_from(NUMBERS))),
        sources=[
            SourceData(
                camera,
                f"https://example.com/{camera}/{draw(st.sampled_from(['0001', '0002']))}.jpg",
                draw(st.sampled_from(["", "image/jpeg"])),
                draw(st.sampled_from([None, 640, 1280])),
                draw(st.sampled_from([None, 480])),
                meta=draw(st.one_of(st.none(), metas)),
            )
            for camera in cameras
        ],
        rois=draw(st.lists(rois(), max_size=3)),
        meta=draw(metas),
    )


@st.composite
def datasets(draw: st.DrawFn) -> list[FrameData]:
    """Return the frames of a small version."""
    return [draw(frames(number)) for number in range(draw(st.integers(0, 7)))]


# --- filters -------------------------------------------------------------------------------------

_TEXT_FIELDS = {
    "": ["label", "context_id", "id", "sources.id", "sources.uri", "sources.content_type"],
    "rois": ["label", "sources"],
    "sources": ["id", "uri", "content_type"],
}
_OPEN_FIELDS = {
    "": ["meta.weather", "meta.n", "meta.n.deep", "rois.meta.n", "sources.meta.n"],
    "rois": ["meta.weather", "meta.n", "meta.n.deep"],
    "sources": ["meta.weather", "meta.n"],
}
_NUMBER_FIELDS = {
    "": ["timestamp", "rois.confidence", "sources.width"],
    "rois": ["confidence"],
    "sources": ["width", "height"],
}
_VALUES = [*LABELS, *TEXTS, "0.5", "640", "false", "front", "drive/1", "f1-a", "image/jpeg", ""]
_VALUES += ["https://example.com/front/0001.jpg", "s3://b/x.mp4", "-3"]
_PATTERNS = ["*", "*a*", "c?r", "r*", "*0001*", "f?-a", "https*rear*", "drive*", "*/*", "rain?*"]
_BOUNDS = [*(f"{number}" for number in NUMBERS), "2026-11-20", "2026-11-21T10:30", "*"]


def _ordered(pair: list[str]) -> bool:
    """Whether a range does not run backwards."""
    low, high = pair
    return "*" in pair or _times(low)[0] <= _times(high)[0]


def clauses(space: str) -> st.SearchStrategy[Filter]:
    """Return filters of one clause."""
    texts, numbers = _TEXT_FIELDS[space], _NUMBER_FIELDS[space]
    every = st.sampled_from([*texts, *_OPEN_FIELDS[space], *numbers])
    wide = st.sampled_from([*texts, *_OPEN_FIELDS[space]])
    in_range = st.sampled_from([*_OPEN_FIELDS[space], *numbers])
    return st.one_of(
        st.tuples(st.just("equal"), wide, st.sampled_from(_VALUES)),
        st.tuples(
            st.just("equal"), st.sampled_from(numbers), st.sampled_from(["0.5", "640", "60"])
        ),
        st.tuples(st.just("like"), wide, st.sampled_from(_PATTERNS)),
        st.tuples(
            st.just("range"),
            in_range,
            st.lists(st.sampled_from(_BOUNDS), min_size=2, max_size=2).filter(_ordered).map(tuple),
            st.booleans(),
            st.booleans(),
        ),
        st.tuples(st.just("exists"), every),
        st.just(("all",)),
    )


def filters(space: str = "") -> st.SearchStrategy[Filter]:
    """Return filters, of whole frames or of what stands inside a group."""
    leaf = clauses(space)
    if not space:
        counts = st.tuples(st.integers(0, 2), st.integers(0, 3)).filter(lambda c: c[0] <= c[1])
        leaf = st.one_of(
            leaf,
            st.tuples(st.just("rois"), filters("rois"), st.one_of(st.none(), counts)),
            st.tuples(st.just("sources"), filters("sources")),
            st.tuples(
                st.just("equal"), st.just("saved_in_version"), st.sampled_from(["@", "none"])
            ),
        )
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.tuples(st.just("not"), inner),
            st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)),
        ),
        max_leaves=5,
    )


def text_of(asked: Filter, version: Version | None = None) -> str:
    """Return the query text of a filter."""
    match asked:
        case ("all",):
            return "*:*"
        case ("equal", field, value):
            value = version.uid if version and value == "@" else value
            return f"{field}:{_quoted(value)}"
        case ("like", field, pattern):
            return f"{field}:" + re.sub(r"([^\w*?.])", r"\\\1", pattern)
        case ("range", field, (low, high), with_low, with_high):
            bounds = " TO ".join(bound if bound == "*" else _quoted(bound) for bound in (low, high))
            return f"{field}:{'[' if with_low else '{'}{bounds}{']' if with_high else '}'}"
        case ("exists", field):
            return f"_exists_:{field}"
        case ("not", inner):
            return f"NOT ({text_of(inner, version)})"
        case ("and" | "or" as word, parts):
            return f" {word.upper()} ".join(f"({text_of(part, version)})" for part in parts)
        case ("rois", inner, None):
            return f"rois:({text_of(inner)})"
        case ("rois", inner, (least, most)):
            return f"rois:(({text_of(inner)}) AND count:[{least} TO {most}])"
        case ("sources", inner):
            return f"sources:({text_of(inner)})"
    raise AssertionError(asked)


def holds(asked: Filter, frame: dict[str, Any]) -> bool:
    """Tell whether a frame, as JSON, satisfies a filter."""
    return _holds(asked, frame, lambda field, below: _frame_values(frame, field, below))


def regions_of(asked: Filter, frame: dict[str, Any]) -> list[int]:
    """Return which regions of a frame satisfy a filter about single regions."""
    return [number for number, roi in enumerate(frame["rois"]) if _in_part(asked, frame, roi)]


def as_json(version: Version) -> dict[str, dict[str, Any]]:
    """Return a version's frames by id, as JSON that was written and read."""
    found = {}
    for frame in Frame.objects.filter(dataset=version.dataset).prefetch_related("sources"):
        plain = {
            "id": frame.frame_id,
            "context_id": frame.context_id,
            "timestamp": frame.timestamp,
            "saved": frame.saved_ms,
            "saved_in_version": "@" if frame.saved_in_version_id == version.pk else "",
            "meta": frame.meta,
            "rois": frame.rois,
            "sources": [
                {
                    "id": source.source_id,
                    "uri": source.uri,
                    "content_type": source.content_type or None,
                    "width": source.width,
                    "height": source.height,
                    "meta": source.meta or {},
                }
                for source in frame.sources.all()
            ],
        }
        found[frame.frame_id] = json.loads(json.dumps(plain))
    return found


# --- what they mean ------------------------------------------------------------------------------


def _holds(asked: Filter, frame: dict[str, Any], values: Getter) -> bool:
    match asked:
        case ("all",):
            return True
        case ("equal", field, wanted):
            return any(_is_equal(value, wanted) for value in values(field, False))
        case ("like", field, "*"):
            return any(value is not None for value in values(field, True))
        case ("like", field, pattern):
            regex = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
            found = (value for value in values(field, False) if isinstance(value, str))
            return any(re.fullmatch(regex, value, re.DOTALL) for value in found)
        case ("range", field, (low, high), with_low, with_high):
            return any(
                _lies_in(value, low, high, with_low, with_high) for value in values(field, False)
            )
        case ("exists", field):
            return any(value is not None for value in values(field, True))
        case ("not", inner):
            return not _holds(inner, frame, values)
        case ("and", parts):
            return all(_holds(part, frame, values) for part in parts)
        case ("or", parts):
            return any(_holds(part, frame, values) for part in parts)
        case ("rois", inner, None):
            return any(_in_part(inner, frame, roi) for roi in frame["rois"])
        case ("rois", inner, (least, most)):
            return bool(least <= sum(_in_part(inner, frame, roi) for roi in frame["rois"]) <= most)
        case ("sources", inner):
            return any(_in_part(inner, frame, source) for source in frame["sources"])
    raise AssertionError(asked)


def _in_part(asked: Filter, frame: dict[str, Any], part: dict[str, Any]) -> bool:
    return _holds(asked, frame, lambda field, below: _scalars(part, field.split("."), below))


def _frame_values(frame: dict[str, Any], field: str, below: bool) -> Iterator[Any]:
    if field == "label":
        field = "rois.label"
    return _scalars(frame, field.split("."), below)


def _scalars(value: Any, path: list[str], below: bool) -> Iterator[Any]:
    """Yield the scalars at a path, or below it too; each of a list; nothing below `_names`."""
    if isinstance(value, list):
        for item in value:
            yield from _scalars(item, path, below)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name.startswith("_"):
                continue
            if (path and name == path[0]) or (below and not path):
                yield from _scalars(item, path[1:], below)
    elif not path:
        yield value


def _is_equal(value: Any, wanted: str) -> bool:
    if isinstance(value, str):
        return bool(value == wanted)
    if isinstance(value, bool):
        return wanted == str(value).lower()
    if value is None:
        return False
    try:
        return bool(float(wanted) == value)
    except ValueError:
        return False


def _lies_in(value: Any, low: str, high: str, with_low: bool, with_high: bool) -> bool:
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, str):
        of_dates = any("-" in bound[1:] for bound in (low, high))
        if not of_dates or not re.match(r"\d{4}-\d\d-\d\d", value):
            return False
        value = _times(value)[0]
    if low != "*":
        first, last = _times(low)
        if not (value >= first if with_low else value > last):
            return False
    if high != "*":
        first, last = _times(high)
        if not (value <= last if with_high else value < first):
            return False
    return True


def _times(text: str) -> tuple[float, float]:
    """Return a number twice, or the first and last millisecond of a date."""
    if not re.match(r"\d{4}-\d\d-\d\d", text):
        return float(text), float(text)
    instant = datetime.fromisoformat(text)
    instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    first = (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    length = {10: 86_400_000, 16: 60_000}.get(len(text), 1000)
    return first, first + length - 1


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
