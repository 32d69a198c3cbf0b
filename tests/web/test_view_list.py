"""The data views' table: its filters, its archive, its CSV, and what is done to several at once."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frames.actions import views
from frames.models import DataView, Grant, Project
from frames.search.query import encode_after
from frames.search.view_definition import Definition, Scope
from frames.web import view_list
from frames.web.view_list import ViewQuery
from tests.properties import tries
from tests.web.support import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Version

    Browse = Callable[[User | None], Client]


def save(version: Version, name: str, actor: User | None = None, **fields: Any) -> DataView:
    definition = Definition(versions=(Scope(version.dataset.uid, version.uid),))
    given = {"project": version.dataset.project, "actor": actor, **fields}
    return views.save_view(name=name, definition=definition, **given)


@pytest.fixture
def three(version: Version, editor: User, admin: User) -> list[DataView]:
    """A draft of the editor's, a published view of the admin's and one that is archived."""
    made = [
        save(version, "Cars", editor, description="All cars"),
        views.publish_view(save(version, "Buses", admin), actor=admin),
        views.archive_view(save(version, "Old", editor), actor=editor),
    ]
    for day, view in enumerate(made, 1):
        DataView.objects.filter(pk=view.pk).update(created_at=datetime(2026, 1, day, tzinfo=UTC))
    return [DataView.objects.get(pk=view.pk) for view in made]


def names(client: Client, query: str = "") -> list[str]:
    return [item["name"] for item in client.get(f"/views.json{query}").json()["items"]]


def test_w1_columns_and_rows(three: list[DataView], browse: Browse, viewer: User) -> None:
    page = browse(viewer).get("/views/").content.decode()
    heads = ("Data view", "User", "Status", "Project", "Created", "Description")
    head = page[page.index("<thead>") : page.index("</thead>")]
    assert [head.index(name) for name in heads] == sorted(head.index(name) for name in heads)
    for text in ("Cars", "Buses", "editor", "Published", "Streets", "All cars"):
        assert text in page
    assert "Old" not in page


def columns(page: str) -> list[tuple[str, str]]:
    """Return each heading's column with its width, and see that the rows have the same order."""
    names = re.findall(r'<th scope="col" data-column="(\w+)"', page)
    cols = re.findall(r"<col\b([^>]*)>", page)
    cells = re.findall(r'<(?:th scope="row"|td data-label="(\w+)"|td class="(description)")', page)
    labels = [label.lower() or other or "name" for label, other in cells]
    assert labels[: len(names)] == names
    return list(zip(names, [col.strip() for col in cols[1:-1]], strict=True))


def test_w1_columns_stand_as_the_address_says(
    three: list[DataView], browse: Browse, viewer: User
) -> None:
    """Without a script too; those that are not named follow, the last has what is left."""
    client = browse(viewer)
    plain = client.get("/views/").content.decode()
    assert columns(plain) == [(name, "") for name in view_list.COLUMNS]
    assert 'class="views"' in plain
    moved = client.get("/views/?columns=created,name").content.decode()
    assert columns(moved) == [
        (name, "") for name in ("created", "name", "user", "status", "project", "description")
    ]
    sized = client.get("/views/?columns=description:30,name:20,user:10").content.decode()
    assert 'class="views sized"' in sized
    assert columns(sized) == [
        ("description", 'width="27%"'),
        ("name", 'width="18%"'),
        ("user", 'width="9%"'),
        # A sixth each, and all of these drawn in to 85 percent.
        ("status", 'width="14%"'),
        ("project", 'width="14%"'),
        ("created", ""),
    ]


def test_w1_columns_stay_on_every_way_from_the_table(
    three: list[DataView], browse: Browse, viewer: User
) -> None:
    page = browse(viewer).get("/views/?columns=user,name&q=a").content.decode()
    for address in re.findall(r'href="(/views/\?[^"]*)"', page):
        assert "columns=user%2Cname" in address
    assert '<input type="hidden" name="columns" value="user,name">' in page


