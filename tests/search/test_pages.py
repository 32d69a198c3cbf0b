"""Pages of frames and of groups equal a sort of the rows, by each way they can be found."""

from __future__ import annotations

import base64
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from frames.actions import versions
from frames.index.cache import cache
from frames.search import pages
from frames.search.errors import QueryError
from frames.search.query import FrameQuery, encode_after
from tests.factories import add_frames, make_frame, make_version
from tests.properties import tries

if TYPE_CHECKING:
    from frames.formats.base import FrameData
    from frames.models import Version
    from frames.search.pages import GroupRow
    from frames.search.rows import FrameRow

pytestmark = pytest.mark.django_db

LABELS = ["car", "person", "bus"]
specs = st.lists(
    st.tuples(
        st.sampled_from(["drive/1", "drive/2", "a", "ä", "Z"]),
        st.sampled_from([0.0, 33.0, 66.0, 1.5]),
        st.lists(st.sampled_from(LABELS), max_size=2),
    ),
    max_size=25,
)


def frames_of(spec: list[tuple[str, float, list[str]]], prefix: str = "") -> list[FrameData]:
    return [
        make_frame(f"{prefix}f{n * 7 % 26:02d}", context_id=c, timestamp=t, labels=labels)
        for n, (c, t, labels) in enumerate(spec)
    ]


def all_frames(version: Version, query: FrameQuery, limit: int) -> list[FrameRow]:
    found: list[FrameRow] = []
    while True:
        page = pages.frame_page(version, query, limit)
        assert len(page.items) <= limit
        found += page.items
        assert page.matched >= len(found)
        if page.next is None:
            assert page.matched == len(found)
            return found
        query = replace(query, after=page.next)


def all_groups(version: Version, query: FrameQuery, limit: int) -> list[GroupRow]:
    found: list[GroupRow] = []
    while True:
        page = pages.group_page(version, query, limit)
        assert len(page.items) <= limit
        found += page.items
        if page.next is None:
            return found
        query = replace(query, after=page.next)


