"""Groups by any key and scope equal a pass over the frames; truth table of the scopes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from frames.index.cache import cache
from frames.search import groups, pages
from frames.search.errors import QueryError
from frames.search.query import FrameQuery, encode_after
from tests.factories import add_frames, make_frame, make_version
from tests.properties import tries
from tests.search.test_order_by_key import KEYS, frames_of, specs, values_in

if TYPE_CHECKING:
    from frames.formats.base import FrameData
    from frames.models import Version
    from frames.search.pages import GroupRow

pytestmark = pytest.mark.django_db

# The index's kinds to the ranks that values_in gives.
RANKS = {1: 0, 2: 1, 0: 2}
SCOPES = ["any", "every", "none"]
examples = tries(200, everywhere=True)


def all_groups(version: Version, query: FrameQuery, limit: int) -> list[GroupRow]:
    found: list[GroupRow] = []
    while True:
        page = pages.group_page(version, query, limit)
        found += page.items
        if page.next is None:
            return found
        assert len(page.items) == limit
        query = replace(query, after=page.next)


def is_shown(scope: str, held: int, hits: int) -> bool:
    return {"any": hits > 0, "every": hits == held, "none": hits == 0}[scope]


@examples
@given(
    spec=specs,
    key=st.sampled_from(KEYS),
    label=st.sampled_from(["", "car"]),
    scope=st.sampled_from(SCOPES),
    descending=st.booleans(),
    limit=st.integers(1, 5),
)
def test_b12_groups_by_any_key_are_the_frames_with_each_value(
    spec: list[Any], key: str, label: str, scope: str, descending: bool, limit: int
) -> None:
    frames = frames_of(spec)
    version = add_frames(make_version(), [replace(f, meta={"k": "old"}) for f in frames])
    version = add_frames(version, frames)
    held: dict[tuple[int, Any], set[str]] = {}
    for frame in frames:
        for rank, value in values_in(frame, key):
            # Texts of over 255 characters are known by their beginning and a digest.
            shown = value[:222] if isinstance(value, str) else value
            held.setdefault((rank, shown), set()).add(frame.frame_id)
    matched = {f.frame_id for f in frames if not label or any(label in r["label"] for r in f.rois)}
    wanted = [
        (*value, len(names), len(names & matched))
        for value, names in sorted(held.items(), reverse=descending)
        if is_shown(scope, len(names), len(names & matched))
    ]
    sort = "-context_id" if descending else ""
    query = FrameQuery(group=key, label=label, scope=scope, sort=sort)
    found = all_groups(version, query, limit)
    assert [
        (
            RANKS[group.kind],
            group.value[:222] if isinstance(group.value, str) else group.value,
            group.frames,
            group.matched,
        )
        for group in found
    ] == wanted
    for group in found:
        assert (group.cover.frame.frame_id in matched) == (group.matched > 0)


@pytest.fixture(params=["by rows", "by walking", "by counting"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few frames are found through their rows, others by a walk that gives up after a while."""
    by_rows = request.param == "by rows"
    monkeypatch.setattr("frames.search.order.is_sparse", lambda index, matched: by_rows)
    if request.param == "by counting":
        monkeypatch.setattr("frames.search.contexts.WALK_MAX", 1)


contexts = st.lists(
    st.tuples(st.sampled_from(["a", "ä", "Z", "drive/1", "drive/2", "s3://b/é"]), st.booleans()),
    max_size=20,
)


@pytest.mark.usefixtures("way")
@tries(70)
@given(
    spec=contexts, scope=st.sampled_from(SCOPES), descending=st.booleans(), limit=st.integers(1, 3)
)
def test_g2_contexts_of_which_any_every_or_no_frame_matches(
    spec: list[tuple[str, bool]], scope: str, descending: bool, limit: int
) -> None:
    frames = [
        make_frame(f"f{n:02d}", context_id=context, timestamp=n, labels=["car"] * is_hit)
        for n, (context, is_hit) in enumerate(spec)
    ]
    outside = [make_frame(f.frame_id, context_id=f.context_id, labels=["car"]) for f in frames]
    version = add_frames(add_frames(make_version(), outside), frames)
    wanted = []
    for context in sorted({context for context, _ in spec}, reverse=descending):
        hits = [is_hit for other, is_hit in spec if other == context]
        if is_shown(scope, len(hits), sum(hits)):
            wanted.append((context, len(hits), sum(hits)))
    sort = "-context_id" if descending else ""
    query = FrameQuery(label="car", scope=scope, sort=sort)
    found = all_groups(version, query, limit)
    assert [(g.value, g.frames, g.matched) for g in found] == wanted


@pytest.mark.parametrize(
    ("held", "hits", "any_", "every", "none"),
    [
        (0, 0, False, False, False),
        (1, 0, False, False, True),
        (1, 1, True, True, False),
        (3, 0, False, False, True),
        (3, 1, True, False, False),
        (3, 3, True, True, False),
    ],
)
def test_truth_table_of_the_scopes(
    held: int, hits: int, any_: bool, every: bool, none: bool
) -> None:
    assert [groups.is_wanted(scope, held, hits) for scope in SCOPES] == [any_, every, none]


def test_a_filter_that_matches_late_contexts_alone_walks_no_further_than_the_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second page, and every other question, reads the count of the first from memory."""
    monkeypatch.setattr("frames.search.contexts.WALK_MAX", 4)
    monkeypatch.setattr("frames.search.order.is_sparse", lambda index, matched: False)
    counts = []
    for count in (100, 1500):
        frames = [
            make_frame(f"{n:05d}", context_id=f"c{n:05d}", labels=["car"] * (n > count - 20))
            for n in range(count)
        ]
        version = make_version(frames=frames)
        query = FrameQuery(label="car")
        first = pages.group_page(version, query, 5)
        assert [g.value for g in first.items] == [f"c{count - 19 + n:05d}" for n in range(5)]
        assert first.next is not None
        with CaptureQueriesContext(connection) as found:
            second = pages.group_page(version, replace(query, after=first.next), 5)
        assert [g.value for g in second.items] == [f"c{count - 14 + n:05d}" for n in range(5)]
        counts.append(len(found))
    assert counts[0] == counts[1]


def test_groups_make_as_many_queries_for_a_few_frames_as_for_thousands() -> None:
    counts = []
    for count in (40, 1200):
        frames: list[FrameData] = [
            make_frame(f"{n:05d}", meta={"n": n % 7 + 0.3}, labels=["car"] * (n % 2))
            for n in range(count)
        ]
        version = make_version(frames=frames)
        cache.clear()
        with CaptureQueriesContext(connection) as found:
            page = pages.group_page(version, FrameQuery(group="meta.n", label="car"), 5)
        assert [g.value for g in page.items] == [0.3, 1.3, 2.3, 3.3, 4.3]
        counts.append(len(found))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("place", [("rain",), (0, 1.5), (1, "rain"), (4, "0001")])
def test_a_token_of_other_groups_is_refused(place: tuple[Any, ...]) -> None:
    version = make_version(frames=[make_frame("one", meta={"k": 1})])
    with pytest.raises(QueryError):
        pages.group_page(version, FrameQuery(group="meta.k", after=encode_after(*place)), 10)
