"""Signing in, in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from playwright.sync_api import Page
    from pytest_django.live_server_helper import LiveServer


def test_form_signs_in_and_leads_to_the_page_asked_for(
    page: Page, live_server: LiveServer, viewer: User
) -> None:
    viewer.set_password("a long enough password")
    viewer.save(update_fields=["password"])
    page.goto(f"{live_server.url}/projects/")
    page.get_by_label("User name").fill("viewer")
    page.get_by_label("Password").fill("a long enough password")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{live_server.url}/projects/")
    expect(page.get_by_text("Streets").first).to_be_visible()


def test_wrong_password_says_so(page: Page, live_server: LiveServer, viewer: User) -> None:
    page.goto(f"{live_server.url}/sign-in/")
    page.get_by_label("User name").fill("viewer")
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()


def test_session_signs_in_without_the_form(
    sign_in: Callable[[User], Page], live_server: LiveServer, viewer: User
) -> None:
    page = sign_in(viewer)
    page.goto(f"{live_server.url}/projects/")
    expect(page.get_by_text("Streets").first).to_be_visible()
