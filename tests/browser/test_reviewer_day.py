"""The reviewers' day on the driving videos: find, narrow, brush, explain, save, share, export."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from pycocotools.coco import COCO

from frames import tasks
from frames.actions.imports import import_path
from frames.models import DataView, Job
from frames.web.addresses import version_address

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from django.contrib.auth.models import User
    from playwright.sync_api import Browser, Page
    from pytest_django.live_server_helper import LiveServer

    from frames.models import Project

pytestmark = pytest.mark.shared_data


def labels(frame: dict[str, Any]) -> set[str]:
    return {label for roi in frame["rois"] for label in roi["label"]}


def test_the_reviewers_day(
    shared_data: Path,
    sign_in: Callable[[User], Page],
    live_server: LiveServer,
    browser: Browser,
    project: Project,
    editor: User,
    viewer: User,
    tmp_path: Path,
) -> None:
    manifest = shared_data / "camvid" / "frames.json"
    job = import_path(str(manifest), dataset_name="CamVid", project=project)
    assert job.version is not None
    frames = json.loads(manifest.read_text())["frames"]
    found = [f for f in frames if f["meta"]["light"] == "dusk" and "bicyclist" in labels(f)]
    page = sign_in(editor)

    # Dusk frames with a bicyclist: the label by a facet's tick, the light by another's.
    page.goto(f"{live_server.url}{version_address(job.version)}?group=none&panel=facets")
    page.get_by_label("Find a value of label").press_sequentially("bicy")
    page.locator(".panel").get_by_role("link", name=re.compile("bicyclist")).first.click()
    everywhere = sum("bicyclist" in labels(f) for f in frames)
    expect(page.get_by_text(f"{everywhere} out of {len(frames)} found")).to_be_visible()
    page.locator(".panel").get_by_role("link", name=re.compile("dusk")).first.click()
    expect(page.get_by_text(f"{len(found)} out of {len(frames)} found")).to_be_visible()

    # A histogram, brushed with the mouse from its first to its middle bar.
    brush = page.locator("range-brush", has=page.locator("[aria-label*='sky_fraction']"))
    box = brush.locator(".plot").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 1, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 10, steps=5)
    page.mouse.up()
    page.wait_for_url(re.compile("sky_fraction"))
    query = page.get_by_role("searchbox", name="Filter", exact=True).input_value()
    upper = re.search(r"meta\.sky_fraction:\[\* TO ([\d.]+)\]", query)
    assert upper is not None, query
    narrowed = [f for f in found if f["meta"]["sky_fraction"] <= float(upper[1])]
    assert 0 < len(narrowed) < len(found), query
    expect(page.get_by_text(f"{len(narrowed)} out of {len(frames)} found")).to_be_visible()

    # A hit says why it is one, and which of its regions.
    page.locator(".card > a").first.click()
    why = page.locator("section", has=page.get_by_role("heading", name="Why"))
    expect(why.locator("li", has_text="bicyclist").first).to_be_visible()
    expect(why.locator(".missed")).to_have_count(0)
    page.go_back()

    # Saved as a data view, which carries its count.
    page.locator(".more-menu summary").click()
    page.get_by_role("link", name="Save as data view").click()
    page.get_by_label("Name", exact=True).fill("Dusk bicyclists")
    page.get_by_role("button", name="Save as draft").click()
    expect(page.get_by_role("heading", name="Dusk bicyclists")).to_be_visible()
    expect(page.get_by_text(f"{len(narrowed)} frames").first).to_be_visible()
    shared = page.url
    view = DataView.objects.get()
    assert view.name == "Dusk bicyclists"

    # Its address, and that of the filter, in a second person's session.
    other = browser.new_context()
    second = other.new_page()
    second.goto(shared)
    second.locator("[name=username]").fill(viewer.username)
    viewer.set_password("a long passphrase")
    viewer.save()
    second.locator("[name=password]").fill("a long passphrase")
    second.keyboard.press("Enter")
    expect(second.get_by_role("heading", name="Dusk bicyclists")).to_be_visible()
    expect(second.get_by_text(f"{len(narrowed)} frames").first).to_be_visible()

    # Exported as COCO by the second person, and read by COCO's own reader.
    second.goto(f"{live_server.url}{version_address(job.version, {'q': query})}")
    second.locator(".more-menu summary").click()
    second.get_by_role("link", name="Export frames").click()
    second.get_by_role("radio", name=re.compile("COCO")).check()
    second.get_by_role("button", name=re.compile("Export")).click()
    expect(second).to_have_url(re.compile(r"/jobs/\w+/$"))
    tasks.run_job(Job.objects.get(kind=Job.Kind.EXPORT).uid)
    with second.expect_download() as download:
        second.get_by_role("link", name=re.compile("Download")).click()
    path = tmp_path / "coco.json"
    download.value.save_as(path)
    coco = COCO(str(path))
    other.close()
    assert len(coco.getImgIds()) == len(narrowed)
    riders = coco.getAnnIds(catIds=coco.getCatIds(catNms=["bicyclist"]))
    # Regions without geometry are labels of the whole frame, which COCO's annotations are not.
    drawn = [roi for f in narrowed for roi in f["rois"] if "poly" in roi]
    assert len(riders) == sum(roi["label"] == ["bicyclist"] for roi in drawn) > 0
