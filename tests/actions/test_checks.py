"""Checks before publishing: each kind of defect, the job, and the gate they are to a draft."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from frames.actions import checks, jobs, versions
from frames.actions.fields import Refused
from frames.actions.imports import import_path
from frames.formats.base import FrameData, SourceData
from frames.index import membership, reader, store
from frames.index.bitmaps import load
from frames.index.geometry import OUTSIDE, ZERO_AREA, frame_defects
from frames.models import (
    AuditEvent,
    CheckFinding,
    Frame,
    Job,
    Preview,
    PreviewReason,
    Source,
    Version,
)
from frames.search import defects
from tests.factories import add_frames, make_frame, make_version
from tests.properties import tries
from tests.web.support import fail, make_preview

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User

    from frames.models import Project

pytestmark = pytest.mark.django_db

BOX = [0, 0, 10, 0, 10, 10, 0, 10]
FLAT = [0, 0, 10, 0, 10, 0, 0, 0]
OUT = [0, 0, 700, 0, 700, 10, 0, 10]


def still(frame_id: str, **changes: Any) -> FrameData:
    """Return a frame that has its context to itself."""
    return make_frame(frame_id, **{"context_id": f"context of {frame_id}", **changes})


def check(version: Version, *, fetch: bool = False) -> dict[str, set[str]]:
    """Run a check; return the ids of the frames of each finding."""
    job = checks.start_check(version, actor=None, fetch=fetch)
    checks.run(job.uid)
    job.refresh_from_db()
    assert job.state == Job.State.DONE, job.message
    assert job.position == job.total
    return {finding.kind: frames_of(finding) for finding in job.findings.all()}


def frames_of(finding: CheckFinding) -> set[str]:
    assert finding.job.dataset is not None
    frames = load(finding.frames)
    assert finding.count == len(frames)
    rows = Frame.objects.at(finding.job.dataset, frames)
    return set(rows.values_list("frame_id", flat=True))


def found(version: Version, **options: Any) -> dict[str, set[str]]:
    """Run a check; return what it found."""
    return {kind: frames for kind, frames in check(version, **options).items() if frames}


@pytest.fixture
def clean() -> Version:
    return make_version(frames=[still("a", labels=["car"]), still("b", labels=["car", "bus"])])


def test_a_clean_version_has_no_defect(clean: Version) -> None:
    assert check(clean) == {
        "zero-area": set(),
        "outside": set(),
        "label-case": set(),
        "collision": set(),
        "duplicate": set(),
        "unreachable": set(),
    }


def test_each_kind_of_defect_is_found_in_its_frames() -> None:
    twin: dict[str, Any] = {"context_id": "two of a kind", "timestamp": 7.0}
    version = make_version(
        frames=[
            still("fine", labels=["car"]),
            still("also fine", labels=["car"]),
            still("flat", rois=[{"label": ["car"], "poly": FLAT}]),
            still("out", rois=[{"label": ["car"], "poly": OUT}]),
            still("both", rois=[{"label": ["car"], "poly": OUT}, {"label": ["car"], "poly": FLAT}]),
            still("shouted", labels=["CAR"]),
            still("capital", labels=["Car", "car"]),
            make_frame("collides", context_id="drive", timestamp=33),
            make_frame("collides too", context_id="drive", timestamp=33, meta={"n": 1}),
            make_frame("later", context_id="drive", timestamp=34),
            make_frame("twin", **twin),
            make_frame("other twin", **twin),
            make_frame("triplet", **twin),
            make_frame("no twin", **{**twin, "timestamp": 8.0}),
        ]
    )
    assert found(version) == {
        "zero-area": {"flat", "both"},
        "outside": {"out", "both"},
        "label-case": {"shouted", "capital"},
        "collision": {"collides", "collides too", "twin", "other twin", "triplet"},
        "duplicate": {"twin", "other twin", "triplet"},
    }


def test_only_what_the_version_holds_counts() -> None:
    """A revision that was replaced, and a frame of another version, are no defects of this one."""
    version = make_version(frames=[still("a", labels=["CAR"]), still("b", labels=["car"])])
    add_frames(version, [still("a", labels=["car"])])
    assert found(version) == {}
    release, draft = versions.snapshot(version, actor=None, reason="unchecked")
    add_frames(draft, [still("c", context_id="context of a", rois=[{"poly": FLAT}])])
    assert found(release) == {}
    assert found(draft) == {"zero-area": {"c"}, "collision": {"a", "c"}}
    versions.delete_frames(draft, ["c"], actor=None)
    assert found(draft) == {}


contexts = st.sampled_from(["one", "two", "é"])
some_frames = st.lists(
    st.builds(
        lambda number, context, at, labels, poly, meta: make_frame(
            f"f{number}",
            context_id=context,
            timestamp=at,
            rois=[{"label": labels, "poly": poly}] if poly else [{"label": labels}],
            meta={"n": meta},
        ),
        st.integers(0, 12),
        contexts,
        st.sampled_from([0.0, 33.0, 33.000001, -5.0]),
        st.lists(st.sampled_from(["car", "Car", "CAR", "bus", "straße", "STRASSE"]), max_size=3),
        st.sampled_from([BOX, FLAT, OUT, []]),
        st.integers(0, 1),
    ),
    max_size=10,
    unique_by=lambda frame: frame.frame_id,
)


def brute_force(version: Version) -> dict[str, set[str]]:
    """Return the frames with each kind of defect, by looking at each."""
    members = membership.members(version.pk)
    rows = list(Frame.objects.at(version.dataset, members).prefetch_related("sources"))
    wanted: dict[str, set[str]] = defaultdict(set)
    labels: dict[str, int] = defaultdict(int)
    for row in rows:
        for label in {label for roi in row.rois for label in roi.get("label") or ()}:
            labels[label] += 1
        for defect in frame_defects(row.rois, list(row.sources.all())):
            wanted[{ZERO_AREA: "zero-area", OUTSIDE: "outside"}[defect]].add(row.frame_id)
    rare = {
        label
        for label, count in labels.items()
        if any(
            other != label
            and other.casefold() == label.casefold()
            and (labels[other], other) > (count, label)
            for other in labels
        )
    }
    for row in rows:
        if any(label in rare for roi in row.rois for label in roi.get("label") or ()):
            wanted["label-case"].add(row.frame_id)
        for other in rows:
            if other.pk == row.pk:
                continue
            if (other.context_id, other.timestamp) == (row.context_id, row.timestamp):
                wanted["collision"].add(row.frame_id)
            if bytes(other.digest) == bytes(row.digest):
                wanted["duplicate"].add(row.frame_id)
    return dict(wanted)


@tries(40)
@given(history=st.lists(some_frames, min_size=1, max_size=3), parts=st.sampled_from([1, 2, 1000]))
def test_findings_equal_brute_force(
    history: list[list[FrameData]], parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was written over what, and in however small parts it is looked at."""
    monkeypatch.setattr(reader, "_MOST_RUNS", parts)
    monkeypatch.setattr(store, "CHUNK", parts)
    version = make_version()
    for frames in history:
        if frames:
            version = add_frames(version, frames)
    assert found(version) == brute_force(version)
    if version.frame_count > 2:
        release, draft = versions.snapshot(version, actor=None, reason="unchecked")
        gone = [frame.frame_id for frames in history for frame in frames][::2]
        versions.delete_frames(draft, gone, actor=None)
        assert found(draft) == brute_force(draft)
        assert found(release) == brute_force(release)


