"""The facets beside the frames and on a page of their own."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from frames.index.bins import Edges
from frames.search.errors import QueryError
from frames.web.facets import date_texts, edge_texts
from tests.factories import make_frame, make_version
from tests.web.support import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Project, Version


@pytest.fixture
def version(project: Project) -> Version:
    """Six frames with a weather, a speed, and one of each key's troubles."""
    frames = [
        make_frame(
            f"f{n}",
            timestamp=n * 1000,
            labels=["car"] if n < 4 else ["bus"],
            meta={
                "weather": ["rain", "rain", "fog", "fog", "snow", HOSTILE][n],
                "speed": [10, 20.5, 30, "fast", 50, 60][n],
                **({"Weather": "rain"} if n == 0 else {}),
            },
        )
        for n in range(6)
    ]
    return make_version(project, frames)


@pytest.fixture
def see(browse: Callable[[User | None], Client], viewer: User) -> Client:
    """The browser of someone who may read."""
    return browse(viewer)


def link(body: str, name: str) -> str:
    """Return the address of the link that shows a value."""
    found = re.search(rf'href="([^"]*)"[^>]*>(?:(?!</a>).)*{re.escape(name)}', body, re.DOTALL)
    assert found, name
    return unescape(found[1])


def q_of(address: str) -> str:
    return parse_qs(urlsplit(address).query).get("q", [""])[0]


def card(body: str, key: str) -> str:
    """Return the part of a page that is one key's."""
    parts = body.split('<details class="facet"')
    return next(part for part in parts if key in part.split("</summary>")[0].replace("<wbr>", ""))


def test_a_click_on_a_value_narrows_and_another_takes_it_back(see: Client, base: str) -> None:
    body = see.get(f"{base}/facets/?q=car").content.decode()
    address = link(card(body, "meta.weather"), "rain")
    assert q_of(address) == 'car AND meta.weather:"rain"'
    body = see.get(address).content.decode()
    own = card(body, "meta.weather")
    assert q_of(link(own, "rain")) == "car"
    assert q_of(link(own, "fog")) == 'car AND meta.weather:("rain" OR "fog")'
    assert "2 of 6 frames" in body


def test_values_are_counted_without_their_own_keys_clause(see: Client, base: str) -> None:
    page = see.get(f'{base}/facets.json?q=car AND meta.weather:"rain"').json()
    assert (page["matched"], page["total"]) == (2, 6)
    weather = next(item for item in page["items"] if item["key"] == "meta.weather")
    assert [(v["value"], v["frames"], v["chosen"]) for v in weather["values"]] == [
        ("fog", 2, False),
        ("rain", 2, True),
    ]
    label = next(item for item in page["items"] if item["key"] == "label")
    # A typed word is a chosen label, so the others are counted without it.
    assert [(v["value"], v["frames"]) for v in label["values"]] == [("car", 2)]


def test_beside_the_frames_a_click_stays_there(see: Client, base: str) -> None:
    body = see.get(f"{base}/?panel=facets&group=none").content.decode()
    address = link(card(body, "meta.weather"), "snow")
    parts = urlsplit(address)
    assert parts.path == f"{base}/"
    assert parse_qs(parts.query) == {
        "panel": ["facets"],
        "group": ["none"],
        "q": ['meta.weather:"snow"'],
    }
    assert see.get(address).status_code == 200


def test_htmx_follows_a_boosted_click_to_the_whole_page(see: Client, base: str) -> None:
    headers = {"HX-Request": "true", "HX-Boosted": "true"}
    body = see.get(f"{base}/?panel=facets", headers=headers).content.decode()
    assert 'class="with-panel"' in body
    part = see.get(f"{base}/?panel=facets", headers={"HX-Request": "true"}).content.decode()
    assert "with-panel" not in part


