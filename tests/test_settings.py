"""What the environment says is what the settings are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.conftest import STATE_DIR
from tests.services import BASE_DIR

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django import Settings


def read(expression: str, **environment: str) -> Any:
    """Return what an expression over the settings gives in a fresh process, as JSON."""
    program = f"import json; from project import settings; print(json.dumps({expression}))"
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=BASE_DIR,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(result.stdout)


def test_state_is_in_the_temporary_folder_of_this_process(settings: Settings) -> None:
    assert str(settings.VAR_DIR) == STATE_DIR
    assert not (settings.VAR_DIR / "db.sqlite3").exists()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "[2001:db8::7]"),
        ("frames.local", "frames.local"),
    ],
)
def test_host_it_listens_on_may_be_asked_for(host: str, expected: str) -> None:
    assert expected in read("settings.ALLOWED_HOSTS", HOST=host)


def test_wildcard_host_is_not_itself_a_name() -> None:
    hosts = read("settings.ALLOWED_HOSTS", HOST="0.0.0.0")
    assert "0.0.0.0" not in hosts
    assert "*" not in hosts
    assert "localhost" in hosts


def test_given_host_names_are_the_only_ones() -> None:
    assert read("settings.ALLOWED_HOSTS", ALLOWED_HOSTS="a.example,b.example") == [
        "a.example",
        "b.example",
    ]


def test_secret_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    first = read("settings.SECRET_KEY", FRAMEDECK_VAR=str(tmp_path))
    assert len(first) > 50
    assert read("settings.SECRET_KEY", FRAMEDECK_VAR=str(tmp_path)) == first
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600


def test_secret_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from a file")
    assert read("settings.SECRET_KEY", SECRET_KEY_FILE=str(tmp_path / "key")) == "from a file"


@pytest.mark.parametrize("name", ["LOG_FORMAT", "LOG_LEVEL"])
def test_unknown_way_of_logging_is_refused(name: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        read("0", **{name: "loud"})
    assert f"{name} is 'loud'" in caught.value.stderr


@pytest.mark.parametrize(
    ("region", "signed_for"), [("eu-north-1", "eu-north-1"), ("", "us-east-1")]
)
def test_urls_of_a_bucket_are_signed_as_version_4(region: str, signed_for: str) -> None:
    """Version 2, which boto3 would choose, is refused by AWS for new buckets."""
    url = read(
        "__import__('storages.backends.s3').backends.s3.S3Storage("
        "**settings.STORAGES['previews']['OPTIONS']).url('a.jpg')",
        DJANGO_SETTINGS_MODULE="project.settings",
        S3_PREVIEWS_BUCKET="previews",
        S3_ENDPOINT_URL="http://s3.localhost:8333",
        AWS_REGION=region,
        AWS_ACCESS_KEY_ID="key",
        AWS_SECRET_ACCESS_KEY="secret",
    )
    parts = urlsplit(url)
    assert parts._replace(query="").geturl() == "http://s3.localhost:8333/previews/a.jpg"
    query = parse_qs(parts.query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Credential"][0].split("/")[2] == signed_for


def test_postgresql_compiles_no_query() -> None:
    """It would take longer than any of them runs."""
    options = read(
        "settings.DATABASES['default']['OPTIONS']", DATABASE_URL="postgres://u:p@127.0.0.1/d"
    )
    assert options["options"] == "-c jit=off"


def test_options_of_the_database_url_reach_postgresql() -> None:
    options = read(
        "settings.DATABASES['default']['OPTIONS']",
        DATABASE_URL="postgres://u:p@127.0.0.1/d?sslmode=verify-full",
    )
    assert options["sslmode"] == "verify-full"
    assert options["pool"]
