"""Pascal VOC written, read by ElementTree."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frames.formats.base import About, Header
from tests.formats.writing import BOX, TRIANGLE, frame, region, unzip, write

ABOUT = About(Header({"name": "Streets & <more>"}), folder="file:///data/")


def annotation(
    *rois: dict[str, Any], **given: Any
) -> tuple[ElementTree.Element, dict[str, int], dict[str, str]]:
    data, changes = write("voc", [frame(rois=list(rois), **given)], ABOUT)
    files = unzip(data)
    return ElementTree.fromstring(next(iter(files.values()))), changes, files


def boxes(root: ElementTree.Element) -> list[tuple[str | None, list[float]]]:
    return [
        (
            thing.findtext("name"),
            [float(thing.findtext(f"bndbox/{k}") or "") for k in ("xmin", "ymin", "xmax", "ymax")],
        )
        for thing in root.findall("object")
    ]


def test_tells_the_picture_and_its_size() -> None:
    root, changes, files = annotation(
        sources=[{"uri": "file:///data/sub/a%20b.png", "width": 10, "height": 20}]
    )
    assert root.findtext("folder") == "sub"
    assert root.findtext("filename") == "a b.png"
    assert root.findtext("path") == "file:///data/sub/a%20b.png"
    assert root.findtext("source/database") == "Streets & <more>"
    assert [root.findtext(f"size/{k}") for k in ("width", "height", "depth")] == ["10", "20", "3"]
    assert list(files) == ["Annotations/sub/a b.xml", "ImageSets/Main/trainval.txt"]
    assert files["ImageSets/Main/trainval.txt"] == "sub/a b\n"
    assert changes == {}


def test_boxes_are_written_as_they_are() -> None:
    root, changes, _ = annotation(region(BOX, "b2d"), region([1.25, 2, 3, 2, 3, 4, 1.25, 4]))
    assert boxes(root) == [("car", [10, 20, 50, 80]), ("car", [1.25, 2, 3, 4])]
    assert root.findtext("object/bndbox/xmin") == "10"
    assert changes == {}


def test_flags_of_the_metadata_are_kept() -> None:
    meta = {"truncated": 1, "difficult": True, "occluded": False}
    root, changes, _ = annotation(region(BOX, "b2d", meta=meta))
    names = ("truncated", "difficult", "occluded")
    assert [root.findtext(f"object/{name}") for name in names] == ["1", "1", "0"]
    assert changes == {}


@pytest.mark.parametrize(
    ("roi", "change"),
    [
        (region(TRIANGLE), "polygons, ellipses and lines are the boxes they lie in"),
        (region([50, 100, 20, 10, 0], "elp"), "polygons, ellipses and lines are the boxes"),
        (region([1, 2, 30, 40], "k2d"), "key points are the boxes they lie in"),
        (region(BOX, confidence=0.5), "regions' confidence is left out"),
        (region(BOX, meta={"colour": 1}), "regions' metadata is left out"),
        (region(BOX, meta={"rle": {"counts": ""}}), "run-length masks are the boxes"),
        (region(label=["day"]), "labels of a whole frame are left out"),
        (region(BOX, label=["a", "b"]), "regions of several labels have an object for each"),
        (region(mask={"id": 1}), "regions that are values of a mask are left out"),
    ],
)
def test_what_it_cannot_hold_is_counted(roi: dict[str, Any], change: str) -> None:
    _, changes, _ = annotation(roi)
    ((what, number),) = changes.items()
    assert what.startswith(change)
    assert number == 1


def test_an_unknown_size_and_metadata_of_the_frame_are_counted() -> None:
    root, changes, _ = annotation(sources=[{"uri": "file:///data/a.png"}], meta={"a": 1})
    assert root.findtext("size/width") == "0"
    assert changes == {
        "frames' metadata is left out": 1,
        "pictures of unknown size have the size 0": 1,
    }


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_any_label_is_well_formed(label: str) -> None:
    """What XML cannot hold is replaced, and line ends are read as it says."""
    root, _, _ = annotation(region(BOX, label=[label[:255]]))
    expected = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\ufffd", label[:255])
    assert (root.findtext("object/name") or "") == re.sub("\r\n?", "\n", expected)
