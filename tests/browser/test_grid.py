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
