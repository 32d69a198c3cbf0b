"""What a data view holds, in what order it gives its frames, and the hash it is cited by."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from frames.actions import versions
from frames.models import Frame, Project, Source, Version
from frames.search import view_order, views
from frames.search.errors import QueryError
from frames.search.query import encode_after
from frames.search.view_definition import Definition, DefinitionError
from frames.search.view_order import Turns, apportion, permuted
from tests.factories import add_frames, make_frame, make_version
from tests.properties import tries

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from frames.search.views import ViewFrames

pytestmark = pytest.mark.django_db

WEIGHTS = st.integers(1, 9)


def definition(*version_list: Version, **parts: Any) -> Definition:
    """Return a definition over some versions; without filters it takes all."""
    named = [{"dataset": v.dataset.uid, "version": v.uid} for v in version_list]
    return Definition.from_json({"versions": named, "filters": [{}], **parts})


def evaluate(*version_list: Version, **parts: Any) -> ViewFrames:
    return views.evaluate(definition(*version_list, **parts), Version.objects.all())


def names(drawn: Iterable[view_order.Drawn]) -> list[tuple[str, str]]:
    """Return (version name, frame id) of each frame."""
    found = []
    for item in drawn:
        frame = Frame.objects.at(item.version.dataset, [item.ordinal]).get()
        found.append((item.version.name, frame.frame_id))
    return found


def drives(count: int, *, label: str = "car", prefix: str = "f") -> list[Any]:
    """Return frames of two contexts whose ids do not follow their time."""
    return [
        make_frame(
            f"{prefix}{(7 * n) % count:03}",
            context_id=f"drive/{n % 2}",
            timestamp=(5 * n) % count,
            labels=[label] if n % 3 else [],
            meta={"n": n},
        )
        for n in range(count)
    ]


@pytest.fixture
def version(project: Project) -> Version:
    return make_version(project, drives(40))


# --- what a view holds ----------------------------------------------------------------------


def test_filters_are_joined_by_or_and_a_frame_counts_once(version: Version) -> None:
    found = evaluate(version, filters=[{"q": "meta.n:[0 TO 9]"}, {"q": "meta.n:[5 TO 14]"}])
    assert [item.matched for item in found.filters] == [10, 10]
    assert found.count == 15


def test_a_frame_counts_once_for_each_version_that_holds_it(version: Version) -> None:
    versions.publish(version, actor=None, reason="unchecked", name="v1")
    child = versions.create_version(
        dataset=version.dataset, name="v2", parents=[version], actor=None
    )
    assert evaluate(version, child).count == 80


def test_all_versions_of_a_dataset_are_those_there_are(version: Version) -> None:
    whole = {"versions": [{"dataset": version.dataset.uid, "version": "*"}], "filters": [{}]}
    asked = Definition.from_json(whole)
    assert views.evaluate(asked, Version.objects.all()).count == 40
    versions.publish(version, actor=None, reason="unchecked", name="v1")
    versions.create_version(dataset=version.dataset, name="v2", parents=[version], actor=None)
    assert views.evaluate(asked, Version.objects.all()).count == 80


def test_a_filter_can_name_one_version_of_the_input(project: Project, version: Version) -> None:
    other = make_version(project, drives(6, prefix="g"))
    found = evaluate(
        version,
        other,
        filters=[
            {"dataset": other.dataset.uid, "version": other.uid, "q": ""},
            {"dataset": version.dataset.uid, "version": "*", "q": "meta.n:0"},
        ],
    )
    assert [item.matched for item in found.filters] == [6, 1]


def test_what_may_not_be_seen_is_missing_and_holds_nothing(
    project: Project, version: Version
) -> None:
    hidden = make_version(frames=drives(5, prefix="h"))
    asked = definition(
        version,
        hidden,
        filters=[{}, {"dataset": hidden.dataset.uid, "version": hidden.uid, "q": "meta.n:1"}],
    )
    found = views.evaluate(asked, Version.objects.filter(dataset__project=project))
    assert found.count == 40
    assert [scope.dataset for scope in found.missing] == [hidden.dataset.uid]
    assert [item.is_visible for item in found.filters] == [True, False]
    assert not found.is_complete


def test_a_filter_that_cannot_be_answered_says_so_and_is_not_iterated(version: Version) -> None:
    found = evaluate(version, filters=[{"q": "rois.label:c*"}, {"q": "no_such_field:1"}])
    assert found.filters[1].error is not None
    with pytest.raises(QueryError):
        list(view_order.frames(found))


def test_a_filter_matches_of_each_version_what_that_version_holds(two: list[Version]) -> None:
    for text in ("NOT label:car", "meta.n:[0 TO 12] AND NOT id:f003", "rois:(label:car)"):
        together = evaluate(*two, filters=[{"q": text}]).filters[0].parts
        apart = [evaluate(version, filters=[{"q": text}]).filters[0].parts[0] for version in two]
        assert [part.frames for part in together] == [part.frames for part in apart]


def test_a_view_that_takes_too_long_says_so(
    version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "BUDGET_S", -1.0)
    error = evaluate(version, filters=[{"q": "label:car"}]).error
    assert error is not None
    assert "takes too long" in error.message


def test_a_view_of_a_deleted_version_is_there_and_empty(version: Version) -> None:
    asked = definition(version)
    versions.delete_version(version, actor=None)
    found = views.evaluate(asked, Version.objects.all())
    assert (found.count, len(found.missing), found.is_complete) == (0, 1, False)


# --- drift and hash -------------------------------------------------------------------------


def test_only_published_versions_by_name_pin_a_view(version: Version) -> None:
    assert not evaluate(version).is_pinned
    versions.publish(version, actor=None, reason="unchecked", name="v1")
    version.refresh_from_db()
    assert evaluate(version).is_pinned
    whole = {"versions": [{"dataset": version.dataset.uid, "version": "*"}], "filters": [{}]}
    live = views.evaluate(Definition.from_json(whole), Version.objects.all())
    assert not live.is_pinned
    assert live.live == [f"all versions of {version.dataset.name}"]


def test_fingerprint_changes_with_the_frames_though_their_number_stays(version: Version) -> None:
    before = evaluate(version)
    version = add_frames(version, [make_frame("f000", meta={"changed": True})])
    after = evaluate(version)
    assert before.count == after.count
    assert before.fingerprint != after.fingerprint


def hashed(frames: Sequence[Any], filler: int = 0, batches: int = 1) -> str:
    """Return the hash of a view of a published version with the frames, made in some way."""
    for number in range(filler):
        make_version(frames=[make_frame(f"filler {number}")])
    version = make_version(frames=[make_frame("gone"), *drives(filler + 1, prefix="gone")])
    gone = list(Frame.objects.filter(dataset=version.dataset).values_list("frame_id", flat=True))
    versions.delete_frames(version, gone, actor=None)
    for part in range(batches):
        version = add_frames(version, frames[part::batches])
    versions.publish(version, actor=None, reason="unchecked", name=f"final {filler}")
    version.refresh_from_db()
    found = evaluate(
        version,
        filters=[{"q": "label:car", "weight": 2}, {"q": ""}],
        mapping={
            "rules": [
                {
                    "source": {
                        "dataset": version.dataset.uid,
                        "version": version.uid,
                        "labels": ["car"],
                    },
                    "target": "vehicle",
                }
            ]
        },
        labels_enumeration={"vehicle": 1},
        iteration={"order": "random", "limit": 10, "random_seed": 7},
    )
    return views.content_hash(found)


# Written down, so that every database and every machine that runs this gives the same.
HASH = "e2442f11b047bb3500d521ce1c2513de10d586618c9f2f4140d04e6d62812cbe"


def test_content_hash_knows_no_key_no_name_and_no_order_of_writing() -> None:
    frames = drives(30)
    first = hashed(frames)
    assert first == hashed(frames[::-1], filler=3, batches=4)
    assert first == HASH


def test_content_hash_is_what_its_document_says(version: Version) -> None:
    """docs/views.md, followed with nothing but the rows and hashlib."""
    rows = Frame.objects.filter(dataset=version.dataset).values_list("frame_id", "digest", "meta")
    frames = sorted(
        (frame_id.encode(), bytes(digest), meta["n"]) for frame_id, digest, meta in rows
    )

    def digest(chosen: list[tuple[bytes, bytes, int]]) -> str:
        lines = [len(name).to_bytes(4, "big") + name + content for name, content, _ in chosen]
        return hashlib.blake2b(b"".join(lines), digest_size=32).hexdigest()

    few, several = [f for f in frames if f[2] < 5], [f for f in frames if f[2] >= 30]
    taken = sorted({*few, *several})
    body = {
        "filters": [
            {"frames": [digest(few)], "q": "meta.n:[0 TO 4]", "weight": 3.0},
            {"frames": [digest(several)], "q": "meta.n:[30 TO *]", "weight": 1.0},
        ],
        "format": "framedeck data view 1",
        "iteration": {
            "infinite": False,
            "limit": None,
            "order": "sequential",
            "random_seed": 1337,
            "clip_length": 1,
        },
        "labels_enumeration": {"vehicle": 1},
        "mapping": [{"frames": [digest(taken)], "labels": ["bus", "car"], "target": "vehicle"}],
    }
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    found = evaluate(
        version,
        filters=[{"q": "meta.n:[0 TO 4]", "weight": 3}, {"q": "meta.n:[30 TO *]"}],
        mapping={"rules": [{"source": {"labels": ["car", "bus"]}, "target": "vehicle"}]},
        labels_enumeration={"vehicle": 1},
    )
    expected = hashlib.blake2b(text.encode(), digest_size=32).hexdigest()
    assert views.content_hash(found) == expected


@pytest.mark.parametrize(
    "changed",
    [
        {"labels_enumeration": {"car": 2}},
        {"filters": [{"q": "label:car"}]},
        {"filters": [{"weight": 2}]},
        {"iteration": {"random_seed": 2}},
        {"mapping": {"rules": [{"source": {"labels": ["car"]}, "target": "vehicle"}]}},
    ],
)
def test_content_hash_changes_with_what_the_view_does(
    version: Version, changed: dict[str, Any]
) -> None:
    assert views.content_hash(evaluate(version)) != views.content_hash(evaluate(version, **changed))


def test_content_hash_changes_with_one_frame(version: Version) -> None:
    before = views.content_hash(evaluate(version))
    version = add_frames(version, [make_frame("f000", meta={"changed": True})])
    assert views.content_hash(evaluate(version)) != before


def test_content_hash_is_the_same_read_along_the_index_and_row_by_row(
    version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = evaluate(version, filters=[{"q": "label:car"}, {"q": ""}])
    few = views.content_hash(found)
    monkeypatch.setattr(views, "READ_AT_ONCE_MAX", 0)
    monkeypatch.setattr(views, "_CHUNK", 7)
    assert views.content_hash(found) == few


# --- iteration ------------------------------------------------------------------------------


@given(size=st.integers(1, 3_000), seed=st.integers(0, 2**31))
def test_permutation_meets_every_place_once_and_any_of_them_alone(size: int, seed: int) -> None:
    places = np.arange(size, dtype=np.uint64)
    whole = permuted(places, size, str(seed))
    assert sorted(whole.tolist()) == list(range(size))
    assert int(permuted(places[size // 2 : size // 2 + 1], size, str(seed))[0]) == whole[size // 2]


def test_permutation_is_even() -> None:
    """Of 2,000 seeds each of 6 places is first about as often: 333 times, give or take 5 sigma."""
    first = Counter(
        int(permuted(np.array([0], dtype=np.uint64), 6, str(seed))[0]) for seed in range(2_000)
    )
    assert all(abs(first[place] - 333) < 85 for place in range(6))


@given(weights=st.lists(WEIGHTS, min_size=1, max_size=6), turns=st.integers(1, 200))
def test_turns_keep_every_share_within_one(weights: list[int], turns: int) -> None:
    schedule = Turns(weights, [0] * len(weights))
    taken = [0] * len(weights)
    for turn in range(1, turns + 1):
        taken[next(schedule)] += 1
        shares = [weight * turn / sum(weights) for weight in weights]
        assert all(abs(had - share) < 1 for had, share in zip(taken, shares, strict=True))


@given(
    filters=st.lists(st.tuples(WEIGHTS, st.integers(0, 50)), min_size=1, max_size=6),
    limit=st.integers(0, 200),
)
def test_a_limit_is_shared_by_weight_within_one_frame(
    filters: list[tuple[int, int]], limit: int
) -> None:
    weights, sizes = [weight for weight, _ in filters], [size for _, size in filters]
    found = apportion(limit, weights, sizes)
    assert sum(found) == min(limit, sum(sizes))
    assert all(had <= size for had, size in zip(found, sizes, strict=True))
    free = [n for n, size in enumerate(sizes) if found[n] < size]
    total = sum(weights[n] for n in free)
    left = sum(found[n] for n in free)
    for n in free:
        assert abs(found[n] - left * weights[n] / total) < 1


parts = st.fixed_dictionaries(
    {
        "order": st.sampled_from(["sequential", "random"]),
        "limit": st.one_of(st.none(), st.integers(1, 60)),
        "random_seed": st.integers(0, 1_000),
        "clip_length": st.sampled_from([1, 1, 3, 7]),
    }
).map(lambda found: found if found["order"] == "random" else found | {"clip_length": 1})
bounds = st.tuples(st.integers(0, 39), st.integers(0, 39))


@pytest.fixture
def two(project: Project) -> list[Version]:
    """A published version and a child of it that differs in a few frames."""
    version = make_version(project, drives(40))
    versions.publish(version, actor=None, reason="unchecked", name="v1")
    child = versions.create_version(
        dataset=version.dataset, name="v2", parents=[version], actor=None
    )
    child = add_frames(child, [make_frame(f"f00{n}", timestamp=n, meta={"n": n}) for n in range(4)])
    versions.delete_frames(child, ["f010", "f011"], actor=None)
    return [Version.objects.get(name="v1"), Version.objects.get(name="v2")]


def test_iterations_that_end_give_every_frame_of_their_share_once(two: list[Version]) -> None:
    @tries(60)
    @given(
        iteration=parts,
        filters=st.lists(st.tuples(WEIGHTS, bounds), min_size=1, max_size=3),
        chunk=st.integers(1, 50),
    )
    def check(
        iteration: dict[str, Any], filters: list[tuple[int, tuple[int, int]]], chunk: int
    ) -> None:
        asked = [
            {"weight": weight, "q": f"meta.n:[{min(edges)} TO {max(edges)}]"}
            for weight, edges in filters
        ]
        found = evaluate(*two, filters=asked, iteration=iteration)
        given_frames = paged(found, chunk)
        assert list(view_order.frames(found, chunk)) == given_frames
        pairs = [(drawn.version.pk, drawn.ordinal) for drawn in given_frames]
        assert len(set(pairs)) == len(pairs) == found.length
        own = [
            {(part.version.pk, ordinal) for part in item.own for ordinal in part.frames}
            for item in found.filters
        ]
        assert all(
            pair in own[drawn.filter] for pair, drawn in zip(pairs, given_frames, strict=True)
        )
        counts = Counter(drawn.filter for drawn in given_frames)
        wanted = apportion(
            len(pairs), [weight for weight, _ in filters], [len(frames) for frames in own]
        )
        assert [counts[n] for n in range(len(filters))] == wanted
        if iteration["clip_length"] > 1:
            _check_clips(given_frames, own, iteration["clip_length"])
        if iteration["order"] == "sequential":
            keys = [_key(drawn) for drawn in given_frames]
            assert keys == sorted(keys)

    check()


def paged(found: ViewFrames, size: int) -> list[view_order.Drawn]:
    """Return a view's frames page by page, each found by the token of the one before."""
    drawn: list[view_order.Drawn] = []
    after: str | None = ""
    while after is not None:
        items, after = view_order.page(found, after, size)
        assert len(items) <= size
        drawn += items
    return drawn


