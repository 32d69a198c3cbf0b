"""Tests run on a state folder of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_django import Settings


def test_state_is_in_the_temporary_folder_of_the_tests(settings: Settings) -> None:
    assert "framedeck-test-" in str(settings.VAR_DIR)
    assert not (settings.VAR_DIR / "db.sqlite3").exists()
