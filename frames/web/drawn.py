"""A picture with regions drawn on it, as pages show a frame's revision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from frames.previews.spec import PREVIEW_EDGE_PX
from frames.web.overlay import shapes_on
from frames.web.pictures import pictures_of, shown_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frames.search.rows import FrameRow
    from frames.web.overlay import Shape
    from frames.web.pictures import Picture


@dataclass(frozen=True, slots=True)
class Drawn:
    """A frame's picture and the shapes on it; width and height in px, 0 where unknown."""

    picture: Picture
    width: int
    height: int
    shapes: list[Shape]

    @property
    def size(self) -> tuple[int, int]:
        """The picture's own width and height, as `ratio_of` takes them."""
        return self.picture.width, self.picture.height


def drawn_rows(project_pk: int, rows: Sequence[FrameRow]) -> list[Drawn]:
    """Return the picture of each frame with its regions; one query."""
    shown = [shown_source(row.sources) for row in rows]
    pictures = pictures_of([(project_pk, source) for source in shown], PREVIEW_EDGE_PX)
    return [
        Drawn(
            picture=(picture := pictures[source.pk]),
            width=source.width or picture.original_width,
            height=source.height or picture.original_height,
            shapes=[
                shape
                for shape in shapes_on(row.frame.rois, source.source_id)
                if shape.path or shape.ellipse
            ],
        )
        for row, source in zip(rows, shown, strict=True)
    ]