@pytest.mark.parametrize("same", [slice(0, 8), slice(8, 16)])
def test_equal_halves_of_digests_make_no_duplicates(same: slice) -> None:
    """Digests are told apart by all of their bytes."""
    version = make_version(
        frames=[make_frame(name, context_id="c", meta={"is": name}) for name in ("a", "b")]
    )
    for row in Frame.objects.all():
        digest = bytearray(row.digest)
        digest[same] = b"the same"
        Frame.objects.filter(pk=row.pk).update(digest=bytes(digest))
    assert found(version) == {"collision": {"a", "b"}}


def test_examples_are_the_first_moments_and_a_few_twins() -> None:
    """Collisions by context and time, with how many frames; twins by the names of a few."""
    frames = [
        make_frame(f"{context} {at} {number}", context_id=context, timestamp=at, meta={"n": n})
        for context in ("z", "Z", "a")
        for at in (2.0, 10.0)
        for number, n in enumerate([0, 0, 1])
    ]
    version = make_version(frames=frames)
    check(version)
    findings = {finding.kind: finding for finding in CheckFinding.objects.all()}
    moments = [("Z", 2.0), ("Z", 10.0), ("a", 2.0), ("a", 10.0), ("z", 2.0)]
    assert findings["collision"].examples == [
        {"context": context, "timestamp": at, "frames": 3} for context, at in moments
    ]
    twins = [example["names"] for example in findings["duplicate"].examples]
    assert len(twins) == 5
    assert all([f"{name[:-1]}{n}" for n in range(2)] == [name, other] for name, other in twins)


