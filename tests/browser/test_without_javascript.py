"""The main path without JavaScript."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.factories import make_frame, make_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from playwright.sync_api import Page
    from pytest_django.live_server_helper import LiveServer

    from frames.models import Project, Version


@pytest.fixture
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return browser_context_args | {"java_script_enabled": False}


@pytest.fixture
def drive(project: Project) -> Version:
    frames = [
        make_frame(f"{n:03}", context_id=f"drive/{n // 2:03}", timestamp=n, labels=["car"])
        for n in range(120)
    ]
    return make_version(project, frames)


def test_browse_filter_open_and_step(
    sign_in: Callable[[User], Page], live_server: LiveServer, viewer: User, drive: Version
) -> None:
    page = sign_in(viewer)
    page.goto(f"{live_server.url}/")
    page.get_by_role("link", name=drive.dataset.name).click()
    expect(page.locator(".card")).to_have_count(48)
    page.get_by_role("link", name="Load more").click()
    expect(page.locator(".card")).to_have_count(12)
    page.get_by_role("link", name="from the beginning").click()

    page.get_by_label("Filter").fill("timestamp:[0 TO 9]")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("10 out of 120 found")).to_be_visible()
    page.get_by_role("link", name="clear the filter").click()

    page.locator("label-filter summary", has_text="Label").click()
    page.get_by_role("link", name="All labels with their counts").click()
    page.get_by_role("link", name=re.compile("car")).click()
    expect(page.get_by_text("120 out of 120 found")).to_be_visible()

    page.get_by_role("link", name="Split Preview").click()
    page.locator(".card > a").first.click()
    expect(page.locator(".step-place")).to_contain_text("1 / 2")
    page.get_by_role("link", name="Next frame").click()
    expect(page.locator(".step-place")).to_contain_text("2 / 2")
    expect(page.locator("g.shape")).to_have_count(1)
    expect(page.locator(".regions")).to_contain_text("box 0,0-10,10")


def test_what_needs_javascript_is_not_shown(
    sign_in: Callable[[User], Page], live_server: LiveServer, viewer: User, drive: Version
) -> None:
    page = sign_in(viewer)
    address = f"{live_server.url}/datasets/{drive.dataset.uid}/versions/{drive.uid}/frames/000/"
    page.goto(address)
    expect(page.locator(".viewer-tools")).to_be_hidden()
    expect(page.locator('[data-opens="help"]')).to_be_hidden()


def test_theme_is_switched_by_a_form(
    sign_in: Callable[[User], Page], live_server: LiveServer, viewer: User
) -> None:
    page = sign_in(viewer)
    page.goto(f"{live_server.url}/projects/")
    page.locator(".account summary").click()
    page.get_by_role("button", name="Dark").click()
    expect(page).to_have_url(f"{live_server.url}/projects/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
