"""The previews of a page's tiles: one query for all of them, never one a tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.urls import reverse

from frames.actions.previews import ask, is_unbegun
from frames.models import Preview, PreviewReason
from frames.previews.spec import spec_for
from frames.previews.storage import preview_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from frames.models import Source

# The grid's boxes have one shape a page, the one nearest to most of its pictures, so nothing
# moves when they arrive; static/css/tile.css has a rule for each.
_RATIOS: Final = {"tall": 3 / 4, "square": 1.0, "standard": 4 / 3, "photo": 3 / 2, "wide": 16 / 9}


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known of one preview; `color` is the dominant one as #rrggbb, empty if unknown."""

    key: str
    state: str = Preview.State.PENDING
    url: str = ""
    width: int = 0
    height: int = 0
    color: str = ""
    reason: str = ""
    problem: str = ""
    detail: str = ""
    original_width: int = 0
    original_height: int = 0
    original_displayable: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether there is a picture to show."""
        return self.state == Preview.State.READY

    @property
    def is_pending(self) -> bool:
        """Whether it has yet to be made."""
        return self.state == Preview.State.PENDING

    @property
    def is_failed(self) -> bool:
        """Whether it could not be made; `problem` says what to do."""
        return self.state == Preview.State.FAILED

    @property
    def retry_url(self) -> str:
        """Where an editor asks to try again."""
        return reverse("frames:preview_retry", args=[self.key])

    def as_json(self) -> dict[str, Any]:
        """Return what fills a tile."""
        return {
            "key": self.key,
            "state": self.state,
            "url": self.url or None,
            "width": self.width or None,
            "height": self.height or None,
            "color": self.color,
            "reason": self.reason,
            "problem": self.problem,
            "detail": self.detail,
        }


def picture_of(preview: Preview) -> Picture:
    """Return what a preview's row says."""
    ready = preview.state == Preview.State.READY
    failed = preview.state == Preview.State.FAILED
    return Picture(
        key=preview.key,
        state=preview.state,
        url=preview_url(preview) if ready else "",
        width=preview.width or 0,
        height=preview.height or 0,
        color=preview.color,
        reason=preview.reason,
        problem=str(PreviewReason(preview.reason).label) if failed else "",
        detail=preview.detail,
        original_width=preview.original_width or 0,
        original_height=preview.original_height or 0,
        original_displayable=preview.original_displayable,
    )


def pictures_of(sources: Iterable[tuple[int, Source]], edge_px: int) -> dict[int, Picture]:
    """Return the preview of each source by the source's primary key; one query.

    A preview that has no row yet is pending. Its import plans it in a moment; should that be
    lost, or wait behind a hundred thousand others, who looks at it asks for it.

    Args:
        sources: each with the primary key of its project.
        edge_px: long side of the previews.
    """
    keys = {source.pk: spec_for(source, edge_px).key(project_pk) for project_pk, source in sources}
    rows = Preview.objects.in_bulk(set(keys.values()))
    if wanted := [pk for pk, key in keys.items() if key not in rows or is_unbegun(rows[key])]:
        ask(wanted, edge_px)
    return {pk: picture_of(rows[key]) if key in rows else Picture(key) for pk, key in keys.items()}


def shown_source(sources: Sequence[Source]) -> Source:
    """Return the source a tile shows: the first by its id."""
    return min(sources, key=lambda source: source.source_id)


def ratio_of(sizes: Iterable[tuple[int, int]]) -> str:
    """Return the name of the box that suits most of these (width, height); 0 is unknown."""
    ratios = sorted(width / height for width, height in sizes if width and height)
    if not ratios:
        return "standard"
    median = ratios[len(ratios) // 2]
    return min(_RATIOS, key=lambda name: abs(_RATIOS[name] - median))