def test_duplicates_are_found_past_a_segments_end() -> None:
    version = make_version()
    type(version.dataset).objects.filter(pk=version.dataset_id).update(next_ordinal=65_534)
    version.dataset.refresh_from_db()
    twin: dict[str, Any] = {"context_id": "c", "timestamp": 1.0}
    version = add_frames(
        version, [make_frame("a", **twin), still("x"), still("y"), make_frame("b", **twin)]
    )
    assert found(version) == {"duplicate": {"a", "b"}, "collision": {"a", "b"}}


# --- sources ------------------------------------------------------------------------------


def test_a_source_whose_preview_could_not_be_had_is_unreachable(clean: Version) -> None:
    """Without fetching: what is damaged is there all the same."""
    add_frames(clean, [still("gone", uri="https://x.test/1"), still("odd", uri="https://x.test/2")])
    for uri, reason in (("1", PreviewReason.NOT_FOUND), ("2", PreviewReason.CODEC)):
        fail(make_preview(Source.objects.get(uri=f"https://x.test/{uri}")), reason)
    assert found(clean) == {"unreachable": {"gone"}}
    finding = CheckFinding.objects.get(kind="unreachable", count=1)
    assert finding.examples == [
        {"uri": "https://x.test/1", "reason": PreviewReason.NOT_FOUND.label}
    ]


def test_another_projects_previews_say_nothing(clean: Version) -> None:
    other = make_version(frames=[still("theirs", uri="https://x.test/1")])
    fail(make_preview(Source.objects.get(uri="https://x.test/1")), PreviewReason.NOT_FOUND)
    add_frames(clean, [still("ours", uri="https://x.test/1")])
    assert found(clean) == {}
    assert found(other) == {"unreachable": {"theirs"}}
    assert Preview.objects.count() == 1


@pytest.fixture
def folder(tmp_path: Path, clean: Version) -> Path:
    """A folder that the project may read."""
    project = clean.dataset.project
    project.media_allow = [tmp_path.as_uri() + "/"]
    project.save()
    return tmp_path


def save(folder: Path, name: str, picture: Image.Image) -> str:
    picture.save(folder / name)
    return (folder / name).as_uri()


def masked(frame_id: str, uri: str, mask: str, **changes: Any) -> FrameData:
    frame = still(frame_id, uri=uri, **changes)
    frame.sources[0].masks = [{"id": "00", "uri": mask}]
    return frame


def test_fetching_finds_every_source_that_cannot_be_read(clean: Version, folder: Path) -> None:
    there = save(folder, "there.png", Image.new("L", (8, 8)))
    two = still("two", uri=there)
    two.sources.append(SourceData("rear", (folder / "gone.png").as_uri()))
    version = make_version(
        clean.dataset.project,
        [
            still("there", uri=there),
            still("again", uri=there),
            still("gone", uri=(folder / "gone.png").as_uri()),
            still("a folder", uri=folder.as_uri()),
            still("not allowed", uri="file:///etc/hostname"),
            still("nonsense", uri="ftp://x.test/picture"),
            masked("no mask", there, (folder / "gone-mask.png").as_uri()),
            two,
        ],
    )
    assert found(version, fetch=True) == {
        "unreachable": {"gone", "a folder", "not allowed", "nonsense", "no mask", "two"}
    }