def _check_clips(
    drawn: list[view_order.Drawn], own: list[set[tuple[int, int]]], length: int
) -> None:
    """A frame that is not the first of its clip stands behind the one before it in its clip."""
    orders: dict[tuple[int, int, str], list[tuple[float, str, int]]] = {}
    for number, pairs in enumerate(own):
        for pk, ordinal in pairs:
            frame = Frame.objects.get(pk=drawn[0].version.dataset_id << 32 | ordinal)
            orders.setdefault((number, pk, frame.context_id), []).append(
                (frame.timestamp, frame.frame_id, ordinal)
            )
    places = {
        (number, pk, ordinal): (place, ordered[place - 1][2])
        for (number, pk, _), frames in orders.items()
        for ordered in [sorted(frames)]
        for place, (_, _, ordinal) in enumerate(ordered)
    }
    for at, item in enumerate(drawn):
        place, before = places[item.filter, item.version.pk, item.ordinal]
        if place % length:
            assert (drawn[at - 1].filter, drawn[at - 1].version) == (item.filter, item.version)
            assert drawn[at - 1].ordinal == before


def _key(drawn: view_order.Drawn) -> tuple[str, float, str, int]:
    frame = Frame.objects.at(drawn.version.dataset, [drawn.ordinal]).get()
    return frame.context_id, frame.timestamp, frame.frame_id, drawn.place


