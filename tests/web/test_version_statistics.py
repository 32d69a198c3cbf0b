"""The Statistics tab."""

from __future__ import annotations

import csv
import io
from html import unescape
from typing import TYPE_CHECKING

import pytest

from tests.factories import make_frame, make_version
from tests.web.support import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Project


@pytest.fixture
def see(browse: Callable[[User | None], Client], viewer: User) -> Client:
    """The browser of someone who may read."""
    return browse(viewer)


def test_s5_the_tab_shows_the_regions_labels_of_the_whole_version(see: Client, base: str) -> None:
    frames = see.get(f"{base}/?label=car").content.decode()
    assert f'href="{base}/statistics/?label=car"' in frames
    page = see.get(f"{base}/statistics.json").json()
    assert [(item["value"], item["count"]) for item in page["items"]] == [
        ("car", 3),
        ("bus", 1),
        ("person", 1),
    ]
    assert (page["count"], page["property"]) == ("roi", "rois.label")
    body = see.get(f"{base}/statistics/").content.decode()
    assert ">Apply</button>" in body
    assert "rois.label, by annotations" in body


def test_s6_tiles_say_annotations_annotated_frames_and_total_frames(see: Client, base: str) -> None:
    body = see.get(f"{base}/statistics/").content.decode()
    for name, number in (("Annotations", 5), ("Annotated frames", 4), ("Total frames", 6)):
        assert f"<dt>{name}</dt><dd>{number}</dd>" in body
    matching = see.get(f"{base}/statistics/?where=label:car").content.decode()
    assert "<dt>Matching annotations</dt><dd>3</dd>" in matching


def test_s7_s8_each_bar_has_its_number_and_share_and_leads_to_its_frames(
    see: Client, base: str
) -> None:
    body = unescape(see.get(f"{base}/statistics/").content.decode())
    row = next(part for part in body.split("<tr") if ">car<" in part)
    assert "<td>3</td>" in row
    assert "<td>60 %</td>" in row
    for item in see.get(f"{base}/statistics.json").json()["items"]:
        found = see.get(f"{item['url']}&group=none".replace("/?", ".json?"))
        assert found.json()["matched"] == item["count"]


def test_s1_the_filter_of_the_address_scopes_it(see: Client, base: str) -> None:
    page = see.get(f'{base}/statistics.json?q=context_id:"drive/a"&count=frame').json()
    assert (page["annotations"], page["annotated_frames"], page["total_frames"]) == (3, 2, 3)
    assert [(item["value"], item["count"]) for item in page["items"]] == [("car", 2), ("person", 1)]
    assert page["missing"] == 1


def test_s3_a_match_that_cannot_be_read_is_said_and_kept(see: Client, base: str) -> None:
    answer = see.get(f"{base}/statistics/?where=label:(car")
    assert answer.status_code == 400
    body = answer.content.decode()
    assert 'value="label:(car"' in body
    assert 'id="where" name="where" value="label:(car"' in body
    assert "The query cannot be read" in body
    assert see.get(f"{base}/statistics.json?where=label:(car").json()["field"] == "where"
    assert see.get(f"{base}/statistics.json?property=nonsense").json()["field"] == "property"
    assert see.get(f"{base}/statistics.json?count=pixels").json()["field"] == "count"


def test_s4_numbers_are_drawn_as_a_histogram_with_a_table(see: Client, base: str) -> None:
    body = see.get(f"{base}/statistics/?count=frame&property=timestamp").content.decode()
    assert '<figcaption class="muted">Histogram of timestamp from 0 to ' in body
    assert "The histogram as a table" in body
    page = see.get(f"{base}/statistics.json?count=frame&property=timestamp").json()
    assert sum(item["count"] for item in page["items"]) == 6


def test_htmx_gets_the_distribution_alone(see: Client, base: str) -> None:
    part = see.get(f"{base}/statistics/?count=frame", headers={"HX-Request": "true"})
    assert "<html" not in part.content.decode()
    assert "Total frames" in part.content.decode()


def test_csv_has_every_value_and_no_formula(see: Client, project: Project) -> None:
    labels = ["=1+1", "car", HOSTILE]
    frames = [make_frame(f"f{n}", labels=[label]) for n, label in enumerate(labels)]
    frames.append(make_frame("bare", rois=[{"label": []}]))
    version = make_version(project, frames)
    address = f"/datasets/{version.dataset.uid}/versions/{version.uid}/statistics/?format=csv"
    answer = see.get(address)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    text = answer.getvalue().decode()
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["rois.label", "low", "high", "annotations", "share"]
    assert sorted(row[0] for row in rows[1:]) == sorted(["'=1+1", "car", HOSTILE, "no value"])
    assert {row[3] for row in rows[1:]} == {"1"}
    assert {row[4] for row in rows[1:]} == {"0.250000"}


def test_nothing_to_count_is_said(see: Client, base: str, project: Project) -> None:
    nothing = see.get(f"{base}/statistics/?where=label:plane").content.decode()
    assert "No annotation matches." in nothing
    unknown = see.get(f"{base}/statistics/?property=meta.none").content.decode()
    assert "No frame of this dataset has this property." in unknown
    empty = make_version(project)
    address = f"/datasets/{empty.dataset.uid}/versions/{empty.uid}/statistics/"
    assert "Nothing to count" in see.get(address).content.decode()


def test_what_the_data_says_is_never_markup(see: Client, project: Project) -> None:
    version = make_version(project, [make_frame("a", labels=[HOSTILE], meta={"x": HOSTILE})])
    address = f"/datasets/{version.dataset.uid}/versions/{version.uid}/statistics/"
    for query in ("", "?property=meta.x"):
        assert "<script>alert" not in see.get(address + query).content.decode()