def test_mask_values_without_a_label_are_found(clean: Version, folder: Path) -> None:
    """By the legend or by a region of the frame; zero, black and transparent need no label."""
    picture = save(folder, "picture.png", Image.new("RGB", (4, 4)))

    def grey(name: str, *values: int) -> str:
        return save(folder, name, Image.fromarray(np.array([values], dtype=np.uint8)))

    def colored(name: str, *values: tuple[int, ...]) -> str:
        return save(folder, name, Image.fromarray(np.array([values], dtype=np.uint8)))

    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 0, 9, 9, 9, 128, 64, 128])
    palette.putpixel((1, 0), 2)
    deep = Image.fromarray(np.array([[0, 7, 40_000]], dtype=np.uint16))
    crowded = Image.fromarray(np.arange(5_000, dtype=np.uint16)[None])
    text = folder / "mask.txt"
    text.write_text("no picture")
    road = {"label": ["lane"], "mask": {"id": "00", "value": [1, 2, 3]}}
    version = make_version(
        clean.dataset.project,
        [
            masked("grey", picture, grey("grey.png", 0, 7)),
            masked("grey 8", picture, grey("grey8.png", 0, 7, 8)),
            masked("colour", picture, colored("c.png", (0, 0, 0), (128, 64, 128))),
            masked("colour of grey", picture, colored("g.png", (7, 7, 7), (0, 0, 0))),
            masked("strange colour", picture, colored("s.png", (1, 2, 3), (0, 0, 0))),
            masked("own colour", picture, colored("o.png", (1, 2, 3)), rois=[road]),
            masked("transparent", picture, colored("t.png", (1, 2, 3, 0), (7, 7, 7, 255))),
            masked("palette", picture, save(folder, "p.png", palette)),
            masked("deep", picture, save(folder, "deep.png", deep)),
            masked("crowded", picture, save(folder, "many.png", crowded)),
            masked("no picture", picture, text.as_uri()),
        ],
    )
    versions.update_version(
        version,
        actor=None,
        metadata={
            "mask_labels": {
                "_all_": [
                    {"value": 7, "labels": ["road"]},
                    {"value": [128, 64, 128], "labels": ["road"]},
                    {"value": 8, "labels": []},
                ]
            }
        },
    )
    result = found(version, fetch=True)
    assert result["mask-value"] == {"grey 8", "strange colour", "deep", "crowded"}
    assert "mask-value" not in check(version), "masks are not looked at without fetching"


