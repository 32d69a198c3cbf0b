"""The admins' day: a child, an edit, a comparison, the gate, a waiver, a snapshot, the way back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from frames import tasks
from frames.actions import versions
from frames.index.check import check
from frames.models import AuditEvent, Job, Version
from tests.factories import make_frame, make_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from playwright.sync_api import Page
    from pytest_django.live_server_helper import LiveServer

    from frames.models import Project


def work() -> None:
    """Do what waits on the queue, as a worker does."""
    for job in Job.objects.unfinished():
        tasks.run_job(job.uid)


@pytest.fixture
def parent(project: Project) -> Version:
    """A published version of six frames, two of them with a van that has a capital."""
    frames = [
        make_frame(f"f{n}", timestamp=n, labels=["car"] if n < 4 else ["Van"]) for n in range(6)
    ]
    return versions.publish(make_version(project, frames), actor=None, name="v1", reason="a test")


def test_the_admins_day(
    sign_in: Callable[[User], Page], live_server: LiveServer, admin: User, parent: Version
) -> None:
    page = sign_in(admin)
    address = f"{live_server.url}/datasets/{parent.dataset.uid}"
    page.goto(f"{address}/versions/{parent.uid}/")

    # A child.
    page.get_by_role("link", name="Create new version").click()
    page.get_by_label("Name", exact=True).fill("v2")
    page.get_by_role("button", name="Create version").click()
    expect(page.get_by_text("v2 has the frames of v1.")).to_be_visible()
    expect(page.get_by_text("6 out of 6 found")).to_be_visible()
    child = Version.objects.get(name="v2")

    # An edit of all that match, which makes two spellings of one label.
    page.get_by_role("searchbox", name="Filter").fill("label:car")
    page.keyboard.press("Enter")
    expect(page.get_by_text("4 out of 6 found")).to_be_visible()
    page.get_by_role("link", name="edit these").click()
    box = page.locator("form", has=page.get_by_role("heading", name="Relabel"))
    box.get_by_label("Label", exact=True).fill("car")
    box.get_by_label("New label").fill("van")
    box.get_by_role("button").click()
    page.get_by_role("button", name="Change 4 frames").click()
    expect(page).to_have_url(re.compile(r"/jobs/\w+/$"))
    work()
    expect(page.locator("#job")).to_contain_text("Done")

    # A comparison with its parent, addressed by the two versions.
    page.goto(f"{address}/versions/{child.uid}/info/")
    page.get_by_label("Compare with").select_option("v1")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page).to_have_url(re.compile(rf"/compare/{parent.uid}/{child.uid}/"))
    expect(page.get_by_role("link", name=re.compile("Changed.*4"))).to_be_visible()

    # The gate finds the two spellings and shows their frames.
    page.goto(f"{address}/versions/{child.uid}/")
    page.get_by_role("link", name="Check", exact=True).click()
    page.get_by_role("button", name="Run the checks").click()
    work()
    page.goto(f"{address}/versions/{child.uid}/check/")
    row = page.locator(".finding").filter(has_text="case")
    expect(row).to_contain_text("2 frames")
    row.get_by_role("link").first.click()
    expect(page.locator(".card")).to_have_count(2)

    # Publishing needs a reason now, and continues in a working copy.
    page.goto(f"{address}/versions/{child.uid}/publish/")
    page.get_by_label("Published version name").fill("v2 final")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert Version.objects.get(pk=child.pk).is_draft
    page.get_by_label("Why publish with these defects").fill("The spellings are merged next week.")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("v2 final is published; Current continues it.")).to_be_visible()
    child.refresh_from_db()
    assert not child.is_draft
    waiver = AuditEvent.objects.get(verb="publish", object_uid=child.uid)
    assert waiver.details["reason"] == "The spellings are merged next week."
    assert waiver.actor == admin

    # The working copy takes back what the edit did: the state of the first version.
    copy = Version.objects.get(name="Current")
    page.goto(f"{address}/compare/{copy.uid}/{parent.uid}/")
    page.get_by_role("link", name="Restore Current to v1").click()
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("4 frames of Current restored from v1.")).to_be_visible()
    page.goto(f"{address}/versions/{copy.uid}/?q=label:car")
    expect(page.get_by_text("4 out of 6 found")).to_be_visible()
    assert list(check(Version.objects.select_related("dataset").get(pk=copy.pk).dataset)) == []

    # A snapshot keeps the version's id and goes on in a new draft.
    page.goto(f"{address}/versions/{copy.uid}/publish/")
    page.get_by_label("New working copy name").fill("Next")
    page.get_by_label(re.compile("Why publish")).fill("Restored as it was.")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Next continues it.")).to_be_visible()
    copy.refresh_from_db()
    assert copy.name.startswith("Snapshot of ")
    assert list(Version.objects.get(name="Next").parents.all()) == [copy]
