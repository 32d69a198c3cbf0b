"""URIs of manifests: absolute ones checked, relative ones resolved inside the manifest's folder."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from frames.media.uris import SCHEMES

MAX_URI_BYTES: Final = 2048

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# What nearly all relative URIs look like; they need neither escaping nor normalising.
_PLAIN = re.compile(r"[\w-][\w.-]*(?:/[\w-][\w.-]*)*", re.ASCII)
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class UriError(ValueError):
    """A URI that cannot be used; the message says why."""


# The frames of a video all name it: 2 us each without. What is kept is at most MAX_URI_BYTES long.
@lru_cache(maxsize=1024)
def resolve(uri: str, base_uri: str) -> str:
    """Return the absolute URI that `uri` names in a manifest stored at `base_uri`.

    An absolute URI is returned as it is. A relative one is a URI reference: what cannot stand
    in a URI (a space, `#`, a lone `%`) is escaped, except for s3 and gs, whose keys are plain
    text. It may not leave the manifest's folder. A path from the root is a file's, and only a
    manifest that is a file itself may name one.

    Raises:
        UriError: the scheme is not one of SCHEMES, the host is missing, the URI is too long,
            it leaves the folder, or it is relative and `base_uri` is empty.
    """
    if _PLAIN.fullmatch(uri) and base_uri:
        absolute = _folder(base_uri) + uri
    else:
        absolute = _resolve_any(uri, base_uri)
    if len(absolute) * 4 > MAX_URI_BYTES and len(absolute.encode()) > MAX_URI_BYTES:
        raise UriError(f"is longer than {MAX_URI_BYTES} bytes")
    return absolute


def from_path(path: str | Path) -> str:
    """Return the file URI of a path; symbolic links are kept, `.` and `..` are not."""
    return Path(os.path.abspath(path)).as_uri()


def folder_of(uri: str) -> str:
    """Return the URI of the folder a file lies in, with its closing slash."""
    return _folder(uri)


@lru_cache(maxsize=64)
def _folder(uri: str) -> str:
    return uri[: uri.rindex("/") + 1]


def _resolve_any(uri: str, base_uri: str) -> str:
    if not uri:
        raise UriError("is empty")
    if control := _CONTROL.search(uri):
        raise UriError(f"holds the control character U+{ord(control[0]):04X}")
    if match := _SCHEME.match(uri):
        return _checked_absolute(uri, match[1].lower())
    if not base_uri:
        raise UriError("is relative, and there is no manifest to resolve it against")
    if uri.startswith("//"):
        raise UriError("has no scheme")
    if uri.startswith("/"):
        if not base_uri.startswith("file:"):
            raise UriError("leaves the manifest's folder")
        return "file://" + _escaped(uri)
    return _folder(base_uri) + _relative(uri, base_uri)


def _checked_absolute(uri: str, scheme: str) -> str:
    if scheme not in SCHEMES:
        raise UriError(f"has the scheme {scheme!r}; {', '.join(SCHEMES)} can be read")
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise UriError(f"is not a URI: {error}") from error
    if scheme == "file":
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            raise UriError("must name a file of this machine: file:///folder/name")
    elif not parts.netloc:
        raise UriError("has no host" if scheme in ("http", "https") else "has no bucket")
    return uri


def _relative(uri: str, base_uri: str) -> str:
    path, query = uri, ""
    if base_uri.startswith("http"):
        path, mark, rest = uri.partition("?")
        query = mark + rest
    segments: list[str] = []
    for segment in path.split("/"):
        plain = unquote(segment)
        if plain == "..":
            if not segments:
                raise UriError("leaves the manifest's folder")
            segments.pop()
        elif "/" in plain:
            raise UriError("holds an escaped slash")
        elif plain not in ("", "."):
            segments.append(segment)
    if not segments:
        raise UriError("names no file")
    joined = "/".join(segments)
    return (joined if base_uri.startswith(("s3:", "gs:")) else _escaped(joined)) + query


def _escaped(path: str) -> str:
    return quote(_STRAY_PERCENT.sub("%25", path), safe="/%!$&'()*+,;=:@-._~")
