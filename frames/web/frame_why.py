"""Why a card is in a grid: the filter's rules on its frame, and their regions on its picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from django.http import Http404
from django.shortcuts import redirect

from frames.previews.spec import PREVIEW_EDGE_PX
from frames.search import pages
from frames.search.errors import QueryError
from frames.search.query import FrameQuery
from frames.web import access
from frames.web.addresses import frame_address
from frames.web.http import respond
from frames.web.overlay import shapes_on
from frames.web.pictures import pictures_of, shown_source
from frames.web.reasons import hits_of, reasons_of
from frames.web.version_detail import filter_of, refused_json

if TYPE_CHECKING:
    from django.http import HttpResponse

    from frames.models import Source
    from frames.search.rows import FrameRow
    from frames.web.http import SignedInRequest
    from frames.web.overlay import Shape
    from frames.web.reasons import Reason


@dataclass(frozen=True, slots=True)
class FrameWhyPage:
    """The clauses of a filter on a frame.

    `shapes` are the regions that they ask for on the source that the card shows, in pixels of
    `width` by `height`; none where the size is unknown or all sources are shown.
    """

    row: FrameRow
    why: list[Reason]
    shapes: list[Shape]
    width: int
    height: int

    def as_json(self) -> dict[str, Any]:
        """Return the clauses as the frame's own page does."""
        return {
            "id": self.row.frame.frame_id,
            "why": [asdict(reason.clause) for reason in self.why],
        }


def frame_why(
    request: SignedInRequest, dataset_uid: str, version_uid: str, *, as_json: bool = False
) -> HttpResponse:
    """Explain the frame named by `id` on its card; without htmx lead to where its page does."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    frame_id = request.GET.get("id", "")
    try:
        query = FrameQuery.from_params(request.GET.dict())
        detail = pages.frame_detail(version, frame_id, query)
    except QueryError as error:
        return refused_json(error)
    if detail is None:
        raise Http404
    if not as_json and not request.htmx:
        return redirect(f"{frame_address(version, frame_id, filter_of(query))}#why")
    why = reasons_of(detail.row, query)
    source = _source(detail.row, query.source)
    width, height = _size(version.dataset.project_id, source) if source else (0, 0)
    hits = hits_of(why)
    shapes = shapes_on(detail.row.frame.rois, source.source_id) if source and width else []
    page = FrameWhyPage(
        row=detail.row,
        why=why,
        shapes=[shape for shape in shapes if shape.is_drawn and shape.number in hits],
        width=width,
        height=height,
    )
    return respond(request, page, "frame/card_why.html", as_json=as_json)


def _source(row: FrameRow, wanted: str) -> Source | None:
    """Return the source that the card shows; none where it shows all."""
    if not wanted:
        return shown_source(row.sources)
    return next((source for source in row.sources if source.source_id == wanted), None)


def _size(project_pk: int, source: Source) -> tuple[int, int]:
    """Return what regions are measured in, of a source without a size what its preview saw."""
    if source.width and source.height:
        return source.width, source.height
    picture = pictures_of([(project_pk, source)], PREVIEW_EDGE_PX)[source.pk]
    return picture.original_width, picture.original_height
