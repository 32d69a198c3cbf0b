"""Bulk edits: what they change, what they leave, how they end, and taking them back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from frames.actions import edits, jobs, versions
from frames.actions.edits import Edit, edit_of
from frames.actions.fields import Refused
from frames.formats.stored import frame_data
from frames.index.bitmaps import BitMap
from frames.index.check import check
from frames.index.reader import DatasetIndex
from frames.models import AuditEvent, Job, Version
from frames.search.rows import rows_of
from tests.factories import add_frames, make_frame, make_version
from tests.properties import tries

if TYPE_CHECKING:
    from django.contrib.auth.models import User

pytestmark = pytest.mark.django_db


def fresh(version: Version) -> Version:
    return Version.objects.select_related("dataset__project").get(pk=version.pk)


def members(version: Version) -> BitMap:
    version = fresh(version)
    return DatasetIndex(version.dataset).members(version)


def held(version: Version) -> dict[str, tuple[dict[str, Any], list[Any]]]:
    """Return the frames of a version: id to its metadata and the labels of its regions."""
    version = fresh(version)
    rows = rows_of(version.dataset, list(members(version)))
    return {
        row.frame.frame_id: (row.frame.meta, [roi.get("label") for roi in row.frame.rois])
        for row in rows
    }


def start(version: Version, edit: Edit, frames: BitMap | None = None) -> Job:
    frames = members(version) if frames is None else frames
    return edits.start_edit(version, edit, frames, actor=None)


def make(version: Version, edit: Edit, frames: BitMap | None = None) -> Job:
    """Start an edit and run it to its end."""
    job = start(version, edit, frames)
    edits.run(job.uid)
    job.refresh_from_db()
    return job


@pytest.fixture
def draft() -> Version:
    return make_version(
        frames=[
            make_frame("a", labels=["car", "bus"], meta={"light": "day"}),
            make_frame("b", timestamp=1, labels=["car"], meta={"tags": ["seen"]}),
            make_frame("c", timestamp=2, labels=["bus"], meta={"camera": {"lens": 35}}),
        ]
    )


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (
            Edit("tag", value="seen"),
            {
                "a": {"light": "day", "tags": ["seen"]},
                "c": {"camera": {"lens": 35}, "tags": ["seen"]},
            },
        ),
        (Edit("untag", value="seen"), {"b": {}}),
        (Edit("unset", key="camera.lens"), {"c": {"camera": {}}}),
        (
            Edit("set", key="light", value="dusk"),
            {
                "a": {"light": "dusk"},
                "b": {"tags": ["seen"], "light": "dusk"},
                "c": {"camera": {"lens": 35}, "light": "dusk"},
            },
        ),
    ],
)
def test_an_edit_of_metadata_changes_what_it_names_and_nothing_else(
    draft: Version, edit: Edit, expected: dict[str, dict[str, Any]]
) -> None:
    before = held(draft)
    job = make(draft, edit)
    assert job.state == Job.State.DONE, job.message
    after = held(draft)
    assert {name: meta for name, (meta, _) in after.items() if meta != before[name][0]} == expected
    assert {name: labels for name, (_, labels) in after.items()} == {
        name: labels for name, (_, labels) in before.items()
    }
    assert job.result["changed"] == len(expected)
    assert list(check(fresh(draft).dataset)) == []


def test_relabel_gives_each_region_the_new_label_once(draft: Version) -> None:
    rois = [{"label": ["car", "bus"], "poly": [0, 0, 1, 1]}, {"label": ["car"], "poly": [0, 0]}]
    add_frames(draft, [make_frame("d", rois=rois)])
    make(draft, Edit("relabel", key="car", value="bus"))
    assert held(draft)["d"][1] == [["bus"], ["bus"]]
    assert held(draft)["a"][1] == [["bus"], ["bus"]]
    assert fresh(draft).region_count == 6


def test_delete_takes_the_frames_out_at_once(draft: Version) -> None:
    index = DatasetIndex(fresh(draft).dataset)
    job = make(draft, Edit("delete"), index.text("label", "car"))
    assert set(held(draft)) == {"c"}
    assert (fresh(draft).frame_count, fresh(draft).region_count) == (1, 1)
    assert job.result == {"changed": 2, "left": 0}


def test_an_edit_that_changes_nothing_is_refused(draft: Version) -> None:
    with pytest.raises(Refused, match="None of these frames would change"):
        start(draft, Edit("relabel", key="tram", value="bus"))
    assert not Job.objects.exists()


def test_what_an_edit_would_leave_as_it_is_gets_no_revision(draft: Version) -> None:
    edit = Edit("set", key="light", value="day")
    job = start(draft, edit)
    assert job.total == 2, "which its page has said"
    again = start(draft, edit)
    edits.run(job.uid)
    before = members(draft)
    edits.run(again.uid)
    again.refresh_from_db()
    assert members(draft) == before
    assert again.result == {"changed": 0, "left": 2}
    with pytest.raises(Refused, match="None of these frames would change"):
        start(draft, edit)


@pytest.mark.parametrize("many", [False, True])
def test_frames_without_a_key_are_told_from_others_by_few_rows(
    draft: Version, monkeypatch: pytest.MonkeyPatch, many: bool
) -> None:
    """Above a number of frames all are counted, which the page says."""
    monkeypatch.setattr(edits, "EXACT_FRAMES_MAX", 2 if many else 3)
    index, edit = DatasetIndex(fresh(draft).dataset), Edit("unset", key="light")
    assert len(edits.affected(index, members(draft), edit)) == (3 if many else 1)
    assert edits.is_exact(3, edit) is not many


def test_edits_asked_for_at_once_are_all_made(draft: Version) -> None:
    jobs_made = [start(draft, Edit("tag", value=tag)) for tag in ("x", "y", "z")]
    for job in jobs_made:
        edits.run(job.uid)
        job.refresh_from_db()
        assert job.result == {"changed": 3, "left": 0}
    assert [meta["tags"][-3:] for meta, _ in held(draft).values()] == [["x", "y", "z"]] * 3


def test_an_undo_that_could_take_nothing_back_names_what_stands_in_its_way(draft: Version) -> None:
    before = held(draft)
    first, second = make(draft, Edit("tag", value="x")), make(draft, Edit("tag", value="y"))
    with pytest.raises(Refused, match="since: “Tag with y”"):
        edits.undo(first, actor=None)
    assert edits.undo(second, actor=None) == 3
    assert edits.undo(first, actor=None) == 3
    assert held(draft) == before


def test_what_an_undo_had_to_leave_can_be_taken_back_later(draft: Version) -> None:
    before = held(draft)
    first = make(draft, Edit("tag", value="x"))
    only_a = DatasetIndex(fresh(draft).dataset).text("meta.light", "day")
    second = make(draft, Edit("tag", value="y"), only_a & members(draft))
    assert edits.undo(first, actor=None) == 2
    first.refresh_from_db()
    assert first.result["undone"] is False
    edits.undo(second, actor=None)
    assert edits.undo(first, actor=None) == 1
    assert held(draft) == before
    first.refresh_from_db()
    assert (first.result["undone"], first.result["restored"]) == (True, 3)


def test_a_value_is_not_made_an_object(draft: Version) -> None:
    job = make(draft, Edit("set", key="light.level", value=3))
    assert job.state == Job.State.DONE
    assert (job.failed, job.result["changed"]) == (1, 2)
    assert [error.path for error in job.errors.all()] == ["a"]
    assert "is a value, not an object" in job.errors.get().reason


def test_the_parent_and_siblings_never_see_an_edit(draft: Version) -> None:
    parent = versions.publish(draft, actor=None, reason="for the test")
    dataset = parent.dataset
    child = versions.create_version(dataset=dataset, name="x", parents=[parent], actor=None)
    other = versions.create_version(dataset=dataset, name="y", parents=[parent], actor=None)
    before = held(parent)
    make(child, Edit("relabel", key="car", value="van"))
    make(child, Edit("delete"), DatasetIndex(fresh(child).dataset).text("label", "bus"))
    assert held(parent) == before
    assert held(other) == before
    assert set(held(child)) == {"b"}


def test_a_version_published_meanwhile_stops_an_edit_cleanly(draft: Version) -> None:
    before = held(draft)
    job = start(draft, Edit("tag", value="x"))
    with pytest.raises(Refused, match="is running"):
        versions.publish(draft, actor=None, reason="for the test")
    Version.objects.filter(pk=draft.pk).update(status="published", published_at=timezone.now())
    edits.run(job.uid)
    job.refresh_from_db()
    assert job.state == Job.State.FAILED
    assert "is published and cannot change" in job.message
    assert job.message.endswith("Nothing was changed.")
    assert held(draft) == before


@pytest.mark.parametrize("edit", [Edit("tag", value="x"), Edit("delete")])
def test_a_version_deleted_meanwhile_stops_an_edit_cleanly(draft: Version, edit: Edit) -> None:
    job = start(draft, edit)
    Version.objects.filter(pk=draft.pk).delete()
    edits.run(job.uid)
    job.refresh_from_db()
    assert job.state == Job.State.FAILED
    assert "has been deleted" in job.message


def test_a_published_version_refuses_to_begin(draft: Version) -> None:
    versions.publish(draft, actor=None, reason="for the test")
    with pytest.raises(Exception, match="is published and cannot change"):
        start(draft, Edit("tag", value="x"), BitMap([0]))


def test_the_second_of_two_edits_leaves_what_the_first_has_changed(
    draft: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = start(draft, Edit("tag", value="slow"))
    fast = start(draft, Edit("relabel", key="car", value="van"))
    heed = jobs.heed_cancellation

    def overtaken(job: Job) -> None:
        """The first edit is between its last batch and its commit when the second one is done."""
        if job.uid == slow.uid and fast.state == Job.State.QUEUED:
            edits.run(fast.uid)
            fast.refresh_from_db()
        heed(job)

    monkeypatch.setattr(jobs, "heed_cancellation", overtaken)
    edits.run(slow.uid)
    slow.refresh_from_db()
    assert slow.state == fast.state == Job.State.DONE
    assert (fast.result, slow.result) == (
        {"changed": 2, "left": 0},
        {"changed": 1, "left": 2},
    )
    assert held(draft)["a"] == ({"light": "day"}, [["van"], ["bus"]])
    assert held(draft)["c"][0]["tags"] == ["slow"]
    assert list(check(fresh(draft).dataset)) == []


def test_an_edit_leaves_what_another_changes_while_it_reads(
    draft: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading a batch and staging it another writer may take its frames."""
    slow = start(draft, Edit("tag", value="slow"))
    fast = start(draft, Edit("relabel", key="car", value="van"))

    def overtaken(*given: Any) -> Any:
        rows = rows_of(*given)
        fast.refresh_from_db()
        if fast.state == Job.State.QUEUED:
            edits.run(fast.uid)
        return rows

    monkeypatch.setattr(edits, "rows_of", overtaken)
    edits.run(slow.uid)
    slow.refresh_from_db()
    assert slow.result == {"changed": 1, "left": 2}
    assert held(draft)["a"] == ({"light": "day"}, [["van"], ["bus"]])
    assert held(draft)["c"][0]["tags"] == ["slow"]
    assert list(check(fresh(draft).dataset)) == []


