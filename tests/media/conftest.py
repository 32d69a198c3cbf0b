"""A web server on loopback, and a policy that lets it be there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.media.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from frames.media import MediaPolicy


@pytest.fixture
def site() -> Iterator[Site]:
    """A web server that stops with the test."""
    site = Site()
    site.thread.start()
    yield site
    site.server.shutdown()
    site.server.server_close()
    site.thread.join()


@pytest.fixture
def policy(site: Site) -> MediaPolicy:
    """A policy that allows the site and lets it be on loopback."""
    # Here, because a conftest is read before Django is set up.
    from frames.media import MediaPolicy

    return MediaPolicy(
        allow=(site.url,),
        private_hosts=frozenset({f"127.0.0.1:{site.port}"}),
        max_bytes=10_000_000,
        max_video_bytes=100_000_000,
        timeout_s=1.0,
    )
