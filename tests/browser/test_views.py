"""Data views in a browser: double clicks, several at once, a form that stays in place."""

from __future__ import annotations

import re
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


def heads(page: Page) -> list[str]:
    found: list[str] = page.locator("th[data-column]").evaluate_all(
        "heads => heads.map(head => head.dataset.column)"
    )
    return found


def width(page: Page, column: str) -> float:
    box = page.locator(f"th[data-column={column}]").bounding_box()
    assert box is not None
    return box["width"]


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move((start[0] + end[0]) / 2, start[1], steps=4)
    page.mouse.move(*end, steps=4)
    page.mouse.up()


def test_w1_columns_are_moved_and_sized_by_keys(
    sign_in: Callable[[User], Page], live_server: LiveServer, viewer: User, three: list[DataView]
) -> None:
    """Order and widths are in the address, kept in the browser, and told to who does not see."""
    page = sign_in(viewer)
    page.goto(f"{live_server.url}/views/")
    grip = page.get_by_role("button", name="Column User")
    grip.focus()
    page.keyboard.press("ArrowLeft")
    expect(grip).to_be_focused()
    assert heads(page) == ["user", "name", "status", "project", "created", "description"]
    expect(page.get_by_text("User: column 1 of 6")).to_be_attached()
    expect(page.locator("tbody tr").first.locator("th")).to_have_js_property("cellIndex", 2)
    before = width(page, "user")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    assert width(page, "user") > before + 60
    assert "columns=user%3A" in page.url
    wide = width(page, "user")
    page.keyboard.press("Enter")
    assert width(page, "user") < wide
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    # The same from the server: by the link that sorts, by the address, by what was kept.
    fitted = width(page, "user")
    page.locator("th[data-column=name] a").click()
    expect(page).to_have_url(re.compile("sort=name.*columns=user|columns=user.*sort=name"))
    assert heads(page)[0] == "user"
    assert abs(width(page, "user") - fitted) < 15
    page.goto(f"{live_server.url}/datasets/")
    page.goto(f"{live_server.url}/views/")
    expect(page).to_have_url(re.compile("columns=user.*sort=name|sort=name.*columns=user"))
    assert heads(page)[0] == "user"

    # Another project has a table of its own.
    project = three[0].project
    page.goto(f"{live_server.url}/views/?project={project.uid}")
    assert heads(page)[0] == "name"


def test_w1_columns_are_dragged_and_fitted_by_pointer(
    sign_in: Callable[[User], Page], live_server: LiveServer, viewer: User, three: list[DataView]
) -> None:
    page = sign_in(viewer)
    page.goto(f"{live_server.url}/views/?sort=name")
    start = page.locator("th[data-column=created] a").bounding_box()
    end = page.locator("th[data-column=user]").bounding_box()
    assert start is not None
    assert end is not None
    # By its link, which is no click.
    drag(page, (start["x"] + 9, start["y"] + 9), (end["x"] + 4, end["y"] + 9))
    assert heads(page) == ["name", "created", "user", "status", "project", "description"]
    expect(page).to_have_url(re.compile(r"sort=name&columns=name%2Ccreated%2Cuser"))
    edge = page.locator("th[data-column=name] .edge").bounding_box()
    assert edge is not None
    before = width(page, "name")
    at = (edge["x"] + 5, edge["y"] + 8)
    drag(page, at, (at[0] - 120, at[1]))
    assert abs(before - 120 - width(page, "name")) < 8
    # Of the widest: a name and, below it, how many frames.
    lines = page.locator("tbody th .cell-line")
    assert lines.first.evaluate("line => line.getClientRects().length || line.offsetHeight > 30")
    page.locator("th[data-column=name] .edge").dblclick()
    heights = lines.evaluate_all("lines => lines.map(line => line.offsetHeight)")
    assert max(heights) < 30
    page.reload()
    assert heads(page)[:3] == ["name", "created", "user"]


def test_w1_a_narrow_window_shows_cards_whatever_the_columns(
    sign_in: Callable[[User], Page], live_server: LiveServer, viewer: User, three: list[DataView]
) -> None:
    page = sign_in(viewer)
    for size in (390, 1024, 2560):
        page.set_viewport_size({"width": size, "height": 844})
        page.goto(f"{live_server.url}/views/?columns=created:60,user:60,name:50")
        assert page.evaluate("document.documentElement.scrollWidth") == size
        page.get_by_role("link", name="Bert").click(trial=True)