def test_an_edit_whose_worker_died_goes_on(draft: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edits, "BATCH_FRAMES", 1)
    job = start(draft, Edit("tag", value="x"))
    renew, calls = jobs.renew, 0

    def dies(job: Job) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        renew(job)

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "renew", dies)
        with pytest.raises(KeyboardInterrupt):
            edits.run(job.uid)
    job.refresh_from_db()
    assert (job.state, job.position) == (Job.State.RUNNING, 1)
    assert all("x" not in meta.get("tags", []) for meta, _ in held(draft).values())
    Job.objects.update(state=Job.State.QUEUED)
    edits.run(job.uid)
    job.refresh_from_db()
    assert job.result == {"changed": 3, "left": 0}
    assert all("x" in meta["tags"] for meta, _ in held(draft).values())
    assert list(check(fresh(draft).dataset)) == []


def test_a_cancelled_edit_changes_nothing(draft: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edits, "BATCH_FRAMES", 1)
    before = held(draft)
    job = start(draft, Edit("tag", value="x"))
    heed = jobs.heed_cancellation

    def asked(job: Job) -> None:
        job.cancel_requested = True
        heed(job)

    monkeypatch.setattr(jobs, "heed_cancellation", asked)
    edits.run(job.uid)
    job.refresh_from_db()
    assert job.state == Job.State.CANCELLED
    assert held(draft) == before
    assert bytes(job.staged) == b""