def test_coverage_says_what_is_missing_mixed_and_named_alike(see: Client, base: str) -> None:
    page = see.get(f"{base}/facets.json").json()
    rows = {item["key"]: item for item in page["items"]}
    assert rows["meta.Weather"]["frames"] == 1
    assert rows["meta.Weather"]["missing"] == 5
    assert rows["meta.Weather"]["similar"] == ["meta.weather"]
    assert rows["meta.speed"]["types"] == {"text": 1, "number": 5}
    assert rows["meta.speed"]["mixed"]
    assert not rows["meta.weather"]["mixed"]
    body = see.get(f"{base}/facets/").content.decode()
    assert "Mixed: text in 1, number in 5." in body
    address = link(card(body, "meta.Weather"), "has no such key")
    assert q_of(address) == "NOT _exists_:meta.Weather"
    assert see.get(address.replace("/facets/", "/facets.json")).json()["matched"] == 5


def test_a_range_is_set_by_two_fields_and_cleared_by_leaving_them_empty(
    see: Client, base: str
) -> None:
    form = f"{base}/facets/refine/?key=meta.speed&q=car&panel=facets"
    there = see.get(f"{form}&low=15&high=30")
    assert there.status_code == 302
    assert q_of(there["Location"]) == "car AND meta.speed:[15 TO 30]"
    assert urlsplit(there["Location"]).path == f"{base}/"
    open_ended = see.get(f"{form}&low=15")
    assert q_of(open_ended["Location"]) == "car AND meta.speed:[15 TO *]"
    back = see.get(
        f"{base}/facets/refine/?key=meta.speed&q=car AND meta.speed:[15 TO 30]&low=&high="
    )
    assert q_of(back["Location"]) == "car"
    assert urlsplit(back["Location"]).path == f"{base}/facets/"
    broken = see.get(f"{base}/facets/refine/?key=meta.speed&q=(&low=1")
    assert broken["Location"] == f"{base}/?q=%28"


def test_a_bound_that_is_no_number_is_said_beside_what_was_typed(see: Client, base: str) -> None:
    form = f"{base}/facets/refine/?key=meta.speed&q=car&panel=facets"
    refused = see.get(f"{form}&low=5&high=<abc")
    assert refused.status_code == 400
    body = refused.content.decode()
    assert "“&lt;abc” is no number: write it as 20 or 0.5." in body
    low, high = field(body, "low"), field(body, "high")
    # A field for numbers would drop what was typed.
    assert 'type="text"' in high
    assert 'value="&lt;abc"' in high
    assert 'aria-invalid="true"' in high
    assert 'value="5"' in low
    assert "aria-invalid" not in low
    assert 'name="q" value="car"' in body
    assert 'name="panel" value="facets"' in body
    # A key without a histogram has no fields.
    unknown = see.get(f"{base}/facets/refine/?key=meta.none&low=abc")
    assert unknown.status_code == 400
    assert "“abc” is no number" in unknown.content.decode()
    assert see.get(f"{base}/facets/refine/?low=abc&key=%00").status_code == 400
    # A filter of a field that does not exist leaves nothing to show a histogram of.
    assert see.get(f"{base}/facets/refine/?q=none:x&key=meta.speed&low=abc").status_code == 400


# --- dates ---------------------------------------------------------------------------------------

WHEN = ["2026-02-01", "2026-02-01T10:00:00Z", "2026-02-03", "2026-02-28", "2026-04-01", None]


@pytest.fixture
def dated(project: Project) -> str:
    """The facets of six frames, five with a date, four with a car; without the last slash."""
    frames = [
        make_frame(
            f"f{n}",
            labels=["car"] if n < 4 else [],
            meta={"when": when, "note": ["soon", "2026-02-01"][n % 2]},
        )
        for n, when in enumerate(WHEN)
    ]
    version = make_version(project, frames)
    return f"/datasets/{version.dataset.uid}/versions/{version.uid}/facets"


def field(body: str, name: str) -> str:
    """Return a page's last field of a name, as it is written."""
    found: list[str] = re.findall(rf'<input [^>]*name="{name}"[^>]*>', body)
    return found[-1]


