"""The versions beside the frames, by mouse and by keyboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from frames.actions import versions
from tests.factories import make_frame, make_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from playwright.sync_api import Locator, Page
    from pytest_django.live_server_helper import LiveServer

    from frames.models import Project

    Enter = Callable[[User], Page]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def panel(
    project: Project, sign_in: Enter, admin: User, live_server: LiveServer
) -> Callable[[str], Page]:
    """Open the page of a draft whose parent has another child, with a query."""
    version = make_version(project, [make_frame("a")])
    release = versions.publish(version, actor=None, name="v1", reason="unchecked")
    for name in ("other", "mine"):
        draft = versions.create_version(
            dataset=version.dataset, name=name, parents=[release], actor=None
        )

    def open_page(query: str = "") -> Page:
        page = sign_in(admin)
        page.goto(f"{live_server.url}/datasets/{version.dataset.uid}/versions/{draft.uid}/{query}")
        page.wait_for_function("() => !document.querySelector(':not(:defined)')")
        return page

    return open_page


def row(page: Page, name: str) -> Locator:
    """Return the row of a version."""
    return page.locator(".version-row", has=page.get_by_text(name, exact=True))


def test_v7_a_right_click_opens_the_menu_and_escape_closes_it(
    panel: Callable[[str], Page],
) -> None:
    page = panel("")
    row(page, "v1").get_by_text("v1", exact=True).click(button="right")
    entry = page.get_by_role("link", name="Rename")
    expect(entry).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="Create new version")).to_be_focused()
    page.keyboard.press("Escape")
    expect(entry).to_be_hidden()
    row(page, "mine").get_by_text("mine", exact=True).click(button="right")
    row(page, "mine").get_by_role("link", name="Rename").click()
    expect(page.get_by_role("heading", name="Edit mine")).to_be_visible()


def test_v7_the_menu_opens_by_keyboard(panel: Callable[[str], Page]) -> None:
    page = panel("")
    row(page, "mine").locator("> a").focus()
    page.keyboard.press("ArrowRight")
    expect(row(page, "mine").locator("summary")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    expect(row(page, "mine").get_by_role("link", name="Rename")).to_be_focused()


def test_v4_a_branch_folds_and_the_keys_pass_over_it(panel: Callable[[str], Page]) -> None:
    page = panel("?versions=tree")
    fold = page.locator(".branch > summary")
    expect(row(page, "other")).to_be_visible()
    fold.click()
    expect(row(page, "other")).to_be_hidden()
    row(page, "v1").locator("> a").focus()
    page.keyboard.press("End")
    expect(fold).to_be_focused()
    page.keyboard.press("Enter")
    expect(row(page, "other")).to_be_visible()


def test_v6_a_search_keeps_the_tree_and_the_filter(panel: Callable[[str], Page]) -> None:
    page = panel("?versions=tree&q=id:a")
    page.get_by_label("Find a version").fill("oth")
    page.keyboard.press("Enter")
    page.wait_for_url("**find=oth*")
    expect(row(page, "v1")).to_have_class("version-row muted")
    expect(row(page, "mine")).to_have_count(0)
    expect(page.get_by_role("searchbox", name="Filter")).to_have_value("id:a")
    page.get_by_role("link", name="Clear the search").click()
    expect(row(page, "mine")).to_be_visible()
    expect(page.get_by_role("link", name="Tree", exact=True)).to_have_attribute(
        "aria-current", "true"
    )
