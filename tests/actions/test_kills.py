"""kill -9 in the middle of a verb: a version is as before or as after, and so is all else."""

from __future__ import annotations

import itertools
import os
import signal
import traceback
from typing import TYPE_CHECKING, Any, cast

import pytest
from django.conf import settings as site
from django.db import connection, connections
from django.utils import timezone

from frames.actions import deletions, garbage, jobs, previews, versions
from frames.index.bitmaps import BitMap
from frames.index.check import check
from frames.index.reader import DatasetIndex
from frames.models import (
    AuditEvent,
    Dataset,
    DeletedVersion,
    Frame,
    Job,
    Membership,
    Posting,
    Preview,
    Project,
    Source,
    Term,
    Version,
)
from frames.previews.storage import save_preview
from tests.factories import add_frames, make_frame, make_version

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # The child runs one verb and is killed: no other thread's lock is asked for.
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

REASON = "as it is"


def killed_before(number: int, verb: Callable[[], object], *, outside: bool = False) -> bool:
    """Do something in a process of its own that is killed before its statement of that number.

    Counted from 0 are the commits and the statements in transactions, with `outside` those outside
    of any too. Return whether there were so many.
    """
    connections.close_all()
    if connection.vendor == "postgresql":
        cast("Any", connection).close_pool()
    child = os.fork()
    if not child:
        _run_and_exit(number, verb, outside=outside)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def _run_and_exit(number: int, verb: Callable[[], object], *, outside: bool) -> None:
    statements = itertools.count()
    # Without a pool: its threads, started in a process that was forked off one with threads, have
    # found a lock held that nobody lets go, and waited their 30 s.
    connection.settings_dict["OPTIONS"].pop("pool", None)

    def count() -> None:
        if next(statements) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrap(execute: Any, *args: Any) -> Any:
        if outside or connection.in_atomic_block:
            count()
        return execute(*args)

    commit = connection.commit

    def counted_commit() -> None:
        count()
        commit()

    connection.commit = counted_commit  # type: ignore[method-assign]
    try:
        with connection.execute_wrapper(wrap):
            verb()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def state() -> dict[str, Any]:
    """Return all that a verb may change, by names: what is made again has other ids."""
    found: dict[str, Any] = {}
    for version in Version.objects.select_related("dataset").order_by("pk"):
        assert list(check(version.dataset)) == []
        members = DatasetIndex(version.dataset).members(version)
        rows = Frame.objects.at(version.dataset, members)
        found[version.name] = (
            version.status,
            version.published_at is None,
            sorted(version.parents.values_list("name", flat=True)),
            sorted(rows.values_list("frame_id", "meta__rev")),
            (version.frame_count, version.annotated_count, version.region_count, version.sample),
        )
    found["events"] = list(AuditEvent.objects.order_by("pk").values_list("verb", "object_name"))
    found["deleted"] = list(DeletedVersion.objects.values_list("name", flat=True))
    found["revisions"] = sorted(Frame.objects.values_list("pk", flat=True))
    found["memberships"] = Membership.objects.count()
    return found


def assert_all_or_nothing(verb: Callable[[], object]) -> None:
    """Kill the verb before each of its statements; it must have done nothing, or all in the end."""
    before = state()
    for number in itertools.count():
        if not killed_before(number, verb):
            break
        assert state() == before, f"killed before statement {number}"
    assert number > 5
    after = state()
    assert after != before


