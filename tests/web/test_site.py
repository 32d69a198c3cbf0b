"""What stands around the pages: sign-in, theme, health, errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client


@pytest.mark.django_db
def test_sign_in_leads_back_to_the_page_asked_for(client: Client, viewer: User) -> None:
    viewer.set_password("a long enough password")
    viewer.save()
    asked = client.get("/datasets/?q=night")
    assert asked["Location"] == "/sign-in/?next=/datasets/%3Fq%3Dnight"
    assert client.get(asked["Location"]).status_code == 200
    form = {"username": "viewer", "password": "a long enough password"}
    response = client.post("/sign-in/", {**form, "next": "/datasets/?q=night"})
    assert response["Location"] == "/datasets/?q=night"
    assert client.get("/sign-in/").status_code == 302


@pytest.mark.django_db
def test_wrong_password_keeps_the_name_and_not_the_password(client: Client, viewer: User) -> None:
    body = client.post("/sign-in/", {"username": "viewer", "password": "secret"}).content.decode()
    assert 'value="viewer"' in body
    assert 'role="alert"' in body
    assert "secret" not in body


def test_signing_out_needs_a_form_and_ends_the_session(
    browse: Callable[[User | None], Client], viewer: User
) -> None:
    client = browse(viewer)
    assert client.get("/sign-out/").status_code == 405
    assert client.post("/sign-out/")["Location"] == "/sign-in/"
    assert client.get("/datasets/").status_code == 302


@pytest.mark.django_db
def test_theme_is_kept_in_a_cookie_that_the_next_page_obeys(client: Client) -> None:
    response = client.post("/theme/", {"theme": "dark", "next": "/sign-in/"})
    assert response["Location"] == "/sign-in/"
    assert 'data-theme="dark"' in client.get("/sign-in/").content.decode()
    client.post("/theme/", {"theme": "auto"})
    assert "data-theme=" not in client.get("/sign-in/").content.decode()
    client.cookies["theme"] = '"><b>'
    assert "<b>" not in client.get("/sign-in/").content.decode()


@pytest.mark.django_db
def test_health_needs_no_sign_in(client: Client) -> None:
    assert client.get("/livez").content == b"ok\n"
    assert client.get("/healthz").status_code == 200


def test_missing_page_says_what_it_may_mean(
    browse: Callable[[User | None], Client], viewer: User
) -> None:
    response = browse(viewer).get("/nothing/")
    assert response.status_code == 404
    assert "project you are not in" in response.content.decode()