def bins_of(page: dict[str, Any], key: str) -> dict[tuple[str, str], int]:
    bins = next(item for item in page["items"] if item["key"] == key)["bins"]
    return {(each["low"], each["high"]): each["frames"] for each in bins if each["frames"]}


def test_dates_have_a_histogram_two_fields_and_values_to_click(see: Client, dated: str) -> None:
    body = see.get(f"{dated}/?q=car").content.decode()
    own = card(body, "meta.when")
    assert 'aria-label="Histogram of meta.when from 2026-02-01 to 2026-04-01. ' in own
    assert "<span>2026-02-01</span><span>2026-04-01</span>" in own
    for name in ("low", "high"):
        assert 'type="text"' in field(own, name)
        assert 'value=""' in field(own, name)
        assert 'placeholder="2026-11-21"' in field(own, name)
    address = link(own, "2026-02-03")
    assert q_of(address) == 'car AND meta.when:"2026-02-03"'
    assert see.get(address.replace("/facets/", "/facets.json")).json()["matched"] == 1
    assert "range-brush" not in card(body, "meta.note")


def test_times_of_a_day_are_shown_by_day_and_time(see: Client, project: Project) -> None:
    """At the ends of the plot; the range that is asked for has them in one word."""
    held = ["1970-01-01T00:00", *["2026-02-01T10:00", "2026-02-01T10:09"] * 6]
    frames = [make_frame(f"f{n}", meta={"when": text}) for n, text in enumerate(held)]
    version = make_version(project, frames)
    base = f"/datasets/{version.dataset.uid}/versions/{version.uid}/facets/"
    own = card(see.get(base).content.decode(), "meta.when")
    assert "<span>1970-01-01 00:00</span><span>2026-02-01 10:09</span>" in own
    assert "Far off: 1 frame below 2026-02-01 10:00." in own
    assert 'data-lows="1970-01-01T00:00 2026-02-01T10:00 2026-02-01T10:01 ' in own


def test_the_json_twin_has_bins_of_instants(see: Client, dated: str) -> None:
    page = see.get(f"{dated}.json?q=car").json()
    assert bins_of(page, "meta.when") == {
        ("2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z"): 2,
        ("2026-02-03T00:00:00Z", "2026-02-04T00:00:00Z"): 1,
        ("2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z"): 1,
    }
    assert bins_of(page, "meta.note") == {}


def test_a_range_of_dates_is_set_shown_and_cleared(see: Client, dated: str) -> None:
    form = f"{dated}/refine/?key=meta.when&q=car"
    there = see.get(f"{form}&low=2026-02-02&high=2026-03-01")["Location"]
    assert q_of(there) == "car AND meta.when:[2026-02-02 TO 2026-03-01]"
    body = see.get(there).content.decode()
    assert "2 of 6 frames" in body
    own = card(body, "meta.when")
    assert 'value="2026-02-02"' in field(own, "low")
    assert 'value="2026-03-01"' in field(own, "high")
    assert re.search(r'class="band" y="0" height="100%" x="[\d.]+" width="[1-9][\d.]*"', own)
    # Its own clause does not narrow what its bins and values count.
    twin = see.get(there.replace("/facets/", "/facets.json")).json()
    whole = see.get(f"{dated}.json?q=car").json()
    assert twin["matched"] == 2
    assert bins_of(twin, "meta.when") == bins_of(whole, "meta.when")
    assert len(bins_of(twin, "meta.when")) == 3
    q = "car AND meta.when:[2026-02-02 TO 2026-03-01]"
    back = see.get(f"{dated}/refine/?key=meta.when&q={q}&low=&high=")["Location"]
    assert q_of(back) == "car"


