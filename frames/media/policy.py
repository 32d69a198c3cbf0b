"""What a project may read, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import structlog
from django.conf import settings

from frames.media.errors import MediaError
from frames.media.uris import Uri, parse_prefix, parse_uri
from frames.models import PreviewReason

if TYPE_CHECKING:
    from frames.models import Project

log = structlog.get_logger(__name__)


@lru_cache(maxsize=1024)
def _prefix(text: str) -> Uri | None:
    """Return an allowed prefix in parts; None, and a line in the log once, if it is none."""
    try:
        return parse_prefix(text)
    except MediaError as error:
        log.warning("media.prefix_invalid", prefix=text, problem=error.detail)
        return None


@dataclass(frozen=True, slots=True)
class MediaPolicy:
    """What may be read.

    `allow` are URI prefixes, compared by whole components; `private_hosts` are the `host` or
    `host:port` that may resolve to a private or loopback address. `timeout_s` is what the network
    may take in all, besides the time the bytes need at a slow line's rate.
    """

    allow: tuple[str, ...]
    private_hosts: frozenset[str] = frozenset()
    max_bytes: int = 256 * 1024 * 1024
    max_video_bytes: int = 64 * 1024 * 1024 * 1024
    max_pixels: int = 200_000_000
    timeout_s: float = 30

    def prefixes(self) -> list[Uri]:
        """Return the allowed prefixes in parts; one that cannot be read allows nothing."""
        return [prefix for text in self.allow if (prefix := _prefix(text)) is not None]

    def check(self, uri: str) -> Uri:
        """Return the URI in parts, if it lies under an allowed prefix.

        Raises:
            MediaError: NOT_ALLOWED.
        """
        parsed = parse_uri(uri)
        if not any(parsed.starts_with(prefix) for prefix in self.prefixes()):
            raise MediaError(
                PreviewReason.NOT_ALLOWED, "The address is under none of the allowed prefixes."
            )
        return parsed

    def allows_private(self, host: str, port: int) -> bool:
        """Return whether the operator lets this host be at a private address."""
        return host in self.private_hosts or f"{host}:{port}" in self.private_hosts


def deletion_policy() -> MediaPolicy:
    """Return which objects a deletion may delete: those in the buckets that the operator lists.

    A prefix that names no bucket allows nothing.
    """
    return MediaPolicy(
        allow=tuple(
            text
            for text in settings.MEDIA_DELETE_ALLOW
            if (prefix := _prefix(text)) is not None
            and prefix.scheme in {"s3", "gs"}
            and prefix.authority
            and (prefix.path or ":" not in prefix.authority)
        )
    )


def policy_for(project: Project) -> MediaPolicy:
    """Return what this project may read: its own prefixes, its uploads and the operator's."""
    uploads = (settings.UPLOADS_DIR / project.uid).as_uri()
    return MediaPolicy(
        allow=(uploads, *settings.MEDIA_ALLOW, *project.media_allow),
        private_hosts=frozenset(host.lower() for host in settings.MEDIA_PRIVATE_HOSTS),
        max_bytes=settings.MEDIA_MAX_BYTES,
        max_video_bytes=settings.MEDIA_MAX_VIDEO_BYTES,
        max_pixels=settings.MEDIA_MAX_PIXELS,
        timeout_s=settings.MEDIA_TIMEOUT_S,
    )
