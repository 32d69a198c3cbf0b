"""SingleFrame JSON: the native format, read into plain data and written back.

Read and written are inverse: every key Framedeck does not know stays on the object it was
found on. Only `dataset`, `saved` and `saved_in_version` are not read: they say where another
server keeps the frame.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from math import hypot, inf, isfinite
from typing import TYPE_CHECKING, Any, Final

from frames.formats.base import FrameData, FrameError, SourceData
from frames.formats.uris import UriError, resolve
from frames.index.geometry import RING_SEPARATOR as RING_SEPARATOR  # said in the format too

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from frames.models import Frame, Source

MAX_ID_BYTES: Final = 255
MAX_CONTEXT_ID_BYTES: Final = 2048
MAX_KEY_BYTES: Final = 255
MAX_NAME_CHARACTERS: Final = 255
MAX_LABELS: Final = 1_000
MAX_SOURCES: Final = 64
MAX_MASKS: Final = 64
MAX_ROIS: Final = 10_000
MAX_POLY_NUMBERS: Final = 100_000
MAX_DEPTH: Final = 16
MAX_EDGE_PX: Final = 2**31 - 1
# Coordinates past this are damage; sums of a whole polygon stay finite below it.
MAX_COORDINATE: Final = 1e15
INTEGERS: Final = range(-(2**63), 2**64)

DEFAULT_SOURCE_ID: Final = "default"

FRAME_KEYS: Final = frozenset(
    {"id", "context_id", "timestamp", "sources", "rois", "meta"}
    | {"dataset", "saved", "saved_in_version"}
)
SOURCE_KEYS: Final = frozenset(
    {"id", "uri", "content_type", "width", "height", "timestamp", "masks", "preview", "meta"}
)
ROI_KEYS: Final = frozenset({"label", "labels", "poly", "confidence", "sources", "mask", "meta"})
# Regions whose numbers are not x, y pairs: an ellipse's five, and points in space.
_NOT_IN_PAIRS: Final = frozenset({"elp", "p3d", "k3d", "b3d"})
_NUMBER_TYPES: Final = frozenset({int, float})
_NUMERAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


class _Invalid(Exception):
    """What is wrong with a value; the place grows while the error travels up to the frame."""

    def __init__(self, reason: str, place: str = "") -> None:
        self.reason = reason
        self.place = place

    def inside(self, place: str) -> _Invalid:
        self.place = place + self.place
        return self


def parse_frame(value: Any, base_uri: str, *, is_plain: bool = False) -> FrameData:
    """Read one frame as json.loads gives it; relative URIs resolve against `base_uri`.

    The result shares unchanged parts with `value`. `is_plain` tells that `plain.are_plain` said
    so of it. Cost: 20 µs for a source and five regions; 4 µs for a plain one.

    Raises:
        FrameError: with the JSON path inside the frame, such as `rois[0].poly[3]`.
    """
    try:
        return _frame(value, base_uri, is_plain=is_plain)
    except _Invalid as invalid:
        raise FrameError(invalid.place.removeprefix("."), invalid.reason) from None


def render_frame(
    frame: Frame,
    sources: Sequence[Source],
    dataset_uid: str,
    version_uid: str,
) -> dict[str, Any]:
    """Write a stored frame as SingleFrame JSON.

    Args:
        frame: the revision, with its writer where that is wanted (FrameQuerySet.with_writer).
        sources: its sources, in order.
        dataset_uid: public id of its dataset.
        version_uid: public id of the version it is seen in.
    """
    written = {
        "dataset": {"id": dataset_uid, "version": version_uid},
        "saved": frame.saved_ms,
        **_written(frame, sources),
    }
    if frame.writer_uid:
        written["saved_in_version"] = frame.writer_uid
    return written


def write_frame(frame: FrameData) -> dict[str, Any]:
    """Write a frame as SingleFrame JSON without what is a server's own: the inverse of parse_frame.

    The result shares its parts with the frame.
    """
    return _written(frame, frame.sources)


def check_json(value: Any) -> None:
    """Raise FrameError, with the path, for a JSON value that the database could not keep."""
    try:
        _check_item(value, MAX_DEPTH)
    except _Invalid as invalid:
        raise FrameError(invalid.place.removeprefix("."), invalid.reason) from None


def derived_id(frame: FrameData) -> str:
    """Return the id of a frame that has none: 32 hexadecimal digits, the same every time."""
    parts: list[object] = [frame.context_id, frame.timestamp]
    for source in frame.sources:
        parts += (source.source_id, source.uri, source.timestamp)
    return blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def repeated_id(derived: str, occurrence: int) -> str:
    """Return the id of a further frame that shows the same thing at the same time.

    `occurrence` is the number of equal ones before it in the input, 1 at least.
    """
    return blake2b(f"{derived} {occurrence}".encode(), digest_size=16).hexdigest()


def _frame(value: Any, base_uri: str, *, is_plain: bool) -> FrameData:
    if type(value) is not dict:
        raise _Invalid(f"must be an object, not {_kind(value)}")
    extra = _unknown(value, FRAME_KEYS)
    if not is_plain:
        _check_frame(value, extra)
    sources = _sources(value.get("sources"), base_uri, is_plain=is_plain)
    first = sources[0]
    given = value.get("timestamp")
    if given is not None:
        timestamp, rounded = _timestamp(given)
        if rounded:
            extra["timestamp"] = given
    else:
        timestamp = first.timestamp or 0.0
        if "timestamp" in first.extra:
            extra["timestamp"] = first.extra["timestamp"]
    rois = value.get("rois")
    return FrameData(
        value.get("id") or "",
        value.get("context_id") or first.uri,
        timestamp,
        sources,
        [] if rois is None else rois if is_plain else _rois(rois),
        value.get("meta") or {},
        extra,
    )


def _unknown(value: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    # Most have none, which is asked in a third of the time of going over their keys.
    return {} if known.issuperset(value) else {k: value[k] for k in value if k not in known}


def _check_frame(value: dict[str, Any], extra: dict[str, Any]) -> None:
    if extra:
        _check(extra, MAX_DEPTH)
    frame_id = value.get("id")
    if frame_id is not None:
        _check_text(frame_id, ".id", MAX_ID_BYTES)
    context_id = value.get("context_id")
    if context_id is not None:
        _check_text(context_id, ".context_id", MAX_CONTEXT_ID_BYTES)
    meta = value.get("meta")
    if meta is not None:
        _check_object(meta, ".meta")


def _sources(value: Any, base_uri: str, *, is_plain: bool) -> list[SourceData]:
    if value is None:
        raise _Invalid("is missing", ".sources")
    _check_list(value, ".sources", MAX_SOURCES)
    if not value:
        raise _Invalid("needs at least one source", ".sources")
    sources = []
    for position, item in enumerate(value):
        try:
            sources.append(_source(item, position, base_uri, is_plain=is_plain))
        except _Invalid as invalid:
            raise invalid.inside(f".sources[{position}]") from None
    if len(sources) > 1:
        ids = set()
        for position, source in enumerate(sources):
            if source.source_id in ids:
                raise _Invalid("is the id of an earlier source", f".sources[{position}].id")
            ids.add(source.source_id)
    return sources


def _source(value: Any, position: int, base_uri: str, *, is_plain: bool) -> SourceData:
    if type(value) is not dict:
        raise _Invalid(f"must be an object, not {_kind(value)}")
    get = value.get
    extra = _unknown(value, SOURCE_KEYS)
    width, height = get("width"), get("height")
    if not is_plain:
        _check_source(value, extra)
        width = None if width is None else _edge(width, ".width")
        height = None if height is None else _edge(height, ".height")
    source_id = get("id")
    if source_id is None:
        source_id = str(position) if position else DEFAULT_SOURCE_ID
    timestamp = get("timestamp")
    if timestamp is not None:
        timestamp, rounded = _timestamp(timestamp)
        if rounded:
            extra["timestamp"] = value["timestamp"]
    masks = get("masks")
    preview = get("preview")
    return SourceData(
        source_id,
        _uri(get("uri"), base_uri),
        get("content_type") or "",
        width,
        height,
        timestamp,
        None if masks is None else _masks(masks, base_uri),
        None if preview is None else _preview(preview, base_uri),
        get("meta"),
        extra,
    )


def _check_source(value: dict[str, Any], extra: dict[str, Any]) -> None:
    if extra:
        _check(extra, MAX_DEPTH)
    source_id = value.get("id")
    if source_id is not None:
        _check_text(source_id, ".id", MAX_ID_BYTES)
        if not source_id:
            raise _Invalid("is empty", ".id")
    content_type = value.get("content_type")
    if content_type is not None:
        _check_text(content_type, ".content_type", MAX_ID_BYTES)
    meta = value.get("meta")
    if meta is not None:
        _check_object(meta, ".meta")


def _masks(value: Any, base_uri: str) -> list[dict[str, Any]]:
    _check_list(value, ".masks", MAX_MASKS)
    masks = []
    for position, mask in enumerate(value):
        try:
            _check_object(mask, "")
            masks.append({**mask, "uri": _uri(mask.get("uri"), base_uri)})
        except _Invalid as invalid:
            raise invalid.inside(f".masks[{position}]") from None
    return masks


def _preview(value: Any, base_uri: str) -> dict[str, Any] | str:
    try:
        if type(value) is str:
            return _uri(value, base_uri, "")
        _check_object(value, "")
        return {**value, "uri": _uri(value.get("uri"), base_uri)}
    except _Invalid as invalid:
        raise invalid.inside(".preview") from None


def _rois(value: Any) -> list[dict[str, Any]]:
    _check_list(value, ".rois", MAX_ROIS)
    rois = []
    try:
        for item in value:
            rois.append(_roi(item))
    except _Invalid as invalid:
        raise invalid.inside(f".rois[{len(rois)}]") from None
    return rois


def _roi(roi: Any) -> dict[str, Any]:
    if type(roi) is not dict:
        raise _Invalid(f"must be an object, not {_kind(roi)}")
    plain = True
    for key, value in roi.items():
        if key not in ROI_KEYS:
            _check({key: value}, MAX_DEPTH)
        elif value is None:
            plain = False
        elif key == "label":
            if type(value) is list:
                _check_names(value, ".label", MAX_LABELS)
            else:
                plain = False
        elif key == "poly":
            _check_poly(value, roi)
        elif key == "confidence":
            if type(value) not in (int, float) or not 0 <= value <= 1:
                raise _Invalid(f"must be a number from 0 to 1, not {shown(value)}", ".confidence")
        elif key == "sources":
            _check_names(value, ".sources", MAX_SOURCES)
        elif key == "labels":
            plain = False
        else:  # meta, mask
            _check_object(value, f".{key}")
    return roi if plain else _normal_roi(roi)


def _normal_roi(roi: dict[str, Any]) -> dict[str, Any]:
    """Return the region with its labels as one list under `label`, without known nulls."""
    labels: list[str] = []
    for key in ("label", "labels"):
        given = roi.get(key)
        if given is not None:
            given = [given] if type(given) is str else given
            _check_names(given, f".{key}", MAX_LABELS)
            labels += [label for label in given if label not in labels]
    normal = {}
    for key, value in roi.items():
        if key in ("label", "labels"):
            if labels:
                normal["label"] = labels
        elif value is not None or key not in ROI_KEYS:
            normal[key] = value
    return normal


def _check_names(value: Any, place: str, most: int) -> None:
    """Raise unless the value is a list of labels or ids."""
    if type(value) is not list or len(value) > most:
        _check_list(value, place, most)
    for position, name in enumerate(value):
        if type(name) is not str:
            raise _Invalid(f"must be text, not {_kind(name)}", f"{place}[{position}]")
        if not 0 < len(name) <= MAX_NAME_CHARACTERS:
            reason = f"has {len(name)} characters; {MAX_NAME_CHARACTERS} is the most"
            raise _Invalid(reason if name else "is empty", f"{place}[{position}]")
        if not name.isascii() or "\0" in name:
            _check_string(name, f"{place}[{position}]")


def _check_poly(value: Any, roi: dict[str, Any]) -> None:
    if type(value) is not list:
        raise _Invalid(f"must be a list of numbers, not {_kind(value)}", ".poly")
    if len(value) > MAX_POLY_NUMBERS:
        raise _Invalid(f"has {len(value)} numbers; {MAX_POLY_NUMBERS} is the most", ".poly")
    # The norm is one call where a loop is a hundred: it is small only if every number is.
    norm = -1.0
    if _NUMBER_TYPES.issuperset(map(type, value)):
        try:
            norm = hypot(*value)
        except OverflowError:
            norm = inf
    if not 0 <= norm <= MAX_COORDINATE:
        for position, number in enumerate(value):
            if type(number) not in (int, float):
                raise _Invalid(f"must be a number, not {_kind(number)}", f".poly[{position}]")
            if not -MAX_COORDINATE <= number <= MAX_COORDINATE:
                raise _Invalid(f"is not a coordinate: {shown(number)}", f".poly[{position}]")
    if len(value) % 2 or norm >= -RING_SEPARATOR:
        place = lone_x(value, roi)
        if place is not None:
            raise _Invalid("is an x without its y", f".poly[{place}]")


def lone_x(poly: list[float], roi: dict[str, Any]) -> int | None:
    """Return the place of an x without its y in a region's numbers; None where there is none."""
    meta = roi.get("meta")
    if type(meta) is dict and meta.get("_type") in _NOT_IN_PAIRS:
        return None
    start = 0
    for end, number in enumerate([*poly, RING_SEPARATOR]):
        if number == RING_SEPARATOR:
            if (end - start) % 2:
                return end - 1
            start = end + 1
    return None