def test_a_time_is_quoted_and_one_end_may_be_open(see: Client, dated: str) -> None:
    form = f"{dated}/refine/?key=meta.when"
    there = see.get(f"{form}&low=2026-02-01T09:30")["Location"]
    assert q_of(there) == 'meta.when:["2026-02-01T09:30" TO *]'
    assert see.get(there.replace("/facets/", "/facets.json")).json()["matched"] == 4
    there = see.get(f"{form}&high=2026-02-03")["Location"]
    assert q_of(there) == "meta.when:[* TO 2026-02-03]"
    assert see.get(there.replace("/facets/", "/facets.json")).json()["matched"] == 3


@pytest.mark.parametrize("typed", ["soon", "2026", "2026-02-30", "1.2.2026"])
def test_a_bound_that_is_no_date_is_said_beside_what_was_typed(
    see: Client, dated: str, typed: str
) -> None:
    refused = see.get(f"{dated}/refine/?key=meta.when&q=car&low={typed}&high=2026-03-01")
    assert refused.status_code == 400
    body = refused.content.decode()
    assert f"“{typed}” is no date: write it as 2026-11-21 or 2026-11-21T10:00." in body
    assert f'value="{typed}"' in field(body, "low")
    assert 'aria-invalid="true"' in field(body, "low")
    assert 'value="2026-03-01"' in field(body, "high")


def test_a_typed_range_of_dates_is_shown_by_a_key_of_numbers_in_its_unit(
    see: Client, base: str
) -> None:
    body = see.get(f"{base}/facets/?q=timestamp:[* TO 1970-01-01]").content.decode()
    own = card(body, "timestamp")
    assert 'value="86399999"' in field(own, "high")


def test_bins_of_dates_end_before_the_next_one_begins() -> None:
    day = 86_400_000.0
    assert date_texts(Edges((0.0, day, 3 * day))) == (
        ["1970-01-01", "1970-01-02"],
        ["1970-01-01", "1970-01-03"],
    )
    assert date_texts(Edges((0.0, 600_000.0))) == (["1970-01-01T00:00"], ["1970-01-01T00:09"])
    assert date_texts(Edges((0.0, 10_000.0, 20_000.0))) == (
        ["1970-01-01T00:00:00", "1970-01-01T00:00:10"],
        ["1970-01-01T00:00:09", "1970-01-01T00:00:19"],
    )


def test_the_histogram_says_its_ends_and_lights_what_is_chosen(see: Client, base: str) -> None:
    body = see.get(f"{base}/facets/?q=meta.speed:[15 TO 30]").content.decode()
    own = card(body, "meta.speed")
    assert 'aria-label="Histogram of meta.speed from ' in own
    assert '<input type="number" step="any"' in own
    assert 'name="low" value="15"' in own
    assert re.search(r'class="band" y="0" height="100%" x="[\d.]+" width="[1-9][\d.]*"', own)
    page = see.get(f"{base}/facets.json?key=timestamp").json()
    bins = page["items"][0]["bins"]
    assert sum(each["frames"] for each in bins) == 6
    assert bins[0]["low"] <= 0 <= bins[-1]["high"]


