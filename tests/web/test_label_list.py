"""The list of labels behind the filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client


def test_labels_come_with_their_frames_most_frequent_first(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    page = browse(viewer).get(f"{base}/labels.json").json()
    assert [(row["label"], row["frames"]) for row in page["items"]] == [
        ("car", 3),
        ("bus", 1),
        ("person", 1),
    ]
    assert page["items"][0]["url"] == f"{base}/?label=car"


def test_label_leads_to_the_page_it_was_asked_from(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    body = browse(viewer).get(f"{base}/labels/?group=none&size=s").content.decode()
    assert f'href="{base}/?label=car&amp;group=none&amp;size=s"' in body


def test_htmx_gets_the_list_alone(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    response = browse(viewer).get(f"{base}/labels/", headers={"HX-Request": "true"})
    assert "<html" not in response.content.decode()
    assert "<span>person</span>" in response.content.decode()


def test_query_that_cannot_be_read_leads_to_the_page_that_says_so(
    base: str, browse: Callable[[User | None], Client], viewer: User
) -> None:
    response = browse(viewer).get(f"{base}/labels/?size=huge&q=car")
    assert response["Location"] == f"{base}/?q=car"
    assert browse(viewer).get(f"{base}/labels.json?size=huge").status_code == 400
