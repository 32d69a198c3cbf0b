"""The checks of a version: their page, the frames found, and what they mean to publishing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from frames.actions import checks, versions
from frames.models import AuditEvent, Job, Version
from tests.factories import add_frames, make_frame, make_version
from tests.web.support import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Project

    Browse = Callable[[User | None], Client]

FLAT = [{"label": ["car"], "poly": [5, 5, 9, 5, 9, 5, 5, 5]}]


@pytest.fixture
def flawed(version: Version) -> Version:
    """The version with a flat region, and a frame at the moment of another."""
    return add_frames(
        version,
        [
            make_frame("flat", context_id="drive/c", rois=FLAT),
            make_frame("a-0 again", context_id="drive/a", timestamp=0),
        ],
    )


def check(version: Version) -> Job:
    job = checks.start_check(version, actor=None, fetch=False)
    checks.run(job.uid)
    return job


def test_running_the_checks_leads_to_the_job_and_back(
    version: Version, base: str, browse: Browse, editor: User
) -> None:
    client = browse(editor)
    page = client.get(f"{base}/check/").content.decode()
    assert "has not been checked yet" in page
    assert "Run the checks" in page
    response = client.post(f"{base}/check/", {"fetch": "on"})
    job = Job.objects.get()
    assert response["Location"] == f"/jobs/{job.uid}/"
    assert (job.kind, job.options, job.created_by) == ("check", {"fetch": True}, editor)
    assert f"/jobs/{job.uid}/" in client.get(f"{base}/check/").content.decode()
    checks.run(job.uid)
    assert f'href="{base}/check/"' in client.get(f"/jobs/{job.uid}/").content.decode()


def test_each_finding_tells_its_count_and_leads_to_its_frames(
    flawed: Version, base: str, browse: Browse, viewer: User
) -> None:
    check(flawed)
    client = browse(viewer)
    page = client.get(f"{base}/check/").content.decode()
    assert f'<a href="{base}/check/zero-area/">Regions without an area</a>' in page
    assert "Run the checks" not in page
    assert "not looked at" in page
    findings = client.get(f"{base}/check.json").json()["findings"]
    assert {f["kind"]: f["frames"] for f in findings} == {
        "unreachable": 0,
        "zero-area": 1,
        "outside": 0,
        "label-case": 0,
        "mask-value": None,
        "collision": 2,
        "duplicate": 0,
    }
    frames = client.get(f"{base}/check/collision.json").json()["items"]
    assert [frame["id"] for frame in frames] == ["a-0", "a-0 again"]
    flat = client.get(f"{base}/check/zero-area/").content.decode()
    assert f'href="{base}/frames/flat/"' in flat
    assert "car, box 5,5-9,5" in flat or "car, polygon" in flat


def test_a_kind_that_was_not_looked_for_has_no_page(
    version: Version, base: str, browse: Browse, viewer: User
) -> None:
    client = browse(viewer)
    assert client.get(f"{base}/check/collision/").status_code == 404
    check(version)
    assert client.get(f"{base}/check/collision/").status_code == 200
    assert client.get(f"{base}/check/mask-value/").status_code == 404
    assert client.get(f"{base}/check/nonsense/").status_code == 404


def test_found_frames_are_paged(project: Project, browse: Browse, viewer: User) -> None:
    frames = [make_frame(f"f{n:03}", context_id="c", timestamp=n // 2) for n in range(100)]
    version = make_version(project, frames)
    check(version)
    base = f"/datasets/{version.dataset.uid}/versions/{version.uid}/check/collision"
    client = browse(viewer)
    seen = []
    after: str | None = ""
    while after is not None:
        page = client.get(f"{base}.json", {"after": after}).json()
        seen += [frame["id"] for frame in page["items"]]
        after = page["next"]
    assert seen == [f"f{n:03}" for n in range(100)]
    assert client.get(f"{base}.json", {"after": "nonsense"}).status_code == 400
    assert client.get(f"{base}/", {"after": "nonsense"})["Location"] == f"{base}/"


def test_after_a_change_the_findings_are_shown_as_old(
    flawed: Version, base: str, browse: Browse, viewer: User
) -> None:
    check(flawed)
    versions.delete_frames(flawed, ["flat"], actor=None)
    client = browse(viewer)
    assert "has changed since" in client.get(f"{base}/check/").content.decode()
    assert client.get(f"{base}/check.json").json()["is_current"] is False
    frames = client.get(f"{base}/check/zero-area/").content.decode()
    assert "has changed since" in frames
    assert "0 frames, 1 more are no longer in it" in frames


def test_publishing_asks_for_a_reason_while_defects_are_open(
    flawed: Version, base: str, browse: Browse, admin: User
) -> None:
    check(flawed)
    client = browse(admin)
    form = client.get(f"{base}/publish/").content.decode()
    assert "The checks found defects" in form
    assert f'href="{base}/check/zero-area/"' in form
    assert "Why publish with these defects" in form
    refused = client.post(f"{base}/publish/", {"name": "v1", "reason": " "})
    assert refused.status_code == 400
    assert "regions without an area" in refused.content.decode()
    sent = {"name": "v1", "with_copy": "on", "copy_name": "Next", "reason": "Known <flaws>"}
    assert client.post(f"{base}/publish/", sent).status_code == 302
    event = AuditEvent.objects.get(verb="publish")
    assert event.details["reason"] == "Known <flaws>"
    assert event.details["found"] == {"zero-area": 1, "collision": 2}


def test_publishing_asks_for_no_reason_where_nothing_was_found(
    version: Version, base: str, browse: Browse, admin: User
) -> None:
    client = browse(admin)
    unchecked = client.get(f"{base}/publish/").content.decode()
    assert "has not been checked yet" in unchecked
    assert 'name="reason"' in unchecked
    check(version)
    form = client.get(f"{base}/publish/").content.decode()
    assert "The checks found no defect" in form
    assert 'name="reason"' not in form
    assert client.post(f"{base}/publish/", {"name": "v1"}).status_code == 302


def test_a_draft_that_changed_after_the_form_was_shown_is_not_published(
    version: Version, base: str, browse: Browse, admin: User
) -> None:
    check(version)
    versions.delete_frames(version, ["a-0"], actor=None)
    response = browse(admin).post(f"{base}/publish/", {"name": "v1"})
    assert response.status_code == 400
    body = response.content.decode()
    assert "has not been checked as it is now" in body
    assert 'name="reason"' in body


@pytest.mark.parametrize("persona", ["viewer", "outsider"])
def test_who_may_not_change_runs_no_checks(
    version: Version, base: str, browse: Browse, persona: str, request: pytest.FixtureRequest
) -> None:
    user = request.getfixturevalue(persona)
    status = browse(user).post(f"{base}/check/").status_code
    assert status == {"viewer": 403, "outsider": 404}[persona]
    assert not Job.objects.exists()


def test_what_frames_say_is_escaped(project: Project, browse: Browse, viewer: User) -> None:
    twins = [make_frame(f"{HOSTILE}{n}", context_id=HOSTILE, labels=[HOSTILE]) for n in range(2)]
    version = make_version(project, [*twins, make_frame("x", labels=[HOSTILE.upper()])])
    check(version)
    base = f"/datasets/{version.dataset.uid}/versions/{version.uid}/check/"
    for page in ("", "label-case/", "collision/", "duplicate/"):
        assert "<script>alert" not in browse(viewer).get(f"{base}{page}").content.decode()


def test_the_form_to_publish_leaves_the_eye_on_the_defects(
    flawed: Version, base: str, browse: Browse, admin: User
) -> None:
    """A field with the focus would scroll what was found out of sight."""
    client = browse(admin)
    assert (
        "autofocus"
        in client.get(f"{base}/publish/")
        .content.decode()
        .partition("<main")[2]
        .partition("</main>")[0]
    )
    check(flawed)
    body = client.get(f"{base}/publish/").content.decode()
    assert "The checks found defects" in body
    assert "autofocus" not in body.partition("<main")[2].partition("</main>")[0]


def test_who_cannot_run_the_checks_reads_who_can(
    base: str, browse: Browse, viewer: User, editor: User
) -> None:
    said = "An editor of the project can run them."
    assert said in browse(viewer).get(f"{base}/check/").content.decode()
    assert said not in browse(editor).get(f"{base}/check/").content.decode()


def test_of_spellings_only_the_rarer_one_is_named(
    project: Project, browse: Browse, viewer: User
) -> None:
    usual = [make_frame(f"{n}", timestamp=n, labels=["car", "bus"]) for n in range(2)]
    version = make_version(project, [*usual, make_frame("odd", timestamp=9, labels=["Car", "bus"])])
    check(version)
    base = f"/datasets/{version.dataset.uid}/versions/{version.uid}"
    found = browse(viewer).get(f"{base}/check/label-case.json").json()["items"]
    assert [(frame["id"], frame["defects"]) for frame in found] == [("odd", ["Car"])]
