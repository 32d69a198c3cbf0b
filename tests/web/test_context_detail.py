"""A context's page: order, strip, gaps, filter."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from frames.web import context_detail
from tests.factories import make_frame, make_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Project


def test_frames_are_in_the_order_of_their_timestamps(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    page = browse(viewer).get(f"{base}/context.json?id=drive/a").json()
    assert [frame["id"] for frame in page["items"]] == ["a-0", "a-1", "a-2"]
    assert (page["total"], page["matched"], page["next"]) == (3, 3, None)
    assert (page["first_timestamp"], page["last_timestamp"]) == (0, 66)


def test_strip_has_a_link_for_each_moment(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    body = browse(viewer).get(f"{base}/context/?id=drive/a").content.decode()
    strip = re.search(r'<nav class="strip".*?</nav>', body, flags=re.DOTALL)
    assert strip
    assert re.findall(r'<line x1="([\d.]+)"', strip[0]) == ["0.0", "500.0", "1000.0"]
    assert re.findall(r'aria-label="(00[^"]+)"', strip[0]) == [
        "00:00:00.000",
        "00:00:00.033",
        "00:00:00.066",
    ]
    # One stop for Tab, whatever their number.
    assert strip[0].count('tabindex="-1"') == 2


def test_still_picture_has_no_strip(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    address = f"{base}/context/?id=https://example.com/still.jpg"
    body = browse(viewer).get(address).content.decode()
    assert "1 frame" in body
    assert 'class="strip"' not in body


def test_pause_is_shown_where_it_is(
    project: Project, browse: Callable[[User | None], Client], viewer: User
) -> None:
    times = [0, 33, 66, 99, 5099, 5132]
    frames = [make_frame(f"{n}", timestamp=time) for n, time in enumerate(times)]
    version = make_version(project, frames)
    address = f"/datasets/{version.dataset.uid}/versions/{version.uid}/context/?id=drive"
    body = browse(viewer).get(address).content.decode()
    assert body.count('<li class="gap">') == 1
    before, after = body.split("nothing for 00:00:05.000")
    assert before.count('<li class="card">') == 4
    assert after.count('<li class="card">') == 2


def test_filter_is_kept_and_can_be_dropped(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    body = browse(viewer).get(f"{base}/context/?id=drive/a&label=car").content.decode()
    assert "2 out of 3 found" in body
    assert body.count('<li class="card">') == 2
    assert f'href="{base}/frames/a-0/?label=car"' in body
    assert f'href="{base}/context/?id=drive%2Fa"' in body


def test_paging_goes_on_where_it_stopped(
    base: str,
    browse: Callable[[User | None], Client],
    viewer: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(context_detail, "PAGE_SIZE", 2)
    first = browse(viewer).get(f"{base}/context.json?id=drive/a").json()
    second = browse(viewer).get(f"{base}/context.json?id=drive/a&after={first['next']}").json()
    assert [frame["id"] for frame in first["items"] + second["items"]] == ["a-0", "a-1", "a-2"]
    assert second["next"] is None


def test_unknown_context_is_not_found(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    assert browse(viewer).get(f"{base}/context/?id=drive/z").status_code == 404
    assert browse(viewer).get(f"{base}/context/").status_code == 404


def test_bad_filter_leads_to_the_page_with_the_field_to_mend_it_in(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    response = browse(viewer).get(f"{base}/context/?id=drive/a&q=((")
    assert response["Location"] == f"{base}/?q=%28%28"