def _uri(value: Any, base_uri: str, place: str = ".uri") -> str:
    if type(value) is not str:
        reason = "is missing" if value is None else f"must be text, not {_kind(value)}"
        raise _Invalid(reason, place)
    if not value.isascii():
        _check_string(value, place)
    try:
        return resolve(value, base_uri)
    except UriError as error:
        raise _Invalid(str(error), place) from None


def _edge(value: Any, place: str) -> int:
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or not 0 < value <= MAX_EDGE_PX:
        raise _Invalid(f"must be a number of pixels above 0, not {shown(value)}", place)
    return value


def _timestamp(value: Any) -> tuple[float, bool]:
    """Return the timestamp as float64, and whether the given form says more than that."""
    kind = type(value)
    if kind is int and value in INTEGERS:
        number = float(value)
        return number, int(number) != value
    if kind is float and isfinite(value):
        return value, False
    if kind is str and len(value) <= 64 and _NUMERAL.fullmatch(value):
        number = float(value)
        if isfinite(number):
            return number, True
    raise _Invalid(f"must be a finite number, not {shown(value)}", ".timestamp")


def _check_list(value: Any, place: str, most: int) -> None:
    if type(value) is not list:
        raise _Invalid(f"must be a list, not {_kind(value)}", place)
    if len(value) > most:
        raise _Invalid(f"has {len(value)} items; {most} is the most", place)