def test_a_filter_of_few_frames_is_not_looked_for_among_those_of_another(
    project: Project,
) -> None:
    """A limit in clips: once the large filter has given its share, its frames are not met again."""
    found = evaluate(
        make_version(project, drives(1_500)),
        filters=[{"q": "NOT meta.n:[3 TO 4]"}, {"q": "meta.n:[3 TO 4]"}],
        iteration={"order": "random", "clip_length": 2, "limit": 20},
    )
    with CaptureQueriesContext(connection) as captured:
        drawn, after = view_order.page(found, "", 24)
    assert (Counter(item.filter for item in drawn), after) == ({0: 18, 1: 2}, None)
    assert len(captured) <= 6


def test_clips_end_though_frames_are_removed_meanwhile(project: Project) -> None:
    version = make_version(project, drives(12))
    found = evaluate(version, iteration={"order": "random", "clip_length": 3})
    Source.objects.filter(frame__dataset=version.dataset).delete()
    Frame.objects.filter(dataset=version.dataset, frame_id__gte="f006").delete()
    given_frames = paged(found, 5)
    assert 0 < len(given_frames) <= 12
    assert list(view_order.frames(found)) == given_frames


def test_a_foreign_token_of_clips_is_harmless(project: Project) -> None:
    found = evaluate(
        make_version(project, drives(12)), iteration={"order": "random", "clip_length": 3}
    )
    for token in [(9, 9, 9, 9), (0, 5, 0, 0), (-1, -1, -1, -1), (0, 0, 99, 0), (0, 0, 0, 99)]:
        assert len(view_order.page(found, encode_after(*token), 5)[0]) <= 5


