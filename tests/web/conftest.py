"""A version to look at, and a client for each persona."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.test import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User

    from frames.models import Project, Version


@pytest.fixture
def browse() -> Callable[[User | None], Client]:
    """Return a client signed in as somebody, or as nobody."""

    def as_user(user: User | None) -> Client:
        client = Client()
        if user is not None:
            client.force_login(user)
        return client

    return as_user


@pytest.fixture
def version(project: Project) -> Version:
    """Two drives of three and two frames, the second with a pause, and one still picture."""
    from tests.factories import make_frame, make_version

    frames = [
        make_frame("a-2", context_id="drive/a", timestamp=66, labels=["car"]),
        make_frame("a-0", context_id="drive/a", timestamp=0, labels=["car", "person"]),
        make_frame("a-1", context_id="drive/a", timestamp=33),
        make_frame("b-0", context_id="drive/b", timestamp=0, labels=["bus"]),
        make_frame("b-1", context_id="drive/b", timestamp=1000, labels=["car"]),
        make_frame("still", context_id="https://example.com/still.jpg"),
    ]
    return make_version(project, frames)


@pytest.fixture
def base(version: Version) -> str:
    """The address of the version's page, without its last slash."""
    return f"/datasets/{version.dataset.uid}/versions/{version.uid}"
