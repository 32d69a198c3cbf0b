"""The versions beside every page of a version: list, tree, search, menus, and their bounds."""

from __future__ import annotations

import itertools
import re
from html import unescape
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from frames.actions import versions
from frames.models import Grant, Version
from frames.web.versions import ROWS_MAX, TREE_VERSIONS_MAX, VersionPanel, panel_of
from tests.factories import make_frame, make_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Dataset, Project

    Browse = Callable[[User | None], Client]


def child(name: str, *parents: Version, description: str = "") -> Version:
    """Return a published child of published versions."""
    made = versions.create_version(
        dataset=parents[0].dataset,
        name=name,
        parents=parents,
        description=description,
        rule="first",
        actor=None,
    )
    return versions.publish(made, actor=None, reason="unchecked")


@pytest.fixture
def lineage(project: Project) -> dict[str, Version]:
    """Root with two children; night has two of its own, one of them made from rain too."""
    root = versions.publish(
        make_version(project, [make_frame("a")]), actor=None, name="root", reason="unchecked"
    )
    night, rain = child("night", root, description="After dark"), child("rain", root)
    dusk, merged = child("dusk", night), child("merged", night, rain)
    draft = versions.create_version(dataset=root.dataset, name="draft", parents=[dusk], actor=None)
    made = [root, night, rain, dusk, merged, draft]
    return {version.name: Version.objects.get(pk=version.pk) for version in made}


def panel(version: Version, role: int = Grant.Role.ADMIN, /, **params: str) -> VersionPanel:
    """Return the panel of a version as its page has it."""
    found = Version.objects.select_related("dataset__project").get(pk=version.pk)
    return panel_of(found, params, role)


def outline(found: VersionPanel) -> list[str]:
    """Return the rows' names, each moved by as many spaces as branches are open around it."""
    lines, level = [], 0
    for row in found.rows:
        lines.append(" " * level + row.name)
        level += row.opens - row.closes
    assert level == 0, "every branch that opens is closed"
    return lines


def many(dataset: Dataset, count: int, *, line: bool = False) -> list[Version]:
    """Give a dataset published versions, in a line of descent if wanted."""
    now = timezone.now()
    made = Version.objects.bulk_create(
        Version(
            dataset=dataset,
            name=f"nightly {number:05}",
            name_key=f"nightly {number:05}",
            status=Version.Status.PUBLISHED,
            published_at=now,
        )
        for number in range(count)
    )
    if line:
        through = Version.parents.through
        through.objects.bulk_create(
            through(from_version_id=younger.pk, to_version_id=older.pk)
            for older, younger in itertools.pairwise(made)
        )
    return made


def test_v1_breadcrumb_has_the_dataset_with_an_id_to_copy(
    version: Version, base: str, browse: Browse, viewer: User
) -> None:
    body = browse(viewer).get(f"{base}/").content.decode()
    crumbs = body.split('class="crumbs"')[1].split("</nav>")[0]
    assert version.dataset.name in crumbs
    assert f'data-copy="{version.dataset.uid}"' in crumbs


def test_v2_heading_counts_all_versions(
    lineage: dict[str, Version], browse: Browse, viewer: User
) -> None:
    root = lineage["root"]
    address = f"/datasets/{root.dataset.uid}/versions/{root.uid}/"
    assert "Dataset versions (6)" in browse(viewer).get(address).content.decode()
    found = browse(viewer).get(f"{address}?find=r").content.decode()
    assert re.search(r"Dataset versions \(\d of 6\)", found)


def test_v3_list_is_by_last_update(lineage: dict[str, Version]) -> None:
    versions.update_version(lineage["night"], actor=None, tags=["gold"])
    names = [row.name for row in panel(lineage["root"]).rows]
    assert names == ["night", "draft", "merged", "dusk", "rain", "root"]


def test_v4_tree_is_by_lineage(lineage: dict[str, Version]) -> None:
    """A version with several parents stands below the first and is marked."""
    found = panel(lineage["draft"], versions="tree")
    assert outline(found) == [
        "root",
        " rain",
        " night",
        "  merged",
        "  dusk",
        "   draft",
    ]
    assert [row.name for row in found.rows if row.is_merge] == ["merged"]
    assert [row.name for row in found.rows if row.forks] == ["root", "night"]
    assert [row.name for row in found.rows if row.is_current] == ["draft"]


