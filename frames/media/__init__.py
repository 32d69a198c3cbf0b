"""Opens a URI safely, whatever it names: a file, http(s), a bucket of S3 or Google's.

Nothing else in Framedeck opens what a user named.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from frames.media import files, http, s3
from frames.media.errors import MediaError
from frames.media.policy import MediaPolicy, deletion_policy, policy_for
from frames.media.reader import Entry, MediaReader
from frames.media.uris import parse_uri
from frames.models import PreviewReason

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Entry",
    "MediaError",
    "MediaPolicy",
    "MediaReader",
    "deletion_policy",
    "list_uri",
    "open_uri",
    "parse_uri",
    "policy_for",
    "probe",
    "signed_url",
]


@contextmanager
def open_uri(
    uri: str, policy: MediaPolicy, *, max_bytes: int | None = None
) -> Iterator[MediaReader]:
    """Open a URI for reading, if the policy allows it; the reader is seekable.

    `max_bytes` is the policy's cap for pictures unless given. A remote file is read in ranges as
    it is wanted and never held whole in memory.

    Raises:
        MediaError: by its reason; reading raises it too.
    """
    parsed = policy.check(uri)
    cap = policy.max_bytes if max_bytes is None else max_bytes
    if parsed.scheme == "file":
        reader = files.open_file(parsed, policy, cap)
    elif parsed.scheme in {"http", "https"}:
        reader = http.open_http(uri, policy, cap)
    else:
        reader = s3.open_object(parsed, policy, cap)
    with reader:
        yield reader


def probe(uri: str, policy: MediaPolicy) -> None:
    """Ask whether a URI can be read: one byte at most is fetched, and its size does not matter.

    Raises:
        MediaError: by its reason.
    """
    parsed = policy.check(uri)
    if parsed.scheme == "file":
        files.open_file(parsed, policy, sys.maxsize).close()
    elif parsed.scheme in {"http", "https"}:
        http.probe(uri, policy)
    else:
        s3.probe_object(parsed, policy)


def list_uri(uri: str, policy: MediaPolicy) -> Iterator[Entry]:
    """Yield the files under a folder or a bucket's prefix, and under the folders in it.

    Sorted by name in each folder; a bucket as its store sorts, by key. Nothing is held in memory
    but one folder's names or one page of the listing.

    Raises:
        MediaError: by its reason; http(s) cannot be listed.
    """
    parsed = policy.check(uri)
    if parsed.scheme == "file":
        return files.list_files(parsed, policy)
    if parsed.scheme in {"s3", "gs"}:
        return s3.list_objects(parsed, policy)
    raise MediaError(PreviewReason.UNSUPPORTED, "A web address cannot be listed.")


def signed_url(uri: str, policy: MediaPolicy, ttl_s: int) -> str | None:
    """Return a URL at which a browser reads a bucket's object without keys, else None.

    Raises:
        MediaError: NOT_ALLOWED, or FORBIDDEN where it cannot be signed.
    """
    parsed = policy.check(uri)
    if parsed.scheme not in {"s3", "gs"}:
        return None
    return s3.sign_object(parsed, policy, ttl_s)
