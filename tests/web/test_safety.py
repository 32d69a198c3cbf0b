"""No page lets what somebody else wrote run, or look like the page's own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from frames.actions.views import save_view
from frames.models import Grant, Job, JobError, Project
from frames.search.view_definition import Definition, Scope
from tests.factories import make_frame, make_version
from tests.web.support import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Version


@pytest.fixture
def hostile(project: Project) -> Version:
    """A version in which every text is hostile."""
    project.name = f"{HOSTILE} project"
    project.description = HOSTILE
    project.save()
    roi = {
        "label": [HOSTILE],
        "poly": [0, 0, 9, 0, 9, 9, 0, 9],
        "sources": [HOSTILE],
        "meta": {HOSTILE: HOSTILE},
    }
    mask = {"label": [HOSTILE], "mask": {"id": HOSTILE, "value": HOSTILE}}
    frame = make_frame(
        HOSTILE,
        context_id=HOSTILE,
        rois=[roi, mask, {"label": [HOSTILE]}],
        meta={HOSTILE: {"nested": HOSTILE}},
        uri=f"https://example.com/{HOSTILE}",
    )
    frame.sources[0].source_id = HOSTILE
    frame.sources[0].content_type = HOSTILE
    frame.sources[0].masks = [{"id": HOSTILE, "uri": f"https://example.com/{HOSTILE}"}]
    version = make_version(project, [frame])
    version.name = HOSTILE
    version.save()
    dataset = version.dataset
    dataset.name, dataset.description, dataset.tags = HOSTILE, HOSTILE, [HOSTILE]
    dataset.metadata = {HOSTILE: HOSTILE}
    dataset.save()
    return version


@pytest.fixture
def addresses(hostile: Version) -> list[str]:
    from frames.web.addresses import context_address, frame_address, version_address

    job = Job.objects.create(
        kind=Job.Kind.IMPORT,
        project=hostile.dataset.project,
        dataset=hostile.dataset,
        version=hostile,
        uri=f"https://example.com/{HOSTILE}",
        message=HOSTILE,
        failed=1,
    )
    JobError.objects.create(job=job, index=0, path=HOSTILE, reason=HOSTILE)
    base = version_address(hostile)
    return [
        "/projects/",
        "/datasets/",
        f"/datasets/?q={HOSTILE}",
        f"/datasets/new/?name={HOSTILE}&description={HOSTILE}",
        f"/datasets/{hostile.dataset.uid}/import/?uri={HOSTILE}",
        base,
        version_address(hostile, {"group": "none"}),
        version_address(hostile, {"q": HOSTILE}),
        version_address(hostile, {"label": HOSTILE}),
        f"{base}info/",
        f"{base}labels/",
        context_address(hostile, HOSTILE, {}),
        frame_address(hostile, HOSTILE, {"source": HOSTILE}),
        f"/jobs/{job.uid}/",
    ]


def test_hostile_text_is_text(
    addresses: list[str], browse: Callable[[User | None], Client], editor: User
) -> None:
    client = browse(editor)
    seen = 0
    for address in addresses:
        body = client.get(address).content.decode()
        assert "<script>alert" not in body, address
        assert "alert('x')" not in body, address
        seen += body.count("alert(&#x27;x&#x27;)")
    assert seen > 40


def test_no_page_has_script_or_style_of_its_own(
    addresses: list[str], browse: Callable[[User | None], Client], editor: User
) -> None:
    client = browse(editor)
    for address in [*addresses, "/nothing/"]:
        response = client.get(address)
        body = response.content.decode()
        assert re.findall(r"<script(?![^>]*\bsrc=)", body) == [], address
        assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:|hx-on", body) == [], address
        policy = response["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "style-src 'self'" in policy
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["X-Frame-Options"] == "DENY"


def test_htmx_runs_nothing_it_is_sent(
    browse: Callable[[User | None], Client], viewer: User
) -> None:
    body = browse(viewer).get("/datasets/").content.decode()
    assert '"allowEval": false' in body
    assert '"allowScriptTags": false' in body
    assert '"includeIndicatorStyles": false' in body


def test_pages_are_kept_by_no_shared_cache(
    addresses: list[str], browse: Callable[[User | None], Client], viewer: User
) -> None:
    response = browse(viewer).get("/datasets/")
    assert "private" in response["Cache-Control"]
    assert "no-cache" in response["Cache-Control"]
    assert "HX-Request" in response["Vary"]


def test_null_characters_are_in_no_name(
    version: Version, base: str, browse: Callable[[User | None], Client], editor: User
) -> None:
    """PostgreSQL refuses to be asked for a text that holds one."""
    client, dataset = browse(editor), f"/datasets/{version.dataset.uid}"
    for address in (
        "/datasets/?q=a%00b",
        "/datasets/?project=a%00b",
        "/previews/state/?key=a%00b",
        f"{base}/bulk/?frame=a%00b&context=a%00b",
        f"{base}/restore/?from=a%00b",
        f"{dataset}/compare/?before=a%00b&after=a%00b",
        f"{dataset}/merge/?parent=a%00b",
    ):
        assert client.get(address).status_code in (200, 400, 404), address
    assert client.post(f"{base}/restore/?from={version.uid}&id=a%00b").status_code == 404
    view = save_view(
        project=version.dataset.project,
        name="All",
        definition=Definition(versions=(Scope(version.dataset.uid, version.uid),)),
        actor=None,
    )
    move = {"action": "move", "view": view.uid, "confirmed": "1", "project": "a\x00b"}
    Grant.objects.create(
        project=Project.objects.create(name="Other"), user=editor, role=Grant.Role.EDITOR
    )
    assert client.post("/views/act/", move).status_code == 404


def test_many_words_are_looked_for_in_names(
    version: Version, browse: Callable[[User | None], Client], viewer: User
) -> None:
    """SQLite takes no condition of 1,000 parts."""
    client, words = browse(viewer), " ".join(f"w{number}" for number in range(1_200))
    for page in ("/datasets.json", "/views.json"):
        response = client.get(page, {"q": words})
        assert (response.status_code, response.json()["items"]) == (200, [])


@pytest.mark.parametrize("next_page", ["https://evil.example/", "//evil.example/", "javascript:1"])
def test_form_leads_back_to_this_site_only(next_page: str, client: Client) -> None:
    response = client.post("/theme/", {"theme": "dark", "next": next_page})
    assert response["Location"] == "/"
