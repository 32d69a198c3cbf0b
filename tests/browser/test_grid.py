"""The frame browser's menus and table, by keyboard."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.factories import make_frame, make_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from playwright.sync_api import Page
    from pytest_django.live_server_helper import LiveServer

    from frames.models import Project


def test_key_is_found_by_typing_and_groups(
    sign_in: Callable[[User], Page], live_server: LiveServer, viewer: User, project: Project
) -> None:
    frames = [
        make_frame(f"{n}", context_id=f"{n}", meta={"weather": "rain", "speed": n % 3})
        for n in range(6)
    ]
    version = make_version(project, frames)
    page = sign_in(viewer)
    page.goto(f"{live_server.url}/datasets/{version.dataset.uid}/versions/{version.uid}/")
    page.locator("label-filter summary", has_text="By key").click()
    page.keyboard.type("SPEED")
    expect(page.locator(".label-rows li:visible")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"\?group=meta\.speed$"))
    expect(page.locator(".card .card-name")).to_have_text(["0", "1", "2"])


def test_table_scrolls_in_its_own_box_and_loads_more_rows(
    sign_in: Callable[[User], Page], live_server: LiveServer, viewer: User, project: Project
) -> None:
    meta = {f"a long name of a key {n}": "and a value" for n in range(5)}
    frames = [make_frame(f"{n:03d}", context_id="a", timestamp=n, meta=meta) for n in range(60)]
    version = make_version(project, frames)
    page = sign_in(viewer)
    page.set_viewport_size({"width": 390, "height": 844})
    columns = ",".join(f"meta.{name}" for name in meta)
    address = f"{live_server.url}/datasets/{version.dataset.uid}/versions/{version.uid}/"
    page.goto(f"{address}?group=none&view=table&sort=id&columns={columns}")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    box = page.locator(".table-scroll")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    rows = page.locator("tbody th[scope=row]")
    expect(rows).to_have_count(48)
    page.get_by_role("link", name="Load more").click()
    expect(rows).to_have_count(60)
    expect(rows.last).to_have_text("059")
    page.locator(".files summary").first.click()
    expect(page.locator(".files li").first).to_be_visible()


def test_a_card_tells_why_it_is_there_over_its_picture(
    sign_in: Callable[[User], Page], live_server: LiveServer, viewer: User, project: Project
) -> None:
    """By keyboard from the card: Tab, Enter; the region lies over the picture, and folds away."""
    frames = [
        make_frame(
            f"{n}",
            context_id=f"{n}",
            rois=[{"label": ["car"], "poly": [160, 120, 480, 120, 480, 360, 160, 360]}],
        )
        for n in range(3)
    ]
    for frame in frames:
        frame.sources[0].width, frame.sources[0].height = 640, 480
    version = make_version(project, frames)
    page = sign_in(viewer)
    address = f"{live_server.url}/datasets/{version.dataset.uid}/versions/{version.uid}/"
    page.goto(f"{address}?q=label:car")
    card = page.locator(".card").nth(1)
    expect(card.get_by_text("Why")).to_be_hidden()
    page.locator(".card > a").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    expect(card.get_by_text("Why")).to_be_focused()
    page.keyboard.press("Enter")
    expect(card.locator("summary")).to_be_focused()
    expect(card.get_by_text("label:car")).to_be_visible()
    tile = card.locator(".tile").bounding_box()
    line = card.locator(".why-shapes .line").bounding_box()
    assert tile is not None
    assert line is not None
    # A quarter in from every side, to the pixel that the box's ratio rounds.
    assert abs(line["x"] + line["width"] / 2 - tile["x"] - tile["width"] / 2) < 2
    assert abs(line["y"] + line["height"] / 2 - tile["y"] - tile["height"] / 2) < 2
    page.keyboard.press("Enter")
    expect(card.locator(".why-shapes")).to_be_hidden()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".shape.hit")).to_have_count(1)
