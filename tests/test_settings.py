"""Tests run on a state folder of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conftest import STATE_DIR

if TYPE_CHECKING:
    from pytest_django import Settings


def test_state_is_in_the_temporary_folder_of_this_process(settings: Settings) -> None:
    assert str(settings.VAR_DIR) == STATE_DIR
    assert not (settings.VAR_DIR / "db.sqlite3").exists()
