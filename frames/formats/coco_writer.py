"""COCO instances written: https://cocodataset.org/#format-data.

Annotations stand in one list behind the pictures, so they are kept aside on disk until the end.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from shutil import copyfileobj
from typing import IO, TYPE_CHECKING, Any, Final, TypeGuard

from frames.formats.jsontext import dump
from frames.formats.pictures import (
    NO_AREA,
    Categories,
    Picture,
    Region,
    Taken,
    path_of,
    pictures_of,
)
from frames.formats.shapes import ELLIPSE_POINTS, area_of
from frames.formats.singleframe import written_number

if TYPE_CHECKING:
    from frames.formats.base import About, FrameData

# Readers hold ids as 64-bit integers, and scripts as floats.
_MAX_ID: Final = 2**53
_IMAGE_KEYS: Final = frozenset(
    {"id", "file_name", "width", "height", "uri", "frame_id", "context_id", "timestamp"}
    | {"source_id", "frame_labels", "masks", "source_meta", "meta", "extra", "coco_id"}
)
_ANNOTATION_KEYS: Final = frozenset(
    {"id", "image_id", "category_id", "segmentation", "bbox", "area", "iscrowd", "score"}
    | {"keypoints", "num_keypoints", "ellipse", "labels", "region_id", "meta", "extra", "rle"}
)
_ROI_KEYS: Final = frozenset({"id", "label", "poly", "confidence", "sources", "mask", "meta"})


class _Ids:
    """Gives out ids: the wanted one where it is free, else the next free one."""

    def __init__(self) -> None:
        self._taken = Taken()
        self._last = 0

    def take(self, wanted: Any) -> int:
        if isinstance(wanted, str) and wanted.isascii() and wanted.isdecimal() and len(wanted) < 17:
            wanted = int(wanted)
        if type(wanted) is int and 0 < wanted < _MAX_ID and self._taken.take(wanted):
            return wanted
        while True:
            self._last += 1
            if self._taken.take(self._last):
                return self._last

    def close(self) -> None:
        self._taken.close()


class CocoWriter:
    """Writes an image for each picture of a frame, and an annotation for each label of a region.

    Boxes are `bbox`, polygons `segmentation`, key points `keypoints`; the ids of what came from
    COCO are kept where they are free. Metadata and unknown keys stand beside COCO's own.
    """

    def __init__(self, file: IO[bytes], about: About) -> None:
        self.changes = Counter[str]()
        self._file = file
        self._folder = about.folder
        self._categories = Categories(about.labels, first=1)
        self._images, self._ids = _Ids(), _Ids()
        self._annotations = tempfile.TemporaryFile(dir=about.scratch)  # noqa: SIM115
        dataset, version = about.header.dataset, about.header.version
        info = {
            "description": dataset.get("description") or dataset.get("name", ""),
            "version": version.get("name", ""),
            "url": about.folder,
        }
        file.write(b'{"info":%b,"licenses":[],"images":[' % dump(info))
        self._between_images = self._between_annotations = b"\n"

    def write(self, frame: FrameData) -> None:
        """Write the next frame."""
        for number, picture in enumerate(pictures_of(frame, self.changes)):
            image_id = self._images.take(None if number else frame.meta.get("coco_id"))
            image = self._image(image_id, picture)
            self._file.write(self._between_images + dump(image))
            self._between_images = b",\n"
            for region in picture.regions:
                self._write_region(image_id, region, is_first=not number)

    def finish(self) -> None:
        """Write the annotations and the categories."""
        self._file.write(b'\n],"annotations":[')
        self._annotations.seek(0)
        copyfileobj(self._annotations, self._file)
        self._annotations.close()
        categories = [{"id": number, "name": label} for number, label in self._categories]
        self._file.write(b'\n],"categories":%b}\n' % dump(categories))
        self._images.close()
        self._ids.close()

    def _image(self, image_id: int, picture: Picture) -> dict[str, Any]:
        frame, source = picture.frame, picture.source
        meta = {k: v for k, v in frame.meta.items() if k != "coco_id" or v != image_id}
        image: dict[str, Any] = {
            **_beside(_IMAGE_KEYS, meta, frame.extra),
            "id": image_id,
            "file_name": path_of(source, self._folder),
            "uri": source.uri,
            "frame_id": frame.frame_id,
            "context_id": frame.context_id,
            "timestamp": written_number(frame.timestamp),
            "source_id": source.source_id,
        }
        if source.width and source.height:
            image |= {"width": source.width, "height": source.height}
        else:
            self.changes["pictures of unknown size have no width and height"] += 1
        if picture.frame_labels:
            self.changes["labels of a whole frame stand in frame_labels of its image"] += len(
                picture.frame_labels
            )
            image["frame_labels"] = picture.frame_labels
        if source.masks:
            image["masks"] = source.masks
        if source.meta:
            image["source_meta"] = source.meta
        return image

    def _write_region(self, image_id: int, region: Region, *, is_first: bool) -> None:
        labels = region.roi["label"]
        annotation = self._annotation(region)
        if len(labels) > 1:
            self.changes["regions of several labels have an annotation for each"] += 1
            annotation["labels"] = labels
        for number, label in enumerate(labels):
            given = region.roi.get("id") if is_first and not number else None
            annotation["id"] = self._ids.take(given)
            if "id" in region.roi and region.roi["id"] != str(annotation["id"]):
                annotation["region_id"] = region.roi["id"]
            annotation["image_id"] = image_id
            annotation["category_id"] = self._categories.number(label)
            self._annotations.write(self._between_annotations + dump(annotation))
            self._between_annotations = b",\n"

    def _annotation(self, region: Region) -> dict[str, Any]:
        """Return an annotation without its ids."""
        roi, shape = region.roi, region.shape
        meta = dict(roi.get("meta") or {})
        kind = meta.pop("_type", None)
        x0, y0, x1, y1 = shape.box
        annotation: dict[str, Any] = {
            "segmentation": [],
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "area": (x1 - x0) * (y1 - y0),
            "iscrowd": 0,
        }
        if roi.get("confidence") is not None:
            annotation["score"] = roi["confidence"]
        if meta.get("iscrowd") in (0, 1):
            annotation["iscrowd"] = int(meta.pop("iscrowd"))
        if isinstance(meta.get("rle"), dict):
            annotation["segmentation"] = meta.pop("rle")
        elif shape.points is not None:
            pairs = zip(shape.points[::2], shape.points[1::2], strict=True)
            annotation["keypoints"] = [number for x, y in pairs for number in (x, y, 2)]
            annotation["num_keypoints"] = len(shape.points) // 2
            self.changes["key points are keypoints, which no category names"] += 1
        elif not (shape.is_box and kind == "b2d"):
            annotation["segmentation"] = shape.rings
            annotation["area"] = sum(map(area_of, shape.rings))
            if shape.ellipse:
                annotation["ellipse"] = shape.ellipse
                self.changes[f"ellipses are polygons of {ELLIPSE_POINTS} points"] += 1
            elif not shape.rings:
                self.changes["lines are the boxes they lie in"] += 1
            elif shape.is_partial:
                self.changes[NO_AREA] += 1
        _take_given(annotation, meta)
        unknown = {key: value for key, value in roi.items() if key not in _ROI_KEYS}
        return {**_beside(_ANNOTATION_KEYS, meta, unknown), **annotation}


def _take_given(annotation: dict[str, Any], meta: dict[str, Any]) -> None:
    """Let an annotation have the box and the area that COCO gave, if they are still of it."""
    given = meta.get("bbox")
    if isinstance(given, list) and len(given) == 4 and all(map(_is_number, given)):
        edges = zip(_edges(given), _edges(annotation["bbox"]), strict=True)
        # Other programs round the box to whole pixels.
        if all(abs(one - other) <= 1 for one, other in edges):
            annotation["bbox"] = meta.pop("bbox")
    area = meta.get("area")
    _, _, width, height = annotation["bbox"]
    if _is_number(area) and 0 <= area <= (width + 1) * (height + 1):
        annotation["area"] = meta.pop("area")


def _edges(bbox: list[float]) -> tuple[float, float, float, float]:
    x, y, width, height = bbox
    return x, y, x + width, y + height


def _is_number(value: Any) -> TypeGuard[float]:
    return type(value) in (int, float)


def _beside(
    reserved: frozenset[str], meta: dict[str, Any], unknown: dict[str, Any]
) -> dict[str, Any]:
    """Return metadata and unknown keys as keys beside COCO's own.

    What would take the place of one of those stands in `meta` and in `extra`.
    """
    beside = {key: value for key, value in meta.items() if key not in reserved}
    for name, values in (("meta", meta), ("extra", unknown)):
        hidden = {}
        for key, value in values.items():
            if key in reserved or (values is unknown and key in meta):
                hidden[key] = value
            else:
                beside[key] = value
        if hidden:
            beside[name] = hidden
    return beside
