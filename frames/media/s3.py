"""Buckets: S3, whatever speaks it, and Google Cloud Storage by its S3 interface.

boto3 only signs here. Every byte comes through `http.py`, so that one piece of code decides which
address is connected to, how long it may take and how much it may send. It deletes by itself: only
in the buckets that the operator lists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from frames.media.errors import MediaError
from frames.media.http import WrongRegionError, open_http, probe
from frames.media.reader import Entry, MediaReader
from frames.models import PreviewReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from frames.media.policy import MediaPolicy
    from frames.media.uris import Uri

T = TypeVar("T")

# As long as one task may take to read from one URL.
_READ_TTL_S: Final = 3600
_LIST_MAX_BYTES: Final = 16 * 1024 * 1024
# What S3 takes in one request.
_DELETED_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class _Location:
    """Where an object is: `trusted` marks the operator's own endpoints."""

    endpoint: str | None
    bucket: str
    key: str
    trusted: bool
    signed: bool
    google: bool = False


def _host_and_port(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _locate(uri: Uri, policy: MediaPolicy) -> _Location:
    if uri.scheme == "gs":
        return _Location(
            endpoint=settings.GS_ENDPOINT_URL,
            bucket=uri.authority,
            key="/".join(uri.path),
            trusted=True,
            signed=bool(settings.GS_ACCESS_KEY_ID),
            google=True,
        )
    if ":" not in uri.authority:
        return _Location(
            endpoint=settings.S3_ENDPOINT_URL or None,
            bucket=uri.authority,
            key="/".join(uri.path),
            trusted=True,
            signed=True,
        )
    own = settings.S3_ENDPOINT_URL
    bucket, key = uri.path[0], "/".join(uri.path[1:])
    if own and _host_and_port(own) == uri.authority:
        return _Location(own, bucket, key, trusted=True, signed=True)
    host, _, port = uri.authority.rpartition(":")
    # The form has no place for a scheme. Stores inside a house speak http on their own port.
    scheme = "https" if port in {"443", "8443"} else "http"
    return _Location(
        endpoint=f"{scheme}://{uri.authority}",
        bucket=bucket,
        key=key,
        trusted=False,
        # A stranger's store never sees which key the operator has.
        signed=policy.allows_private(host.strip("[]"), int(port)),
    )


@lru_cache(maxsize=64)
def _client(endpoint: str | None, region: str | None, *, signed: bool, google: bool) -> Any:
    session = boto3.Session()
    keys: dict[str, str] = {}
    if google and signed:
        keys = {
            "aws_access_key_id": settings.GS_ACCESS_KEY_ID,
            "aws_secret_access_key": settings.GS_SECRET_ACCESS_KEY,
        }
    elif signed and session.get_credentials() is None:
        signed = False
    default_region = "auto" if google else "us-east-1"
    return session.client(
        "s3",
        endpoint_url=endpoint,
        region_name=region or session.region_name or settings.AWS_REGION or default_region,
        config=Config(
            # For deletions, in all less than a job's heartbeat may be old.
            connect_timeout=5,
            read_timeout=15,
            retries={"total_max_attempts": 2},
            signature_version="s3v4" if signed else UNSIGNED,
            s3={
                "addressing_style": "path" if endpoint else "virtual",
                "us_east_1_regional_endpoint": "regional",
            },
        ),
        **keys,
    )


def _sign(
    place: _Location, operation: str, ttl_s: int, region: str | None = None, **parameters: Any
) -> str:
    client = _client(place.endpoint, region, signed=place.signed, google=place.google)
    try:
        url: str = client.generate_presigned_url(
            operation, Params={"Bucket": place.bucket, **parameters}, ExpiresIn=ttl_s
        )
    except BotoCoreError as error:
        raise MediaError(
            PreviewReason.FORBIDDEN, f"The request cannot be signed: {type(error).__name__}."
        ) from error
    return url


def _in_its_region(sign: Callable[[str | None], str], ask: Callable[[str], T]) -> T:
    """Ask at a signed URL; once more where the store names the bucket's own region."""
    try:
        return ask(sign(None))
    except WrongRegionError as error:
        return ask(sign(error.region))


def _open(
    place: _Location,
    policy: MediaPolicy,
    max_bytes: int,
    sign: Callable[[str | None], str],
) -> MediaReader:
    return _in_its_region(
        sign,
        lambda url: open_http(url, policy, max_bytes, trusted=place.trusted, follow=False),
    )


def _located(uri: Uri, policy: MediaPolicy) -> tuple[_Location, Callable[[str | None], str]]:
    """Return where an object is, and what signs its address for a region."""
    place = _locate(uri, policy)
    if not place.bucket or not place.key:
        raise MediaError(PreviewReason.NOT_FOUND, "The address names no object.")

    def sign(region: str | None) -> str:
        return _sign(place, "get_object", _READ_TTL_S, region, Key=place.key)

    return place, sign


def open_object(uri: Uri, policy: MediaPolicy, max_bytes: int) -> MediaReader:
    """Open an object of a bucket; the errors are those of `open_http`."""
    place, sign = _located(uri, policy)
    return _open(place, policy, max_bytes, sign)


def probe_object(uri: Uri, policy: MediaPolicy) -> None:
    """Ask whether an object of a bucket can be read; the errors are those of `http.probe`."""
    place, sign = _located(uri, policy)
    _in_its_region(sign, lambda url: probe(url, policy, trusted=place.trusted, follow=False))


def list_objects(uri: Uri, policy: MediaPolicy) -> Iterator[Entry]:
    """Yield the objects under a prefix in the store's order, by key, a page at a time."""
    place = _locate(uri, policy)
    if not place.bucket:
        raise MediaError(PreviewReason.NOT_FOUND, "The address names no bucket.")
    prefix = place.key.rstrip("/") + "/" if place.key.strip("/") else ""
    root = f"{uri.scheme}://{uri.authority}/"
    if ":" in uri.authority:
        root += f"{place.bucket}/"
    token: dict[str, str] = {}
    while True:

        def sign(region: str | None, page: dict[str, str] = token) -> str:
            return _sign(
                place,
                "list_objects_v2",
                _READ_TTL_S,
                region,
                Prefix=prefix,
                EncodingType="url",
                **page,
            )

        with _open(place, policy, _LIST_MAX_BYTES, sign) as body:
            text = body.read()
        try:
            # expat bounds the growth of entities, and the text is bounded above.
            result = ElementTree.fromstring(text)  # noqa: S314
        except ElementTree.ParseError as error:
            raise MediaError(
                PreviewReason.UNREACHABLE, "The store's listing is not the XML of S3."
            ) from error
        for item in result.iterfind("{*}Contents"):
            key, size = unquote(item.findtext("{*}Key", "")), item.findtext("{*}Size", "")
            if not key.endswith("/"):
                yield Entry(
                    uri=root + key,
                    size=int(size) if size.isdecimal() else 0,
                    modified=item.findtext("{*}LastModified", ""),
                )
        following = result.findtext("{*}NextContinuationToken", "")
        if result.findtext("{*}IsTruncated") != "true" or not following:
            return
        token = {"ContinuationToken": following}


def sign_object(uri: Uri, policy: MediaPolicy, ttl_s: int) -> str:
    """Return a URL at which a browser can read the object for `ttl_s` seconds."""
    place = _locate(uri, policy)
    return _sign(place, "get_object", ttl_s, Key=place.key)


class StoredObject(NamedTuple):
    """Where an object is; the same for each form of address that names it."""

    endpoint: str
    bucket: str
    key: str


def object_of(uri: Uri, policy: MediaPolicy) -> StoredObject:
    """Return which object of which store an address names."""
    place = _locate(uri, policy)
    return StoredObject(place.endpoint or "", place.bucket, place.key)


def deletions(uris: Iterable[Uri], policy: MediaPolicy) -> Iterator[list[Uri]]:
    """Yield the objects in parts that one request deletes: of one bucket, at most 1,000."""
    buckets: dict[_Location, list[Uri]] = {}
    for uri in uris:
        buckets.setdefault(replace(_locate(uri, policy), key=""), []).append(uri)
    for place, found in buckets.items():
        # Google's S3 interface knows no deletion of several.
        size = 1 if place.google else _DELETED_AT_ONCE
        for start in range(0, len(found), size):
            yield found[start : start + size]


def delete_objects(uris: Sequence[Uri], policy: MediaPolicy) -> dict[Uri, str]:
    """Delete a part of `deletions`; return why, for those that are still there.

    One that was not there counts as deleted.

    Raises:
        MediaError: UNREACHABLE, where the store gave no answer.
    """
    place = _locate(uris[0], policy)
    uri_of = {_locate(uri, policy).key: uri for uri in uris}
    client = _client(place.endpoint, None, signed=place.signed, google=place.google)
    try:
        if place.google:
            client.delete_object(Bucket=place.bucket, Key=place.key)
            return {}
        answer = client.delete_objects(
            Bucket=place.bucket, Delete={"Objects": [{"Key": key} for key in uri_of], "Quiet": True}
        )
    except ClientError as error:
        problem = error.response.get("Error", {})
        is_gone = problem.get("Code") == "NoSuchKey"
        return {} if is_gone else dict.fromkeys(uris, _reason(problem))
    except BotoCoreError as error:
        raise MediaError(
            PreviewReason.UNREACHABLE, f"The store did not answer: {type(error).__name__}."
        ) from error
    return {uri_of[problem["Key"]]: _reason(problem) for problem in answer.get("Errors", ())}


def _reason(problem: dict[str, Any]) -> str:
    return f"{problem.get('Code', 'Unknown')}: {problem.get('Message', '')}".rstrip(": ")
