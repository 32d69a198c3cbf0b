"""Reading COCO instances files."""

from __future__ import annotations

import contextlib
import io
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from frames.formats.base import FormatError
from frames.formats.coco import CocoReader

if TYPE_CHECKING:
    from pathlib import Path

    from frames.formats.base import FrameData, Item

URI = "file:///data/annotations/instances.json"

CATEGORIES = [{"id": 1, "name": "person"}, {"id": 18, "name": "dog", "supercategory": "animal"}]
IMAGES = [
    {"id": 7, "file_name": "b.jpg", "width": 640, "height": 480, "license": 3},
    {"id": 3, "file_name": "sub/a.jpg", "width": 64, "height": 48},
]


def annotation(number: int, image: int = 7, **changes: Any) -> dict[str, Any]:
    return {"id": number, "image_id": image, "category_id": 18, "bbox": [1, 2, 30, 40], **changes}


def read(annotations: list[dict[str, Any]], *, images: str | None = None) -> list[Item]:
    value = {"images": IMAGES, "annotations": annotations, "categories": CATEGORIES}
    return list(reader(json.dumps(value), images=images))


def reader(text: str, images: str | None = None) -> CocoReader:
    return CocoReader(lambda: contextlib.nullcontext(io.BytesIO(text.encode())), URI, images)


def first(items: list[Item]) -> FrameData:
    assert items[0].frame is not None
    return items[0].frame


def test_each_picture_is_a_frame_in_file_order() -> None:
    items = read([annotation(1), annotation(2, image=3), annotation(3)])
    frames = [item.frame for item in items if item.frame]
    assert [frame.sources[0].uri for frame in frames] == [
        "file:///data/annotations/b.jpg",
        "file:///data/annotations/sub/a.jpg",
    ]
    assert [[roi["id"] for roi in frame.rois] for frame in frames] == [["1", "3"], ["2"]]
    assert (frames[0].sources[0].width, frames[0].sources[0].height) == (640, 480)
    assert frames[0].meta == {"path": "b.jpg", "coco_id": 7, "license": 3}


def test_keys_may_stand_in_any_order() -> None:
    text = json.dumps(
        {"annotations": [annotation(1)], "info": {}, "categories": CATEGORIES, "images": IMAGES}
    )
    (roi,) = first(list(reader(text))).rois
    assert roi["label"] == ["dog"]


@pytest.mark.parametrize("folder", ["file:///pictures", "file:///pictures/"])
def test_pictures_may_lie_elsewhere(folder: str) -> None:
    assert first(read([], images=folder)).sources[0].uri == "file:///pictures/b.jpg"


def test_a_box_becomes_four_corners() -> None:
    (roi,) = first(read([annotation(1, iscrowd=0, area=1200.5)])).rois
    assert roi["poly"] == [1, 2, 31, 2, 31, 42, 1, 42]
    assert roi["meta"] == {"_type": "b2d", "iscrowd": 0, "area": 1200.5}


def test_polygons_become_rings() -> None:
    rings = [[0, 0, 4, 0, 4, 4], [8, 8, 9, 8, 9, 9]]
    (roi,) = first(read([annotation(1, segmentation=rings)])).rois
    assert roi["poly"] == [*rings[0], -999999999, *rings[1]]
    assert roi["meta"] == {"_type": "p2d", "bbox": [1, 2, 30, 40]}


@pytest.mark.parametrize("counts", [[5, 20, 3], "PQ0Ui"])
def test_a_run_length_mask_is_kept_beside_its_box(counts: Any) -> None:
    rle = {"size": [480, 640], "counts": counts}
    (roi,) = first(read([annotation(1, segmentation=rle, iscrowd=1)])).rois
    assert roi["meta"]["rle"] == rle
    assert roi["poly"] == [1, 2, 31, 2, 31, 42, 1, 42]


def test_a_score_is_the_confidence() -> None:
    (roi,) = first(read([annotation(1, score=0.25)])).rois
    assert roi["confidence"] == 0.25


@pytest.mark.parametrize(
    ("bad", "path"),
    [
        ({"bbox": [1, 2, 3]}, "annotations[1].bbox"),
        ({"bbox": [1, 2, 3, "4"]}, "annotations[1].bbox[3]"),
        ({"category_id": 99}, "annotations[1].category_id"),
        ({"segmentation": [[1, 2, 3]]}, "annotations[1].poly[2]"),
        ({"segmentation": [5]}, "annotations[1].poly[0]"),
        ({"score": 7}, "annotations[1].confidence"),
    ],
    ids=range(6),
)
def test_a_bad_annotation_costs_its_picture_alone(bad: dict[str, Any], path: str) -> None:
    items = read([annotation(1, image=3), annotation(2, **bad)])
    assert items[0].problem is not None
    assert items[0].problem.path == path
    assert items[1].frame is not None


def test_an_annotation_of_no_picture_is_a_problem() -> None:
    items = read([annotation(1), annotation(2, image=99)])
    assert [item.problem.path for item in items if item.problem] == ["annotations[1].image_id"]
    assert sum(item.frame is not None for item in items) == 2
    assert [item.index for item in items] == [0, 1, 2]


@pytest.mark.parametrize("bad", [{"id": 9}, {"id": None, "file_name": "a.jpg"}, 5])
def test_a_bad_picture_is_a_problem(bad: Any) -> None:
    value = {"images": [*IMAGES, bad], "annotations": [], "categories": []}
    items = list(reader(json.dumps(value)))
    (problem,) = [item.problem for item in items if item.problem]
    assert problem.path.startswith("images[2]")
    assert sum(item.frame is not None for item in items) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "JSON object"),
        ('{"images": [], "annotations": []}', 'no "categories"'),
        ('{"images": {}, "annotations": [], "categories": []}', '"images" must be a list'),
        ('{"images": [{"id": 1}', 'ends inside "images", behind item 1'),
        ('{"images": [], "images": []}', "stands twice"),
    ],
)
def test_says_why_a_file_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        list(reader(text))


def test_memory_does_not_grow_with_the_annotations(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        images = [{"id": n, "file_name": f"{n}.jpg"} for n in range(count)]
        annotations = [annotation(n, image=n % count) for n in range(count * 5)]
        path = tmp_path / f"{count}.json"
        path.write_text(
            json.dumps({"annotations": annotations, "images": images, "categories": CATEGORIES})
        )
        del images, annotations
        tracemalloc.start()
        try:
            found = CocoReader(lambda: path.open("rb"), path.as_uri())
            assert sum(item.frame is not None for item in found) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # Both are larger than what is read at once.
    assert peak(8_000) < 1.2 * peak(2_000)
