"""Pascal VOC written: an XML file for each picture, in the folders of the VOC development kit.

http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html. Coordinates are those of
the frames, counted from 0, as annotation tools write them.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from posixpath import split, splitext
from typing import IO, TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

from frames.formats.pictures import Names, Picture, Region, pictures_of
from frames.formats.singleframe import written_number
from frames.formats.zip_writer import ZipWriter

if TYPE_CHECKING:
    from frames.formats.base import About, FrameData

# What XML 1.0 cannot hold, however it is written.
_NOT_IN_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_FLAGS: Final = ("truncated", "difficult", "occluded")


class VocWriter:
    """Writes an object for each label of a region: its box, and truncated, difficult, occluded."""

    def __init__(self, file: IO[bytes], about: About) -> None:
        self.changes = Counter[str]()
        self._database = about.header.dataset.get("name", "")
        self._names = Names(about.folder, self.changes)
        self._zip = ZipWriter(file, about.scratch)
        self._list = tempfile.TemporaryFile(dir=about.scratch)  # noqa: SIM115  closed by finish

    def write(self, frame: FrameData) -> None:
        """Write the next frame."""
        if frame.meta or frame.extra:
            self.changes["frames' metadata is left out"] += 1
        for picture in pictures_of(frame, self.changes):
            self._write_picture(picture)

    def finish(self) -> None:
        """Write the list of all pictures."""
        self._zip.add_file("ImageSets/Main/trainval.txt", self._list)
        self._list.close()
        self._zip.finish()
        self._names.close()

    def _write_picture(self, picture: Picture) -> None:
        source = picture.source
        if picture.frame_labels:
            self.changes["labels of a whole frame are left out"] += len(picture.frame_labels)
        if not (source.width and source.height):
            self.changes["pictures of unknown size have the size 0"] += 1
        path = self._names.name(picture)
        name = splitext(path)[0]
        folder, filename = split(path)
        objects = "".join(self._objects(region) for region in picture.regions)
        text = (
            "<annotation>\n"
            f"  <folder>{_text(folder)}</folder>\n"
            f"  <filename>{_text(filename)}</filename>\n"
            f"  <path>{_text(source.uri)}</path>\n"
            f"  <source><database>{_text(self._database)}</database></source>\n"
            f"  <size><width>{source.width or 0}</width><height>{source.height or 0}</height>"
            "<depth>3</depth></size>\n"
            "  <segmented>0</segmented>\n"
            f"{objects}</annotation>\n"
        )
        self._zip.add(f"Annotations/{name}.xml", text.encode())
        self._list.write(name.encode() + b"\n")

    def _objects(self, region: Region) -> str:
        roi, shape = region.roi, region.shape
        meta: dict[str, Any] = roi.get("meta") or {}
        if shape.points is not None:
            self.changes["key points are the boxes they lie in"] += 1
        elif meta.get("rle"):
            self.changes["run-length masks are the boxes they lie in"] += 1
        elif not shape.is_box:
            self.changes["polygons, ellipses and lines are the boxes they lie in"] += 1
        if roi.get("confidence") is not None:
            self.changes["regions' confidence is left out"] += 1
        if any(key not in ("_type", "rle", *_FLAGS) for key in meta):
            self.changes["regions' metadata is left out"] += 1
        if len(roi["label"]) > 1:
            self.changes["regions of several labels have an object for each"] += 1
        flags = "".join(
            f"    <{flag}>{int(meta.get(flag) in (1, '1'))}</{flag}>\n" for flag in _FLAGS
        )
        corners = zip(("xmin", "ymin", "xmax", "ymax"), shape.box, strict=True)
        box = "".join(f"<{name}>{written_number(float(n))}</{name}>" for name, n in corners)
        return "".join(
            "  <object>\n"
            f"    <name>{_text(label)}</name>\n"
            "    <pose>Unspecified</pose>\n"
            f"{flags}"
            f"    <bndbox>{box}</bndbox>\n"
            "  </object>\n"
            for label in roi["label"]
        )


def _text(value: str) -> str:
    return escape(_NOT_IN_XML.sub("\ufffd", value))
