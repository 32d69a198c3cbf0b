"""What a phone and a laptop show of long names: nothing hangs out of the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.factories import make_frame, make_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from playwright.sync_api import Page
    from pytest_django.live_server_helper import LiveServer

    from frames.models import Project

# Boxes that scroll by themselves and what only a screen reader sees may reach farther.
BEYOND = """
    [...document.querySelectorAll("main *, aside *")].filter((element) => {
        if (element.closest(".stage, .versions, .table-scroll, .scroll-x, pre")) return false;
        if (element.closest(".visually-hidden") || !element.checkVisibility()) return false;
        const { width, right } = element.getBoundingClientRect();
        return width > 1 && right > innerWidth + 1;
    }).map((element) => element.outerHTML.slice(0, 120))
"""
PAGES = [
    "",
    "?group=none&size=s",
    "?panel=facets",
    "?panel=filter&q=label:car",
    "?group=none&view=table",
    "?q=label:zebra",
    "statistics/",
    "metadata/",
    "info/",
    "edit/",
    "publish/",
    "check/",
    "bulk/",
    "export/",
    "frames/a/",
    "history/?id=a",
]


@pytest.mark.parametrize("width_px", [390, 1440])
def test_long_names_stay_inside_the_window(
    sign_in: Callable[[User], Page],
    live_server: LiveServer,
    admin: User,
    project: Project,
    width_px: int,
) -> None:
    name = "a name as long as whole sentences are " * 4
    roi = {"label": [name], "poly": [0, 0, 9, 0, 9, 9, 0, 9], "sources": ["default"]}
    uri = f"https://example.com/{'folder_' * 20}.jpg"
    frame = make_frame("a", context_id="c" * 90, rois=[roi], meta={"k" * 60: "v" * 90}, uri=uri)
    version = make_version(project, [frame, make_frame("b" * 90, labels=["car"])])
    page = sign_in(admin)
    page.set_viewport_size({"width": width_px, "height": 844})
    base = f"{live_server.url}/datasets/{version.dataset.uid}/versions/{version.uid}/"
    for address in PAGES:
        page.goto(f"{base}{address}")
        assert page.evaluate(BEYOND) == [], address
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, address
        assert page.locator("h1").count() == 1, address
