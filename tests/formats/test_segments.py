"""Reading Segments.ai samples."""

from __future__ import annotations

import contextlib
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from frames.formats.manifest import ManifestReader

if TYPE_CHECKING:
    from pathlib import Path

    from frames.formats.base import FrameData, Item

URI = "https://example.com/set/samples.json"


def read(value: Any, uri: str = URI) -> list[Item]:
    data = value if isinstance(value, str) else json.dumps(value)
    file = io.BytesIO(data.encode())
    return list(ManifestReader(lambda: contextlib.nullcontext(file), uri))


def frames(value: Any, uri: str = URI) -> list[FrameData]:
    items = read(value, uri)
    assert [item.problem for item in items] == [None] * len(items)
    return [item.frame for item in items if item.frame]


def image(name: str) -> dict[str, Any]:
    return {"image": {"url": f"https://example.com/{name}.jpg"}, "name": name}


CAMERA = {
    "name": "left",
    "url": "https://example.com/left.jpg",
    "row": 0,
    "col": 1,
    "intrinsics": {"intrinsic_matrix": [[1266.4, 0, 816.2], [0, 1266.4, 491.5], [0, 0, 1]]},
}
CLOUD = {
    "pcd": {"url": "https://example.com/1.bin", "type": "kitti"},
    "images": [CAMERA],
    "name": "00001",
    "timestamp": "00001",
    "ego_pose": {"position": {"x": 1, "y": 2, "z": 3}},
}


def test_a_picture_is_its_own_context() -> None:
    (frame,) = frames({"image": {"url": "a.jpg"}})
    assert frame.context_id == "https://example.com/set/a.jpg"
    assert frame.sources[0].source_id == "default"


def test_samples_with_names_and_attributes() -> None:
    samples = [
        {"name": "a", "attributes": {"image": {"url": "a.jpg"}}, "metadata": {"city": "Graz"}},
        {"name": "b", "attributes": {"image": {"url": "b.jpg"}}},
    ]
    found = frames(samples)
    assert [frame.meta for frame in found] == [{"city": "Graz", "name": "a"}, {"name": "b"}]
    assert [frame.context_id for frame in found] == [
        "https://example.com/set/a.jpg",
        "https://example.com/set/b.jpg",
    ]


def test_a_sequence_is_one_context_in_order() -> None:
    found = frames({"frames": [image("x"), image("y"), image("z")]})
    assert {frame.context_id for frame in found} == {URI}
    assert [frame.timestamp for frame in found] == [0, 1, 2]
    assert [frame.meta["name"] for frame in found] == ["x", "y", "z"]


def test_sequences_in_a_list_are_contexts_of_their_own() -> None:
    found = frames(
        [
            {"name": "one", "attributes": {"frames": [image("a"), image("b")]}},
            {"name": "two", "attributes": {"frames": [image("c")]}},
            {"attributes": {"frames": [image("d")]}},
        ]
    )
    assert [frame.context_id for frame in found] == ["one", "one", "two", f"{URI}#3"]


def test_a_point_cloud_has_its_cameras_with_their_calibration() -> None:
    (frame,) = frames(CLOUD)
    left, cloud = frame.sources
    assert (left.source_id, cloud.source_id) == ("left", "pcd")
    assert left.meta == {key: CAMERA[key] for key in ("row", "col", "intrinsics")}
    assert cloud.meta == {"type": "kitti"}
    assert frame.timestamp == 1.0
    assert frame.extra["timestamp"] == "00001"
    assert frame.meta == {"name": "00001", "ego_pose": CLOUD["ego_pose"]}


def test_sensors_meet_in_frames() -> None:
    sample = {
        "sensors": [
            {"name": "Lidar", "task_type": "x", "attributes": {"frames": [CLOUD, CLOUD]}},
            {"name": "Camera 1", "task_type": "y", "attributes": {"frames": [image("a")]}},
        ]
    }
    first, second = frames(sample)
    assert [source.source_id for source in first.sources] == ["left", "Lidar", "Camera 1"]
    assert [source.source_id for source in second.sources] == ["left", "Lidar"]
    assert first.context_id == second.context_id


@pytest.mark.parametrize(
    ("sample", "path"),
    [
        ({"image": {}}, "image.url"),
        ({"image": 5}, "image"),
        ({"pcd": {"url": "javascript:x"}}, "pcd.url"),
        ({"attributes": {"image": {"url": 5}}}, "attributes.image.url"),
        ({"attributes": {"frames": 5}}, "attributes.frames"),
        ({"attributes": {"frames": [{}]}}, "attributes.frames[0]"),
        ({"pcd": {"url": "a"}, "images": [5]}, "images[0]"),
        ({"pcd": {"url": "a"}, "images": [{"url": "data:,"}]}, "images[0].url"),
        ({"sensors": []}, "sensors"),
        ({"sensors": [{"attributes": {}}]}, "sensors[0].name"),
        (
            {"sensors": [{"name": "a", "attributes": {"frames": [{"image": {}}]}}]},
            "sensors[0].attributes.frames[0].image.url",
        ),
    ],
    ids=range(11),
)
def test_names_the_place_in_the_sample(sample: dict[str, Any], path: str) -> None:
    problems = [item.problem for item in read([sample])]
    assert [problem.path for problem in problems if problem] == [path]


def test_one_bad_instant_costs_only_itself() -> None:
    items = read({"frames": [image("a"), {"image": {"url": ""}}, image("b")]})
    assert [item.frame is not None for item in items] == [True, False, True]


def test_reads_what_documents_show() -> None:
    """With `{ ... }` where a picture should be, and remarks behind the keys."""
    text = """{
        "pcd": {"url": "https://example.com/pointcloud.pcd", "type": "pcd"},
        "images": [{ ... }, { ... }], // optional
        "name": "frame_00001", // optional
        "bounds": { // optional
            "min_z": -1, "max_z": 3 }
    }"""
    (frame,) = frames(text)
    assert [source.source_id for source in frame.sources] == ["pcd"]
    assert frame.meta["bounds"] == {"min_z": -1, "max_z": 3}


@pytest.mark.shared_data
def test_reads_a_nuscenes_sample(shared_data: Path) -> None:
    path = shared_data / "nuscenes" / "sample.json"
    (frame,) = frames(path.read_text(), path.as_uri())
    assert len(frame.sources) == 7
    assert all((path.parent / source.uri.rpartition("/")[2]).exists() for source in frame.sources)
