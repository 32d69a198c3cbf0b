"""Why on cards: which rule of the filter and which region matched, asked for card by card."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import make_frame, make_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Project, Version

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
BOX = [10, 20, 110, 20, 110, 80, 10, 80]


@pytest.fixture
def client(browse: Callable[[User | None], Client], viewer: User) -> Client:
    return browse(viewer)


@pytest.fixture
def shown(project: Project) -> Version:
    """A context of two frames, of which the first has a sure car, an unsure one and a bus."""
    rois = [
        {"label": ["bus"], "poly": BOX},
        {"label": ["car"], "confidence": 0.9, "poly": [x + 7 for x in BOX]},
        {"label": ["car"], "confidence": 0.2, "poly": BOX},
    ]
    frames = [
        make_frame("a/1 ä", context_id="a", timestamp=1, rois=rois, meta={"light": "dusk"}),
        make_frame("a/2", context_id="a", timestamp=2),
    ]
    for frame in frames:
        frame.sources[0].width, frame.sources[0].height = 640, 480
    return make_version(project, frames)


def address(version: Version) -> str:
    return f"/datasets/{version.dataset.uid}/versions/{version.uid}/"


QUERY = "rois:(label:car AND confidence:[0.5 TO 1]) AND meta.light:dusk"


def whys(text: str) -> list[str]:
    return [unescape(url) for url in re.findall(r'hx-get="([^"]*/why/[^"]*)"', text)]


@pytest.mark.parametrize(
    "shape",
    [
        {"group": "none"},
        {"group": "url"},
        {"group": "meta.light"},
        {"group": "meta.light", "sample": "6"},
        {"group": "none", "view": "table"},
        {"group": "url", "view": "table"},
    ],
    ids=lambda shape: "-".join(shape.values()),
)
def test_each_card_and_row_of_what_is_found_tells_which_rule_and_region_matched(
    client: Client, shown: Version, shape: dict[str, str]
) -> None:
    """The frame in the picture, with the regions the filter asks for alone."""
    text = client.get(address(shown), {"q": QUERY, **shape}).content.decode()
    (url,) = whys(text)
    assert f'href="{url}"' in unescape(text)
    answer = client.get(url, headers=HTMX).content.decode()
    assert "<details" in answer
    assert "<html" not in answer
    assert "<code>meta.light:dusk</code>" in answer
    assert "car 0.90" in answer
    assert "0.20" not in answer
    assert answer.count('class="line"') == 1
    assert 'viewBox="0 0 640 480"' in answer
    assert 'd="M17' in answer
    data = client.get(url.replace("/why/", "/why.json")).json()
    assert data["id"] == "a/1 ä"
    assert [clause["regions"] for clause in data["why"]] == [[1], []]
    assert all(clause["matched"] for clause in data["why"])


def test_without_a_script_it_leads_to_the_frames_page_that_highlights_them(
    client: Client, shown: Version
) -> None:
    text = client.get(address(shown), {"q": QUERY, "group": "none"}).content.decode()
    response = client.get(whys(text)[0])
    assert response.status_code == 302
    path, _, anchor = response["Location"].partition("#")
    assert anchor == "why"
    page = client.get(path).content.decode()
    assert 'id="why"' in page
    assert re.findall(r'class="shape[^"]* hit" data-shape="(\d+)"', page) == ["1"]


def test_a_region_that_is_a_masks_value_says_so(client: Client, project: Project) -> None:
    """It matches like any other, and has no outline to draw."""
    roi = {"label": ["sky"], "mask": {"id": "seg", "value": 3}}
    version = make_version(project, [make_frame("a", rois=[roi])])
    text = client.get(address(version), {"label": "sky"}).content.decode()
    answer = client.get(whys(text)[0], headers=HTMX).content.decode()
    assert "sky, in a mask" in answer
    assert "<svg" not in answer


def test_the_label_filter_explains_too(client: Client, shown: Version) -> None:
    text = client.get(address(shown), {"label": "bus"}).content.decode()
    answer = client.get(whys(text)[0], headers=HTMX).content.decode()
    assert "<code>label:&quot;bus&quot;</code>" in answer
    assert answer.count('class="line"') == 1


@pytest.mark.parametrize(
    "asked", [{}, {"group": "none"}, {"label": "tram", "scope": "none"}], ids=str
)
def test_cards_that_no_filter_has_found_ask_nothing(
    client: Client, shown: Version, asked: dict[str, str]
) -> None:
    text = client.get(address(shown), asked).content.decode()
    assert 'class="card"' in text
    assert not whys(text)


def test_a_contexts_cards_tell_why(client: Client, shown: Version) -> None:
    text = client.get(f"{address(shown)}context/", {"id": "a", "q": QUERY}).content.decode()
    assert len(whys(text)) == 1


def test_all_sources_are_explained_in_words(client: Client, shown: Version) -> None:
    """On which of several pictures to draw is not told by the card."""
    text = client.get(address(shown), {"q": QUERY, "group": "none", "source": "*"}).content.decode()
    answer = client.get(whys(text)[0], headers=HTMX).content.decode()
    assert "car 0.90" in answer
    assert "<svg" not in answer


def test_cards_ask_no_query_for_it(client: Client, project: Project) -> None:
    def queries(frames: int) -> int:
        version = make_version(
            project, [make_frame(f"{n}", timestamp=n, labels=["car"]) for n in range(frames)]
        )
        asked = {"label": "car", "group": "none"}
        client.get(address(version), asked)
        with CaptureQueriesContext(connection) as captured:
            assert len(whys(client.get(address(version), asked).content.decode())) == frames
        return len(captured)

    assert queries(2) == queries(40)


@pytest.mark.parametrize(
    ("asked", "status"),
    [({"id": "none", "q": "label:car"}, 404), ({"id": "a/2", "q": "label:("}, 400), ({}, 404)],
)
def test_what_cannot_be_explained(
    client: Client, shown: Version, asked: dict[str, str], status: int
) -> None:
    assert client.get(f"{address(shown)}why/", asked, headers=HTMX).status_code == status
