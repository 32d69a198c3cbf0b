"""The frame browser: both groupings, filter, order, paging, its states and its JSON twin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from frames.actions import versions
from frames.models import Source, Version
from frames.web import version_detail
from tests.factories import add_frames, make_frame, make_version
from tests.web.support import fail, make_preview, next_link

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Project


def test_group_by_url_is_the_default_and_has_a_card_for_each_context(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    body = browse(viewer).get(f"{base}/").content.decode()
    assert body.count('<li class="card">') == 3
    assert "6 out of 6 found in 3 contexts" in re.sub(r"\s+", " ", body)
    assert "3 frames" in body
    assert "00:00:00.066" in body  # from the first to the last of drive/a
    assert f'href="{base}/context/?id=drive%2Fa"' in body


def test_card_of_a_single_frame_leads_straight_to_it(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    client = browse(viewer)
    assert f'href="{base}/frames/still/"' in client.get(f"{base}/").content.decode()
    still = client.get(f"{base}.json").json()["items"][2]
    assert still["url"] == f"{base}/context/?id=https%3A%2F%2Fexample.com%2Fstill.jpg"
    body = client.get(f"{base}/frames/still/").content.decode()
    assert f'<a href="{base}/" data-shortcut="Escape">' in body


def test_split_preview_has_a_card_for_each_frame(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    body = browse(viewer).get(f"{base}/?group=none").content.decode()
    assert body.count('<li class="card">') == 6
    assert f'href="{base}/frames/a-0/"' in body
    assert "<span>person</span>" in body


def test_json_twin_of_groups(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    page = browse(viewer).get(f"{base}.json").json()
    assert (page["total"], page["matched"], page["next"]) == (6, 6, None)
    assert page["items"][0] == {
        "context_id": "drive/a",
        "frames": 3,
        "matched": 3,
        "first_timestamp": 0,
        "last_timestamp": 66,
        "url": f"{base}/context/?id=drive%2Fa",
        "preview": None,
    }


def test_json_twin_of_frames_is_singleframe_json_plus_url_and_preview(
    base: str, version: Version, browse: Callable[[User | None], Client], viewer: User
) -> None:
    make_preview(Source.objects.get(frame__frame_id="b-0"))
    page = browse(viewer).get(f"{base}.json?group=none&q=id:b-0").json()
    (frame,) = page["items"]
    assert page["matched"] == 1
    assert frame["id"] == "b-0"
    assert frame["dataset"] == {"id": version.dataset.uid, "version": version.uid}
    assert frame["sources"][0]["uri"] == "https://example.com/picture.jpg"
    assert frame["url"] == f"{base}/frames/b-0/?q=id%3Ab-0"  # found by this filter
    assert frame["preview"].startswith("/previews/")
    assert browse(viewer).get(frame["url"]).status_code == 200


def test_m2_a_childs_frames_say_which_version_wrote_them(
    base: str, version: Version, browse: Callable[[User | None], Client], viewer: User
) -> None:
    released = versions.publish(version, actor=None, reason="unchecked")
    child = versions.create_version(
        dataset=version.dataset, name="child", parents=[released], actor=None
    )
    add_frames(child, [make_frame("b-0", context_id="elsewhere")])
    page = browse(viewer).get(
        f"/datasets/{version.dataset.uid}/versions/{child.uid}.json?group=none"
    )
    wrote = {frame["id"]: frame["saved_in_version"] for frame in page.json()["items"]}
    assert wrote.pop("b-0") == child.uid
    assert set(wrote.values()) == {version.uid}
    frame = browse(viewer).get(f"{base}/frames/a-0.json").json()
    assert (frame["saved_in_version"], frame["saved"] > 0) == (version.uid, True)


def test_label_filter_keeps_groups_with_a_match_and_counts_both(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    page = browse(viewer).get(f"{base}.json?label=car").json()
    assert (page["total"], page["matched"]) == (6, 3)
    found = [(i["context_id"], i["matched"], i["frames"]) for i in page["items"]]
    assert found == [("drive/a", 2, 3), ("drive/b", 1, 2)]
    body = browse(viewer).get(f"{base}/?label=car").content.decode()
    assert "2 of 3 frames" in body
    assert "Remove the label filter car" in body
    assert f'href="{base}/context/?id=drive%2Fa&amp;label=car"' in body


def test_bad_filter_keeps_the_typed_text_and_marks_the_place(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    response = browse(viewer).get(f"{base}/?q=car AND (person")
    body = response.content.decode()
    assert response.status_code == 400
    assert 'value="car AND (person"' in body
    assert 'aria-invalid="true"' in body
    assert 'id="q-error"' in body
    assert "<mark>" in body
    assert '<li class="card">' not in body


def test_bad_filter_in_json_says_what_and_where(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    response = browse(viewer).get(f"{base}.json?q=((")
    assert response.status_code == 400
    assert set(response.json()) == {"error", "field", "position"}


def test_filter_without_a_match_says_so_and_leads_back(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    body = browse(viewer).get(f"{base}/?label=ship").content.decode()
    assert "Nothing matches" in body
    assert f'href="{base}/"' in body
    assert "No frame of the dataset has" not in body


def test_a_filter_on_a_key_that_no_frame_has_names_it(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    for q in (
        "meta.wether:rain",
        "car AND NOT (ship OR _exists_:meta.wether)",
        "meta.wether:[1 TO 2]",
    ):
        body = browse(viewer).get(f"{base}/", {"q": f"({q}) AND label:ship"}).content.decode()
        assert "No frame of the dataset has meta.wether." in body


def test_empty_version_tells_an_editor_how_to_fill_it(
    project: Project, browse: Callable[[User | None], Client], viewer: User, editor: User
) -> None:
    empty = make_version(project)
    address = f"/datasets/{empty.dataset.uid}/versions/{empty.uid}/"
    link = f'href="/datasets/{empty.dataset.uid}/import/"'
    assert link in browse(editor).get(address).content.decode()
    body = browse(viewer).get(address).content.decode()
    assert "No frames yet" in body
    assert link not in body


@pytest.mark.parametrize("sort", ["timestamp", "-timestamp", "id", "-id", "context_id", "saved"])
def test_paging_shows_every_frame_once_in_order(
    sort: str,
    base: str,
    browse: Callable[[User | None], Client],
    viewer: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    everything = browse(viewer).get(f"{base}.json?group=none&sort={sort}").json()["items"]
    monkeypatch.setattr(version_detail, "PAGE_SIZE", 2)
    shown: list[str] = []
    after = ""
    while True:
        address = f"{base}.json?group=none&sort={sort}&after={after}"
        page = browse(viewer).get(address).json()
        shown += [frame["id"] for frame in page["items"]]
        if page["next"] is None:
            break
        after = page["next"]
    assert shown == [frame["id"] for frame in everything]
    assert sorted(shown) == ["a-0", "a-1", "a-2", "b-0", "b-1", "still"]


def test_load_more_is_a_link_and_htmx_gets_the_cards_alone(
    base: str,
    browse: Callable[[User | None], Client],
    viewer: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(version_detail, "PAGE_SIZE", 2)
    client = browse(viewer)
    body = client.get(f"{base}/?group=none").content.decode()
    following = next_link(body)
    assert following
    whole = client.get(following).content.decode()
    part = client.get(following, headers={"HX-Request": "true"}).content.decode()
    assert "<html" in whole
    assert "from the beginning" in whole
    assert "<html" not in part
    assert part.count('<li class="card">') == 2
    assert whole.count('<li class="card">') == 2


def test_address_is_the_whole_state(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    address = f"{base}/?q=car&group=none&sort=-timestamp&size=l"
    body = browse(viewer).get(address).content.decode()
    assert 'class="grid size-l ' in body
    assert '<option value="-timestamp" selected>' in body
    # Every way on keeps what it does not change.
    split = re.search(r'href="([^"]+)"[^>]*aria-current="true">Split Preview', body)
    assert split
    for part in ("q=car", "size=l"):
        assert part in split[1]
    assert "sort=timestamp" in body  # the other direction
    assert '<input type="hidden" name="size" value="l">' in body


def test_failed_tile_says_why_and_lets_an_editor_retry(
    base: str,
    version: Version,
    browse: Callable[[User | None], Client],
    viewer: User,
    editor: User,
) -> None:
    preview = make_preview(Source.objects.get(frame__frame_id="still"))
    fail(preview, "not_found")
    retry = f'formaction="/previews/{preview.key}/retry/"'
    body = browse(editor).get(f"{base}/").content.decode()
    assert "Not found: nothing is stored at this address." in body
    assert retry in body
    assert retry not in browse(viewer).get(f"{base}/").content.decode()


def test_ready_tile_has_size_and_colour_before_its_picture(
    base: str, version: Version, browse: Callable[[User | None], Client], viewer: User
) -> None:
    make_preview(Source.objects.get(frame__frame_id="still"))
    body = browse(viewer).get(f"{base}/").content.decode()
    assert 'fill="#334455"' in body
    assert re.search(r'<img src="/previews/[^"]+" width="320" height="240"', body)
    assert "ratio-standard" in body


def test_panel_lists_the_versions_newest_first(
    base: str, version: Version, browse: Callable[[User | None], Client], viewer: User
) -> None:
    Version.objects.create(
        dataset=version.dataset,
        name="Older",
        status=Version.Status.PUBLISHED,
        published_at=timezone.now(),
    )
    Version.objects.filter(name="Older").update(updated_at="2020-01-01T00:00:00Z")
    body = browse(viewer).get(f"{base}/").content.decode()
    names = re.findall(r'<span class="panel-name">([^<]+)</span>', body)
    assert names == ["Current", "Older"]
    assert body.count('aria-current="page"') == 3  # in the panel, in the path, among the tabs


@pytest.mark.parametrize("query", ["", "?group=none", "?label=car", "?q=car"])
def test_number_of_queries_does_not_grow_with_the_frames(
    query: str, project: Project, browse: Callable[[User | None], Client], editor: User
) -> None:
    client = browse(editor)
    counts = []
    for size in (4, 40):
        frames = [
            make_frame(f"{n}", context_id=f"drive/{n // 2}", timestamp=n, labels=["car"])
            for n in range(size)
        ]
        version = make_version(project, frames)
        for source in Source.objects.filter(frame__dataset=version.dataset)[:1]:
            if size == 4:
                make_preview(source)
        address = f"/datasets/{version.dataset.uid}/versions/{version.uid}/{query}"
        client.get(address)  # what is kept in memory is kept now
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address).status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1]
    # Session, user, version, its panel, the role, previews: 6. The rest are those of the search.
    assert counts[0] <= 18
