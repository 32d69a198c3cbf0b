"""The main path with a keyboard alone: datasets, version, context, frame, next frame."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from playwright.sync_api import expect

from frames.actions import previews
from frames.models import Preview, Source
from frames.previews.spec import PREVIEW_EDGE_PX
from tests.factories import make_frame, make_version

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from django.contrib.auth.models import User
    from playwright.sync_api import Page
    from pytest_django.live_server_helper import LiveServer

    from frames.models import Project, Version


@pytest.fixture
def drive(project: Project, tmp_path: Path) -> Version:
    """Two contexts of six frames with pictures of their own, and a box on each."""
    project.media_allow = [tmp_path.as_uri() + "/"]
    project.save()
    frames = []
    for context in ("drive/a", "drive/b"):
        for number in range(6):
            path = tmp_path / f"{context[-1]}{number}.png"
            Image.new("RGB", (640, 480), (40 * number, 90, 120)).save(path)
            frames.append(
                make_frame(
                    f"{context[-1]}{number}",
                    context_id=context,
                    timestamp=number * 100,
                    rois=[{"label": ["car"], "poly": [100, 100, 300, 100, 300, 200, 100, 200]}],
                    uri=path.as_uri(),
                )
            )
    return make_version(project, frames)


def render(version: Version) -> None:
    """Make the tiles of a version, as a worker does."""
    sources = list(Source.objects.filter(frame__dataset=version.dataset))
    rows = previews.request(version.dataset.project, sources, PREVIEW_EDGE_PX)
    previews.render([preview.key for preview in rows.values()])


def awake(page: Page) -> None:
    """Wait until every custom element of the page takes keys: an address changes before that."""
    page.wait_for_function("() => !document.querySelector(':not(:defined)')")


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until something that matches has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
    pytest.fail(f"Tab does not reach {selector}")


def test_keyboard_alone_goes_from_the_datasets_to_the_next_frame(
    sign_in: Callable[[User], Page], live_server: LiveServer, viewer: User, drive: Version
) -> None:
    render(drive)
    page = sign_in(viewer)
    page.goto(f"{live_server.url}/")
    tab_to(page, ".plate-name a")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/versions/{drive.uid}/$"))
    expect(page.get_by_text("12 out of 12 found in 2 contexts")).to_be_visible()
    awake(page)

    tab_to(page, ".card > a")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".card > a").nth(1)).to_be_focused()
    page.keyboard.press("Home")
    expect(page.locator(".card > a").first).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/context/\?id=drive%2Fb$"))
    expect(page.get_by_role("heading", name="drive/b")).to_be_visible()
    awake(page)

    tab_to(page, ".card > a")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/frames/b1/$"))
    expect(page.locator(".step-place")).to_have_text("00:00:00.100 2 / 6")
    awake(page)

    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile(r"/frames/b2/$"))
    expect(page.locator(".step-place")).to_have_text("00:00:00.200 3 / 6")
    expect(page).to_have_title(re.compile("00:00:00.200"))
    # The picture is the one of the frame, loaded and not only promised.
    image = page.locator(".plane > img")
    expect(image).to_have_js_property("naturalWidth", 640)
    source = Source.objects.get(frame__frame_id="b2")
    expect(image).to_have_attribute("src", f"/sources/{source.pk}/original")

    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".step-place")).to_have_text("00:00:00.000 1 / 6")
    page.keyboard.press("End")
    expect(page.locator(".step-place")).to_have_text("00:00:00.500 6 / 6")
    page.go_back()
    expect(page.locator(".step-place")).to_have_text("00:00:00.000 1 / 6")
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"/context/\?id=drive%2Fb$"))


def test_stepping_loads_no_page_and_its_neighbour_is_there_already(
    sign_in: Callable[[User], Page], live_server: LiveServer, viewer: User, drive: Version
) -> None:
    render(drive)
    page = sign_in(viewer)
    address = f"{live_server.url}/datasets/{drive.dataset.uid}/versions/{drive.uid}/frames"
    with page.expect_response(f"{address}/a1/") as fetched:
        page.goto(f"{address}/a0/")
    fetched.value.finished()
    page.wait_for_load_state("networkidle")
    page.evaluate("window.sameDocument = true")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.keyboard.press("ArrowRight")
    expect(page.locator(".step-place")).to_have_text("00:00:00.100 2 / 6")
    assert page.evaluate("window.sameDocument")
    page.wait_for_load_state("networkidle")
    assert f"{address}/a1/" not in asked


def test_zoom_stays_while_stepping_and_the_original_size_is_exact(
    sign_in: Callable[[User], Page], live_server: LiveServer, viewer: User, drive: Version
) -> None:
    render(drive)
    page = sign_in(viewer)
    address = f"{live_server.url}/datasets/{drive.dataset.uid}/versions/{drive.uid}/frames"
    page.goto(f"{address}/a0/")
    zoom = page.locator(".viewer-zoom")
    expect(zoom).to_have_text(re.compile(r"^\d+ %$"))
    page.keyboard.press("1")
    expect(zoom).to_have_text("100 %")
    # The box is 200 x 100 px of the picture, so of the screen; its line adds its width.
    box = page.locator(".shape .line").bounding_box()
    assert box
    assert abs(box["width"] - 200) < 5
    assert abs(box["height"] - 100) < 5
    page.keyboard.press("+")
    page.keyboard.press("+")
    expect(zoom).to_have_text("156 %")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".step-place")).to_have_text("00:00:00.100 2 / 6")
    expect(page.locator(".viewer-zoom")).to_have_text("156 %")
    page.keyboard.press("o")
    expect(page.locator(".shape").first).to_be_hidden()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".step-place")).to_have_text("00:00:00.200 3 / 6")
    expect(page.locator(".shape").first).to_be_hidden()
    page.keyboard.press("o")
    expect(page.locator(".shape").first).to_be_visible()


def test_row_lights_up_its_region(
    sign_in: Callable[[User], Page], live_server: LiveServer, viewer: User, drive: Version
) -> None:
    page = sign_in(viewer)
    address = f"{live_server.url}/datasets/{drive.dataset.uid}/versions/{drive.uid}/frames"
    page.goto(f"{address}/a0/")
    shape = page.locator("g.shape")
    expect(shape).not_to_have_attribute("data-lit", "")
    page.locator("li[data-shape]").hover()
    expect(shape).to_have_attribute("data-lit", "")
    page.locator(".step-place").hover()
    expect(shape).not_to_have_attribute("data-lit", "")
    tab_to(page, "li[data-shape]")
    expect(shape).to_have_attribute("data-lit", "")


def test_tiles_fill_by_themselves_and_nothing_moves(
    sign_in: Callable[[User], Page], live_server: LiveServer, viewer: User, drive: Version
) -> None:
    page = sign_in(viewer)
    address = f"{live_server.url}/datasets/{drive.dataset.uid}/versions/{drive.uid}/?group=none"
    page.goto(address)
    tiles = page.locator(".grid .tile")
    expect(tiles).to_have_count(12)
    expect(page.locator(".grid img")).to_have_count(0)
    before = [tile.bounding_box() for tile in tiles.all()]
    render(drive)
    expect(page.locator(".grid img")).to_have_count(12)
    expect(page.locator(".grid img").last).to_have_js_property("complete", True)
    assert [tile.bounding_box() for tile in tiles.all()] == before
    expect(page.locator(".tile[data-key]")).to_have_count(0)


def test_failed_tile_is_retried_in_place(
    sign_in: Callable[[User], Page], live_server: LiveServer, editor: User, drive: Version
) -> None:
    render(drive)
    assert not Preview.objects.exclude(state=Preview.State.READY).exists()
    Preview.objects.update(state=Preview.State.FAILED, reason="timed_out")
    page = sign_in(editor)
    # The answer takes longer than the first look at the tile's state, which is still the failure.
    page.add_init_script(
        "const real = fetch; window.fetch = async (url, given) => {"
        "  if (`${url}`.endsWith('/retry/')) await new Promise((go) => setTimeout(go, 1500));"
        "  return real(url, given); };"
    )
    address = f"{live_server.url}/datasets/{drive.dataset.uid}/versions/{drive.uid}/"
    page.goto(address)
    card = page.locator(".card").first
    expect(card).to_contain_text("Timed out")
    with page.expect_response(lambda response: response.url.endswith("/retry/")):
        card.get_by_role("button", name="Retry").click()
        page.wait_for_timeout(1000)
        expect(card).to_contain_text("Preview follows", timeout=1)
    expect(card.locator(".tile")).to_have_attribute("data-state", "pending")
    expect(page).to_have_url(address)
    render(drive)
    expect(card.locator("img")).to_be_visible()
    # The other was not asked for.
    expect(page.locator(".card").nth(1)).to_contain_text("Timed out")


def test_label_menu_finds_by_typing_and_filters(
    sign_in: Callable[[User], Page], live_server: LiveServer, viewer: User, project: Project
) -> None:
    frames = [
        make_frame(f"{n}", context_id=f"{n}", labels=[f"label {n}", "common"]) for n in range(12)
    ]
    version = make_version(project, frames)
    page = sign_in(viewer)
    page.goto(f"{live_server.url}/datasets/{version.dataset.uid}/versions/{version.uid}/?size=l")
    page.locator("label-filter summary", has_text="Label").click()
    rows = page.locator(".label-rows li:visible")
    expect(rows).to_have_count(13)
    page.keyboard.type("bel 11")
    expect(rows).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"\?label=label\+11&size=l$"))
    expect(page.locator(".card")).to_have_count(1)
    page.get_by_label("Remove the label filter label 11").click()
    expect(page.locator(".card")).to_have_count(12)


def test_slash_goes_to_the_filter_and_question_mark_opens_the_keys(
    sign_in: Callable[[User], Page], live_server: LiveServer, viewer: User, drive: Version
) -> None:
    page = sign_in(viewer)
    page.goto(f"{live_server.url}/datasets/{drive.dataset.uid}/versions/{drive.uid}/")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("car AND (")
    page.keyboard.press("Enter")
    expect(page.locator("#q")).to_have_value("car AND (")
    expect(page.get_by_role("alert")).to_be_visible()


def test_load_more_goes_on_at_the_first_new_card(
    sign_in: Callable[[User], Page], live_server: LiveServer, viewer: User, project: Project
) -> None:
    frames = [make_frame(f"{n:03}", context_id=f"drive/{n:03}") for n in range(60)]
    version = make_version(project, frames)
    page = sign_in(viewer)
    page.goto(f"{live_server.url}/datasets/{version.dataset.uid}/versions/{version.uid}/")
    expect(page.locator(".card")).to_have_count(48)
    tab_to(page, ".card > a")
    page.keyboard.press("End")
    expect(page.get_by_role("link", name="Load more")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".card")).to_have_count(60)
    expect(page.locator(".card > a").nth(48)).to_be_focused()
    expect(page.get_by_role("link", name="Load more")).to_have_count(0)
