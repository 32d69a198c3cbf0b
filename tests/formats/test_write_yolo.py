"""YOLO written, read by its rules: a class and shares of the picture's edges to a line."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from frames.formats.base import About
from tests.formats.writing import BOX, RING_SEPARATOR, TRIANGLE, frame, region, unzip, write

ABOUT = About(labels=["bus", "car"], folder="file:///data/")
PICTURE = (100, 200)


def written(
    *rois: dict[str, Any], task: str = "detect", about: About = ABOUT, **given: Any
) -> tuple[dict[str, str], dict[str, int]]:
    data, changes = write(f"yolo-{task}", [frame(rois=list(rois), **given)], about)
    return unzip(data), changes


def lines(text: str) -> list[tuple[int, list[float]]]:
    """Return (class, numbers in px) of each line, and check that all are shares."""
    found = []
    for line in text.splitlines():
        number, *shares = line.split(" ")
        assert all(0 <= float(share) <= 1 for share in shares)
        found.append((int(number), [float(s) * PICTURE[i % 2] for i, s in enumerate(shares)]))
    return found


def test_a_box_is_its_middle_and_its_size() -> None:
    files, changes = written(region(BOX, "b2d"))
    assert files["labels/a.txt"] == "1 0.30000000 0.25000000 0.40000000 0.30000000\n"
    assert changes == {}


def test_classes_are_numbered_as_in_data_yaml() -> None:
    files, _ = written(region(BOX, label=["bus"]), region(BOX, label=["new"]))
    described = yaml.safe_load(files["data.yaml"])
    assert [number for number, _ in lines(files["labels/a.txt"])] == [0, 2]
    assert described["names"] == {0: "bus", 1: "car", 2: "new"}
    assert (described["path"], described["train"]) == (".", "images")


@given(st.lists(st.text(min_size=1), unique=True))
def test_any_label_is_a_name_in_data_yaml(labels: list[str]) -> None:
    labels = [label for label in labels if label.isprintable() or "\n" in label]
    about = About(labels=sorted(labels), folder='s3://a"b\n/')
    files, _ = written(about=about)
    assert list(yaml.safe_load(files["data.yaml"])["names"].values()) == sorted(labels)


def test_segmentation_has_the_points_themselves() -> None:
    files, changes = written(region(TRIANGLE, "p2d"), task="segment")
    ((number, points),) = lines(files["labels/a.txt"])
    assert number == 1
    assert points == pytest.approx(TRIANGLE)
    assert changes == {}


def test_each_ring_of_a_segmentation_has_a_line() -> None:
    poly = [*TRIANGLE, RING_SEPARATOR, 60, 60, 90, 60, 90, 90]
    files, changes = written(region(poly), task="segment")
    assert [points for _, points in lines(files["labels/a.txt"])] == [
        pytest.approx(TRIANGLE),
        pytest.approx([60, 60, 90, 60, 90, 90]),
    ]
    assert changes == {"regions of several rings have a line for each": 1}


@pytest.mark.parametrize(
    ("roi", "change"),
    [
        (region(TRIANGLE), "polygons, ellipses and lines are the boxes they lie in"),
        (region([50, 100, 20, 10, 0], "elp"), "polygons, ellipses and lines are the boxes"),
        (region([1, 2, 30, 40]), "polygons, ellipses and lines are the boxes they lie in"),
        (region([1, 2, 30, 40], "k2d"), "key points are the boxes they lie in"),
        (region(BOX, confidence=0.5), "regions' confidence is left out"),
        (region(BOX, meta={"occluded": 1}), "regions' metadata is left out"),
        (region(BOX, meta={"rle": {"counts": ""}}), "run-length masks are the boxes"),
        (region(label=["day"]), "labels of a whole frame are left out"),
        (region(BOX, label=["a", "b"]), "regions of several labels have a line for each"),
        (region([90, 0, 120, 0, 120, 9, 90, 9], "b2d"), "regions that leave their picture are cut"),
        (region([300, 0, 320, 0, 320, 9, 300, 9], "b2d"), "regions without an area inside"),
        (region([5, 5], "k2d"), "regions without an area inside of their picture are left out"),
        ({"poly": BOX}, "regions without a label are left out"),
    ],
)
def test_what_it_cannot_hold_is_counted(roi: dict[str, Any], change: str) -> None:
    _, changes = written(roi)
    ((what, number),) = changes.items()
    assert what.startswith(change)
    assert number == 1


def test_an_ellipse_is_the_box_it_lies_in_however_it_is_turned() -> None:
    files, _ = written(region([50, 100, 20, 10, 1.5707963267948966], "elp"))
    ((_, numbers),) = lines(files["labels/a.txt"])
    assert numbers == pytest.approx([50, 100, 20, 40])


def test_a_picture_without_regions_has_an_empty_file() -> None:
    files, changes = written()
    assert files["labels/a.txt"] == ""
    assert changes == {}


def test_a_picture_of_unknown_size_with_regions_is_left_out_and_counted() -> None:
    files, changes = written(region(BOX), sources=[{"uri": "file:///data/a.png"}])
    assert list(files) == ["pictures.csv", "data.yaml"]
    assert changes == {"pictures of unknown size with regions are left out": 1}


def test_pictures_of_one_name_have_files_of_their_own() -> None:
    """Also where only the case or the extension tells them apart, and the ids look alike."""
    uris = ["a.png", "a.jpg", "sub/a.png", "A.png", "a.png"]
    ids = ["1", "x/y", "3", "x:y", "x/y?"]
    frames = [
        frame(id=name, rois=[region(BOX)], sources=[{"uri": uri, "width": 100, "height": 200}])
        for name, uri in zip(ids, uris, strict=True)
    ]
    data, changes = write("yolo-detect", frames, ABOUT)
    names = [name for name in unzip(data) if name.startswith("labels/")]
    assert names == [
        "labels/a.txt",
        "labels/a_x_y.txt",
        "labels/sub/a.txt",
        "labels/A_x_y_2.txt",
        "labels/a_x_y_.txt",
    ]
    assert changes == {"pictures of the same name have their frame's id in it": 3}


def test_the_list_tells_which_picture_a_file_is_of() -> None:
    files, _ = written(region(BOX), id="=f", timestamp=33)
    (row,) = csv.DictReader(io.StringIO(files["pictures.csv"]))
    assert row == {
        "label_file": "labels/a.txt",
        "picture": "images/a.png",
        "frame_id": "'=f",
        "context_id": "drive",
        "timestamp": "33",
        "source": "default",
        "uri": "file:///data/a.png",
        "width": "100",
        "height": "200",
    }


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("file:///data/../../etc/passwd.png", "labels/etc/passwd.txt"),
        ("https://host/%2e%2e/%2e%2e/a.png", "labels/host/a.txt"),
        ("https://host/a.png?size=1/2", "labels/host/a.txt"),
        ("s3://bucket/a%20b:c\\d.png", "labels/bucket/a%20b_c_d.txt"),
        ("https://host/", "labels/host.txt"),
        ("file:///data/" + "é" * 300 + ".png", "labels/" + "é" * 80 + ".txt"),
    ],
)
def test_a_name_never_leaves_its_folder(uri: str, name: str) -> None:
    files, _ = written(sources=[{"uri": uri, "width": 1, "height": 1}])
    assert next(iter(files)) == name


coordinates = st.floats(-50, 250)
boxes = st.tuples(coordinates, coordinates, coordinates, coordinates)


@given(boxes)
def test_a_box_is_its_part_inside_of_the_picture(box: tuple[float, float, float, float]) -> None:
    x0, x1 = sorted(box[:2])
    y0, y1 = sorted(box[2:])
    files, _ = written(region([x0, y0, x1, y0, x1, y1, x0, y1], "b2d"))
    found = lines(files["labels/a.txt"])
    inside = (max(x0, 0), max(y0, 0), min(x1, 100), min(y1, 200))
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        assert found == []
    else:
        ((_, (x, y, width, height)),) = found
        corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        assert corners == pytest.approx(inside, abs=1e-5)
