"""The documents say what is there: settings, addresses, commands, links."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from tests.conftest import SETTINGS_PATH, SETTINGS_READ

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE_DIR = Path(__file__).resolve().parent.parent
README = (BASE_DIR / "README.md").read_text()
CONFIGURATION = (BASE_DIR / "docs" / "configuration.md").read_text()
DOCUMENTS = [
    *(BASE_DIR / name for name in ("README.md", "CHANGELOG.md", "sdk/README.md")),
    *sorted((BASE_DIR / "docs").rglob("*.md")),
]


def documented_settings() -> dict[str, str]:
    """Return each variable of the configuration's tables with the text of its default."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", CONFIGURATION, flags=re.MULTILINE)
    return dict(rows)


def literal_defaults() -> Iterator[tuple[str, Any]]:
    """Yield each variable the settings read with a default that is a constant."""
    for node in ast.walk(ast.parse(SETTINGS_PATH.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "env"):
            continue
        if not (node.args and isinstance(node.args[0], ast.Constant)):
            continue
        default = node.keywords[0].value
        if any(isinstance(part, ast.Name) for part in ast.walk(default)):
            continue  # computed, as the state folder's files are
        value = eval(compile(ast.Expression(default), "settings", "eval"))  # numbers and texts
        yield str(node.args[0].value), value


def test_every_setting_is_documented_and_nothing_else() -> None:
    assert set(documented_settings()) == SETTINGS_READ


@pytest.mark.parametrize(("name", "default"), list(literal_defaults()))
def test_documented_default_is_the_real_one(name: str, default: object) -> None:
    text = documented_settings()[name]
    if default in ("", []):
        assert not re.match(r"`[^`]*`$", text), "an empty default is put into words"
    elif isinstance(default, bool):
        assert text == f"`{str(default).lower()}`"
    else:
        assert text == f"`{default}`"


def test_only_the_settings_read_the_environment() -> None:
    readers = [
        str(path.relative_to(BASE_DIR))
        for folder in ("project", "frames")
        for path in sorted((BASE_DIR / folder).rglob("*.py"))
        if path != SETTINGS_PATH
        and re.search(r"os\.(environ\.get|environ\[|getenv)", path.read_text())
    ]
    assert readers == []


def routes(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    """Yield the site's own addresses, with the names of their parts."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if route != "admin/":
                yield from routes(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield "/" + re.sub(r"<(?:\w+:)?(\w+?)(?:_uid|_pk|_id)?>", r"<\1>", route)


def test_readme_lists_every_address() -> None:
    pages = {route for route in routes(get_resolver().url_patterns) if not route.endswith(".json")}
    assert {page for page in pages if f"`{page}`" not in README} == {"/"}


def test_readme_names_no_address_that_is_not_there() -> None:
    known = set(routes(get_resolver().url_patterns)) | {"/admin/"}
    table = README.split("## Addresses")[1].split("## ")[0]
    named = set(re.findall(r"^\| (.*?) \|", table, flags=re.MULTILINE))
    addresses = {address for cell in named for address in re.findall(r"`(/[^`]*)`", cell)}
    assert addresses
    assert addresses <= known


def test_readme_lists_every_command() -> None:
    folder = BASE_DIR / "frames" / "management" / "commands"
    commands = {path.stem for path in folder.glob("[a-z]*.py")}
    table = README.split("## Commands")[1].split("## ")[0]
    assert set(re.findall(r"^\| `(\w+)", table, flags=re.MULTILINE)) == commands


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(BASE_DIR)))
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert missing == []


def test_every_decision_is_listed() -> None:
    index = (BASE_DIR / "docs" / "README.md").read_text()
    decisions = sorted(path.name for path in (BASE_DIR / "docs" / "decisions").glob("*.md"))
    assert [name for name in decisions if f"decisions/{name}" not in index] == []
