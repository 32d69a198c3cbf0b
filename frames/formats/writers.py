"""Which formats can be written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING, Final

from frames.formats.coco_writer import CocoWriter
from frames.formats.csv_writer import FramesCsvWriter, RegionsCsvWriter
from frames.formats.parquet_writer import ParquetWriter
from frames.formats.singleframe_writer import LinesWriter, ManifestWriter
from frames.formats.voc_writer import VocWriter
from frames.formats.yolo_writer import YoloWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from frames.formats.base import About, FrameWriter


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """A format that can be written, as a person chooses it; docs/formats.md tells the rest.

    `shows_pictures` tells that it is about the pictures, not the frames: it needs their sizes.
    """

    name: str
    title: str
    holds: str
    suffix: str
    content_type: str
    writer: Callable[[IO[bytes], About], FrameWriter]
    shows_pictures: bool = False


OUTPUT_FORMATS: Final = (
    OutputFormat(
        "singleframe",
        "SingleFrame JSON",
        "Everything. One object; an import reads it back equal.",
        ".json",
        "application/json",
        ManifestWriter,
    ),
    OutputFormat(
        "jsonl",
        "SingleFrame JSON lines",
        "Every frame whole, one to a line; not the version's own metadata.",
        ".jsonl",
        "application/x-ndjson",
        LinesWriter,
    ),
    OutputFormat(
        "coco",
        "COCO instances",
        "Boxes, polygons and key points; metadata beside them. Ellipses become polygons.",
        ".coco.json",
        "application/json",
        CocoWriter,
        shows_pictures=True,
    ),
    OutputFormat(
        "yolo-detect",
        "YOLO detection",
        "Boxes as shares of the picture. No metadata, no confidence.",
        ".yolo.zip",
        "application/zip",
        YoloWriter,
        shows_pictures=True,
    ),
    OutputFormat(
        "yolo-segment",
        "YOLO segmentation",
        "Polygons as shares of the picture. No metadata, no confidence.",
        ".yolo.zip",
        "application/zip",
        partial(YoloWriter, segments=True),
        shows_pictures=True,
    ),
    OutputFormat(
        "voc",
        "Pascal VOC",
        "Boxes, an XML file for each picture. No metadata, no confidence.",
        ".voc.zip",
        "application/zip",
        VocWriter,
        shows_pictures=True,
    ),
    OutputFormat(
        "csv-regions",
        "CSV, a row for each region",
        "Labels, confidence, corners, polygon and metadata.",
        ".regions.csv",
        "text/csv; charset=utf-8",
        RegionsCsvWriter,
    ),
    OutputFormat(
        "csv-frames",
        "CSV, a row for each frame",
        "Sources, labels, the number of regions and metadata.",
        ".frames.csv",
        "text/csv; charset=utf-8",
        FramesCsvWriter,
    ),
    OutputFormat(
        "parquet",
        "Parquet",
        "Everything; open objects as JSON in text columns.",
        ".parquet",
        "application/vnd.apache.parquet",
        ParquetWriter,
    ),
)
BY_NAME: Final = {output.name: output for output in OUTPUT_FORMATS}