EDITS = [
    Edit("tag", value="x"),
    Edit("untag", value="seen"),
    Edit("set", key="light", value=3),
    Edit("unset", key="light"),
    Edit("relabel", key="car", value="van"),
    Edit("delete"),
]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: str(edit.verb))
def test_undo_brings_every_frame_back(draft: Version, edit: Edit) -> None:
    before, revisions = held(draft), members(draft)
    job = make(draft, edit)
    assert held(draft) != before
    assert edits.undo(job, actor=None) == job.result["changed"]
    assert held(draft) == before
    assert members(draft) == revisions
    with pytest.raises(Refused, match="undone already"):
        edits.undo(job, actor=None)
    assert list(check(fresh(draft).dataset)) == []


def test_undo_leaves_what_was_changed_again(draft: Version) -> None:
    first = make(draft, Edit("relabel", key="car", value="van"))
    make(draft, Edit("tag", value="y"), DatasetIndex(fresh(draft).dataset).text("label", "bus"))
    assert edits.undo(first, actor=None) == 1
    assert held(draft)["a"] == ({"light": "day", "tags": ["y"]}, [["van"], ["bus"]])
    assert held(draft)["b"][1] == [["car"]]


def test_undo_of_a_deletion_leaves_frames_that_were_added_again(draft: Version) -> None:
    job = make(draft, Edit("delete"))
    add_frames(draft, [make_frame("a", meta={"new": True})])
    assert edits.undo(job, actor=None) == 2
    assert held(draft)["a"][0] == {"new": True}
    assert set(held(draft)) == {"a", "b", "c"}


