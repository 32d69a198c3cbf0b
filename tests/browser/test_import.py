"""Importing in a browser: drop a manifest, watch the job, open the frames."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from frames.actions import imports
from frames.models import Job

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from django.contrib.auth.models import User
    from playwright.sync_api import Page
    from pytest_django.live_server_helper import LiveServer

    from frames.models import Project


@pytest.mark.parametrize("way", ["chosen", "dropped"])
def test_manifest_is_imported_and_its_page_follows_the_job(
    way: str,
    sign_in: Callable[[User], Page],
    live_server: LiveServer,
    editor: User,
    project: Project,
    tmp_path: Path,
) -> None:
    frames = [{"id": f"{n}", "sources": [{"uri": "https://example.com/a.jpg"}]} for n in range(5)]
    manifest = tmp_path / "frames.json"
    manifest.write_text(json.dumps({"frames": [*frames, {"id": "bad"}]}))
    page = sign_in(editor)
    page.goto(f"{live_server.url}/datasets/")
    page.get_by_role("link", name="Import").first.click()
    page.get_by_label("Dataset", exact=True).fill("Night drives")
    if way == "chosen":
        page.get_by_label("A file from this computer").set_input_files(manifest)
    else:
        transfer = page.evaluate_handle(
            """text => {
                const transfer = new DataTransfer();
                transfer.items.add(new File([text], "frames.json"));
                return transfer;
            }""",
            manifest.read_text(),
        )
        page.dispatch_event("file-drop", "drop", {"dataTransfer": transfer})
    page.get_by_role("button", name="Import").click()
    expect(page).to_have_url(re.compile(r"/jobs/\w+/$"))
    expect(page.get_by_role("heading", name="Import of frames.json")).to_be_visible()
    expect(page.locator("#job")).to_contain_text("Queued")

    imports.run(Job.objects.get().uid)  # as the worker does; the page asks again by itself
    expect(page.locator("#job")).to_contain_text("Done")
    expect(page.locator("#job")).to_contain_text("1 problem")
    page.get_by_role("link", name="Show the frames").click()
    expect(page.get_by_text("5 out of 5 found")).to_be_visible()