def test_v4_branches_fold_without_javascript(
    lineage: dict[str, Version], browse: Browse, viewer: User
) -> None:
    root = lineage["root"]
    address = f"/datasets/{root.dataset.uid}/versions/{root.uid}/?versions=tree"
    body = browse(viewer).get(address).content.decode()
    assert body.count('<details class="branch') == 3
    assert 'aria-label="Versions made from night"' in body
    nav = body.split('<nav aria-labelledby="versions">')[1].split("</nav>")[0]
    for tag in ("ul", "li", "details", "div"):
        assert len(re.findall(f"<{tag}[ >]", nav)) == nav.count(f"</{tag}>")


def test_v5_row_has_name_draft_chip_and_date(
    lineage: dict[str, Version], browse: Browse, viewer: User
) -> None:
    root = lineage["root"]
    address = f"/datasets/{root.dataset.uid}/versions/{root.uid}/"
    rows = browse(viewer).get(address).content.decode().split('<div class="version-row')[1:]
    chips = {row.split("panel-name")[1].split(">")[1].split("<")[0]: row for row in rows}
    assert [name for name, row in chips.items() if "Draft</span>" in row] == ["draft"]
    assert all("<time datetime=" in row for row in rows)


@pytest.mark.parametrize(
    "text", ["night", "NIGHT", "after DARK", "nigh", "\N{FULLWIDTH LATIN SMALL LETTER N}ight"]
)
def test_v6_search_is_by_name_and_description(lineage: dict[str, Version], text: str) -> None:
    found = panel(lineage["root"], find=text)
    assert [row.name for row in found.rows] == ["night"]
    assert (found.matched, found.total, found.count) == (1, 6, "1 of 6")


def test_v6_search_is_by_id(lineage: dict[str, Version]) -> None:
    uid = lineage["dusk"].uid
    assert [row.name for row in panel(lineage["root"], find=uid.upper()).rows] == ["dusk"]


@pytest.mark.parametrize("text", ["%", "_", "zzz", "\x00\x00 zzz", "x" * 10_000, "\\"])
def test_v6_search_takes_no_wildcards(lineage: dict[str, Version], text: str) -> None:
    assert panel(lineage["root"], find=text).rows == []


def test_v6_search_keeps_parents_of_a_match(lineage: dict[str, Version]) -> None:
    """They are muted where they do not match themselves."""
    found = panel(lineage["root"], versions="tree", find="dusk")
    assert outline(found) == ["root", " night", "  dusk"]
    assert [row.is_muted for row in found.rows] == [True, True, False]


def test_v6_the_search_is_cleared_by_a_link(
    version: Version, base: str, browse: Browse, viewer: User
) -> None:
    body = browse(viewer).get(f"{base}/?q=car&versions=tree&find=zzz").content.decode()
    assert "No version has “zzz”" in body
    links = {unescape(link) for link in re.findall(r'href="([^"]*)" aria-label="Clear', body)}
    assert links == {"?q=car&versions=tree"}


@pytest.mark.parametrize(
    ("role", "name", "labels"),
    [
        (Grant.Role.VIEWER, "root", {"View metadata", "Compare with draft"}),
        (Grant.Role.VIEWER, "draft", {"View metadata"}),
        (
            Grant.Role.EDITOR,
            "root",
            {"Rename", "Create new version", "View metadata", "Compare with draft"},
        ),
        (Grant.Role.EDITOR, "draft", {"Rename", "View metadata"}),
        (Grant.Role.ADMIN, "draft", {"Rename", "Publish", "Delete", "View metadata"}),
    ],
)
def test_v7_menu_has_what_the_reader_may_do(
    lineage: dict[str, Version], role: int, name: str, labels: set[str]
) -> None:
    (row,) = [row for row in panel(lineage["draft"], role).rows if row.name == name]
    assert {action.label for action in row.actions} == labels


def test_v7_menu_leads_to_pages_that_are_there(
    lineage: dict[str, Version], browse: Browse, admin: User
) -> None:
    client = browse(admin)
    for row in panel(lineage["draft"]).rows:
        for action in row.actions:
            assert client.get(action.url).status_code == 200, action


