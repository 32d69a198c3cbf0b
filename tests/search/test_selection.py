"""All frames that a page is about equal what its groups and samples show, page by page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frames.models import Frame
from frames.search import selection
from frames.search.errors import QueryError
from frames.search.query import FrameQuery
from frames.search.selection import selected_frames, selection_of
from tests.factories import add_frames, make_frame, make_version
from tests.properties import tries
from tests.search.test_groups import SCOPES, is_shown
from tests.search.test_order_by_key import KEYS, frames_of, specs, values_in
from tests.search.test_samples import MATCHES, all_samples

pytestmark = pytest.mark.django_db

examples = tries(70)


def ids(version: Any, query: FrameQuery) -> set[str]:
    found = Frame.objects.at(version.dataset, selected_frames(version, query))
    return set(found.values_list("frame_id", flat=True))


@examples
@given(
    spec=specs,
    key=st.sampled_from(["url", *KEYS]),
    label=st.sampled_from(["", "car"]),
    scope=st.sampled_from(SCOPES),
)
def test_b12_the_frames_of_the_groups_shown_are_selected(
    spec: list[Any], key: str, label: str, scope: str
) -> None:
    """Every or no: all frames of each such group. Any: those that match, in a group or not."""
    frames = [replace(f, context_id=f"c{n // 3}") for n, f in enumerate(frames_of(spec))]
    version = add_frames(make_version(), [replace(f, meta={"k": "old"}) for f in frames])
    version = add_frames(version, frames)
    held: dict[Any, set[str]] = {}
    for frame in frames:
        for value in [frame.context_id] if key == "url" else values_in(frame, key):
            held.setdefault(value, set()).add(frame.frame_id)
    matched = {f.frame_id for f in frames if not label or any(label in r["label"] for r in f.rois)}
    wanted = matched
    if scope != "any":
        shown = [g for g in held.values() if is_shown(scope, len(g), len(g & matched))]
        wanted = set().union(*shown)
    assert ids(version, FrameQuery(group=key, label=label, scope=scope)) == wanted


@examples
@given(
    spec=specs,
    key=st.sampled_from(KEYS),
    label=st.sampled_from(["", "car"]),
    match=st.sampled_from(list(MATCHES)),
    size=st.integers(1, 3),
)
def test_g6_the_frames_of_all_samples_are_selected(
    spec: list[Any], key: str, label: str, match: str, size: int
) -> None:
    match = match if key.startswith("rois.") else ""
    version = make_version(frames=frames_of(spec))
    query = FrameQuery(group=key, label=label, sample=str(size), match=match)
    shown = {item.frame.frame_id for row in all_samples(version, query) for item in row.items}
    assert ids(version, query) == shown


def test_how_frames_are_shown_selects_none() -> None:
    """A sort, a size, a grouping without a scope and the scope of what is not grouped are look."""
    look = FrameQuery(q="label:car", group="meta.k", sort="-context_id", size="l", after="x")
    assert selection_of(look) == FrameQuery(q="label:car")
    assert selection_of(FrameQuery(group="none", scope="every")) == FrameQuery()
    scoped = FrameQuery(group="meta.k", scope="none", columns="meta.a", label="car")
    assert selection_of(scoped) == FrameQuery(label="car", group="meta.k", scope="none")
    sampled = FrameQuery(group="rois.label", scope="none", sample="3", match="label:car")
    assert selection_of(sampled) == FrameQuery(group="rois.label", sample="3", match="label:car")


@pytest.mark.parametrize("asked", [{"sample": "1"}, {"scope": "every"}, {"scope": "none"}])
def test_a_key_of_too_many_values_is_refused(
    asked: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers may be as many as frames."""
    monkeypatch.setattr(selection, "VALUES_MAX", 5)
    version = make_version(frames=[make_frame(f"f{n}", meta={"k": n}) for n in range(7)])
    with pytest.raises(QueryError, match=r"meta\.k has over 5 values"):
        selected_frames(version, FrameQuery(group="meta.k", **asked))
