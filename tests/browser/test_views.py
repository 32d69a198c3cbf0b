"""Data views in a browser: double clicks, several at once, a form that stays in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from frames.actions import views
from frames.models import DataView
from frames.search.view_definition import Definition, Scope
from tests.factories import make_frame, make_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from playwright.sync_api import Page
    from pytest_django.live_server_helper import LiveServer

    from frames.models import Project, Version


@pytest.fixture
def version(project: Project) -> Version:
    frames = [make_frame(f"{n:02}", timestamp=n, labels=["car"], meta={"n": n}) for n in range(30)]
    return make_version(project, frames)


@pytest.fixture
def three(version: Version) -> list[DataView]:
    definition = Definition(versions=(Scope(version.dataset.uid, version.uid),))
    project = version.dataset.project
    made = [
        views.save_view(project=project, name=name, definition=definition, actor=None)
        for name in ("Anne", "Bert", "Cleo")
    ]
    return [*made[:2], views.publish_view(made[2], actor=None)]


def test_w2_a_double_click_opens_the_details(
    sign_in: Callable[[User], Page], live_server: LiveServer, viewer: User, three: list[DataView]
) -> None:
    page = sign_in(viewer)
    page.goto(f"{live_server.url}/views/?sort=name")
    page.get_by_role("row", name="Bert").get_by_text("Streets").dblclick()
    expect(page.get_by_role("heading", name="Bert")).to_be_visible()
    page.get_by_role("link", name="Table").click()
    expect(page).to_have_url(f"{live_server.url}/views/?sort=name")


def test_w6_the_bar_counts_what_can_be_done_to_what_is_chosen(
    sign_in: Callable[[User], Page], live_server: LiveServer, admin: User, three: list[DataView]
) -> None:
    page = sign_in(admin)
    page.goto(f"{live_server.url}/views/")
    bar = page.get_by_role("group", name="Actions on the chosen views")
    expect(bar).to_be_hidden()
    page.get_by_label("Choose Anne").check()
    page.get_by_label("Choose Cleo").check()
    expect(bar).to_contain_text("2 chosen")
    expect(bar.get_by_role("button", name="Publish (1)")).to_be_enabled()
    page.get_by_label("Choose all on screen").check()
    expect(bar).to_contain_text("3 chosen")
    bar.get_by_role("button", name="Archive (3)").click()
    expect(page.get_by_text("3 views archived.")).to_be_visible()
    assert DataView.objects.archived().count() == 3


def test_w7_rows_are_added_in_place_and_the_view_is_saved(
    sign_in: Callable[[User], Page], live_server: LiveServer, editor: User, version: Version
) -> None:
    page = sign_in(editor)
    page.goto(f"{live_server.url}/views/new/?version={version.uid}&q=meta.n:[0+TO+9]")
    page.get_by_label("Name", exact=True).fill("Two parts")
    page.evaluate("window.kept = true")
    page.get_by_role("button", name="Add a filter").click()
    expect(page.get_by_role("heading", name="Filter 2")).to_be_visible()
    assert page.evaluate("window.kept")  # the page was not loaded again
    expect(page.get_by_label("Name", exact=True)).to_have_value("Two parts")
    page.locator("#filters-1-q").fill("meta.n:[20 TO 24]")
    page.get_by_label("Limit frames").check()
    page.get_by_role("button", name="Save as draft").click()
    expect(page.get_by_role("alert")).to_contain_text("Limit Frames needs a number")
    page.get_by_label("Limit", exact=True).fill("4")
    page.get_by_role("button", name="Save as draft").click()
    expect(page.get_by_text("Two parts is saved with 15 frames.")).to_be_visible()
    expect(page.locator(".card")).to_have_count(4)