def test_the_panel_stays_as_it_is_through_the_page(
    version: Version, base: str, browse: Browse, viewer: User
) -> None:
    """What filters the frames keeps the panel, and what finds versions keeps the filter."""
    body = browse(viewer).get(f"{base}/?q=car&versions=tree&find=cur").content.decode()
    links = [unescape(link) for link in re.findall(r'href="([^"]*)"', body)]
    same_page = [link for link in links if link.startswith((f"{base}/?", "?"))]
    assert len(same_page) > 8
    for link in same_page:
        if link not in ("?q=car&find=cur", "?q=car&versions=tree"):
            assert "versions=tree&find=cur" in link, link
    form = body.split('class="panel-tools"')[1].split("</form>")[0]
    assert 'name="q" value="car"' in form
    assert 'name="versions" value="tree"' in form
    other = body.split('<div class="version-row')[1]
    assert f'href="{base}/?versions=tree&amp;find=cur"' in other


@pytest.mark.parametrize("count", [ROWS_MAX + 20, TREE_VERSIONS_MAX + 1])
@pytest.mark.parametrize("params", [{}, {"versions": "tree"}, {"find": "nightly"}])
def test_thousands_of_versions_cost_no_more_rows_or_queries(
    version: Version, count: int, params: dict[str, str]
) -> None:
    many(version.dataset, count)
    with CaptureQueriesContext(connection) as queries:
        found = panel(version, **params)
    assert len(found.rows) == ROWS_MAX
    assert len(queries) <= 5
    assert found.total == count + 1
    assert found.note


def test_a_tree_of_too_many_versions_is_a_list_that_says_so(version: Version) -> None:
    many(version.dataset, TREE_VERSIONS_MAX)
    found = panel(version, versions="tree")
    assert not found.is_tree
    assert found.note.startswith("A tree is drawn of up to 2,000 versions.")
    assert not any(row.opens or row.closes for row in found.rows)


def test_a_long_line_goes_straight_down(version: Version) -> None:
    """However many generations there are, the page's own version is drawn with the last ones."""
    line = many(version.dataset, 300, line=True)
    found = panel(line[150], versions="tree")
    assert len(found.rows) == ROWS_MAX
    assert not any(row.forks for row in found.rows)
    assert [row.name for row in found.rows if row.is_current] == ["nightly 00150"]
    outline(found)


def test_v10_tabs_keep_the_filter_and_the_panel(
    version: Version, base: str, browse: Browse, viewer: User
) -> None:
    client = browse(viewer)
    for page in ("", "statistics/", "metadata/", "info/"):
        response = client.get(f"{base}/{page}?q=car&versions=tree&find=cur&size=s")
        tabs = response.content.decode().split('class="tabs"')[1].split("</nav>")[0]
        found = re.findall(r'<a href="([^"]*)"[^>]*>(\w+)</a>', tabs)
        assert [label for _, label in found] == ["Frames", "Statistics", "Metadata", "Info"]
        for link, _ in found:
            assert unescape(link).endswith("/?q=car&versions=tree&find=cur")
            assert client.get(unescape(link)).status_code == 200
        (current,) = re.findall(r'aria-current="page">(\w+)<', tabs)
        assert current.lower() == (page.rstrip("/") or "frames")


def test_v9_header_has_what_fits_the_status(
    version: Version, base: str, browse: Browse, admin: User
) -> None:
    def buttons() -> list[str]:
        body = browse(admin).get(f"{base}/").content.decode()
        actions = body.split('class="page-head"')[1].split('<nav class="tabs"')[0]
        assert f'data-copy="{version.uid}"' in actions
        assert "Last modified" in actions
        return re.findall(r'class="button" href="[^"]*">([^<]*)<', actions)

    assert {"Delete", "Publish"} <= set(buttons())
    assert "Create new version" not in buttons()
    versions.publish(version, actor=None, reason="unchecked")
    assert "Create new version" in buttons()
    assert not {"Delete", "Publish"} & set(buttons())


def test_the_left_column_folds_only_where_nothing_of_it_is_asked_for(
    browse: Callable[[User | None], Client], viewer: User, base: str
) -> None:
    client = browse(viewer)
    for query, folds in (("", True), ("?panel=versions", False), ("?find=x", False)):
        body = client.get(f"{base}/{query}").content.decode()
        assert ('class="panel folds"' in body) is folds, query
