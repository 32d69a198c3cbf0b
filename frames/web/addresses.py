"""Addresses of what a page lists by the hundred, built without reversing a route for each.

A test holds each equal to what the routes say.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from django.urls import get_script_prefix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from frames.models import Version

# Browsers fold /./ and /../, proxies //, and some servers drop control characters; an id with
# one of these travels in the query instead.
_UNSAFE_IN_PATH: Final = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|[\x00-\x1f\x7f]")


def version_address(version: Version, query: Mapping[str, str] | None = None) -> str:
    """Return a version's page with a query."""
    path = f"{get_script_prefix()}datasets/{version.dataset.uid}/versions/{version.uid}/"
    return _with_query(path, query or {})


def context_address(version: Version, context_id: str, query: Mapping[str, str]) -> str:
    """Return the page of one context, with the filter it was found by."""
    return _with_query(f"{version_address(version)}context/", {"id": context_id, **query})


def frame_address(version: Version, frame_id: str, query: Mapping[str, str]) -> str:
    """Return the page of one frame, with the filter it was found by."""
    base = f"{version_address(version)}frames/"
    if _UNSAFE_IN_PATH.search(frame_id):
        return _with_query(base, {"id": frame_id, **query})
    return _with_query(f"{base}{quote(frame_id)}/", query)


def why_address(version: Version, query: Mapping[str, str]) -> str:
    """Return where cards ask why a filter finds a frame, up to the frame's id."""
    return f"{version_address(version)}why/?{urlencode(query)}&id="


def compare_address(before: Version, after: Version, query: Mapping[str, str] | None = None) -> str:
    """Return the page that compares two versions of a dataset."""
    path = f"{get_script_prefix()}datasets/{after.dataset.uid}/compare/{before.uid}/{after.uid}/"
    return _with_query(path, query or {})


def history_address(version: Version, frame_id: str, query: Mapping[str, str]) -> str:
    """Return the page of a frame's revisions."""
    return _with_query(f"{version_address(version)}history/", {"id": frame_id, **query})


def restore_address(draft: Version, source: Version, frame_id: str = "") -> str:
    """Return the page that restores a frame, or all frames, of another version into a draft."""
    query = {"from": source.uid, **({"id": frame_id} if frame_id else {})}
    return _with_query(f"{version_address(draft)}restore/", query)


def original_address(source_pk: int) -> str:
    """Return where the bytes of a source are served."""
    return f"{get_script_prefix()}sources/{source_pk}/original"


def given_preview_address(source_pk: int) -> str:
    """Return where the bytes of the preview that came with a source are served."""
    return f"{get_script_prefix()}sources/{source_pk}/preview"


def _with_query(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
