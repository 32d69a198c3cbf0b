"""The demo's people: one of each role, with one password that the operator can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User

from frames.demo.people import ensure_people, password_path
from frames.models import Grant, Project

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django import Settings

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def state_folder(settings: Settings, tmp_path: Path) -> Path:
    settings.VAR_DIR = tmp_path
    return tmp_path


def test_each_role_has_one_person_who_can_sign_in() -> None:
    people = ensure_people()
    grants = Grant.objects.filter(project=Project.objects.get(name="Demo"))
    assert dict(grants.values_list("user__username", "role")) == {
        "viewer": Grant.Role.VIEWER,
        "editor": Grant.Role.EDITOR,
        "admin": Grant.Role.ADMIN,
    }
    for name, password in people.items():
        assert authenticate(username=name, password=password) is not None
    assert list(User.objects.filter(is_staff=True).values_list("username", flat=True)) == ["admin"]


def test_second_call_changes_nothing() -> None:
    first = ensure_people()
    rows = list(User.objects.order_by("pk").values_list("pk", "password"))
    assert ensure_people() == first
    assert list(User.objects.order_by("pk").values_list("pk", "password")) == rows


def test_password_is_readable_by_the_operator_alone() -> None:
    password = ensure_people()["viewer"]
    assert password_path().read_text().strip() == password
    assert password_path().stat().st_mode & 0o777 == 0o600