def test_sequence_goes_by_context_then_time_over_all_versions(two: list[Version]) -> None:
    found = list(view_order.frames(evaluate(*two), 7))
    assert [_key(drawn) for drawn in found] == sorted(
        _key(view_order.Drawn(0, place, version, ordinal))
        for place, version in enumerate(two)
        for part in evaluate(version).filters[0].parts
        for ordinal in part.frames
    )


@pytest.mark.parametrize("order", ["sequential", "random"])
def test_without_end_each_filter_gives_its_share_by_weight(two: list[Version], order: str) -> None:
    found = evaluate(
        *two,
        filters=[{"q": "meta.n:[0 TO 4]", "weight": 5}, {"q": "", "weight": 1}],
        iteration={"order": order, "infinite": True},
    )
    assert found.length is None
    drawn = list(itertools.islice(view_order.frames(found, 13), 300))
    for count in range(1, 301):
        assert abs(sum(item.filter == 0 for item in drawn[:count]) - count * 5 / 6) <= 1
    mine = [(item.place, item.ordinal) for item in drawn if item.filter == 0]
    size = found.filters[0].matched
    assert set(mine[:size]) == set(mine[size : 2 * size])
    assert (mine[:size] == mine[size : 2 * size]) == (order == "sequential")


def test_an_empty_view_without_end_ends(version: Version) -> None:
    found = evaluate(version, filters=[{"q": "label:none"}], iteration={"infinite": True})
    assert list(view_order.frames(found)) == []


