"""Buckets of a real S3 protocol server, by every form of address."""

from __future__ import annotations

import os
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from frames.media import (
    MediaError,
    MediaPolicy,
    addresses,
    list_uri,
    open_uri,
    probe,
    s3,
    signed_url,
)
from frames.models import PreviewReason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django.fixtures import Settings

    from tests.media.site import Site

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """An S3 server with a bucket of three objects; yields its host and port."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="pictures")
    for key in ("a.png", "drive/2 b&c.png", "drive/1ü.png"):
        client.put_object(Bucket="pictures", Key=key, Body=b"0123456789")
    client.put_object(Bucket="pictures", Key="drive/", Body=b"")
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The operator's keys, in the environment as boto3 reads them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, os.devnull)
    s3._client.cache_clear()
    yield
    s3._client.cache_clear()


@pytest.fixture
def policy(store: str) -> MediaPolicy:
    return MediaPolicy(
        allow=("s3://pictures/", f"s3://{store}/pictures/", "gs://pictures/", "s3://nothing/"),
        private_hosts=frozenset({store}),
        timeout_s=5,
    )


@pytest.fixture
def own_endpoint(store: str, settings: Settings) -> None:
    settings.S3_ENDPOINT_URL = f"http://{store}"
    settings.GS_ENDPOINT_URL = f"http://{store}"
    settings.GS_ACCESS_KEY_ID = ACCESS_KEY
    settings.GS_SECRET_ACCESS_KEY = SECRET_KEY


def error_of(uri: str, policy: MediaPolicy) -> MediaError:
    with pytest.raises(MediaError) as caught, open_uri(uri, policy) as file:
        file.read()
    return caught.value


@pytest.mark.usefixtures("own_endpoint")
@pytest.mark.parametrize(
    "uri", ["s3://pictures/drive/2 b&c.png", "s3://pictures/drive/1ü.png", "gs://pictures/a.png"]
)
def test_an_object_of_the_operators_store(uri: str, policy: MediaPolicy) -> None:
    """At a private address, which the operator's own endpoint may be."""
    with open_uri(uri, replace(policy, private_hosts=frozenset())) as file:
        assert file.size == 10
        file.seek(5)
        assert file.read() == b"56789"


def test_an_object_of_a_store_named_by_host_and_port(store: str, policy: MediaPolicy) -> None:
    with open_uri(f"s3://{store}/pictures/a.png", policy) as file:
        assert file.read() == b"0123456789"


def test_a_private_store_must_be_listed(store: str, policy: MediaPolicy) -> None:
    policy = replace(policy, private_hosts=frozenset())
    error = error_of(f"s3://{store}/pictures/a.png", policy)
    assert error.reason is PreviewReason.PRIVATE_ADDRESS


@pytest.mark.usefixtures("own_endpoint")
def test_objects_are_asked_for_without_reading_them(policy: MediaPolicy) -> None:
    probe("s3://pictures/a.png", replace(policy, max_bytes=1))
    for uri in ("s3://pictures/none.png", "s3://nothing/a.png", "s3://pictures/"):
        with pytest.raises(MediaError) as caught:
            probe(uri, policy)
        assert caught.value.reason is PreviewReason.NOT_FOUND


@pytest.mark.usefixtures("own_endpoint")
def test_a_missing_object_and_a_missing_bucket(policy: MediaPolicy) -> None:
    missing = error_of("s3://pictures/none.png", policy)
    assert missing.reason is PreviewReason.NOT_FOUND
    assert "NoSuchKey" in missing.detail
    bucket = error_of("s3://nothing/a.png", policy)
    assert bucket.reason is PreviewReason.NOT_FOUND
    assert "NoSuchBucket" in bucket.detail
    assert error_of("s3://pictures", policy).reason is PreviewReason.NOT_FOUND


@pytest.mark.usefixtures("own_endpoint")
def test_a_bucket_outside_of_the_policy(policy: MediaPolicy) -> None:
    assert error_of("s3://secret/a.png", policy).reason is PreviewReason.NOT_ALLOWED
    with pytest.raises(MediaError):
        signed_url("s3://secret/a.png", policy, 60)
    with pytest.raises(MediaError):
        list(list_uri("s3://secret/", policy))


