"""Rows of previews, the way on of a page, and text that no page may take for its own."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from frames.models import Preview, Source
from frames.previews.spec import PREVIEW_EDGE_PX, spec_for

HOSTILE = "\"><script>alert('x')</script>&{{ 7|add:1 }}"


def make_preview(source: Source, **fields: Any) -> Preview:
    """Return the row of a source's tile, ready unless said otherwise."""
    project = source.frame.dataset.project
    spec = spec_for(source, fields.pop("edge_px", PREVIEW_EDGE_PX))
    defaults = {
        "state": Preview.State.READY,
        "width": 320,
        "height": 240,
        "original_width": 640,
        "original_height": 480,
        "original_displayable": True,
        "color": "#334455",
    }
    return Preview.objects.create(
        key=spec.key(project.pk),
        project=project,
        uri=spec.uri,
        content_type=spec.content_type,
        timestamp_ms=spec.timestamp_ms,
        edge_px=spec.edge_px,
        **{**defaults, **fields},
    )


def fail(preview: Preview, reason: str) -> None:
    """Turn a preview's row into one that could not be made."""
    preview.state = Preview.State.FAILED
    preview.reason = reason
    preview.save(update_fields=["state", "reason"])


def next_link(body: str) -> str:
    """Return where a page's way on leads; empty at the end."""
    match = re.search(r'<a class="button" href="([^"]+)" rel="next"', body)
    return unescape(match[1]) if match else ""
