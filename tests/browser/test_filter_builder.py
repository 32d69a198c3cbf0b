"""The filter builder by hand: with JavaScript, and by the form alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.factories import make_frame, make_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from playwright.sync_api import Browser, Page
    from pytest_django.live_server_helper import LiveServer

    from frames.models import Project, Version


@pytest.fixture
def drive(project: Project) -> Version:
    def region(confidence: float, *labels: str) -> dict[str, object]:
        return {"label": labels, "confidence": confidence, "poly": [9, 9, 99, 9, 99, 99, 9, 99]}

    frames = [
        make_frame(
            f"{n}",
            context_id="drive",
            timestamp=n,
            meta={"light": "dusk" if n % 2 else "day"},
            rois=[region(n / 10, "car", *(["occluded"] if n > 5 else []))],
        )
        for n in range(10)
    ]
    return make_version(project, frames)


def test_cards_are_filled_counted_and_applied(
    sign_in: Callable[[User], Page], live_server: LiveServer, viewer: User, drive: Version
) -> None:
    page = sign_in(viewer)
    page.goto(f"{live_server.url}/datasets/{drive.dataset.uid}/versions/{drive.uid}/?group=none")
    page.get_by_role("link", name="Filter", exact=True).click()
    counted = page.locator(".filter-count")
    expect(counted).to_have_text("10 of 10 frames")

    page.get_by_role("button", name="+ ROI rule").click()
    label = page.get_by_label("Any single ROI with label(s)")
    expect(label).to_be_focused()
    expect(page.get_by_label("Confidence, least")).to_be_disabled()
    page.keyboard.type("car")
    expect(page.get_by_label("Confidence, least")).to_be_enabled()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Remove the label car")).to_be_visible()
    expect(page.get_by_label("Any single ROI with label(s)")).to_be_focused()
    page.keyboard.type("occluded")
    expect(counted).to_have_text("4 of 10 frames")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Remove the label occluded")).to_be_visible()
    # Where the focus returns to after an exchange, also from a field that is being filled.
    expect(page.get_by_label("Any single ROI with label(s)")).to_be_focused()
    expect(counted).to_have_text("4 of 10 frames")
    page.get_by_label("Confidence, least").fill("0.8")
    expect(counted).to_have_text("2 of 10 frames")
    page.get_by_label("Frame rule").fill("meta.light:")
    expect(counted).to_have_text("A rule cannot be read yet.")
    page.get_by_label("Frame rule").fill("meta.light:dusk")
    expect(counted).to_have_text("1 of 10 frames")

    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("1 out of 10 found")).to_be_visible()
    text = 'rois:(label:"car" AND label:"occluded" AND confidence:[0.8 TO *]) AND (meta.light:dusk)'
    expect(page.get_by_role("searchbox", name="Filter")).to_have_value(text)

    page.locator(".card > a").first.click()
    expect(page.locator(".reasons li code").first).to_have_text(re.compile("^rois:"))
    expect(page.locator("g.shape.hit")).to_have_count(1)
    page.wait_for_load_state("load")  # its scripts listen for the focus from then on
    page.locator(".reasons [data-shape]").first.focus()
    expect(page.locator("g.shape.hit[data-lit]")).to_have_count(1)


def test_cards_are_filled_without_javascript(
    browser: Browser, live_server: LiveServer, viewer: User, drive: Version
) -> None:
    from django.conf import settings
    from django.test import Client

    client = Client()
    client.force_login(viewer)
    name = settings.SESSION_COOKIE_NAME
    context = browser.new_context(java_script_enabled=False)
    context.add_cookies(
        [{"name": name, "value": client.cookies[name].value, "url": live_server.url}]
    )
    page = context.new_page()
    page.goto(f"{live_server.url}/datasets/{drive.dataset.uid}/versions/{drive.uid}/?panel=filter")
    page.get_by_role("button", name="+ ROI rule").click()
    page.get_by_label("Any single ROI with label(s)").fill("car")
    page.get_by_role("button", name="Add the label").click()
    page.get_by_label("Confidence, least").fill("0.5")
    page.get_by_role("button", name="Write Lucene").click()
    expect(page.get_by_label("Any single ROI matching")).to_have_value(
        'label:"car" AND confidence:[0.5 TO *]'
    )
    page.get_by_role("button", name="+ Frame filter").click()
    expect(page.locator(".filter-card")).to_have_count(2)
    page.get_by_label("Frame rule").nth(1).fill("meta.light:dusk AND (")
    page.get_by_role("button", name="Apply").last.click()
    expect(page.get_by_text("A closing parenthesis is missing.")).to_be_visible()
    page.get_by_label("Frame rule").nth(1).fill("meta.light:dusk")
    page.get_by_role("button", name="Apply").last.click()
    expect(page.get_by_text("7 out of 10 found")).to_be_visible()
    page.get_by_role("link", name="Clear all").click()
    expect(page.get_by_text("10 out of 10 found")).to_be_visible()
    context.close()