@pytest.mark.usefixtures("own_endpoint")
def test_a_private_object_without_keys(
    policy: MediaPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unsigned, as public objects are read where the operator has no keys."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert error_of("s3://pictures/a.png", policy).reason is PreviewReason.FORBIDDEN


def test_keys_that_the_store_refuses(site: Site, policy: MediaPolicy, settings: Settings) -> None:
    """The store's code says what to mend; the key itself is not repeated."""
    settings.S3_ENDPOINT_URL = site.url
    body = f"<Error><Code>InvalidAccessKeyId</Code><Key>{ACCESS_KEY}</Key></Error>"
    site.status("/pictures/a.png", 403, body.encode())
    error = error_of("s3://pictures/a.png", policy)
    assert error.reason is PreviewReason.FORBIDDEN
    assert "InvalidAccessKeyId" in error.detail
    assert ACCESS_KEY not in error.detail


def test_a_strangers_store_never_sees_the_operators_key(
    site: Site, policy: MediaPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read without a signature, as everybody could; signed only where the operator listed it."""
    monkeypatch.setattr(addresses, "resolve", lambda host, port: ["127.0.0.1"])
    monkeypatch.setattr(addresses, "is_public", lambda address: True)
    site.file("/bucket/a.png", b"x")
    uri = f"s3://stranger.test:{site.port}/bucket/a.png"
    policy = replace(policy, allow=(uri,))
    with open_uri(uri, policy) as file:
        assert file.read() == b"x"
    path, headers = site.requests[0]
    assert path == "/bucket/a.png"
    assert "Authorization" not in headers
    assert ACCESS_KEY not in (signed_url(uri, policy, 60) or "")
    listed = replace(policy, private_hosts=frozenset({f"stranger.test:{site.port}"}))
    assert ACCESS_KEY in (signed_url(uri, listed, 60) or "")


def test_a_store_cannot_redirect_elsewhere(
    site: Site, policy: MediaPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.file("/inside.png", b"inside")
    site.status("/bucket/a.png", 307, Location="/inside.png", x_amz_bucket_region="eu-west-1")
    uri = f"s3://127.0.0.1:{site.port}/bucket/a.png"
    hosts = frozenset({f"127.0.0.1:{site.port}"})
    policy = replace(policy, allow=(uri, site.url), private_hosts=hosts)
    assert error_of(uri, policy).reason is PreviewReason.UNREACHABLE
    assert len(site.requests) == 1


def test_a_bucket_in_another_region_is_signed_for_that_region(
    site: Site, policy: MediaPolicy, settings: Settings
) -> None:
    settings.S3_ENDPOINT_URL = site.url

    def answer(request: Any) -> None:
        here = "eu-central-1" in request.path
        request.send_response(206 if here else 400)
        request.send_header("x-amz-bucket-region", "eu-central-1")
        if here:
            request.send_header("Content-Range", "bytes 0-0/1")
        request.send_header("Content-Length", "1")
        request.end_headers()
        request.wfile.write(b"x")

    site.answers["/pictures/a.png"] = answer
    with open_uri("s3://pictures/a.png", policy) as file:
        assert file.read() == b"x"
    assert len(site.requests) == 2


@pytest.mark.usefixtures("own_endpoint")
def test_a_signed_url_is_readable_without_keys(policy: MediaPolicy) -> None:
    url = signed_url("s3://pictures/drive/2 b&c.png", policy, 60)
    assert url is not None
    assert SECRET_KEY not in url
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"0123456789"


def test_other_addresses_have_no_signed_url() -> None:
    policy = MediaPolicy(allow=("https://example.com", "file:///srv"))
    assert signed_url("https://example.com/a.png", policy, 60) is None
    assert signed_url("file:///srv/a.png", policy, 60) is None


def test_amazons_own_endpoint_is_named_by_bucket_and_region(policy: MediaPolicy) -> None:
    url = signed_url("s3://pictures/a.png", policy, 60)
    assert (url or "").startswith("https://pictures.s3.us-east-1.amazonaws.com/a.png?")


@pytest.mark.usefixtures("own_endpoint")
@pytest.mark.parametrize("root", ["s3://pictures", "gs://pictures", "s3://{store}/pictures"])
def test_a_listing(store: str, policy: MediaPolicy, root: str) -> None:
    root = root.format(store=store)
    found = list(list_uri(f"{root}/", policy))
    assert [entry.uri.removeprefix(f"{root}/") for entry in found] == [
        "a.png",
        "drive/1ü.png",
        "drive/2 b&c.png",
    ]
    assert {entry.size for entry in found} == {10}
    assert [entry.uri for entry in list_uri(f"{root}/drive", policy)] == [
        f"{root}/drive/1ü.png",
        f"{root}/drive/2 b&c.png",
    ]
    for entry in found:
        with open_uri(entry.uri, policy) as file:
            assert file.read() == b"0123456789"


@pytest.mark.usefixtures("own_endpoint")
def test_a_listing_of_many_pages(
    store: str, policy: MediaPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
    client = boto3.client("s3", endpoint_url=f"http://{store}", region_name="us-east-1")
    client.create_bucket(Bucket="crowded")
    policy = replace(policy, allow=("s3://crowded/",))
    for number in range(10):
        client.put_object(Bucket="crowded", Key=f"many/{number}", Body=b"")
    names = [entry.uri.rpartition("/")[2] for entry in list_uri("s3://crowded/many/", policy)]
    assert names == [f"{number}" for number in range(10)]


@pytest.mark.usefixtures("own_endpoint")
def test_a_listing_of_a_missing_bucket(policy: MediaPolicy) -> None:
    with pytest.raises(MediaError) as caught:
        list(list_uri("s3://nothing/", policy))
    assert caught.value.reason is PreviewReason.NOT_FOUND


def test_a_web_address_cannot_be_listed() -> None:
    with pytest.raises(MediaError) as caught:
        list(list_uri("https://example.com/", MediaPolicy(allow=("https://example.com",))))
    assert caught.value.reason is PreviewReason.UNSUPPORTED