def test_a_dead_host_is_not_waited_for_again_and_again(
    clean: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def silent(uri: str, policy: Any) -> None:
        asked.append(uri)
        raise checks_error()

    def checks_error() -> Exception:
        from frames.media import MediaError

        return MediaError(PreviewReason.TIMED_OUT, "slow")

    monkeypatch.setattr("frames.actions.fetching.probe", silent)
    monkeypatch.setattr("frames.actions.fetching.THREADS", 1)
    frames = [still(f"f{n}", uri=f"https://slow.test/{n}") for n in range(100)]
    version = make_version(clean.dataset.project, frames)
    assert len(found(version, fetch=True)["unreachable"]) == 100
    assert len(asked) == 16


# --- the job ------------------------------------------------------------------------------


def test_a_check_is_run_from_the_queue(
    clean: Version,
    run_queue: Callable[[], list[str]],
    django_capture_on_commit_callbacks: Any,
    editor: User,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        job = checks.start_check(clean, actor=editor, fetch=False)
        again = checks.start_check(clean, actor=editor, fetch=True)
    assert again == job, "one check of a version at a time"
    assert "frames.run_job" in run_queue()
    job.refresh_from_db()
    assert (job.state, job.created_by) == (Job.State.DONE, editor)


def test_a_check_heeds_its_cancellation(clean: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_RENEW_S", 0)
    job = checks.start_check(clean, actor=None, fetch=False)
    original = defects.collisions

    def cancelled_meanwhile(*args: Any) -> Any:
        jobs.cancel(job)
        return original(*args)

    monkeypatch.setattr(defects, "collisions", cancelled_meanwhile)
    checks.run(job.uid)
    job.refresh_from_db()
    assert job.state == Job.State.CANCELLED
    assert checks.last_check(clean) is None


def test_a_fetching_goes_on_where_it_was_killed(
    clean: Version, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "FETCH_FRAMES", 2)
    frames = [still(f"f{n}", uri=(folder / f"{n}.png").as_uri()) for n in range(6)]
    version = make_version(clean.dataset.project, frames)
    job = checks.start_check(version, actor=None, fetch=True)
    parts: list[list[int]] = []
    original = checks._fetch_part

    class Killed(BaseException):
        """Like a kill -9: nothing catches it."""

    def killed_in_the_third(index: Any, part: list[int], *rest: Any) -> None:
        parts.append(part)
        if len(parts) == 3:
            raise Killed
        original(index, part, *rest)

    monkeypatch.setattr(checks, "_fetch_part", killed_in_the_third)
    with pytest.raises(Killed):
        checks.run(job.uid)
    job.refresh_from_db()
    assert job.state == Job.State.RUNNING
    assert checks.last_check(version) is None
    Job.objects.filter(pk=job.pk).update(state=Job.State.QUEUED)
    checks.run(job.uid)
    assert parts == [[0, 1], [2, 3], [4, 5], [4, 5]]
    last = checks.last_check(version)
    assert last is not None
    assert {f.kind: f.count for f in last.open} == {"unreachable": 6}


def test_a_check_that_was_killed_begins_anew_when_the_draft_has_changed(
    clean: Version, folder: Path
) -> None:
    version = make_version(clean.dataset.project, [still("gone", uri=(folder / "x").as_uri())])
    job = checks.start_check(version, actor=None, fetch=True)
    Job.objects.filter(pk=job.pk).update(position=99, options={"fetch": True, "state": "old"})
    CheckFinding.objects.create(job=job, kind="mask-value", count=1)
    checks.run(job.uid)
    last = checks.last_check(version)
    assert last is not None
    assert last.is_current
    assert {f.kind: f.count for f in last.open} == {"unreachable": 1}


def test_only_the_last_checks_findings_are_kept(clean: Version) -> None:
    check(clean)
    check(clean)
    assert Job.objects.filter(kind=Job.Kind.CHECK).count() == 2
    assert CheckFinding.objects.values("job").distinct().count() == 1


# --- the gate -----------------------------------------------------------------------------


def publish(version: Version, **options: Any) -> Version:
    return versions.publish(version, actor=None, **options)


def test_a_draft_is_not_published_unchecked(clean: Version) -> None:
    for act in (versions.publish, versions.snapshot):
        with pytest.raises(Refused, match="has not been checked as it is now"):
            act(clean, actor=None)
        with pytest.raises(Refused, match="has not been checked as it is now"):
            act(clean, actor=None, reason="  ")
    clean.refresh_from_db()
    assert clean.is_draft


def test_a_draft_that_passed_its_checks_is_published_without_a_reason(clean: Version) -> None:
    check(clean)
    publish(clean)
    details = AuditEvent.objects.get(verb="publish").details
    assert details == {"reason": "", "check": Job.objects.get().uid, "found": {}}


def test_an_empty_draft_has_nothing_to_check() -> None:
    assert not publish(make_version()).is_draft


def test_a_waiver_of_defects_stays_in_the_log(clean: Version, admin: User) -> None:
    add_frames(clean, [still("flat", rois=[{"poly": FLAT}]), still("shout", labels=["BUS", "CAR"])])
    check(clean)
    with pytest.raises(Refused, match="regions without an area, labels that differ only by case"):
        publish(clean)
    versions.publish(clean, actor=admin, reason=" The flat one is a marker. ")
    event = AuditEvent.objects.get(verb="publish")
    assert event.actor == admin
    assert event.details == {
        "reason": "The flat one is a marker.",
        "check": Job.objects.get().uid,
        "found": {"zero-area": 1, "label-case": 1},
    }


def test_a_check_counts_until_the_draft_changes(clean: Version) -> None:
    check(clean)
    add_frames(clean, [still("new")])
    with pytest.raises(Refused, match="has not been checked as it is now"):
        publish(clean)
    versions.delete_frames(clean, ["new"], actor=None)
    last = checks.last_check(clean)
    assert last is not None
    assert last.is_current, "it holds what was checked again"
    versions.update_version(clean, actor=None, metadata={"mask_labels": {"_all_": []}})
    clean.refresh_from_db()
    last = checks.last_check(clean)
    assert last is not None
    assert not last.is_current, "what a mask value means has changed"


def test_a_check_outlives_changes_of_other_drafts(clean: Version) -> None:
    release, draft = versions.snapshot(clean, actor=None, reason="unchecked")
    check(draft)
    other = versions.create_version(
        dataset=draft.dataset, name="other", parents=[release], actor=None
    )
    add_frames(other, [still("new")])
    assert not publish(draft).is_draft


def test_a_child_is_checked_itself(clean: Version) -> None:
    check(clean)
    _, child = versions.snapshot(clean, actor=None)
    with pytest.raises(Refused, match="has not been checked"):
        publish(child)


def test_a_running_check_does_not_hold_up_publishing(clean: Version) -> None:
    check(clean)
    checks.start_check(clean, actor=None, fetch=True)
    assert not publish(clean).is_draft


def test_a_reason_of_any_length_is_not_taken(clean: Version) -> None:
    with pytest.raises(Refused, match="over 2,000"):
        publish(clean, reason="x" * 2_001)


def test_a_deleted_version_is_not_checked(clean: Version) -> None:
    job = checks.start_check(clean, actor=None, fetch=False)
    versions.delete_version(clean, actor=None)
    checks.run(job.uid)
    job.refresh_from_db()
    assert job.state == Job.State.FAILED
    assert "has been deleted" in job.message
    with transaction.atomic(), pytest.raises(Refused, match="deleted"):
        checks.start_check(clean, actor=None, fetch=False)


# --- real data ----------------------------------------------------------------------------


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "path", ["camvid/frames.json", "photos/", "nuscenes/sample.json", "video/demo.mp4"]
)
def test_real_data_raises_no_false_alarm(shared_data: Path, project: Project, path: str) -> None:
    job = import_path(str(shared_data / path), dataset_name="Real", project=project)
    assert job.version is not None
    assert job.version.frame_count > 0
    assert found(job.version, fetch=True) == {}


@pytest.mark.shared_data
def test_every_mask_of_a_class_without_a_label_is_found(
    shared_data: Path, project: Project, tmp_path: Path
) -> None:
    """CamVid without the label of one class, and without the regions that say it again."""
    folder = shared_data / "camvid"
    truth = json.loads((folder / "truth.json").read_text())
    manifest = json.loads((folder / "frames.json").read_text())
    legend = manifest["version"]["metadata"]["mask_labels"]["_all_"]
    legend[:] = [entry for entry in legend if entry["labels"] != ["bicyclist"]]
    for frame in manifest["frames"]:
        frame["rois"] = []
        for source in frame["sources"]:
            for file in (source, *source["masks"]):
                file["uri"] = (folder / file["uri"]).as_uri()
    path = tmp_path / "frames.json"
    path.write_text(json.dumps(manifest))
    project.media_allow = [folder.as_uri() + "/"]
    project.save()
    job = import_path(str(path), dataset_name="CamVid", project=project)
    assert job.version is not None
    (kind, frames), *others = found(job.version, fetch=True).items()
    assert (kind, others) == ("mask-value", [])
    assert len(frames) == truth["label_frames"]["bicyclist"]
