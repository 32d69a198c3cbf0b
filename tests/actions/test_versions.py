"""Versions against a brute-force model, through random lineages and everything that is refused."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)

from frames.actions import versions
from frames.actions.fields import Refused
from frames.actions.frames import VersionNotWritable
from frames.index.check import check
from frames.index.reader import DatasetIndex
from frames.models import AuditEvent, Frame, Job, Version
from tests.factories import add_frames, make_frame, make_version
from tests.properties import tries

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from frames.search.merge import Rule

pytestmark = pytest.mark.django_db

numbers = st.sets(st.integers(0, 9), max_size=6)


def held(version: Version) -> dict[str, int]:
    """Return the frames of a version: id to the revision it holds, by its metadata."""
    version = Version.objects.select_related("dataset").get(pk=version.pk)
    members = DatasetIndex(version.dataset).members(version)
    rows = Frame.objects.at(version.dataset, members)
    return {frame_id: meta["rev"] for frame_id, meta in rows.values_list("frame_id", "meta")}


class Lineages(RuleBasedStateMachine):
    """Children, snapshots, unions, edits, deletes and restores, beside dictionaries."""

    drafts = Bundle("drafts")
    published = Bundle("published")

    def __init__(self) -> None:
        super().__init__()
        self.point = transaction.atomic()
        self.point.__enter__()
        self.dataset = make_version().dataset
        self.model: dict[int, dict[str, int]] = {}
        self.count = 0

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.point.__exit__(None, None, None)

    def name(self) -> str:
        self.count += 1
        return f"version {self.count}"

    @rule(target=drafts)
    def start_empty(self) -> Version:
        version = versions.create_version(dataset=self.dataset, name=self.name(), actor=None)
        self.model[version.pk] = {}
        return version

    @rule(target=drafts, parent=published)
    def branch(self, parent: Version) -> Version:
        version = versions.create_version(
            dataset=self.dataset, name=self.name(), parents=[parent], actor=None
        )
        self.model[version.pk] = dict(self.model[parent.pk])
        return version

    @rule(target=drafts, one=published, other=published, which=st.sampled_from(["first", "last"]))
    def unite(self, one: Version, other: Version, which: Rule) -> Version:
        parents = [one] if one == other else [one, other]
        version = versions.create_version(
            dataset=self.dataset, name=self.name(), parents=parents, actor=None, rule=which
        )
        mine, theirs = self.model[one.pk], self.model[other.pk]
        self.model[version.pk] = {**theirs, **mine} if which == "first" else {**mine, **theirs}
        return version

    @rule(version=drafts, ids=numbers)
    def write(self, version: Version, ids: set[int]) -> None:
        self.count += 1
        frames = [
            make_frame(f"f{n}", labels=["car"] * (n % 3), meta={"rev": self.count}) for n in ids
        ]
        if frames:
            add_frames(version, frames)
        self.model[version.pk] |= {f"f{n}": self.count for n in ids}

    @rule(version=drafts, ids=numbers)
    def delete(self, version: Version, ids: set[int]) -> None:
        gone = {f"f{n}" for n in ids}
        model = self.model[version.pk]
        assert versions.delete_frames(version, gone, actor=None) == len(gone & model.keys())
        self.model[version.pk] = {k: v for k, v in model.items() if k not in gone}

    @rule(version=drafts, source=published, ids=st.none() | numbers)
    def restore(self, version: Version, source: Version, ids: set[int] | None) -> None:
        wanted = None if ids is None else {f"f{n}" for n in ids}
        before, theirs = self.model[version.pk], self.model[source.pk]
        if wanted is None:
            after = dict(theirs)
        else:
            kept = {k: v for k, v in before.items() if k not in wanted}
            after = kept | {k: v for k, v in theirs.items() if k in wanted}
        changed = {k for k in before.keys() | after.keys() if before.get(k) != after.get(k)}
        assert versions.restore(version, source, actor=None, frame_ids=wanted) == len(changed)
        self.model[version.pk] = after

    @rule(target=published, version=consumes(drafts))
    def publish(self, version: Version) -> Version:
        return versions.publish(version, actor=None, reason="unchecked")

    @rule(target=drafts, version=consumes(drafts))
    def snapshot(self, version: Version) -> Version:
        published, child = versions.snapshot(
            version, actor=None, reason="unchecked", name=self.name(), child_name=self.name()
        )
        assert published.pk == version.pk
        self.model[child.pk] = dict(self.model[version.pk])
        return child

    @rule(version=consumes(drafts))
    def drop(self, version: Version) -> None:
        versions.delete_version(version, actor=None)
        del self.model[version.pk]

    @invariant()
    def versions_hold_what_the_model_holds(self) -> None:
        for version in Version.objects.filter(pk__in=self.model):
            assert held(version) == self.model[version.pk]
        self.dataset.refresh_from_db()
        assert list(check(self.dataset)) == []


def test_random_lineages_hold_what_a_brute_force_model_holds() -> None:
    run_state_machine_as_test(
        Lineages,
        settings=tries(20, steps=15),
    )


def frame(number: int, rev: int = 1, **changes: Any) -> Any:
    return make_frame(f"f{number}", meta={"rev": rev}, **changes)


@pytest.fixture
def draft() -> Version:
    return make_version(frames=[frame(1), frame(2)])


@pytest.fixture
def release(draft: Version) -> Version:
    return versions.publish(draft, actor=None, reason="unchecked")


def child_of(*parents: Version, name: str = "child", **options: Any) -> Version:
    return versions.create_version(
        dataset=parents[0].dataset, name=name, parents=parents, actor=None, **options
    )


def test_m8_siblings_never_see_each_other(release: Version) -> None:
    """M8."""
    one, other = child_of(release, name="one"), child_of(release, name="other")
    add_frames(one, [frame(1, 2), frame(3, 2)])
    versions.delete_frames(other, ["f2"], actor=None)
    assert held(one) == {"f1": 2, "f2": 1, "f3": 2}
    assert held(other) == {"f1": 1}
    assert held(release) == {"f1": 1, "f2": 1}


def test_m8_a_snapshot_keeps_its_id_and_a_new_current_continues_it(draft: Version) -> None:
    """M8: the snapshot is named by its time unless it is given a name."""
    published, current = versions.snapshot(draft, actor=None, reason="unchecked")
    assert published.uid == draft.uid
    assert published.name.startswith("snapshot ")
    datetime.fromisoformat(published.name.removeprefix("snapshot "))
    assert (current.name, current.is_draft) == ("Current", True)
    assert list(current.parents.all()) == [published]
    assert held(current) == held(published)
    counts = (current.frame_count, current.annotated_count, current.region_count)
    assert counts == (published.frame_count, published.annotated_count, published.region_count)


def test_a_snapshot_that_cannot_have_its_child_is_not_made(draft: Version) -> None:
    versions.create_version(dataset=draft.dataset, name="taken", actor=None)
    with pytest.raises(Refused, match="already"):
        versions.snapshot(draft, actor=None, reason="unchecked", child_name="taken")
    draft.refresh_from_db()
    assert draft.is_draft
    assert draft.name == "Current"


def test_deleted_frames_do_not_come_back_in_a_child(release: Version) -> None:
    child = child_of(release)
    versions.delete_frames(child, ["f1"], actor=None)
    grandchild = child_of(
        versions.publish(child, actor=None, reason="unchecked"), name="grandchild"
    )
    assert held(grandchild) == {"f2": 1}


def test_m8_a_child_of_several_parents_asks_where_they_differ(release: Version) -> None:
    one, other = child_of(release, name="one"), child_of(release, name="other")
    add_frames(one, [frame(1, 10), frame(2, 10), frame(3, 10)])
    add_frames(other, [frame(1, 20), frame(2, 20), frame(4, 20)])
    parents = [
        versions.publish(one, actor=None, reason="unchecked"),
        versions.publish(other, actor=None, reason="unchecked"),
    ]
    with pytest.raises(versions.VersionConflict) as caught:
        child_of(*parents)
    assert (caught.value.frame_ids, caught.value.count) == (["f1", "f2"], 2)
    assert not Version.objects.filter(name="child").exists()
    chosen = {"f1": parents[0].uid, "f2": parents[1].uid}
    child = child_of(*parents, chosen=chosen)
    assert held(child) == {"f1": 10, "f2": 20, "f3": 10, "f4": 20}
    assert set(child.parents.all()) == set(parents)
    mixed = child_of(*parents, name="mixed", chosen={"f1": parents[0].uid}, rule="last")
    assert held(mixed) == {"f1": 10, "f2": 20, "f3": 10, "f4": 20}


def test_restoring_counts_frames_that_come_and_others_that_go() -> None:
    version = make_version(frames=[make_frame("a"), make_frame("b"), make_frame("c")])
    release, draft = versions.snapshot(version, actor=None, reason="unchecked")
    versions.delete_frames(draft, ["a", "b"], actor=None)
    add_frames(draft, [make_frame("x"), make_frame("c", labels=["car"])])
    assert versions.restore(draft, release, actor=None) == 4


def test_m8_a_published_version_refuses_every_change(release: Version) -> None:
    before = held(release)
    with pytest.raises(VersionNotWritable, match="is published"):
        add_frames(release, [frame(9)])
    with pytest.raises(VersionNotWritable, match="is published"):
        versions.delete_frames(release, ["f1"], actor=None)
    with pytest.raises(VersionNotWritable, match="is published"):
        versions.restore(release, release, actor=None)
    for refused in (versions.publish, versions.delete_version, versions.snapshot):
        with pytest.raises(Refused, match="is published"):
            refused(release, actor=None)
    with pytest.raises(Refused, match="metadata cannot change"):
        versions.update_version(release, actor=None, metadata={"a": 1})
    assert held(release) == before


def test_a_published_version_can_be_renamed_described_and_tagged(release: Version) -> None:
    changed = versions.update_version(
        release, actor=None, name="v1", description="First", tags=["gold", " gold ", ""]
    )
    assert (changed.name, changed.description, changed.tags) == ("v1", "First", ["gold"])


@pytest.mark.parametrize("name", ["", "  ", "x" * 256, "x" * 10_000, "a\u0000b", "line\nbreak"])
def test_a_name_that_is_none_is_refused(release: Version, name: str) -> None:
    with pytest.raises(Refused):
        child_of(release, name=name)
    with pytest.raises(Refused):
        versions.update_version(release, actor=None, name=name)


def test_a_name_is_taken_once_in_a_dataset(release: Version, draft: Version) -> None:
    child_of(release, name="child")
    with pytest.raises(Refused, match="already"):
        child_of(release, name="child")
    with pytest.raises(Refused, match="already"):
        versions.update_version(release, actor=None, name="child")


def test_m8_parents_are_published_versions_of_the_same_dataset(draft: Version) -> None:
    elsewhere = versions.publish(make_version(), actor=None, reason="unchecked")
    with pytest.raises(Refused, match="is a draft"):
        child_of(draft)
    with pytest.raises(Refused, match="is not a version of"):
        versions.create_version(
            dataset=draft.dataset, name="child", parents=[elsewhere], actor=None
        )
    with pytest.raises(Refused, match="named twice"):
        child_of(elsewhere, elsewhere)
    with pytest.raises(Refused, match="another dataset"):
        versions.restore(draft, elsewhere, actor=None)


@pytest.mark.parametrize("metadata", [[], "text", 1, [1]])
def test_metadata_is_an_object(draft: Version, metadata: Any) -> None:
    with pytest.raises(Refused, match="JSON object"):
        versions.update_version(draft, actor=None, metadata=metadata)


def test_m9_a_version_with_children_is_not_deleted(release: Version) -> None:
    """M9: drafts only, never one with children."""
    child = child_of(release)
    versions.delete_version(child, actor=None)
    assert not Version.objects.filter(pk=child.pk).exists()
    with pytest.raises(Refused, match="deleted"):
        versions.delete_version(child, actor=None)


def test_nothing_is_published_or_deleted_under_an_import(draft: Version) -> None:
    Job.objects.create(
        kind="import",
        project=draft.dataset.project,
        dataset=draft.dataset,
        version=draft,
        uri="file:///x",
    )
    for refused in (versions.publish, versions.delete_version):
        with pytest.raises(Refused, match=r"import into Current .*is running"):
            refused(draft, actor=None)


def test_acts_are_in_the_audit_log(draft: Version, admin: User) -> None:
    versions.update_version(draft, actor=admin, description="Night drives")
    release = versions.publish(draft, actor=admin, name="v1", reason="masks come later")
    child = child_of(release)
    versions.delete_frames(child, ["f1"], actor=admin)
    versions.delete_version(child, actor=admin)
    events = AuditEvent.objects.filter(object_kind="version").order_by("pk")
    assert [(e.verb, e.object_name) for e in events] == [
        ("update", "Current"),
        ("publish", "v1"),
        ("create", "child"),
        ("delete frames", "child"),
        ("delete", "child"),
    ]
    assert events[1].details == {"reason": "masks come later", "check": None}
    assert events[1].actor == admin
    assert events[0].details["after"] == {"description": "Night drives"}
