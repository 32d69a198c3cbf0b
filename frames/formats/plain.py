"""Whether frames are sound, asked of many at once: a third of the time of one by one.

A column of values is looked at by a few calls that take all of it, where a frame has a hundred
values to be looked at each. What is found is yes or no; `parse_frame` tells what is wrong.
"""

from __future__ import annotations

from itertools import chain
from math import isfinite
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from frames.formats.singleframe import (
    FRAME_KEYS,
    INTEGERS,
    MAX_CONTEXT_ID_BYTES,
    MAX_COORDINATE,
    MAX_DEPTH,
    MAX_EDGE_PX,
    MAX_ID_BYTES,
    MAX_KEY_BYTES,
    MAX_LABELS,
    MAX_NAME_CHARACTERS,
    MAX_POLY_NUMBERS,
    MAX_ROIS,
    MAX_SOURCES,
    RING_SEPARATOR,
    ROI_KEYS,
    SOURCE_KEYS,
    lone_x,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_DICT: Final = frozenset({dict})
_LIST: Final = frozenset({list})
_STR: Final = frozenset({str})
_INT: Final = frozenset({int})
_NUMBER: Final = frozenset({int, float})
_JSON: Final = frozenset({dict, list, str, int, float, bool, type(None)})


def are_plain(frames: Sequence[Any]) -> bool:
    """Whether `parse_frame` may take all of the frames' values as they are, but for URIs.

    False says nothing of a frame: one among them may be wrong, or be written in another way.
    """
    if not _are(frames, _DICT) or not _are_unknown_sound(frames, _keys(frames) - FRAME_KEYS):
        return False
    source_lists = [frame.get("sources") for frame in frames]
    roi_lists = _column(frames, "rois")
    return (
        _are_texts(_column(frames, "id"), MAX_ID_BYTES)
        and _are_texts(_column(frames, "context_id"), MAX_CONTEXT_ID_BYTES)
        and _are_sound_objects(_column(frames, "meta"))
        and _are_lists(source_lists, MAX_SOURCES)
        and all(source_lists)
        and all(_are_told_apart(sources) for sources in source_lists if len(sources) > 1)
        and _are_plain_sources(list(chain.from_iterable(source_lists)))
        and _are_lists(roi_lists, MAX_ROIS)
        and _are_plain_rois(list(chain.from_iterable(roi_lists)))
    )


def _are_told_apart(sources: Sequence[Any]) -> bool:
    if not _are(sources, _DICT):
        return False
    ids = [source.get("id") for source in sources]
    return _are(ids, _STR) and len(set(ids)) == len(ids)


def _are_plain_sources(sources: Sequence[Any]) -> bool:
    if not _are(sources, _DICT) or not _are_unknown_sound(sources, _keys(sources) - SOURCE_KEYS):
        return False
    ids = _column(sources, "id")
    edges_px = [*_column(sources, "width"), *_column(sources, "height")]
    return (
        _are_texts(ids, MAX_ID_BYTES)
        and all(ids)
        and _are_texts(_column(sources, "content_type"), MAX_ID_BYTES)
        and _are(edges_px, _INT)
        and min(edges_px, default=1) > 0
        and max(edges_px, default=1) <= MAX_EDGE_PX
        and _are_sound_objects(_column(sources, "meta"))
    )


def _are_plain_rois(rois: Sequence[Any]) -> bool:
    if not _are(rois, _DICT):
        return False
    keys = _keys(rois)
    if not _are_unknown_sound(rois, keys - ROI_KEYS) or "labels" in keys:
        return False
    # Null, which would have to be taken off, is of no type that is asked for.
    given = {key: _given(rois, key) if key in keys else [] for key in ROI_KEYS}
    return (
        _are_names(given["label"], MAX_LABELS)
        and _are_names(given["sources"], MAX_SOURCES)
        and _are(given["confidence"], _NUMBER)
        and all(0 <= confidence <= 1 for confidence in given["confidence"])
        and _are_sound_objects(given["meta"])
        and _are_sound_objects(given["mask"])
        and _are_polys(given["poly"], rois)
    )


def _are_polys(polys: Sequence[Any], rois: Sequence[dict[str, Any]]) -> bool:
    if not _are(polys, _LIST):
        return False
    lengths = set(map(len, polys))
    numbers = list(chain.from_iterable(polys))
    if not numbers:
        return True
    if max(lengths) > MAX_POLY_NUMBERS or not _are(numbers, _NUMBER):
        return False
    try:
        column = np.array(numbers, dtype=np.float64)
    except OverflowError:
        return False
    least, greatest = column.min(), column.max()
    # False of NaN, too.
    if not (least >= -MAX_COORDINATE and greatest <= MAX_COORDINATE):
        return False
    is_paired = least > RING_SEPARATOR and not any(length % 2 for length in lengths)
    return is_paired or all(lone_x(roi.get("poly") or [], roi) is None for roi in rois)


def _are_names(lists: Sequence[Any], most: int) -> bool:
    if not _are_lists(lists, most):
        return False
    names = list(chain.from_iterable(lists))
    if not _are(names, _STR):
        return False
    # A label is looked at once, however many regions have it.
    distinct = set(names)
    return _are_texts(distinct) and all(0 < len(name) <= MAX_NAME_CHARACTERS for name in distinct)


def _are_unknown_sound(objects: Sequence[dict[str, Any]], unknown: set[str]) -> bool:
    """Whether what the objects have under some keys can be kept."""
    return not unknown or _are_sound_objects(
        [{key: value[key] for key in value if key in unknown} for value in objects]
    )


def _are_sound_objects(objects: Sequence[Any]) -> bool:
    """Whether all are objects that a JSON column can keep; looked at level by level."""
    if not _are(objects, _DICT):
        return False
    level, lists = objects, list[list[Any]]()
    for _ in range(MAX_DEPTH):
        if not _are_texts(_keys(level), MAX_KEY_BYTES):
            return False
        values = list(chain.from_iterable(map(dict.values, level)))
        values += chain.from_iterable(lists)
        kinds = set(map(type, values))
        if not (
            kinds <= _JSON
            and (str not in kinds or _are_texts(set(_of(values, str))))
            and (float not in kinds or all(map(isfinite, _of(values, float))))
            and (int not in kinds or all(number in INTEGERS for number in _of(values, int)))
        ):
            return False
        level = _of(values, dict) if dict in kinds else []
        lists = _of(values, list) if list in kinds else []
        if not level and not lists:
            return True
    return False


def _of(values: Sequence[Any], kind: type) -> list[Any]:
    return [value for value in values if type(value) is kind]


def _are_texts(texts: Collection[Any], most_bytes: int | None = None) -> bool:
    if not _are(texts, _STR):
        return False
    joined = "".join(texts)
    if "\0" in joined:
        return False
    if not joined.isascii():
        try:
            joined.encode()
        except UnicodeEncodeError:
            return False
    return most_bytes is None or all(
        len(text) * 4 <= most_bytes or len(text.encode()) <= most_bytes for text in texts
    )


def _are_lists(values: Sequence[Any], most: int) -> bool:
    return _are(values, _LIST) and max(map(len, values), default=0) <= most


def _are(values: Iterable[Any], types: frozenset[type]) -> bool:
    """Whether the types of all values are among some; true and false are no numbers."""
    return types.issuperset(map(type, values))


def _keys(objects: Sequence[dict[str, Any]]) -> set[str]:
    return set(chain.from_iterable(objects))


def _given(objects: Sequence[dict[str, Any]], key: str) -> list[Any]:
    """Return what the objects have under a key, nulls included."""
    try:
        # Most have all the same keys: 60 ns each, not 150.
        return list(map(itemgetter(key), objects))
    except KeyError:
        return [each[key] for each in objects if key in each]


def _column(objects: Sequence[dict[str, Any]], key: str) -> list[Any]:
    """Return what the objects have under a key, nulls left out."""
    return [value for each in objects if (value := each.get(key)) is not None]