def test_same_seed_gives_the_same_order_on_every_database(version: Version) -> None:
    """The order that both databases give, written down; another seed gives another."""
    order = {"order": "random", "limit": 8}
    first, other = (
        [
            name
            for _, name in names(
                view_order.frames(evaluate(version, iteration={**order, "random_seed": seed}))
            )
        ]
        for seed in (1, 2)
    )
    assert first == ["f020", "f010", "f000", "f034", "f022", "f013", "f004", "f035"]
    assert other != first


def test_a_token_of_another_view_is_refused(version: Version) -> None:
    found = evaluate(version)
    _, after = view_order.page(found, "", 5)
    assert after is not None
    for token in (
        "nonsense",
        encode_after(0, 2**40, 1),
        encode_after(9, 1, 1),
    ):
        with pytest.raises(QueryError):
            view_order.page(found, token, 5)


def test_a_page_asks_as_much_of_a_large_view_as_of_a_small_one(
    project: Project, django_assert_max_num_queries: Any
) -> None:
    small, large = (evaluate(make_version(project, drives(n))) for n in (60, 300))
    for order in ("sequential", "random"):
        asked = {"iteration": {"order": order}}
        for found in (small, large):
            again = evaluate(found.versions[0], **asked)
            with django_assert_max_num_queries(6):
                view_order.page(again, "", 20)