def test_an_edit_is_not_undone_in_a_published_version(draft: Version) -> None:
    job = make(draft, Edit("delete"))
    versions.publish(draft, actor=None, reason="for the test")
    with pytest.raises(Exception, match="is published and cannot change"):
        edits.undo(job, actor=None)


def test_who_edited_what_is_in_the_audit_log(draft: Version, editor: User) -> None:
    job = edits.start_edit(draft, Edit("tag", value="x"), members(draft), actor=editor)
    edits.run(job.uid)
    edits.undo(Job.objects.get(), actor=editor)
    events = AuditEvent.objects.filter(actor=editor).order_by("id")
    assert [event.verb for event in events] == ["start edit", "edit", "undo edit"]
    assert events[1].details["frames"] == 3


@tries(30)
@given(
    st.lists(
        st.tuples(st.sampled_from(EDITS), st.sets(st.integers(0, 5)), st.booleans()), max_size=5
    )
)
def test_random_edits_and_undos_equal_a_model(
    steps: list[tuple[Edit, set[int], bool]],
) -> None:
    """Against dictionaries that the same verbs are applied to one frame at a time."""
    with transaction.atomic():
        draft = make_version(
            frames=[
                make_frame(
                    f"f{n}", timestamp=n, labels=["car", "bus"][: n % 3], meta={"light": n % 2}
                )
                for n in range(6)
            ]
        )
        model = held(draft)
        for edit, numbers, undone in steps:
            index = DatasetIndex(fresh(draft).dataset)
            chosen = BitMap(
                row.frame.ordinal
                for row in rows_of(fresh(draft).dataset, list(members(draft)))
                if int(row.frame.frame_id[1:]) in numbers
            )
            expected = dict(model)
            for row in rows_of(index.dataset, list(chosen)):
                frame = frame_data(row.frame, row.sources)
                if edit.verb == "delete":
                    del expected[frame.frame_id]
                    continue
                edits._CHANGES[edit.verb](frame, edit)
                expected[frame.frame_id] = (frame.meta, [r.get("label") for r in frame.rois])
            try:
                job = make(draft, edit, chosen)
            except Refused:
                assert expected == model
                continue
            assert held(draft) == expected
            if undone:
                edits.undo(job, actor=None)
            else:
                model = expected
            assert held(draft) == model
        assert list(check(fresh(draft).dataset)) == []
        transaction.set_rollback(True)