def frame(number: int, rev: int) -> Any:
    return make_frame(f"f{number}", labels=["car"] * number, meta={"rev": rev})


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker takes what is enqueued."""
    for module in ("deletions", "garbage", "previews"):
        monkeypatch.setattr(f"frames.actions.{module}.enqueue", lambda task, **kwargs: None)
    monkeypatch.setattr("frames.actions.garbage.time.sleep", lambda spent: None)


@pytest.fixture
def draft() -> Version:
    return make_version(frames=[frame(number, 1) for number in range(4)])


@pytest.fixture
def release(draft: Version) -> Version:
    return versions.publish(draft, actor=None, name="v1", reason=REASON)


def child_of(*parents: Version, name: str = "child") -> Version:
    return versions.create_version(
        dataset=parents[0].dataset, name=name, parents=parents, actor=None, rule="last"
    )


def test_a_killed_child_is_not_there_or_whole(release: Version) -> None:
    assert_all_or_nothing(lambda: child_of(release))
    assert state()["child"][3] == [(f"f{number}", 1) for number in range(4)]


def test_a_killed_union_is_not_there_or_whole(release: Version) -> None:
    parents = []
    for number in (1, 2):
        version = add_frames(child_of(release, name=f"side {number}"), [frame(number, 5)])
        parents.append(versions.publish(version, actor=None, reason=REASON))
    assert_all_or_nothing(lambda: child_of(*parents))
    assert state()["child"][3] == [("f0", 1), ("f1", 1), ("f2", 5), ("f3", 1)]


def test_a_killed_publish_leaves_a_draft_or_a_published_version(draft: Version) -> None:
    assert_all_or_nothing(lambda: versions.publish(draft, actor=None, name="v1", reason=REASON))
    assert state()["v1"][0] == Version.Status.PUBLISHED


def test_a_killed_snapshot_leaves_a_draft_or_two_versions(draft: Version) -> None:
    assert_all_or_nothing(
        lambda: versions.snapshot(draft, actor=None, name="v1", child_name="Next", reason=REASON)
    )
    found = state()
    assert found["v1"][3] == found["Next"][3]


def test_a_killed_deletion_leaves_the_version_or_nothing_of_it(release: Version) -> None:
    child = child_of(release)
    assert_all_or_nothing(lambda: versions.delete_version(child, actor=None))
    assert "child" not in state()
    assert state()["deleted"] == ["child"]


def test_a_killed_restore_leaves_the_draft_as_it_was_or_as_its_source(release: Version) -> None:
    child = add_frames(child_of(release), [frame(1, 2), frame(9, 2)])
    versions.delete_frames(child, ["f0"], actor=None)
    assert_all_or_nothing(lambda: versions.restore(child, release, actor=None))
    assert state()["child"][3] == state()["v1"][3]


def test_a_killed_deletion_of_frames_takes_all_or_none(draft: Version) -> None:
    assert_all_or_nothing(lambda: versions.delete_frames(draft, ["f0", "f3"], actor=None))


def test_a_killed_collection_ends_in_the_same_state_as_one_that_was_not(
    draft: Version, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Killed before its first statement, then again before the second of what is left, and on."""
    monkeypatch.setattr(site, "PREVIEWS_DIR", tmp_path / "previews")
    monkeypatch.setattr(site, "UPLOADS_DIR", tmp_path / "uploads")
    monkeypatch.setattr(garbage, "BATCH_MIN", 2)
    monkeypatch.setattr(garbage, "BATCH_MAX", 2)
    project = draft.dataset.project
    fill(draft, project)
    held = state()["Current"]
    kills = 0
    for number in itertools.count():
        if not killed_before(number, lambda: garbage.collect_now(project, grace_s=0), outside=True):
            break
        kills += 1
        assert state()["Current"] == held
        # As if the time after which a silent worker counts as gone had passed.
        Job.objects.update(heartbeat_at=timezone.now() - 2 * jobs.STALE_AFTER)
    assert kills > 50
    assert_nothing_but(draft, held)


def fill(draft: Version, project: Project) -> None:
    """Give a project garbage of each kind."""
    for rev in (2, 3, 4):
        add_frames(draft, [frame(number, rev) for number in range(3)])
    dataset = Dataset.objects.get(pk=draft.dataset_id)
    previews.plan(dataset.pk, 0, dataset.next_ordinal)
    for number in range(3):
        uri = f"https://example.com/gone-{number}.jpg"
        preview = Preview(key=f"{number:040x}", project=project, uri=uri, edge_px=320)
        save_preview(preview.name, b"jpeg")
        preview.save()
        folder = site.UPLOADS_DIR / project.uid / f"{number:032x}" / "a.zip.unpacked"
        folder.mkdir(parents=True)
        (folder / "a.jpg").write_bytes(b"jpeg")
        (folder.parent / "a.zip").write_bytes(b"zip")


def assert_nothing_but(draft: Version, held: Any) -> None:
    """Assert that what the draft holds is there, and no garbage."""
    assert state()["Current"] == held
    dataset = Dataset.objects.get(pk=draft.dataset_id)
    members = DatasetIndex(dataset).members(draft)
    assert BitMap(row.ordinal for row in Frame.objects.filter(dataset=dataset)) == members
    assert Source.objects.count() == len(members)
    assert Preview.objects.count() == 1
    assert not [*site.PREVIEWS_DIR.rglob("*.jpg")]
    assert not [*site.UPLOADS_DIR.glob("*/*")]


def test_a_killed_deletion_of_a_dataset_is_finished_by_the_next_worker(draft: Version) -> None:
    keep = make_version(frames=[frame(0, 1)])
    name = draft.dataset.name
    job = deletions.delete_dataset(
        draft.dataset, actor=None, confirmation=name, delete_all_versions=True
    )
    for number in itertools.count():
        if not killed_before(number, lambda: deletions.run(job.uid)):
            break
        assert list(check(keep.dataset)) == []
        Job.objects.update(heartbeat_at=timezone.now() - 2 * jobs.STALE_AFTER)
    job.refresh_from_db()
    assert job.state == Job.State.DONE
    assert not Dataset.objects.filter(name=name).exists()
    assert list(Frame.objects.values_list("dataset", flat=True)) == [keep.dataset_id]
    assert Membership.objects.count() == 1
    terms = {pk >> 16 for pk in Posting.objects.values_list("pk", flat=True)}
    assert terms == set(Term.objects.values_list("pk", flat=True))