def _check_object(value: Any, place: str) -> None:
    if type(value) is not dict:
        raise _Invalid(f"must be an object, not {_kind(value)}", place)
    try:
        _check(value, MAX_DEPTH)
    except _Invalid as invalid:
        raise invalid.inside(place) from None


def _check_text(value: Any, place: str, most_bytes: int) -> None:
    if type(value) is not str:
        raise _Invalid(f"must be text, not {_kind(value)}", place)
    _check_string(value, place)
    if len(value) * 4 > most_bytes and len(value.encode()) > most_bytes:
        raise _Invalid(f"is longer than {most_bytes} bytes", place)


def _check_string(value: str, place: str) -> None:
    if "\0" in value:
        raise _Invalid("holds a NUL character", place)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _Invalid("holds what is not Unicode text", place) from None


def _check(value: dict[str, Any], depth: int) -> None:
    """Raise for what a JSON column cannot keep: see the reasons."""
    for key, item in value.items():
        if not key.isascii() or len(key) > MAX_KEY_BYTES or "\0" in key:
            place = f".{shown(key)}"
            _check_string(key, place)
            if len(key.encode()) > MAX_KEY_BYTES:
                raise _Invalid(f"the key is longer than {MAX_KEY_BYTES} bytes", place)
        kind = type(item)
        if kind is str:
            if not item.isascii() or "\0" in item:
                _check_string(item, f".{key}")
        elif kind is dict or kind is list or kind is int or kind is float:
            try:
                _check_item(item, depth - 1)
            except _Invalid as invalid:
                raise invalid.inside(f".{key}") from None
        elif item is not None and kind is not bool:
            raise _Invalid(f"is no JSON value: {shown(item)}", f".{key}")