@pytest.mark.parametrize(
    ("verb", "key", "value", "message"),
    [
        ("", "", "", "Choose what to do"),
        ("explode", "", "", "Choose what to do"),
        ("tag", "", "", "Give a tag"),
        ("tag", "", "x" * 300, "longer than 255"),
        ("tag", "", "a\x00b", "control characters"),
        ("set", "", "1", "Give a metadata key"),
        ("set", "a..b", "1", "Give a metadata key"),
        ("set", "a.", "1", "Give a metadata key"),
        ("set", 'a."b', "1", "Give a metadata key"),
        ("unset", '""', "", "Give a key"),
        ("unset", ".".join("abcdefghi"), "", "Give a metadata key"),
        ("unset", 'a"' * 100_000, "", "longer than 255"),
        ("set", "a", "x" * 20_000, "over 16,384 bytes"),
        ("set", "a", "[" * 2_000, None),
        ("set", "a", "1e999", "cannot be kept"),
        ("set", "a", str(10**30), "cannot be kept"),
        ("relabel", "car", "car", "the old one"),
        ("relabel", "", "car", "Give a label"),
    ],
)
def test_what_cannot_be_meant_is_said(verb: str, key: str, value: str, message: str | None) -> None:
    if message is None:
        assert edit_of(verb, key, value).value == value
        return
    with pytest.raises(Refused, match=message):
        edit_of(verb, key, value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ('"3"', "3"), ("dusk", "dusk"), ("true", True), ("[1, 2]", [1, 2])],
)
def test_a_value_is_json_or_else_text(text: str, value: Any) -> None:
    assert edit_of("set", "meta.light", text) == Edit("set", "light", value)


def test_a_label_with_a_space_at_its_end_is_told_from_the_one_without(draft: Version) -> None:
    add_frames(draft, [make_frame("d", labels=["car ", "car"])])
    edit = edit_of("relabel", '"car "', " van ")
    assert edit.sentence == 'Relabel "car " to van'
    assert make(draft, edit).result["changed"] == 1
    assert held(draft)["d"][1] == [["van"], ["car"]]
    assert make(draft, edit_of("relabel", "van", '" \\"bus\\" "')).result["changed"] == 1
    assert held(draft)["d"][1] == [[' "bus" '], ["car"]]


def test_a_key_that_holds_a_dot_is_told_from_one_inside_of_another(draft: Version) -> None:
    meta = {"f.stop": 8, "f": {"stop": 4}, 'a"b': 1, "camera": {"f.stop": 2}}
    add_frames(draft, [make_frame("d", meta=meta)])
    for verb, key, value in [
        ("set", '"f.stop"', "11"),
        ("set", "f.stop", "5.6"),
        ("set", 'a"b', "2"),
        ("unset", 'meta.camera."f.stop"', ""),
    ]:
        frames = BitMap([max(members(draft))])
        assert make(draft, edit_of(verb, key, value), frames).result["changed"] == 1
    assert held(draft)["d"][0] == {"f.stop": 11, "f": {"stop": 5.6}, 'a"b': 2, "camera": {}}