@pytest.fixture(params=["by rows", "by walking", "late"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few matches are found through their rows, many by a walk, which gives up if they are late."""
    by_rows = request.param == "by rows"
    monkeypatch.setattr("frames.search.order.is_sparse", lambda index, matched: by_rows)
    monkeypatch.setattr("frames.search.order.DIRECT_MAX", 1000 if by_rows else 0)
    if request.param == "late":
        monkeypatch.setattr("frames.search.contexts.WALK_MAX", 1)
        monkeypatch.setattr("frames.search.order.READ_COST", 0)


def stored(version: Version, frames: list[FrameData], label: str) -> list[tuple[str, float, str]]:
    """Return (context, timestamp, id) of those with a label, in the order of writing."""
    return [
        (f.context_id, f.timestamp, f.frame_id)
        for f in frames
        if not label or any(label in roi["label"] for roi in f.rois)
    ]


examples = tries(30)


@pytest.mark.usefixtures("way")
@examples
@given(
    spec=specs,
    other=specs,
    label=st.sampled_from(["", *LABELS]),
    sort=st.sampled_from(["context_id", "timestamp", "id", "saved"]),
    descending=st.booleans(),
    limit=st.integers(1, 7),
)
def test_pages_of_frames_in_each_order_are_the_sorted_rows(
    spec: list[tuple[str, float, list[str]]],
    other: list[tuple[str, float, list[str]]],
    label: str,
    sort: str,
    descending: bool,
    limit: int,
) -> None:
    frames = frames_of(spec)
    # Older revisions of the same frames lie in the dataset too.
    version = add_frames(make_version(), [replace(f, meta={"old": True}) for f in frames])
    version = add_frames(version, frames)
    query = FrameQuery(label=label, group="none", sort=("-" if descending else "") + sort)
    keys = {
        "context_id": lambda row: row,
        "timestamp": lambda row: row[1:],
        "id": lambda row: row[2],
        "saved": lambda row: 0,
    }
    wanted = sorted(stored(version, frames, label), key=keys[sort])
    if descending:
        wanted.reverse()
    found = all_frames(version, query, limit)
    assert [(r.frame.context_id, r.frame.timestamp, r.frame.frame_id) for r in found] == wanted
    assert all([s.source_id for s in row.sources] == ["default"] for row in found)


@pytest.mark.usefixtures("way")
@examples
@given(
    spec=specs,
    label=st.sampled_from(["", *LABELS]),
    descending=st.booleans(),
    limit=st.integers(1, 4),
)
def test_groups_by_url_are_the_contexts_with_a_match(
    spec: list[tuple[str, float, list[str]]], label: str, descending: bool, limit: int
) -> None:
    frames = frames_of(spec)
    # Revisions at a context's edge that no version holds must not be taken for its first frame.
    outside = [make_frame(f.frame_id, context_id=f.context_id, timestamp=-1) for f in frames]
    version = add_frames(add_frames(make_version(), outside), frames)
    rows = sorted(stored(version, frames, ""))
    matched = set(stored(version, frames, label))
    wanted = []
    for context_id, group in groupby(rows, key=lambda row: row[0]):
        held = list(group)
        hits = [row for row in held if row in matched]
        if hits:
            wanted.append((context_id, len(held), len(hits), held[0][1], held[-1][1], hits[0][2]))
    if descending:
        wanted.reverse()
    query = FrameQuery(label=label, sort="-context_id" if descending else "")
    assert [
        (g.value, g.frames, g.matched, g.first_timestamp, g.last_timestamp, g.cover.frame.frame_id)
        for g in all_groups(version, query, limit)
    ] == wanted


@examples
@given(spec=specs, label=st.sampled_from(["", *LABELS]), limit=st.integers(1, 5))
def test_a_context_steps_through_its_frames_in_timestamp_order(
    spec: list[tuple[str, float, list[str]]], label: str, limit: int
) -> None:
    frames = frames_of(spec)
    version = add_frames(make_version(), frames)
    query = FrameQuery(label=label)
    for context_id in {f.context_id for f in frames}:
        everything = sorted(r for r in stored(version, frames, "") if r[0] == context_id)
        wanted = sorted(r for r in stored(version, frames, label) if r[0] == context_id)
        found: list[str] = []
        place = query
        while True:
            page = pages.context_page(version, context_id, place, limit)
            assert page is not None
            assert (page.total, page.matched) == (len(everything), len(wanted))
            assert page.first_timestamp == everything[0][1]
            assert page.last_timestamp == everything[-1][1]
            found += [row.frame.frame_id for row in page.items]
            if page.next is None:
                break
            place = replace(query, after=page.next)
        ids = [row[2] for row in wanted]
        assert found == ids
        for position, frame_id in enumerate(ids):
            detail = pages.frame_detail(version, frame_id, query)
            assert detail is not None
            assert (detail.position, detail.count) == (position, len(ids))
            assert detail.previous == (ids[position - 1] if position else None)
            assert detail.next == (ids[position + 1] if position + 1 < len(ids) else None)
            assert (detail.first, detail.last) == (ids[0], ids[-1])
        strip = pages.context_strip(version, context_id, FrameQuery(), max_marks=3)
        assert strip is not None
        marks = strip.marks
        assert [m.frame_id for m in marks] == [everything[m.position][2] for m in marks]
        assert marks[0].position == 0
        if len(everything) > 1:
            assert marks[-1].position == len(everything) - 1


def test_a_context_or_frame_of_another_version_is_not_there() -> None:
    ours = make_version(frames=[make_frame("one", context_id="ours")])
    theirs = make_version(frames=[make_frame("two", context_id="theirs")])
    query = FrameQuery()
    assert pages.context_page(ours, "theirs", query, 10) is None
    assert pages.frame_detail(ours, "two", query) is None
    assert pages.frame_detail(theirs, "two", query) is not None


@pytest.mark.parametrize("name", ["a\x00b", "\x00"])
def test_an_id_with_a_null_character_is_not_there(name: str) -> None:
    version = make_version(frames=[make_frame("one", context_id="a")])
    assert pages.context_page(version, name, FrameQuery(), 10) is None
    assert pages.context_strip(version, name, FrameQuery()) is None
    assert pages.frame_detail(version, name, FrameQuery()) is None


def test_frames_of_one_source_are_each_shown() -> None:
    """G5: frames that share a source appear each in Split Preview."""
    frames = [make_frame(f"f{n}", context_id="one.jpg") for n in range(3)]
    version = make_version(frames=frames)
    found = all_frames(version, FrameQuery(group="none"), 10)
    assert [row.frame.frame_id for row in found] == ["f0", "f1", "f2"]


def test_an_empty_version_has_empty_pages() -> None:
    version = make_version()
    assert pages.frame_page(version, FrameQuery(group="none"), 10).items == []
    assert pages.group_page(version, FrameQuery(), 10).items == []
    assert pages.label_counts(version) == []


def test_groups_by_a_metadata_key() -> None:
    version = make_version(
        frames=[
            make_frame(f"f{n}", labels=["car"] * (n % 2), meta={"weather": weather})
            for n, weather in enumerate(["rain", "dusk", "rain", "rain"])
        ]
    )
    query = FrameQuery(group="meta.weather", label="car")
    found = all_groups(version, query, 1)
    assert [(g.value, g.frames, g.matched) for g in found] == [("dusk", 1, 1), ("rain", 3, 1)]


@pytest.mark.parametrize("sort", ["context_id", "timestamp", "id", "saved"])
@pytest.mark.parametrize("token", ["x", "e30", "WzEsMiwzLDRd", "W10", "bnVsbA", "\udc80"])
def test_a_token_of_another_order_is_refused(sort: str, token: str) -> None:
    version = make_version(frames=[make_frame("one")])
    with pytest.raises(QueryError):
        pages.frame_page(version, FrameQuery(group="none", sort=sort, after=token), 10)


PLACES: dict[str, list[Any]] = {"context_id": ["c", 1, "f"], "timestamp": [1, "f"], "id": ["f"]}


@pytest.mark.parametrize("sort", PLACES)
@pytest.mark.parametrize("value", ["\ud800", "a\x00b", 10**30, float("nan"), float("-inf")])
def test_a_token_with_what_no_column_can_hold_is_refused(sort: str, value: object) -> None:
    version = make_version(frames=[make_frame("one")])
    for position, meant in enumerate(PLACES[sort]):
        if isinstance(value, str) != isinstance(meant, str):
            continue
        place = [*PLACES[sort]]
        place[position] = value
        query = FrameQuery(group="none", sort=sort, after=encode_after(*place))
        with pytest.raises(QueryError):
            pages.frame_page(version, query, 10)


def test_a_token_nested_without_end_is_refused() -> None:
    version = make_version(frames=[make_frame("one")])
    token = base64.urlsafe_b64encode(b"[" * 5_000).decode()
    with pytest.raises(QueryError):
        pages.frame_page(version, FrameQuery(after=token), 10)


def test_a_key_with_too_many_values_is_not_walked_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frames.index.writer.TEXTS_PER_KEY_MAX", 2)
    version = make_version(frames=[make_frame(f"f{n}", meta={"k": f"v{n}"}) for n in range(4)])
    with pytest.raises(QueryError, match="too many"):
        pages.group_page(version, FrameQuery(group="meta.k"), 10)


def test_of_many_labels_the_most_frequent_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LABELS_MAX", 2)
    labels = [["car", "a"], ["car", "b"], ["car", "bus"], ["bus"]]
    version = make_version(
        frames=[make_frame(f"f{n}", labels=names) for n, names in enumerate(labels)]
    )
    found = [(item.label, item.frames) for item in pages.label_counts(version)]
    assert found == [("car", 3), ("bus", 2)]


def test_labels_are_counted_by_frame_most_frequent_first() -> None:
    version = make_version(
        frames=[
            make_frame("a", labels=["car", "car"]),
            make_frame("b", labels=["car", "person"]),
            make_frame("c"),
        ]
    )
    assert [(c.label, c.frames) for c in pages.label_counts(version)] == [("car", 2), ("person", 1)]


def test_label_counts_follow_a_write() -> None:
    version = make_version(frames=[make_frame("a", labels=["car"])])
    pages.label_counts(version)
    version = add_frames(version, [make_frame("b", labels=["bus"])])
    assert {c.label for c in pages.label_counts(version)} == {"car", "bus"}


def contexts_of(count: int, width: int) -> list[FrameData]:
    return [
        make_frame(
            f"{n:05d}",
            context_id=f"c{n // width:04d}",
            timestamp=n % width,
            labels=["car"] if n % 3 else ["bus"],
        )
        for n in range(count)
    ]


@pytest.mark.parametrize(
    "query",
    [
        FrameQuery(),
        FrameQuery(label="car"),
        FrameQuery(group="none"),
        FrameQuery(group="none", label="car"),
        FrameQuery(group="none", sort="-timestamp"),
        FrameQuery(group="none", sort="id", label="bus"),
        FrameQuery(group="none", sort="-saved"),
    ],
    ids=str,
)
def test_a_page_makes_as_many_queries_for_a_few_frames_as_for_thousands(
    query: FrameQuery,
) -> None:
    counts = []
    for count, width in ((100, 5), (6_000, 20)):
        version = make_version(frames=contexts_of(count, width))
        cache.clear()
        find = pages.frame_page if query.group == "none" else pages.group_page
        with CaptureQueriesContext(connection) as found:
            find(version, query, 10)
        counts.append(len(found))
    assert counts[0] == counts[1]


def test_groups_whose_first_frames_do_not_match_make_no_more_queries() -> None:
    """The rows probed at a context's edge are not in the set; one query reads those that are."""
    counts = []
    for groups in (3, 12):
        frames = [
            make_frame(
                f"{g:02d}-{n}", context_id=f"c{g:02d}", timestamp=n, labels=["car"] * (n > 5)
            )
            for g in range(groups)
            for n in range(8)
        ]
        version = make_version(frames=frames)
        cache.clear()
        with CaptureQueriesContext(connection) as found:
            page = pages.group_page(version, FrameQuery(label="car"), 20)
        assert [g.cover.frame.timestamp for g in page.items] == [6] * groups
        assert [(g.first_timestamp, g.last_timestamp) for g in page.items] == [(0, 7)] * groups
        counts.append(len(found))
    assert counts[0] == counts[1]


def test_a_card_shows_no_frame_that_its_version_has_lost() -> None:
    version = make_version(frames=[make_frame(f"f{n}") for n in range(10)])
    assert version.sample == [0, 2, 5, 7]
    versions.delete_frames(version, [f"f{n}" for n in range(9)], actor=None)
    version.refresh_from_db()
    assert version.sample == [9]
