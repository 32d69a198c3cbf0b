"""Dockerfile and compose.yaml agree with each other, with the settings and with the repository."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import yaml
from django.urls import get_resolver

from tests.conftest import SETTINGS_READ
from tests.services import BASE_DIR

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings
    from pytest_django.live_server_helper import LiveServer

DOCKERFILE = re.sub(r"\\\n", "", (BASE_DIR / "Dockerfile").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((BASE_DIR / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SITE = {name: service for name, service in SERVICES.items() if service["image"] == "framedeck"}
SETTINGS = SETTINGS_READ | {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


def test_the_build_is_sent_what_it_copies_and_nothing_else() -> None:
    copied = {
        source.rstrip("/")
        for arguments in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, flags=re.MULTILINE)
        for source in arguments.split()
    }
    sent = re.findall(r"^!(\S+)$", (BASE_DIR / ".dockerignore").read_text(), flags=re.MULTILINE)
    assert copied == set(sent)
    assert [name for name in copied if not (BASE_DIR / name).exists()] == []


def test_the_image_runs_as_a_user_who_may_not_write_the_code() -> None:
    """What is copied belongs to root, as no COPY names an owner; only the state folder does not."""
    instructions = re.findall(r"^(USER|COPY|RUN|ADD) (.*)$", DOCKERFILE, flags=re.MULTILINE)
    assert instructions[-1] == ("USER", "framedeck")
    assert not any(
        "--chown" in arguments or "--chmod" in arguments for _, arguments in instructions
    )


@pytest.mark.parametrize("name", SITE)
def test_each_variable_of_the_site_is_a_setting(name: str) -> None:
    assert set(SITE[name]["environment"]) <= SETTINGS


@pytest.mark.parametrize("name", SITE)
def test_each_service_of_the_site_takes_what_the_operator_allows(name: str) -> None:
    """What may be read and deleted is told to each alike; unset, nothing may be deleted."""
    environment = SITE[name]["environment"]
    assert environment["MEDIA_ALLOW"].startswith("${MEDIA_ALLOW:-")
    assert environment["MEDIA_DELETE_ALLOW"] == "${MEDIA_DELETE_ALLOW:-}"


def test_each_variable_of_the_image_is_a_setting() -> None:
    (block,) = re.findall(r"^ENV (.*)$", DOCKERFILE, flags=re.MULTILINE)
    names = set(re.findall(r"(\w+)=", block))
    assert names - {"PATH", "PYTHONUNBUFFERED"} <= SETTINGS


def test_one_service_builds_the_image_and_all_others_wait_for_it() -> None:
    """Builds of one name side by side fail on a machine that has not got it yet."""
    (builder,) = [name for name, service in SERVICES.items() if "build" in service]
    others = [service for name, service in SITE.items() if name != builder]
    assert others
    assert all(
        service["depends_on"][builder] == {"condition": "service_completed_successfully"}
        for service in others
    )
    assert {service["pull_policy"] for service in SITE.values()} == {"never"}


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_waited_for_says_whether_it_is_healthy(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert SERVICES[needed]["healthcheck"]["test"]


@pytest.mark.parametrize("name", SITE)
def test_addresses_of_the_site_name_services(name: str) -> None:
    """The database, the queue and the store, each by its service's name or alias."""
    known = set(SERVICES) | {
        alias
        for service in SERVICES.values()
        for network in service.get("networks", {}).values()
        for alias in network["aliases"]
    }
    environment = SITE[name]["environment"]
    for variable in ("DATABASE_URL", "REDIS_URL", "S3_ENDPOINT_URL"):
        # Compose's ${NAME:-default} stands for its default.
        url = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", environment[variable])
        assert urlsplit(url).hostname in known


def test_the_store_makes_the_bucket_that_the_site_uses() -> None:
    for service in SITE.values():
        bucket = service["environment"]["S3_PREVIEWS_BUCKET"]
        assert f"-bucket={bucket}" in SERVICES["s3"]["command"].split()


def test_nothing_is_published_beyond_this_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize(
    ("allowed_hosts", "https_only"),
    [
        ("frames.example.org", False),
        ("frames.example.org,localhost", True),
        (".example.org", True),
        ("*", True),
        ("", False),
    ],
)
def test_health_check_passes_under_any_allowed_host(
    live_server: LiveServer, settings: Settings, allowed_hosts: str, https_only: bool
) -> None:
    settings.ALLOWED_HOSTS = allowed_hosts.split(",") if allowed_hosts else ["localhost"]
    settings.SECURE_SSL_REDIRECT = https_only
    assert health_check(live_server, allowed_hosts) == 0


def test_health_check_fails_where_the_site_refuses_to_answer(
    live_server: LiveServer, settings: Settings
) -> None:
    settings.ALLOWED_HOSTS = ["frames.example.org"]
    assert health_check(live_server, "other.example.org") != 0


def health_check(live_server: LiveServer, allowed_hosts: str) -> int:
    """Return the exit code of the image's health check against a server of this process."""
    get_resolver().url_patterns  # noqa: B018  read so that no page is imported while it waits
    (command,) = re.findall(r"^HEALTHCHECK .*?CMD (\[.*\])$", DOCKERFILE, flags=re.MULTILINE)
    program, *arguments = json.loads(command)
    assert program == "python"
    port = urlsplit(live_server.url).port
    environment = os.environ | {"PORT": str(port), "ALLOWED_HOSTS": allowed_hosts}
    result = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, timeout=20
    )
    return result.returncode
