"""Segments.ai samples: pictures, point clouds, sequences of them, several sensors.

Each instant of a sample becomes one frame whose sources are its sensors; a sequence is a
context. What describes a source (a camera's calibration, the layout of a point cloud's file)
goes into the source's `meta`, what describes the instant (its name, the ego pose) into the
frame's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from frames.formats.base import FrameData, FrameError, Problem
from frames.formats.singleframe import DEFAULT_SOURCE_ID, parse_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

POINT_CLOUD_ID: Final = "pcd"

_KINDS: Final = ("image", "pcd", "frames", "sensors")
_SOURCE_PATH = re.compile(r"sources\[(\d+)\](\.uri)?")


def is_sample(value: dict[str, Any]) -> bool:
    """Whether an object is a sample, or its attributes, and not a SingleFrame."""
    if "sources" in value:
        return False
    attributes = value.get("attributes")
    if isinstance(attributes, dict):
        value = attributes
    return any(kind in value for kind in _KINDS)


def parse_sample(
    sample: dict[str, Any], base_uri: str, sequence: str, position: int
) -> Iterator[FrameData | Problem]:
    """Yield the frames of a sample, or what is wrong with one of them.

    Instants without a timestamp get their number, which keeps their order.

    Args:
        sample: attributes, or an object with a name and attributes.
        base_uri: what relative URLs resolve against.
        sequence: the context, where the sample is one instant of a longer one.
        position: number of the sample in the input.
    """
    attributes, place = sample, ""
    if isinstance(sample.get("attributes"), dict):
        attributes, place = sample["attributes"], "attributes."
    try:
        tracks = _tracks(attributes, place)
    except FrameError as error:
        yield error.problem
        return
    is_sequence = bool(sequence) or "sensors" in attributes or "frames" in attributes
    name = sample.get("name")
    context = sequence
    if is_sequence and not context:
        context = name if name and isinstance(name, str) else f"{base_uri}#{position}"
    for number in range(max(len(track.instants) for track in tracks)):
        instant = _Instant()
        try:
            for track in tracks:
                if number < len(track.instants):
                    instant.add(track, number)
            frame = instant.frame(sample, context)
            if is_sequence:
                frame.setdefault("timestamp", position if sequence else number)
            yield parse_frame(frame, base_uri)
        except FrameError as error:
            yield Problem(instant.input_path(error.problem.path), error.problem.reason)


@dataclass(frozen=True, slots=True)
class _Track:
    """What one sensor saw, instant by instant; `place` is the path of number n."""

    sensor: str
    instants: list[Any]
    place: str


@dataclass(slots=True)
class _Instant:
    """A frame that is being put together; `places` are the input paths of its sources."""

    sources: list[dict[str, Any]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    timestamp: Any = None
    meta: dict[str, Any] = field(default_factory=dict)

    def add(self, track: _Track, number: int) -> None:
        """Add what one sensor saw."""
        place = track.place.format(number)
        value = _object(track.instants[number], place)
        dot = f"{place}." if place else ""
        image, pcd = value.get("image"), value.get("pcd")
        if image is None and pcd is None:
            raise FrameError(place, "has neither image nor pcd")
        # Cameras go first: the first source is what a tile shows.
        for index, camera in enumerate(_list(value.get("images") or [], f"{dot}images")):
            camera_place = f"{dot}images[{index}]"
            # A camera without a picture at this instant.
            if _object(camera, camera_place).get("url") is not None:
                self._add_source(camera, camera.get("name") or f"camera {index}", camera_place)
        for key, data, default in (
            ("image", image, DEFAULT_SOURCE_ID),
            ("pcd", pcd, POINT_CLOUD_ID),
        ):
            if data is not None:
                self._add_source(_object(data, dot + key), track.sensor or default, dot + key)
        if self.timestamp is None:
            self.timestamp = value.get("timestamp")
        known = ("image", "pcd", "images", "timestamp", "attributes", "metadata")
        for key, item in value.items():
            if key not in known:
                self.meta.setdefault(key, item)

    def _add_source(self, value: dict[str, Any], name: Any, place: str) -> None:
        source: dict[str, Any] = {"id": name, "uri": value.get("url")}
        if any(other["id"] == name for other in self.sources):
            source["id"] = f"{name} ({len(self.sources)})"
        meta = {key: value[key] for key in value if key not in ("url", "signed_url", "name")}
        if meta:
            source["meta"] = meta
        self.sources.append(source)
        self.places.append(place)

    def frame(self, sample: dict[str, Any], context: str) -> dict[str, Any]:
        """Return the SingleFrame."""
        metadata = sample.get("metadata")
        frame: dict[str, Any] = {"sources": self.sources}
        frame["meta"] = {**(metadata if isinstance(metadata, dict) else {}), **self.meta}
        if isinstance(sample.get("attributes"), dict) and isinstance(sample.get("name"), str):
            frame["meta"].setdefault("name", sample["name"])
        if self.timestamp is not None:
            frame["timestamp"] = self.timestamp
        if context:
            frame["context_id"] = context
        return frame

    def input_path(self, path: str) -> str:
        """Return the path in the sample of what stands at a path of the SingleFrame."""

        def place(match: re.Match[str]) -> str:
            return self.places[int(match[1])] + (".url" if match[2] else "")

        return _SOURCE_PATH.sub(place, path, count=1)


def _tracks(attributes: dict[str, Any], place: str) -> list[_Track]:
    if "sensors" in attributes:
        tracks = []
        for index, sensor in enumerate(_list(attributes["sensors"], f"{place}sensors")):
            sensor_place = f"{place}sensors[{index}]"
            name = _object(sensor, sensor_place).get("name")
            if not isinstance(name, str) or not name:
                raise FrameError(f"{sensor_place}.name", "must be text")
            inner = _object(sensor.get("attributes"), f"{sensor_place}.attributes")
            frames_place = f"{sensor_place}.attributes.frames"
            frames = _list(inner.get("frames"), frames_place)
            tracks.append(_Track(name, frames, _numbered(frames_place)))
        if not tracks:
            raise FrameError(f"{place}sensors", "is empty")
        return tracks
    if "frames" in attributes:
        frames = _list(attributes["frames"], f"{place}frames")
        return [_Track("", frames, _numbered(f"{place}frames"))]
    return [_Track("", [attributes], place.removesuffix("."))]


def _numbered(place: str) -> str:
    return place + "[{}]"


def _object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FrameError(place, "must be an object")
    return value


def _list(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise FrameError(place, "must be a list")
    return value