# --- what a definition may be ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        ({"versions": []}, ("versions",)),
        ({"versions": [{"dataset": "*"}]}, ("versions", 0)),
        ({"versions": "all"}, ("versions",)),
        ({"filters": []}, ("filters",)),
        ({"filters": ["car"]}, ("filters",)),
        ({"filters": [{"weight": 0}]}, ("filters", 0, "weight")),
        ({"filters": [{"weight": -1}]}, ("filters", 0, "weight")),
        ({"filters": [{"weight": "2"}]}, ("filters", 0, "weight")),
        ({"filters": [{"weight": float("nan")}]}, ("filters", 0, "weight")),
        ({"filters": [{"weight": True}]}, ("filters", 0, "weight")),
        ({"filters": [{"q": 7}]}, ("filters", 0, "q")),
        ({"filters": [{"q": "a\x00"}]}, ("filters", 0, "q")),
        ({"filters": [{"q": "\ud800"}]}, ("filters", 0, "q")),
        ({"filters": [{"q": "x" * 10_001}]}, ("filters", 0, "q")),
        ({"filters": [{"dataset": "elsewhere"}]}, ("filters", 0, "scope")),
        ({"filters": [{"dataset": {"a": 1}}]}, ("filters", 0, "scope")),
        ({"mapping": {"rules": [{"target": "b"}]}}, ("mapping", "rules", 0, "labels")),
        (
            {"mapping": {"rules": [{"source": {"labels": ["a"]}}]}},
            ("mapping", "rules", 0, "target"),
        ),
        ({"labels_enumeration": {"a": 1, "b": 1}}, ("labels_enumeration", "b")),
        ({"labels_enumeration": {"a": "1"}}, ("labels_enumeration", "a")),
        ({"labels_enumeration": {"a": 2**31}}, ("labels_enumeration", "a")),
        ({"labels_enumeration": [1]}, ("labels_enumeration",)),
        ({"iteration": {"order": "backwards"}}, ("iteration", "order")),
        ({"iteration": {"limit": 0}}, ("iteration", "limit")),
        ({"iteration": {"limit": "ten"}}, ("iteration", "limit")),
        ({"iteration": {"random_seed": 1.5}}, ("iteration", "random_seed")),
        ({"iteration": {"infinite": "yes"}}, ("iteration", "infinite")),
        ({"iteration": {"order": "random", "clip_length": 0}}, ("iteration", "clip_length")),
        ({"iteration": {"clip_length": 2}}, ("iteration", "clip_length")),
        (
            {"iteration": {"order": "random", "infinite": True, "clip_length": 2}},
            ("iteration", "clip_length"),
        ),
    ],
)
def test_w8_a_definition_that_cannot_be_meant_says_where(
    parts: dict[str, Any], path: tuple[str | int, ...]
) -> None:
    sound = {"versions": [{"dataset": "d", "version": "v"}], "filters": [{}]}
    with pytest.raises(DefinitionError) as refused:
        Definition.from_json({**sound, **parts})
    assert path in [problem.path for problem in refused.value.problems]


def test_a_definition_is_read_as_it_is_written() -> None:
    data = {
        "versions": [{"dataset": "d", "version": "v"}, {"dataset": "e", "version": "*"}],
        "filters": [{"dataset": "d", "version": "v", "weight": 2.5, "q": "car"}],
        "mapping": {
            "rules": [
                {"source": {"dataset": "*", "version": "*", "labels": ["a", "b"]}, "target": "c"}
            ]
        },
        "labels_enumeration": {"c": 1, "ignore": -1},
        "iteration": {
            "order": "random",
            "infinite": False,
            "limit": 5,
            "random_seed": 3,
            "clip_length": 4,
        },
    }
    assert Definition.from_json(data).as_json() == data


def test_labels_are_mapped_each_by_one_rule_and_then_numbered(version: Version) -> None:
    rules = [
        {"source": {"labels": ["car", "occluded"]}, "target": "hidden car"},
        {"source": {"labels": ["car"]}, "target": "vehicle"},
        {
            "source": {"dataset": version.dataset.uid, "version": "*", "labels": ["person"]},
            "target": "human",
        },
    ]
    asked = definition(
        version, mapping={"rules": rules}, labels_enumeration={"vehicle": 3, "human": 4}
    )
    assert asked.mapped(version, ["car", "occluded", "red"]) == ["hidden car", "red"]
    assert asked.mapped(version, ["car", "person"]) == ["vehicle", "human"]
    assert asked.mapped(version, ["bus"]) == ["bus"]
    assert asked.number_of(asked.mapped(version, ["car"])) == 3
    assert asked.number_of(["bus"]) == -1