def test_w1_headings_name_their_sort_so_that_the_browser_takes_no_other(
    three: list[DataView], browse: Browse, viewer: User
) -> None:
    """An address without a sort or columns becomes the one that the browser has kept."""
    page = browse(viewer).get("/views/?sort=created").content.decode()
    assert 'href="/views/?sort=-created">Created' in page


@tries(100)
@given(
    st.lists(st.sampled_from(list(view_list.COLUMNS)), unique=True),
    st.lists(st.one_of(st.just(0), st.sampled_from(view_list.WIDTHS)), min_size=6, max_size=6),
)
def test_w1_widths_leave_room_for_the_last_column(names: list[str], widths: list[int]) -> None:
    """Whatever is asked for, all columns are there and no table is wider than its page."""
    text = ",".join(f"{n}:{w}" if w else n for n, w in zip(names, widths, strict=False))
    found = ViewQuery(columns=text).columns_in_order()
    assert [column.name for column in found][: len(names)] == names
    assert sorted(column.name for column in found) == sorted(view_list.COLUMNS)
    assert found[-1].width == 0
    assert sum(column.width for column in found) <= view_list.WIDTHS_SUM_MAX


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["Buses", "Cars"]),
        ("?sort=created", ["Cars", "Buses"]),
        ("?sort=name", ["Buses", "Cars"]),
        ("?sort=-name", ["Cars", "Buses"]),
        ("?user=editor", ["Cars"]),
        ("?status=published", ["Buses"]),
        ("?user=editor&status=published", []),
        ("?q=all+cars", ["Cars"]),
        ("?q=nothing", []),
        ("?archived=1", ["Old"]),
    ],
)
def test_w1_filters_and_sorts_are_in_the_address(
    three: list[DataView], browse: Browse, viewer: User, query: str, expected: list[str]
) -> None:
    assert names(browse(viewer), query) == expected


def test_w1_a_view_is_found_by_its_id(three: list[DataView], browse: Browse, viewer: User) -> None:
    assert names(browse(viewer), f"?q={three[0].uid}") == ["Cars"]


def test_w1_one_project_alone(
    three: list[DataView], browse: Browse, viewer: User, outsider: User
) -> None:
    other = Project.objects.create(name="Elsewhere")
    Grant.objects.create(project=other, user=viewer)
    views.move_view(three[0], project=other, actor=None)
    assert names(browse(viewer), f"?project={other.uid}") == ["Cars"]
    assert browse(outsider).get(f"/views/?project={other.uid}").status_code == 404
    assert names(browse(outsider)) == []


def test_w1_a_filter_that_is_set_shows_and_is_cleared(
    three: list[DataView], browse: Browse, viewer: User
) -> None:
    page = browse(viewer).get("/views/?user=editor&sort=name").content.decode()
    assert 'class="is-set"' in page
    assert 'href="/views/?sort=name">Clear all' in page
    assert 'aria-sort="ascending"' in page


@pytest.mark.parametrize(
    "query",
    [
        *("?status=lost", "?sort=size", "?archived=2", "?after=x"),
        *("?columns=size", "?columns=name,name", "?columns=name:1", "?columns=name:wide"),
        *("?columns=name:99", "?columns=name:\u0663\u0663"),
    ],
)
def test_an_address_that_cannot_be_meant_says_so(
    three: list[DataView], browse: Browse, viewer: User, query: str
) -> None:
    response = browse(viewer).get(f"/views.json{query}")
    assert (response.status_code, "error" in response.json()) == (400, True)
    page = browse(viewer).get(f"/views/{query}")
    assert page.status_code == 400
    assert "Show all data views" in page.content.decode()