def test_typing_finds_a_value_as_a_part_and_as_a_page(see: Client, base: str) -> None:
    address = f"{base}/facets/?key=meta.weather&value=RA"
    part = see.get(address, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert "rain" in part
    assert "fog" not in part
    whole = see.get(address).content.decode()
    assert "<html" in whole
    assert "fog" not in whole.split("<main")[1]
    nothing = see.get(f"{base}/facets/?key=meta.weather&value=sleet").content.decode()
    assert "No value contains “sleet”." in nothing


def test_a_closed_key_is_counted_when_it_is_opened(see: Client, base: str) -> None:
    body = see.get(f"{base}/facets/?key=sources.id", headers={"HX-Request": "true"})
    assert "default" in body.content.decode()
    unknown = see.get(f"{base}/facets/?key=meta.none")
    assert unknown.status_code == 200
    assert "No frame of this version has it." in unknown.content.decode()


def test_a_filter_that_cannot_be_read_is_said(see: Client, base: str) -> None:
    whole = see.get(f"{base}/facets/?q=car AND (")
    assert whole.status_code == 400
    assert "The query cannot be read" in whole.content.decode()
    assert see.get(f"{base}/facets.json?q=car AND (").json()["field"] == "q"
    beside = see.get(f"{base}/?panel=facets&q=car AND (").content.decode()
    assert "Mend the filter" in beside
    null = see.get(f"{base}/facets.json?key=label&value=%00")
    assert null.status_code == 400


def test_what_takes_too_long_to_count_is_said_beside_the_frames(
    see: Client, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: object) -> None:
        raise QueryError("The query takes too long.")

    monkeypatch.setattr("frames.search.facets.facets", slow)
    answer = see.get(f"{base}/?panel=facets&q=car")
    assert answer.status_code == 200
    assert "The query takes too long." in answer.content.decode()


def test_what_the_data_says_is_never_markup(see: Client, base: str) -> None:
    body = see.get(f"{base}/facets/").content.decode()
    assert "<script>alert" not in body
    address = link(card(body, "meta.weather"), "alert(")
    assert see.get(address.replace("/facets/", "/facets.json")).json()["matched"] == 1


def test_an_object_says_where_its_keys_are(see: Client, project: Project) -> None:
    """It is null once, so it is a key of its own, which has no value."""
    metas: list[dict[str, Any]] = [{"pose": {"x": 1}}, {"pose": None}]
    version = make_version(project, [make_frame(f"f{n}", meta=m) for n, m in enumerate(metas)])
    address = f"/datasets/{version.dataset.uid}/versions/{version.uid}/facets/"
    body = see.get(address).content.decode()
    said = "An object: the keys in it stand below."
    assert said in card(body, "meta.pose<")
    assert said not in card(body, "meta.pose.x")


def test_an_empty_version_has_nothing_to_count(see: Client, project: Project, viewer: User) -> None:
    version = make_version(project)
    address = f"/datasets/{version.dataset.uid}/versions/{version.uid}/facets/"
    assert "No frames yet" in see.get(address).content.decode()


def test_the_page_costs_the_same_for_any_number_of_frames(
    browse: Callable[[User | None], Client], viewer: User, project: Project
) -> None:
    client = browse(viewer)
    counts = []
    for frames in (20, 200):
        version = make_version(
            project,
            [make_frame(f"f{n}", labels=["car"], meta={"n": n % 10}) for n in range(frames)],
        )
        address = f"/datasets/{version.dataset.uid}/versions/{version.uid}/facets/?q=car"
        client.get(address)
        with CaptureQueriesContext(connection) as captured:
            client.get(address)
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_edges_have_as_few_decimals_as_tell_them_apart() -> None:
    assert edge_texts(Edges((0.0, 0.015625, 0.03125))) == ["0", "0.02", "0.03"]
    assert edge_texts(Edges((0.0, 32.0, 64.0))) == ["0", "32", "64"]
    assert edge_texts(Edges((0.1, 0.1))) == ["0.1", "0.1"]


def test_a_space_at_the_end_of_a_value_is_drawn(see: Client, project: Project) -> None:
    """Else two values look the same; what a click asks for is the value itself."""
    frames = [
        make_frame("a", labels=["car "], meta={"light": " dusk"}),
        make_frame("b", labels=["car"], meta={"light": "dusk"}),
    ]
    version = make_version(project, frames)
    base = f"/datasets/{version.dataset.uid}/versions/{version.uid}"
    body = see.get(f"{base}/facets/").content.decode()
    assert "<span>car\u2423</span>" in body
    assert "<span>car</span>" in body
    assert ">\u2423dusk</span>" in card(body, "meta.light")
    assert q_of(link(body, "car\u2423")) == 'label:"car "'
    found = see.get(f"{base}.json", {"q": 'label:"car "'}).json()
    assert [item["context_id"] for item in found["items"]] == ["drive"]
    assert found["matched"] == 1
    for page in ("labels/", "?group=none", "?group=none&view=table", "statistics/"):
        assert "<span>car\u2423</span>" in see.get(f"{base}/{page}").content.decode(), page
