"""The look of a label: the same colour and dash on every page, in every dataset."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from frames.web.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

# static/css/labels.css has a rule for each. Eight hues are what people with any colour vision
# tell apart; the dash tells apart what falls on one hue.
HUES: Final = 8
DASHES: Final = 4


@dataclass(frozen=True, slots=True)
class Label:
    """A label with its look; `style` is the pair of CSS classes."""

    name: str

    @property
    def text(self) -> str:
        """Its name to read: one with a space at its end is another label."""
        return visible(self.name)

    @property
    def style(self) -> str:
        """CSS classes of the label's colour and dash."""
        number = zlib.crc32(self.name.encode())
        return f"hue-{number % HUES} dash-{number // HUES % DASHES}"


def distinct_labels(rois: Iterable[dict[str, Any]]) -> list[str]:
    """Return the labels of a frame, each once, in order of their first region."""
    return list(dict.fromkeys(name for roi in rois for name in roi.get("label", ())))