@pytest.mark.parametrize("sort", ["name", "-name", "created", "-created"])
def test_pages_hold_each_view_once(
    version: Version,
    browse: Browse,
    viewer: User,
    sort: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(view_list, "PAGE_SIZE", 3)
    # Two of a name, and all made in one instant: the key decides.
    for number in range(8):
        save(version, f"View {number // 2}")
    DataView.objects.update(created_at=datetime(2026, 1, 1, tzinfo=UTC))
    client, found, after = browse(viewer), [], ""
    while after is not None:
        page = client.get("/views.json", {"sort": sort, "after": after}).json()
        found += [item["id"] for item in page["items"]]
        after = page["next"]
    assert len(found) == len(set(found)) == 8


@pytest.mark.parametrize("place", [["Cars"], ["yesterday", 1], ["2026-01-01", 1], [1, 1]])
def test_a_foreign_token_is_refused(
    three: list[DataView], browse: Browse, viewer: User, place: list[Any]
) -> None:
    token = encode_after(*place)
    assert browse(viewer).get("/views.json", {"after": token}).status_code == 400


def test_the_table_asks_as_much_for_many_views_as_for_few(
    version: Version, browse: Browse, viewer: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        save(version, f"View {number}")
    client = browse(viewer)
    with django_assert_max_num_queries(11):
        client.get("/views/")


def read_csv(client: Client, query: str = "") -> list[dict[str, str]]:
    response = client.get(f"/views/?format=csv{query}")
    assert response["Content-Type"].startswith("text/csv")
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    return list(csv.DictReader(io.StringIO(text)))


def test_w3_csv_holds_all_that_match(
    three: list[DataView], browse: Browse, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_list, "PAGE_SIZE", 1)
    monkeypatch.setattr(view_list, "_CSV_CHUNK", 1)
    rows = read_csv(browse(viewer))
    assert [row["DATAVIEW"] for row in rows] == ["Buses", "Cars"]
    assert (rows[1]["USER"], rows[1]["STATUS"], rows[1]["FRAMES"]) == ("editor", "Draft", "6")
    assert [row["DATAVIEW"] for row in read_csv(browse(viewer), "&status=draft")] == ["Cars"]


def test_w3_csv_holds_what_is_on_screen(
    three: list[DataView], browse: Browse, viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_list, "PAGE_SIZE", 1)
    assert [row["DATAVIEW"] for row in read_csv(browse(viewer), "&rows=page")] == ["Buses"]


def test_w3_csv_has_no_formula(version: Version, browse: Browse, viewer: User) -> None:
    save(version, "=HYPERLINK(1)", description="@SUM(A1)")
    row = read_csv(browse(viewer))[0]
    assert (row["DATAVIEW"], row["DESCRIPTION"]) == ("'=HYPERLINK(1)", "'@SUM(A1)")


def test_names_are_text(version: Version, browse: Browse, viewer: User) -> None:
    view = save(version, HOSTILE)
    for address in ("/views/", f"/views/{view.uid}/"):
        assert HOSTILE not in browse(viewer).get(address).content.decode()


# --- actions --------------------------------------------------------------------------------


def act(client: Client, action: str, *chosen: DataView, **fields: str) -> Any:
    sent = {"action": action, "view": [view.uid for view in chosen], "next": "/views/", **fields}
    return client.post("/views/act/", sent)


def test_w4_archive_and_restore(three: list[DataView], browse: Browse, editor: User) -> None:
    client = browse(editor)
    assert act(client, "archive", *three[:2])["Location"] == "/views/"
    assert names(client) == []
    assert sorted(names(client, "?archived=1")) == ["Buses", "Cars", "Old"]
    act(client, "restore", three[1])
    assert names(client) == ["Buses"]
    assert DataView.objects.get(name="Buses").status == "published"


def test_w5_new_is_offered_to_who_may_make_one(
    three: list[DataView], browse: Browse, viewer: User, editor: User
) -> None:
    assert "New data view" not in browse(viewer).get("/views/").content.decode()
    assert "New data view" in browse(editor).get("/views/").content.decode()


def test_w6_each_row_names_what_may_be_done_to_it(
    three: list[DataView], browse: Browse, viewer: User, editor: User, admin: User
) -> None:
    def offered(user: User, query: str = "") -> list[list[str]]:
        page = browse(user).get(f"/views/{query}").content.decode()
        return [part.split('"')[0].split() for part in page.split('data-actions="')[1:]]

    assert offered(viewer) == [[], []]
    assert offered(editor) == [["clone", "move", "archive"]] * 2
    assert offered(admin) == [
        ["clone", "move", "archive"],
        ["publish", "clone", "move", "archive"],
    ]
    assert offered(admin, "?archived=1") == [["clone", "move", "restore", "delete"]]


def test_w6_publishing_asks_first_and_counts_what_it_can_be_done_to(
    three: list[DataView], browse: Browse, admin: User
) -> None:
    client = browse(admin)
    asked = act(client, "publish", *three)
    page = asked.content.decode()
    assert asked.status_code == 200
    assert "Publish: 1 view" in page
    assert "Buses is no draft" in page
    assert DataView.objects.get(name="Cars").is_draft
    act(client, "publish", *three, confirmed="1")
    assert not DataView.objects.get(name="Cars").is_draft


def test_w6_cloning_leads_to_the_clone(three: list[DataView], browse: Browse, editor: User) -> None:
    response = browse(editor).post("/views/act/", {"one": f"clone {three[1].uid}"})
    clone = DataView.objects.get(name="Clone of Buses")
    assert response["Location"] == f"/views/{clone.uid}/edit/"
    assert (clone.is_draft, clone.created_by) == (True, editor)


def test_w6_moving_wants_a_role_in_both_projects(
    three: list[DataView], browse: Browse, editor: User
) -> None:
    client = browse(editor)
    assert act(client, "move", three[0])["Location"] == "/views/"
    assert "no other project" in client.get("/views/").content.decode()
    other = Project.objects.create(name="Elsewhere")
    Grant.objects.create(
        project=Project.objects.create(name="Third"), user=editor, role=Grant.Role.EDITOR
    )
    sent = {"confirmed": "1", "project": other.uid}
    assert act(client, "move", three[0], **sent).status_code == 404
    grant = Grant.objects.create(project=other, user=editor, role=Grant.Role.VIEWER)
    assert act(client, "move", three[0], **sent).status_code == 403
    grant.role = Grant.Role.EDITOR
    grant.save()
    assert "Elsewhere" in act(client, "move", three[0]).content.decode()
    act(client, "move", three[0], **sent)
    assert DataView.objects.get(name="Cars").project == other


def test_w6_only_an_admin_deletes_and_only_from_the_archive(
    three: list[DataView], browse: Browse, editor: User, admin: User
) -> None:
    assert act(browse(editor), "delete", three[2], confirmed="1").status_code == 403
    response = act(browse(admin), "delete", *three, confirmed="1")
    assert response.status_code == 302
    assert sorted(DataView.objects.values_list("name", flat=True)) == ["Buses", "Cars"]


def test_w6_who_may_not_see_or_change_gets_nothing_done(
    three: list[DataView], browse: Browse, viewer: User, outsider: User
) -> None:
    assert act(browse(viewer), "archive", three[0]).status_code == 403
    assert act(browse(outsider), "archive", three[0]).status_code == 404
    assert act(browse(viewer), "explode", three[0]).status_code == 404
    assert browse(viewer).get("/views/act/").status_code == 405
    assert names(browse(viewer)) == ["Buses", "Cars"]


def test_w6_nothing_chosen_says_so(three: list[DataView], browse: Browse, editor: User) -> None:
    client = browse(editor)
    assert act(client, "archive")["Location"] == "/views/"
    assert "Choose the views first" in client.get("/views/").content.decode()
