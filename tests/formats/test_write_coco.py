"""COCO written is what COCO's own reader and ours read."""

from __future__ import annotations

import contextlib
import io
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO

from frames.formats.base import About, Header
from frames.formats.coco import CocoReader
from frames.formats.coco_writer import CocoWriter
from frames.formats.registry import is_coco
from frames.formats.singleframe import parse_frame
from tests.formats.writing import BOX, RING_SEPARATOR, TRIANGLE, frame, region, write

if TYPE_CHECKING:
    from pathlib import Path

    from frames.formats.base import FrameData

ABOUT = About(
    Header({"name": "Streets"}, {"name": "Current"}), ["bus", "car"], folder="file:///data/"
)


def coco(frames: list[FrameData], about: About = ABOUT) -> tuple[dict[str, Any], dict[str, int]]:
    data, changes = write("coco", frames, about)
    return json.loads(data), changes


def one(roi: dict[str, Any]) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the one annotation of a region."""
    value, changes = coco([frame(rois=[roi])])
    (annotation,) = value["annotations"]
    return annotation, changes


def reread(data: bytes, folder: str = "file:///data/") -> list[FrameData]:
    reader = CocoReader(lambda: contextlib.nullcontext(io.BytesIO(data)), "file:///b.json", folder)
    items = list(reader)
    assert [item.problem for item in items if item.problem] == []
    return [item.frame for item in items if item.frame]


def official(data: bytes, path: Path) -> COCO:
    path.write_bytes(data)
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


# pycocotools 2.0.11 is of numpy 1 there.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_cocos_own_reader_finds_pictures_categories_and_masks(tmp_path: Path) -> None:
    rois = [
        region(TRIANGLE, label=["bus"]),
        region([*TRIANGLE, RING_SEPARATOR, 60, 60, 90, 60, 90, 90, 60, 90]),
        region([50, 100, 20, 10, 0.5], "elp"),
    ]
    data, _ = write("coco", [frame(id="a", rois=rois), frame(id="b")], ABOUT)
    read = official(data, tmp_path / "coco.json")
    assert sorted(read.getImgIds()) == [1, 2]
    assert [c["name"] for c in read.loadCats(read.getCatIds())] == ["bus", "car"]
    (bus,) = read.loadAnns(read.getAnnIds(imgIds=1, catIds=read.getCatIds(catNms=["bus"])))
    assert bus["bbox"] == [0, 0, 30, 40]
    assert bus["area"] == 600
    masks = {a["id"]: read.annToMask(a) for a in read.loadAnns(read.getAnnIds(imgIds=1))}
    assert {mask.shape for mask in masks.values()} == {(200, 100)}
    assert masks[1].sum() == pytest.approx(600, abs=40)
    # Two rings are two parts of one region.
    assert masks[2].sum() == pytest.approx(600 + 900, abs=80)
    assert masks[3].sum() == pytest.approx(3.14159 * 20 * 10, abs=40)
    assert masks[3][100, 50]


def test_a_box_is_a_box_and_a_polygon_is_a_polygon() -> None:
    box, changes = one(region(BOX, "b2d"))
    assert (box["bbox"], box["segmentation"], box["area"]) == ([10, 20, 40, 60], [], 2400)
    assert changes == {}
    # Without a type it is a polygon, also where its corners are a box's.
    polygon, _ = one(region(BOX))
    assert (polygon["bbox"], polygon["segmentation"]) == ([10, 20, 40, 60], [BOX])


def test_rings_are_the_parts_of_a_segmentation() -> None:
    second = [60, 60, 90, 60, 90, 90]
    annotation, _ = one(region([*TRIANGLE, RING_SEPARATOR, *second]))
    assert annotation["segmentation"] == [TRIANGLE, second]
    assert annotation["area"] == 600 + 450


def test_a_segmentation_never_has_less_than_three_points() -> None:
    """Four numbers would be read as a box."""
    annotation, changes = one(region([1, 2, 30, 40]))
    assert (annotation["segmentation"], annotation["bbox"]) == ([], [1, 2, 29, 38])
    assert changes == {"lines are the boxes they lie in": 1}
    annotation, changes = one(region([*TRIANGLE, RING_SEPARATOR, 1, 2, 3, 4]))
    assert annotation["segmentation"] == [TRIANGLE]
    assert list(changes.values()) == [1]


def test_key_points_are_keypoints() -> None:
    annotation, changes = one(region([5, 6, 7, 8.5], "k2d"))
    assert annotation["keypoints"] == [5, 6, 2, 7, 8.5, 2]
    assert annotation["num_keypoints"] == 2
    assert annotation["bbox"] == [5, 6, 2, 2.5]
    assert list(changes.values()) == [1]


def test_an_ellipse_is_a_polygon_and_keeps_its_numbers() -> None:
    annotation, changes = one(region([50, 100, 30, 10, 0], "elp"))
    assert annotation["ellipse"] == [50, 100, 30, 10, 0]
    assert annotation["bbox"] == [20, 90, 60, 20]
    assert len(annotation["segmentation"][0]) == 128
    assert changes == {"ellipses are polygons of 64 points": 1}


def test_confidence_and_metadata_and_unknown_keys_are_kept() -> None:
    roi = region(BOX, "b2d", confidence=0.5, id="r7", track=9, meta={"occluded": True})
    annotation, changes = one(roi)
    assert annotation["score"] == 0.5
    assert annotation["occluded"] is True
    assert annotation["track"] == 9
    assert annotation["region_id"] == "r7"
    assert annotation["iscrowd"] == 0
    assert changes == {}


def test_what_is_called_as_cocos_own_keys_hides_none_of_them() -> None:
    roi = region(BOX, "b2d", image_id="x", meta={"bbox": "big", "id": 3, "iscrowd": "many"})
    value, _ = coco([frame(meta={"id": 9, "width": 1, "day": True}, file_name="y", rois=[roi])])
    image, annotation = value["images"][0], value["annotations"][0]
    assert (image["id"], image["width"], image["file_name"], image["day"]) == (
        1,
        100,
        "a.png",
        True,
    )
    assert image["meta"] == {"id": 9, "width": 1}
    assert image["extra"] == {"file_name": "y"}
    assert (annotation["id"], annotation["image_id"], annotation["iscrowd"]) == (1, 1, 0)
    assert annotation["bbox"] == [10, 20, 40, 60]
    assert annotation["meta"] == {"bbox": "big", "id": 3, "iscrowd": "many"}
    assert annotation["extra"] == {"image_id": "x"}


def test_a_key_of_the_frame_and_of_its_metadata_are_both_kept() -> None:
    value, _ = coco([frame(meta={"rig": 1}, rig=2)])
    assert value["images"][0]["rig"] == 1
    assert value["images"][0]["extra"] == {"rig": 2}


def test_a_region_of_several_labels_has_an_annotation_for_each() -> None:
    value, changes = coco([frame(rois=[region(BOX, "b2d", label=["car", "parked"])])])
    assert [a["category_id"] for a in value["annotations"]] == [2, 3]
    assert [a["labels"] for a in value["annotations"]] == [["car", "parked"]] * 2
    assert [a["id"] for a in value["annotations"]] == [1, 2]
    assert value["categories"][2] == {"id": 3, "name": "parked"}
    assert list(changes.values()) == [1]


def test_each_source_is_a_picture_with_the_regions_it_has() -> None:
    sources = [
        {"id": "front", "uri": "front.jpg", "width": 10, "height": 20, "meta": {"fov": 90}},
        {"id": "rear", "uri": "rear/a%20b.jpg", "width": 30, "height": 40},
        {"id": "lidar", "uri": "sweep.pcd"},
    ]
    rois = [
        region(TRIANGLE, sources=["rear"]),
        region(BOX),
        region(BOX, sources=["lidar"]),
        region(BOX, sources=["gone"]),
    ]
    value, changes = coco([frame(sources=sources, rois=rois)])
    front, rear = value["images"]
    assert (front["source_id"], front["file_name"], front["source_meta"]) == (
        "front",
        "front.jpg",
        {"fov": 90},
    )
    assert (rear["file_name"], rear["uri"]) == ("rear/a b.jpg", "file:///data/rear/a%20b.jpg")
    assert (rear["width"], rear["height"]) == (30, 40)
    assert [(a["image_id"], a["bbox"][2]) for a in value["annotations"]] == [
        (front["id"], 40),
        (rear["id"], 30),
        (rear["id"], 40),
    ]
    assert changes == {
        "sources that are no pictures are left out": 1,
        "regions of what is no picture of their frame are left out": 2,
    }


def test_what_has_no_place_on_a_picture_is_counted() -> None:
    rois = [
        region(label=["day"]),
        region(mask={"id": "seg", "value": [1]}),
        region([1, 2, 3, 4, 5, 6], "b3d"),
        {"poly": BOX},
        region([1, 2, 3], "elp"),
    ]
    value, changes = coco([frame(rois=rois)])
    assert value["annotations"] == []
    assert value["images"][0]["frame_labels"] == ["day"]
    assert changes == {
        "labels of a whole frame stand in frame_labels of its image": 1,
        "regions that are values of a mask are left out": 1,
        "regions in space are left out": 1,
        "regions without a label are left out": 1,
        "ellipses without their five numbers are left out": 1,
    }


def test_a_picture_of_unknown_size_says_so() -> None:
    value, changes = coco([frame(sources=[{"uri": "file:///data/a.png"}])])
    assert "width" not in value["images"][0]
    assert changes == {"pictures of unknown size have no width and height": 1}


def test_frames_of_a_video_have_names_of_their_own() -> None:
    frames = [
        frame(id=str(t), sources=[{"uri": "file:///data/v/a.mp4", "timestamp": t}])
        for t in (0, 33.5)
    ]
    value, _ = coco(frames)
    assert [i["file_name"] for i in value["images"]] == ["v/a_0.jpg", "v/a_33.5.jpg"]
    assert {i["uri"] for i in value["images"]} == {"file:///data/v/a.mp4"}


def test_ids_of_coco_are_kept_where_they_are_free() -> None:
    frames = [
        frame(id="a", meta={"coco_id": 7}, rois=[region(BOX, id="900100581904")]),
        frame(id="b", rois=[region(BOX, id="r1")]),
        frame(id="c", meta={"coco_id": 7}, rois=[region(BOX, id="900100581904")]),
        frame(id="d", meta={"coco_id": 1}, rois=[region(BOX, id="0")]),
    ]
    value, _ = coco(frames)
    assert [image["id"] for image in value["images"]] == [7, 1, 2, 3]
    assert [a["id"] for a in value["annotations"]] == [900100581904, 1, 2, 3]
    assert value["annotations"][2]["region_id"] == "900100581904"
    assert "coco_id" not in value["images"][0]
    assert value["images"][2]["meta"] == {"coco_id": 7}


def test_a_label_has_the_same_number_in_every_export_of_the_version() -> None:
    """Whatever is filtered: categories that no region has are there too."""
    cars, _ = coco([frame(rois=[region(BOX)])])
    none, _ = coco([frame()])
    assert cars["categories"] == none["categories"]
    assert cars["annotations"][0]["category_id"] == 2


def test_what_came_from_coco_goes_back_as_it_was() -> None:
    """Boxes, areas, crowds, run-length masks, scores, ids and other keys of both."""
    value: dict[str, Any] = {
        "images": [
            {"id": 9, "file_name": "sub/a.jpg", "width": 100, "height": 200, "license": 3},
            {"id": 4, "file_name": "b.jpg", "width": 100, "height": 200},
        ],
        "annotations": [
            {
                **{"id": 30, "image_id": 9, "category_id": 18, "iscrowd": 0, "area": 598.5},
                **{"segmentation": [TRIANGLE], "bbox": [0.2, 0, 29.6, 40], "score": 0.25},
            },
            {
                **{"id": 31, "image_id": 9, "category_id": 1, "iscrowd": 1, "area": 12},
                **{"segmentation": {"size": [200, 100], "counts": [5, 12]}, "bbox": [0, 5, 3, 4]},
            },
            {
                **{"id": 5, "image_id": 4, "category_id": 18, "iscrowd": 0, "area": 1200},
                **{"segmentation": [], "bbox": [1, 2, 30, 40], "colour": "red"},
            },
        ],
        "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
    }
    frames = reread(json.dumps(value).encode())
    for number, one_frame in enumerate(frames):
        one_frame.frame_id = str(number)
    written, changes = coco(frames, About(labels=["dog", "person"], folder="file:///data/"))
    names = {1: "person", 18: "dog"}
    written_names = {c["id"]: c["name"] for c in written["categories"]}
    for before, after in zip(value["annotations"], written["annotations"], strict=True):
        assert written_names[after.pop("category_id")] == names[before.pop("category_id")]
        assert after == before
    for before, after in zip(value["images"], written["images"], strict=True):
        assert {key: after[key] for key in before} == before
    assert changes == {}


def test_a_box_that_coco_gave_is_not_kept_once_the_region_has_moved() -> None:
    moved = region([5, 5, 35, 5, 5, 45], "p2d", meta={"bbox": [0, 0, 30, 40], "area": 10**9})
    annotation, _ = one(moved)
    assert (annotation["bbox"], annotation["area"]) == ([5, 5, 30, 40], 600)


points = st.integers(0, 200) | st.floats(0, 200)
rings = st.lists(st.tuples(points, points), min_size=3, max_size=6).map(
    lambda pairs: [number for pair in pairs for number in pair]
)
regions = st.lists(
    st.builds(
        lambda parts, label, confidence: region(
            [n for part in parts for n in (RING_SEPARATOR, *part)][1:],
            "p2d",
            label=[label],
            confidence=confidence,
        ),
        st.lists(rings, min_size=1, max_size=3),
        st.sampled_from(["car", "bus", "é|=1"]),
        st.floats(0, 1),
    ),
    max_size=4,
)


@given(st.lists(regions, min_size=1, max_size=3))
def test_polygons_come_back_exactly(frames_regions: list[list[dict[str, Any]]]) -> None:
    frames = [frame(id=str(n), rois=rois) for n, rois in enumerate(frames_regions)]
    data, _ = write("coco", frames, ABOUT)
    back = reread(data)
    assert is_coco(data)
    assert [f.meta["frame_id"] for f in back] == [f.frame_id for f in frames]
    for before, after in zip(frames, back, strict=True):
        keys = ("poly", "label", "confidence")
        assert [[roi[k] for k in keys] for roi in after.rois] == [
            [roi[k] for k in keys] for roi in before.rois
        ]


def test_memory_does_not_grow_with_the_frames() -> None:
    def peak(count: int) -> int:
        rois = [region(BOX) for _ in range(5)]
        frames = (frame(id=str(n), rois=rois) for n in range(count))
        with open("/dev/null", "wb") as file:
            tracemalloc.start()
            writer = CocoWriter(file, ABOUT)
            for each in frames:
                writer.write(each)
            writer.finish()
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        return most

    assert peak(3_000) < peak(300) + 300_000


@pytest.mark.shared_data
def test_camvid_is_read_by_cocos_own_reader(shared_data: Path, tmp_path: Path) -> None:
    """Every region with a polygon, no more and no less, as the manifest tells them."""
    manifest = json.loads((shared_data / "camvid" / "frames.json").read_text())
    frames = [
        parse_frame({"id": str(n), **value}, "file:///data/frames.json")
        for n, value in enumerate(manifest["frames"])
    ]
    data, changes = write("coco", frames, About(folder="file:///data/images/"))
    read = official(data, tmp_path / "coco.json")
    expected = sorted(
        (n, roi["label"][0], roi["poly"])
        for n, value in enumerate(manifest["frames"])
        for roi in value["rois"]
        if "poly" in roi
    )
    found = sorted(
        (
            int(read.loadImgs(a["image_id"])[0]["frame_id"]),
            read.loadCats(a["category_id"])[0]["name"],
            a["segmentation"][0],
        )
        for a in read.loadAnns(read.getAnnIds())
    )
    assert found == expected
    masks = sum("mask" in roi for value in manifest["frames"] for roi in value["rois"])
    assert changes == {"regions that are values of a mask are left out": masks}
