"""A frame's revisions through a lineage, and which versions hold each."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frames.actions import imports, versions
from frames.index import membership
from frames.models import Frame, Job, Version
from frames.search.errors import QueryError
from frames.search.history import history_page
from frames.search.query import encode_after
from tests.factories import add_frames, make_frame, make_version
from tests.properties import tries

if TYPE_CHECKING:
    from django.contrib.auth.models import User

pytestmark = pytest.mark.django_db


def revision(number: int, **changes: Any) -> Any:
    return make_frame("f", meta={"rev": number}, **changes)


def told(version: Version, frame_id: str = "f") -> list[tuple[int, set[str]]]:
    """Return (revision, names of the versions that hold it), newest first, over all pages."""
    found = []
    after = ""
    while True:
        page = history_page(version.dataset, frame_id, after, 2)
        found += [
            (item.row.frame.meta["rev"], {v.name for v in item.holders}) for item in page.items
        ]
        assert page.total >= len(found)
        if page.next is None:
            return found
        after = page.next


def test_every_revision_is_told_with_the_versions_that_hold_it() -> None:
    version = make_version(frames=[revision(1)])
    v1, draft = versions.snapshot(version, actor=None, name="v1", reason="unchecked")
    add_frames(draft, [revision(2)])
    v2, current = versions.snapshot(draft, actor=None, name="v2", reason="unchecked")
    branch = versions.create_version(dataset=v1.dataset, name="branch", parents=[v1], actor=None)
    add_frames(branch, [revision(3)])
    assert told(current) == [(3, {"branch"}), (2, {"v2", "Current"}), (1, {"v1"})]
    versions.delete_frames(current, ["f"], actor=None)
    assert told(v2) == [(3, {"branch"}), (2, {"v2"}), (1, {"v1"})]


def test_a_revision_says_what_changed_and_where_it_was_saved() -> None:
    version = make_version(frames=[revision(1, labels=["car"])])
    _, draft = versions.snapshot(version, actor=None, name="v1", reason="unchecked")
    add_frames(draft, [revision(2, labels=["car", "bus"])])
    newest, first = history_page(draft.dataset, "f", "", 10).items
    assert newest.changes is not None
    assert [change.key for change in newest.changes.meta] == ["rev"]
    assert [change.kinds for change in newest.changes.regions] == [("added",)]
    assert newest.saved_in == draft
    assert first.changes is None
    assert first.saved_in == version
    versions.delete_version(draft, actor=None)
    newest, first = history_page(draft.dataset, "f", "", 10).items
    assert (newest.saved_in, newest.holders) == (None, [])


def test_a_revision_is_compared_with_what_its_own_line_held_before() -> None:
    """Not with what a sibling wrote in between."""
    version = make_version(frames=[revision(1)])
    v1 = versions.publish(version, actor=None, name="v1", reason="unchecked")
    branches = [
        versions.create_version(dataset=v1.dataset, name=name, parents=[v1], actor=None)
        for name in ("one", "other")
    ]
    for number, branch in enumerate([*branches, *branches], 2):
        add_frames(branch, [revision(number)])
    versions.create_version(dataset=v1.dataset, name="new", actor=None)
    alone = versions.create_version(dataset=v1.dataset, name="alone", actor=None)
    add_frames(alone, [revision(6)])
    page = history_page(v1.dataset, "f", "", 10)
    found = [
        (item.row.frame.meta["rev"], item.before and item.before.frame.meta["rev"])
        for item in page.items
    ]
    assert found == [(6, None), (5, 3), (4, 2), (3, 1), (2, 1), (1, None)]


def test_the_last_of_a_page_is_compared_with_the_first_of_the_next() -> None:
    version = make_version(frames=[revision(1)])
    for number in (2, 3):
        add_frames(version, [revision(number)])
    page = history_page(version.dataset, "f", "", 2)
    assert [item.changes is not None for item in page.items] == [True, True]
    assert page.next is not None
    page = history_page(version.dataset, "f", page.next, 2)
    assert [item.changes is not None for item in page.items] == [False]


def test_the_log_tells_who_wrote_a_revision(
    tmp_path: Any, editor: User, admin: User, project: Any
) -> None:
    path = tmp_path / "m.json"
    for person, number in ((editor, 1), (admin, 2)):
        source = {"uri": "https://example.com/a.jpg"}
        path.write_text(json.dumps([{"id": "f", "meta": {"rev": number}, "sources": [source]}]))
        project.media_allow = [tmp_path.as_uri() + "/"]
        project.save()
        job = imports.start_import(
            project=project, dataset_name="D", user=person, uri=path.as_uri()
        )
        imports.run(job.uid)
    version = Version.objects.get()
    assert Job.objects.filter(state="done").count() == 2
    items = history_page(version.dataset, "f", "", 10).items
    told_by = [(i.event.verb, i.event.actor) if i.event else None for i in items]
    assert told_by == [("import", admin), ("import", editor)]


def test_a_frame_that_never_was_has_no_history() -> None:
    version = make_version(frames=[revision(1)])
    for nobody in ("x", "", "a\x00b"):
        page = history_page(version.dataset, nobody, "", 10)
        assert (page.total, page.items, page.next) == (0, [], None)


@pytest.mark.parametrize("token", ["nonsense", "W10", "WyJhIl0"])
def test_a_foreign_token_is_refused(token: str) -> None:
    version = make_version(frames=[revision(1)])
    with pytest.raises(QueryError):
        history_page(version.dataset, "f", token, 10)


@pytest.mark.parametrize("place", [-(2**40), -1, 0, 2**40, 2**62])
def test_a_place_outside_of_the_dataset_is_an_end_of_it(place: int) -> None:
    version = make_version(frames=[revision(1)])
    other = make_version(frames=[revision(2)])
    for one in (version, other):
        page = history_page(one.dataset, "f", encode_after(place), 10)
        assert len(page.items) == (place > 0)


@tries(20)
@given(steps=st.lists(st.sampled_from(["write", "snapshot", "branch", "delete"]), max_size=10))
def test_holders_equal_brute_force(steps: list[str]) -> None:
    draft = make_version(frames=[revision(0)])
    releases: list[Version] = []
    for number, step in enumerate(steps, 1):
        if step == "write":
            add_frames(draft, [revision(number)])
        elif step == "delete":
            versions.delete_frames(draft, ["f"], actor=None)
        elif step == "snapshot":
            release, draft = versions.snapshot(
                draft,
                actor=None,
                name=f"v{number}",
                child_name=f"draft {number}",
                reason="unchecked",
            )
            releases.append(release)
        elif releases:
            draft = versions.create_version(
                dataset=draft.dataset, name=f"b{number}", parents=[releases[0]], actor=None
            )
    wanted: dict[int, set[str]] = defaultdict(set)
    for frame in Frame.objects.filter(dataset=draft.dataset):
        wanted[frame.meta["rev"]] |= {
            version.name
            for version in draft.dataset.versions.all()
            if frame.ordinal in membership.members(version.pk)
        }
    assert told(draft) == sorted(wanted.items(), reverse=True)
