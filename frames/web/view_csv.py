"""The frames of a data view as CSV, in its order: a list to cite, and to check a copy against."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from django.http import StreamingHttpResponse

from frames.models import Frame
from frames.models.frame import frame_pk
from frames.search import view_order
from frames.web.labels import distinct_labels
from frames.web.view_list import csv_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from frames.models import DataView
    from frames.search.view_definition import Definition
    from frames.search.view_order import Drawn
    from frames.search.views import ViewFrames

CHUNK: Final = 1_000
_HEAD: Final = (
    *("frame_id", "context_id", "timestamp", "labels", "filter", "dataset", "version", "digest"),
)


def frames_as_csv(
    view: DataView, definition: Definition, found: ViewFrames
) -> StreamingHttpResponse:
    """Stream a line a frame, labels mapped; memory does not grow with their number.

    A frame that is removed while the list is read has no line.
    Queries: those of the order, and 1 for each 1,000 frames.
    """
    response = StreamingHttpResponse(
        _lines(definition, found), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="data-view-{view.uid[:8]}.csv"'
    return response


def _lines(definition: Definition, found: ViewFrames) -> Iterator[str]:
    yield csv_line(_HEAD)
    drawn = view_order.frames(found, CHUNK)
    while chunk := list(islice(drawn, CHUNK)):
        yield "".join(_chunk_lines(definition, chunk))


def _chunk_lines(definition: Definition, drawn: Sequence[Drawn]) -> Iterator[str]:
    pks = [frame_pk(item.version.dataset_id, item.ordinal) for item in drawn]
    columns = ("frame_id", "context_id", "timestamp", "rois", "digest")
    rows = {
        pk: row for pk, *row in Frame.objects.filter(pk__in=set(pks)).values_list("pk", *columns)
    }
    for item, pk in zip(drawn, pks, strict=True):
        if pk not in rows:
            continue
        frame_id, context_id, timestamp, rois, digest = rows[pk]
        labels = distinct_labels(
            [{"label": definition.mapped(item.version, roi.get("label") or [])} for roi in rois]
        )
        yield csv_line(
            (
                frame_id,
                context_id,
                f"{timestamp:.15g}",
                " | ".join(labels),
                str(item.filter + 1),
                item.version.dataset.name,
                item.version.name,
                bytes(digest).hex(),
            )
        )
