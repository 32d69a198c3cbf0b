"""URIs taken apart once, so that what is checked is exactly what is opened."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, unquote_to_bytes

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from frames.media.errors import MediaError
from frames.models import PreviewReason

SCHEMES: Final = ("file", "http", "https", "s3", "gs")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SEPARATORS: Final = re.compile(r"[/\\]")


def _refuse(detail: str) -> MediaError:
    return MediaError(PreviewReason.NOT_ALLOWED, detail)


@dataclass(frozen=True, slots=True)
class Uri:
    """A URI in parts.

    `authority` is the host with its port where that is not the scheme's own, or the bucket, and
    empty for a file. `path` is percent-decoded for a file, encoded as sent for http(s), and the
    key as it is for s3 and gs; with `s3://host:port/bucket/key` it starts with the bucket.
    """

    scheme: str
    authority: str
    path: tuple[str, ...]
    query: str = ""

    def starts_with(self, prefix: Uri) -> bool:
        """Return whether this URI lies under the prefix, compared by whole components."""
        if self.scheme != prefix.scheme:
            return False
        if not prefix.authority and not prefix.path:
            return True
        return self.authority == prefix.authority and self.path[: len(prefix.path)] == prefix.path

    @property
    def name(self) -> str:
        """The last component of the path, without the query."""
        return self.path[-1] if self.path else ""


def _check_components(components: tuple[str, ...], *, encoded: bool) -> None:
    for component in components:
        text = unquote(component) if encoded else component
        # Some servers decode %2F and %5C before they resolve "..": such a path could leave the
        # allowed prefix behind the check's back.
        if any(part in {".", ".."} for part in _SEPARATORS.split(text)):
            raise _refuse("The address has '.' or '..' in its path.")


def _parse_file(rest: str) -> Uri:
    host, slash, path = rest.partition("/")
    if host not in {"", "localhost"} or not slash:
        raise _refuse("A file address must be file:/// followed by an absolute path.")
    # File names are bytes; what is not UTF-8 in them is kept as the system keeps it.
    components = tuple(part for part in os.fsdecode(unquote_to_bytes(path)).split("/") if part)
    if any(_CONTROL.search(part) for part in components):
        raise _refuse("The address holds control characters.")
    if ".." in components:
        raise _refuse("The address has '.' or '..' in its path.")
    return Uri("file", "", tuple(part for part in components if part != "."))


def _parse_http(text: str) -> Uri:
    try:
        url = parse_url(text)
    except (LocationParseError, ValueError) as error:
        raise _refuse("The address is not a valid URL.") from error
    if not url.host or url.scheme not in _DEFAULT_PORTS:
        raise _refuse("The address names no host.")
    if url.auth:
        raise _refuse("Addresses with a user name or password in them are not read.")
    # As it was written: parse_url has already resolved plain ".." components.
    _check_components(tuple(re.split(r"[?#]", text)[0].split("/")[3:]), encoded=True)
    components = tuple((url.path or "/").split("/")[1:])
    host = url.host.rstrip(".")
    port = url.port
    authority = host if port in {None, _DEFAULT_PORTS[url.scheme]} else f"{host}:{port}"
    return Uri(url.scheme, authority, components, url.query or "")


def _parse_bucket(scheme: str, rest: str) -> Uri:
    authority, _, key = rest.partition("/")
    components = tuple(key.split("/"))
    _check_components(components, encoded=False)
    if scheme == "s3" and ":" in authority:
        try:
            endpoint = parse_url(f"http://{authority}/")
        except (LocationParseError, ValueError) as error:
            raise _refuse("The address names no valid host and port.") from error
        if not endpoint.host or endpoint.port is None or endpoint.auth:
            raise _refuse("The address names no valid host and port.")
        authority = f"{endpoint.host.rstrip('.')}:{endpoint.port}"
        if components[0] and not _BUCKET.fullmatch(components[0]):
            raise _refuse("The address names no valid bucket.")
    elif not _BUCKET.fullmatch(authority):
        raise _refuse("The address names no valid bucket.")
    return Uri(scheme, authority, components)


def parse_uri(text: str) -> Uri:
    """Take a URI apart.

    Raises:
        MediaError: NOT_ALLOWED, where it is not a URI that could ever be read.
    """
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in SCHEMES:
        raise _refuse(f"Only addresses that start with {', '.join(SCHEMES)}:// are read.")
    if _CONTROL.search(text):
        raise _refuse("The address holds control characters.")
    if scheme == "file":
        return _parse_file(rest)
    if scheme in _DEFAULT_PORTS:
        return _parse_http(text)
    return _parse_bucket(scheme, rest)


def parse_prefix(text: str) -> Uri:
    """Take a prefix of URIs apart; a bare scheme (`https://`) is the prefix of all its URIs."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme.lower() in SCHEMES and rest in {"", "/"}:
        return Uri(scheme.lower(), "", ())
    uri = parse_uri(text)
    path = uri.path
    while path and not path[-1]:
        path = path[:-1]
    return Uri(uri.scheme, uri.authority, path)