def _check_item(item: Any, depth: int) -> None:
    kind = type(item)
    if kind is float:
        if not isfinite(item):
            raise _Invalid(f"must be a finite number, not {item}")
    elif kind is int:
        if item not in INTEGERS:
            raise _Invalid("is an integer of more than 64 bits")
    elif kind is str:
        _check_string(item, "")
    elif kind is dict:
        if depth <= 0:
            raise _Invalid(f"is nested deeper than {MAX_DEPTH} levels")
        _check(item, depth)
    elif kind is list:
        if depth <= 0:
            raise _Invalid(f"is nested deeper than {MAX_DEPTH} levels")
        for position, inner in enumerate(item):
            try:
                _check_item(inner, depth - 1)
            except _Invalid as invalid:
                raise invalid.inside(f"[{position}]") from None
    elif item is not None and kind is not bool:
        raise _Invalid(f"is no JSON value: {shown(item)}")


def _kind(value: Any) -> str:
    """Return what a JSON value is called."""
    names: dict[type, str] = {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        type(None): "null",
    }
    return names.get(type(value), type(value).__name__)


def shown(value: Any) -> str:
    """Return a short, harmless form of a value for an error message."""
    if isinstance(value, int) and value not in INTEGERS:
        return "an integer of more than 64 bits"
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _written(frame: Frame | FrameData, sources: Iterable[Source | SourceData]) -> dict[str, Any]:
    return {
        "id": frame.frame_id,
        "context_id": frame.context_id,
        "timestamp": written_number(frame.timestamp),
        "meta": frame.meta,
        "sources": [_written_source(source) for source in sources],
        "rois": frame.rois,
        **frame.extra,
    }


def written_number(value: float) -> float | int:
    """Return a number without the point that a whole one does not need."""
    return int(value) if value.is_integer() and abs(value) < 2**63 else value


def _written_source(source: Source | SourceData) -> dict[str, Any]:
    written: dict[str, Any] = {"id": source.source_id, "uri": source.uri}
    if source.content_type:
        written["content_type"] = source.content_type
    for key in ("width", "height", "masks", "preview", "meta"):
        value = getattr(source, key)
        if value is not None:
            written[key] = value
    if source.timestamp is not None:
        written["timestamp"] = written_number(source.timestamp)
    return {**written, **source.extra}
