"""Live tests: a real Redis, a real S3 server, and a real worker in a process of its own.

The worker sees the test's database, so a test that uses it must commit: mark it
`@pytest.mark.django_db(transaction=True)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from django.conf import settings
from django.db import connection

from project.celery import app
from tests import services

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

# moto takes any.
S3_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder."""
    for item in items:
        if "live" in item.path.parts:
            item.add_marker(pytest.mark.live)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis that keeps nothing."""
    with services.redis_server() as url:
        yield url


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """The endpoint of an S3 server without buckets; any credentials are good."""
    with services.s3_server() as url:
        yield url


@pytest.fixture
def s3(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of the S3 server, which this process and workers started later use too."""
    for name, value in S3_CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("S3_ENDPOINT_URL", s3_url)
    monkeypatch.setattr(settings, "S3_ENDPOINT_URL", s3_url)
    return boto3.client("s3", endpoint_url=s3_url)


@pytest.fixture(params=["files", "redis"])
def broker(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The queue, of this process too: a folder, then Redis; the environment of a worker for it."""
    if request.param == "files":
        _purge_queue()
        yield {}
        return
    url: str = request.getfixturevalue("redis_url")
    before = {name: app.conf[name] for name in ("broker_url", "broker_transport_options")}
    _configure_queue(broker_url=url, broker_transport_options={})
    _purge_queue()
    yield {"REDIS_URL": url}
    _configure_queue(**before)


def _purge_queue() -> None:
    """Forget what an earlier test has left."""
    with app.connection_for_write() as connection, connection.channel() as channel:
        for queue in app.amqp.queues.values():
            queue(channel).purge()


def _configure_queue(**options: Any) -> None:
    """Have this process's Celery connect anew, to another broker."""
    app.conf.update(options)
    app._pool = None  # type: ignore[attr-defined]
    app.amqp._producer_pool = None  # type: ignore[attr-defined]


@pytest.fixture
def worker(
    broker: dict[str, str], transactional_db: None, tmp_path: Path
) -> Iterator[services.Worker]:
    """A worker on the test's database and queue, started; may be killed and started again."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{database['NAME']}"
    else:
        url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database)
    worker = services.Worker(
        {
            "FRAMEDECK_VAR": str(settings.VAR_DIR),
            "DATABASE_URL": url,
            "MEDIA_ALLOW": ",".join(settings.MEDIA_ALLOW),
            "MEDIA_PRIVATE_HOSTS": ",".join(settings.MEDIA_PRIVATE_HOSTS),
            **broker,
        },
        tmp_path / "worker.log",
    )
    worker.start()
    yield worker
    worker.stop()
