"""Two at once, each on a connection of its own: one waits for the other, and hears what it did."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, transaction

from frames.actions import audit, deletions, garbage, jobs, versions
from frames.actions.datasets import create_dataset, update_dataset
from frames.actions.fields import Refused
from frames.actions.frames import Stager, VersionNotWritable
from frames.actions.prepare import PreparedBatch
from frames.index.bitmaps import dump
from frames.index.check import check
from frames.index.reader import DatasetIndex
from frames.models import Dataset, Frame, Job, Project, Version
from frames.search import compare, pages
from frames.search.query import FrameQuery
from tests.factories import add_frames, make_frame, make_version

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.django_db(transaction=True)

REASON = "as it is"
# How long the first stays in its transaction: the second has long come to its lock.
HOLD_S = 0.3


class Thread(threading.Thread):
    """Does one thing on a connection of its own, and keeps what came of it."""

    def __init__(self, verb: Callable[[], Any]) -> None:
        super().__init__()
        self.verb = verb
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.verb()
        except BaseException as error:  # handed to the test
            self.error = error
        finally:
            connection.close()


@pytest.fixture
def overlap(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Thread, Thread]]:
    """Do two things, the second while the first is about to end its transaction."""
    record = audit.record

    def run(first: Callable[[], Any], second: Callable[[], Any]) -> tuple[Thread, Thread]:
        is_inside = threading.Event()
        one, other = Thread(first), Thread(second)

        def hold(*args: Any, **kwargs: Any) -> None:
            record(*args, **kwargs)
            if threading.current_thread() is one:
                is_inside.set()
                time.sleep(HOLD_S)

        monkeypatch.setattr(audit, "record", hold)
        one.start()
        assert is_inside.wait(10), "the first has recorded nothing"
        other.start()
        for thread in (one, other):
            thread.join(30)
            assert not thread.is_alive()
        return one, other

    return run


@pytest.fixture
def draft() -> Version:
    return make_version(frames=[make_frame(f"f{n}", labels=["car"] * n) for n in range(4)])


def held(version: Version) -> set[str]:
    version = Version.objects.select_related("dataset").get(pk=version.pk)
    assert list(check(version.dataset)) == []
    members = DatasetIndex(version.dataset).members(version)
    return set(Frame.objects.at(version.dataset, members).values_list("frame_id", flat=True))


def refusal(thread: Thread) -> str:
    """Return what the one that lost is told."""
    assert isinstance(thread.error, Refused | VersionNotWritable), thread.error
    return str(thread.error)


def publish(version: Version) -> Callable[[], Any]:
    return lambda: versions.publish(version, actor=None, reason=REASON)


def delete_frames(version: Version, *frame_ids: str) -> Callable[[], Any]:
    return lambda: versions.delete_frames(version, frame_ids, actor=None)


def write(version: Version, *frame_ids: str) -> Callable[[], Any]:
    return lambda: add_frames(version, [make_frame(f, labels=["bus"]) for f in frame_ids])


def test_two_writers_of_one_draft_both_count(draft: Version, overlap: Any) -> None:
    one, other = overlap(delete_frames(draft, "f0", "f1"), delete_frames(draft, "f1", "f2"))
    assert (one.error, other.error) == (None, None)
    # What the first has deleted is no more there for the second.
    assert (one.result, other.result) == (2, 1)
    assert held(draft) == {"f3"}
    one, other = overlap(delete_frames(draft, "f3"), write(draft, "f3", "f4"))
    assert (one.error, other.error) == (None, None)
    assert held(draft) == {"f3", "f4"}


def test_writers_of_one_frame_leave_one_revision_of_it(draft: Version) -> None:
    """Many at once, by no order of ours."""
    threads = [Thread(write(draft, "f0", f"own {n}")) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert thread.error is None
    assert held(draft) == {"f0", "f1", "f2", "f3", *(f"own {n}" for n in range(6))}


def test_a_writer_who_comes_while_a_draft_is_published_is_refused(
    draft: Version, overlap: Any
) -> None:
    one, other = overlap(publish(draft), write(draft, "f9"))
    assert one.error is None
    assert "is published and cannot change" in refusal(other)
    assert held(draft) == {"f0", "f1", "f2", "f3"}


def test_a_publish_that_comes_while_a_draft_is_written_publishes_what_was_written(
    draft: Version, overlap: Any
) -> None:
    one, other = overlap(delete_frames(draft, "f0"), publish(draft))
    assert (one.error, other.error) == (None, None)
    assert other.result.frame_count == 3
    assert held(draft) == {"f1", "f2", "f3"}


def test_a_draft_is_published_once(draft: Version, overlap: Any) -> None:
    one, other = overlap(publish(draft), publish(draft))
    assert one.error is None
    assert "is published and cannot change" in refusal(other)


def test_of_two_snapshots_one_is_made(draft: Version, overlap: Any) -> None:
    def snapshot(name: str) -> Callable[[], Any]:
        return lambda: versions.snapshot(
            draft, actor=None, name=name, child_name=f"after {name}", reason=REASON
        )

    one, other = overlap(snapshot("v1"), snapshot("v2"))
    assert one.error is None
    assert "v1 is published and cannot change" in refusal(other)
    assert set(draft.dataset.versions.values_list("name", flat=True)) == {"v1", "after v1"}


def test_a_child_that_is_made_while_its_parent_is_published_waits_for_it(
    draft: Version, overlap: Any
) -> None:
    def branch() -> Version:
        return versions.create_version(
            dataset=draft.dataset, name="child", parents=[draft], actor=None
        )

    one, other = overlap(publish(draft), branch)
    assert (one.error, other.error) == (None, None)
    assert held(other.result) == held(draft)


def test_two_children_of_one_name_are_not_made(draft: Version, overlap: Any) -> None:
    parent = publish(draft)()

    def branch() -> Version:
        return versions.create_version(
            dataset=parent.dataset, name="child", parents=[parent], actor=None
        )

    one, other = overlap(branch, branch)
    assert one.error is None
    assert "has a version named child already" in refusal(other)


def test_two_datasets_of_one_name_are_not_made(project: Project, overlap: Any) -> None:
    """Nor of two that look the same, made or renamed."""

    def create(name: str) -> Callable[[], Any]:
        return lambda: create_dataset(project=project, name=name, actor=None)

    one, other = overlap(create("Night"), create("NIGHT"))
    assert one.error is None
    assert "has a dataset named Night already" in refusal(other)
    renamed = create_dataset(project=project, name="Day", actor=None)
    one, other = overlap(create("Dusk"), lambda: update_dataset(renamed, actor=None, name="dusk"))
    assert one.error is None
    assert "has a dataset named Dusk already" in refusal(other)
    assert {*project.datasets.values_list("name", flat=True)} == {"Night", "Day", "Dusk"}


def test_a_child_of_a_dataset_that_is_being_deleted_is_refused(
    draft: Version, overlap: Any
) -> None:
    parent = publish(draft)()
    name = draft.dataset.name

    def delete() -> Job:
        return deletions.delete_dataset(
            draft.dataset, actor=None, confirmation=name, delete_all_versions=True, force=True
        )

    def branch() -> Version:
        return versions.create_version(
            dataset=parent.dataset, name="child", parents=[parent], actor=None
        )

    one, other = overlap(delete, branch)
    assert one.error is None
    assert refusal(other) == f"{name} has been deleted."


@pytest.mark.parametrize("verb", [write, delete_frames, publish, None])
def test_what_comes_while_a_draft_is_deleted_hears_of_it(
    draft: Version, overlap: Any, verb: Any
) -> None:
    arguments = () if verb in (publish, None) else ("f1",)
    second = (
        verb(draft, *arguments) if verb else (lambda: versions.delete_version(draft, actor=None))
    )
    one, other = overlap(lambda: versions.delete_version(draft, actor=None), second)
    assert one.error is None
    assert "has been deleted" in refusal(other)
    assert list(check(Dataset.objects.get(pk=draft.dataset_id))) == []


def test_a_draft_is_not_emptied_by_a_restore_from_one_that_is_being_deleted(
    draft: Version, overlap: Any
) -> None:
    source = versions.create_version(dataset=draft.dataset, name="source", actor=None)
    add_frames(source, [make_frame("s1")])
    one, other = overlap(
        lambda: versions.delete_version(source, actor=None),
        lambda: versions.restore(draft, source, actor=None),
    )
    assert one.error is None
    assert "source has been deleted" in refusal(other)
    assert held(draft) == {"f0", "f1", "f2", "f3"}


def test_readers_of_a_draft_that_is_deleted_see_all_of_it_or_nothing(draft: Version) -> None:
    other = versions.create_version(dataset=draft.dataset, name="other", actor=None)
    seen: list[int] = []
    is_done = threading.Event()

    def read() -> None:
        while not is_done.is_set():
            for version in Version.objects.filter(pk=draft.pk).select_related("dataset__project"):
                page = pages.frame_page(version, FrameQuery(group="none"), 10)
                seen.append(len(page.items))
                comparison = compare.compare(other, version)
                seen.append(len(comparison.added))

    readers = [Thread(read), Thread(read)]
    for reader in readers:
        reader.start()
    time.sleep(0.1)
    versions.delete_version(draft, actor=None)
    time.sleep(0.1)
    is_done.set()
    for reader in readers:
        reader.join(10)
        assert reader.error is None
    assert set(seen) <= {0, 4}
    assert 4 in seen


def test_readers_see_every_frame_of_a_version_while_garbage_is_collected(
    draft: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(garbage, "BATCH_MIN", 1)
    monkeypatch.setattr(garbage, "BATCH_MAX", 1)
    add_frames(draft, [make_frame(f"gone {n}", labels=["car"] * 3) for n in range(30)])
    versions.delete_frames(draft, [f"gone {n}" for n in range(30)], actor=None)
    is_done = threading.Event()
    counts: list[tuple[int, int]] = []

    def read() -> None:
        while not is_done.is_set():
            version = Version.objects.select_related("dataset__project").get(pk=draft.pk)
            page = pages.frame_page(version, FrameQuery(group="none", q="label:car"), 10)
            index = DatasetIndex(version.dataset)
            cars = index.frames_of(index.region_text("rois.label", "car"))
            counts.append((len(page.items), len(cars & index.members(version))))

    reader = Thread(read)
    reader.start()
    job = garbage.collect_now(draft.dataset.project, grace_s=0)
    is_done.set()
    reader.join(10)
    assert reader.error is None
    assert job.result["frames"] == 30
    assert set(counts) == {(3, 3)}
    assert held(draft) == {"f0", "f1", "f2", "f3"}


def test_an_import_and_two_collections_at_once_lose_nothing(
    draft: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(garbage, "BATCH_MIN", 2)
    monkeypatch.setattr(garbage, "BATCH_MAX", 2)
    project: Project = draft.dataset.project
    add_frames(draft, [make_frame(f"gone {n}", labels=["car"]) for n in range(20)])
    versions.delete_frames(draft, [f"gone {n}" for n in range(20)], actor=None)

    def stage_and_commit() -> None:
        job = jobs.create(
            Job.Kind.IMPORT, project=project, dataset=draft.dataset, version=draft, actor=None
        )
        stager = Stager(Version.objects.select_related("dataset").get(pk=draft.pk))
        for number in range(10):
            batch = PreparedBatch()
            batch.add(0, make_frame(f"new {number}", labels=["car", f"label {number}"]))
            batch.terms.close()
            with transaction.atomic():
                stager.stage(batch)
                Job.objects.filter(pk=job.pk).update(staged=dump(stager.staged))
        with transaction.atomic():
            stager.commit()
            Job.objects.filter(pk=job.pk).update(staged=b"")

    def collect() -> int:
        return int(garbage.collect_now(project, grace_s=0).result["frames"])

    threads = [Thread(stage_and_commit), Thread(collect), Thread(collect)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert thread.error is None
    assert threads[1].result + threads[2].result == 20
    assert held(draft) == {"f0", "f1", "f2", "f3", *(f"new {n}" for n in range(10))}
    assert Frame.objects.filter(dataset=draft.dataset_id).count() == 14


def test_one_collection_a_project_is_queued_at_a_time(project: Project) -> None:
    threads = [Thread(lambda: garbage.start(project, actor=None)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert thread.error is None
    assert Job.objects.filter(kind=Job.Kind.COLLECT).count() == 1
    assert sum(thread.result is not None for thread in threads) == 1
