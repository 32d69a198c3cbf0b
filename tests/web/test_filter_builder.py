"""The filter builder: from the address to cards and back, with and without JavaScript."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.http import QueryDict
from django.utils.html import escape
from hypothesis import given
from hypothesis import strategies as st

from frames.search.builder import Builder, FrameFilter, from_text, to_text
from frames.web.filter_form import FilterForm
from tests.factories import make_frame, make_version
from tests.properties import tries
from tests.search import brute
from tests.web.support import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Project, Version

CAR = 'rois:(label:"car")'


@pytest.fixture
def client(browse: Callable[[User | None], Client], viewer: User) -> Client:
    return browse(viewer)


def applied(client: Client, base: str, fields: dict[str, Any]) -> str:
    """Send the form and return the query text of the page it leads to."""
    response = client.post(f"{base}/filter/", {"do": "apply", **fields})
    assert response.status_code == 302
    address = urlsplit(response["Location"])
    assert address.path == f"{base}/"
    return parse_qs(address.query).get("q", [""])[0]


def test_a2_panel_shows_the_filter_of_the_address_as_cards(client: Client, base: str) -> None:
    body = client.get(f"{base}/?panel=filter&q=({CAR} AND (meta.a:1)) OR (id:b-0)").content.decode()
    assert "Frame filter 1" in body
    assert "Frame filter 2" in body
    assert body.count("ROI rule 1") == 4  # its legend, its buttons' names
    assert '<input type="hidden" name="f0.r0.label" value="car">' in body
    assert re.search(r'name="f0.frame".*?>\s*meta.a:1</textarea>', body, re.DOTALL)
    assert re.search(r'name="f1.frame".*?>\s*id:b-0</textarea>', body, re.DOTALL)


def test_a1_simple_label_filter_stays_beside_the_builder(client: Client, base: str) -> None:
    body = client.get(f"{base}/?panel=filter&label=car").content.decode()
    assert "3 out of 6 found" in body
    assert "Remove the label filter car" in body
    response = client.post(
        f"{base}/filter/", {"do": "apply", "label": "car", "panel": "filter", "f0.frame": "id:a-0"}
    )
    query = parse_qs(urlsplit(response["Location"]).query)
    assert query == {"label": ["car"], "panel": ["filter"], "q": ["id:a-0"]}


def test_a3_sent_cards_become_the_text_of_the_page(client: Client, base: str) -> None:
    fields = {
        "f0.r0.mode": "include",
        "f0.r0.label": ["car"],
        "f0.r0.added": "person",
        "f0.r0.low": "0.8",
        "f0.r1.mode": "exclude",
        "f0.r1.label": "bus",
        "f0.frame": 'context_id:"drive/a"',
        "f1.source": "width:640",
    }
    assert applied(client, base, fields) == (
        '(rois:(label:"car" AND label:"person" AND confidence:[0.8 TO *]) '
        'AND NOT rois:(label:"bus") AND (context_id:"drive/a")) OR (sources:(width:640))'
    )


def test_a4_number_of_matching_regions(client: Client, base: str) -> None:
    fields = {"f0.r0.label": "car", "f0.r0.least": "2", "f0.r0.most": "5"}
    assert applied(client, base, fields) == 'rois:(label:"car" AND count:[2 TO 5])'
    assert applied(client, base, {"f0.r0.label": "car", "f0.r0.most": "5"}) == (
        'rois:(label:"car" AND count:[1 TO 5])'
    )
    assert applied(client, base, {"f0.r0.mode": "exclude"}) == "NOT rois:(*)"


def test_a4_lucene_switch_keeps_what_the_rule_says(client: Client, base: str) -> None:
    sent = {"do": "switch:0.0", "f0.r0.label": "car", "f0.r0.low": "0.5", "f0.r0.as": "labels"}
    body = client.post(f"{base}/filter/", sent).content.decode()
    text = "label:&quot;car&quot; AND confidence:[0.5 TO *]"
    assert re.search(rf'name="f0.r0.lucene".*?>\s*{re.escape(text)}</textarea>', body, re.DOTALL)
    sent = {"do": "switch:0.0", "f0.r0.lucene": 'label:"car"', "f0.r0.as": "lucene"}
    body = client.post(f"{base}/filter/", sent).content.decode()
    assert 'name="f0.r0.label" value="car"' in body
    sent = {"do": "switch:0.0", "f0.r0.lucene": "car OR bus", "f0.r0.as": "lucene"}
    body = client.post(f"{base}/filter/", sent).content.decode()
    assert "It stays as it is." in body
    assert "car OR bus</textarea>" in body


def test_a4_confidence_is_off_while_any_label_will_do(client: Client, base: str) -> None:
    body = client.post(f"{base}/filter/", {"do": "add-rule:0"}).content.decode()
    assert re.search(r'name="f0.r0.low"[^>]* disabled>', body)
    assert 'placeholder="Any label"' in body
    sent = {"do": "take-label:0.0", "f0.r0.added": "car"}
    body = client.post(f"{base}/filter/", sent).content.decode()
    assert not re.search(r'name="f0.r0.low"[^>]* disabled>', body)


@pytest.mark.parametrize(
    ("do", "cards", "rules"),
    [
        ("add-filter", 3, 2),
        ("remove-filter:0", 1, 0),
        ("add-rule:1", 2, 3),
        ("remove-rule:0.1", 2, 1),
        ("drop-label:0.0.0", 2, 2),
        ("remove-rule:7.9", 2, 2),
        ("remove-rule", 2, 2),
        ("nonsense:x", 2, 2),
    ],
)
def test_a2_buttons_change_the_form_and_keep_what_was_typed(
    do: str, cards: int, rules: int, client: Client, base: str
) -> None:
    """Without JavaScript each is a form sent; with it the same answer replaces the form."""
    sent = {
        "do": do,
        "f0.r0.label": "car",
        "f0.r1.added": "bus",
        "f1.frame": "half typed (",
        "panel": "filter",
    }
    whole = client.post(f"{base}/filter/", sent)
    assert whole.status_code == 200
    part = client.post(f"{base}/filter/", sent, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    for body in (whole.content.decode(), part):
        assert body.count('<section class="filter-card">') == cards
        assert body.count('<fieldset class="filter-rule">') == rules
        assert "half typed (" in body
        assert '<input type="hidden" name="panel" value="filter">' in body


def test_a6_one_frame_rule_and_a7_one_source_rule_a_filter(client: Client, base: str) -> None:
    body = client.get(f"{base}/?panel=filter").content.decode()
    assert body.count('name="f0.frame"') == 1
    assert body.count('name="f0.source"') == 1
    assert applied(client, base, {"f0.source": "sources.uri:*picture*.jpg"}) == (
        "sources:(sources.uri:*picture*.jpg)"
    )


def test_a7_source_rule_by_uri_finds_frames(client: Client, base: str) -> None:
    found = client.get(f"{base}.json?group=none&q=sources:(uri:*picture.jpg AND width:640)").json()
    assert found["matched"] == 6
    assert client.get(f"{base}.json?q=sources:(uri:*other*)").json()["matched"] == 0


def test_a8_lucene_of_a_region_rule(client: Client, base: str) -> None:
    text = 'label.keyword:"car" AND NOT label.keyword:"person"'
    fields = {"f0.r0.as": "lucene", "f0.r0.lucene": text}
    found = applied(client, base, fields)
    assert found == f"rois:(({text}))"
    assert client.get(f"{base}.json", {"q": found}).json()["matched"] == 3


def test_a9_clear_all_leads_to_every_frame(client: Client, base: str) -> None:
    body = client.get(f"{base}/?panel=filter&label=car&q={CAR}&size=l").content.decode()
    link = re.search(r'href="([^"]+)">Clear all', body)
    assert link
    assert parse_qs(urlsplit(link[1].replace("&amp;", "&")).query) == {
        "panel": ["filter"],
        "size": ["l"],
    }
    assert applied(client, base, {"f0.frame": "", "f1.frame": ""}) == ""


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"f0.frame": "car AND ("}, "A closing parenthesis is missing"),
        ({"f0.source": "sources.colour:red"}, "There is no field sources.colour"),
        ({"f0.r0.as": "lucene", "f0.r0.lucene": "uri:x"}, "There is no field uri"),
        ({"f0.r0.label": "car", "f0.r0.low": "high"}, "from 0 to 1, not high"),
        ({"f0.r0.label": "car", "f0.r0.low": "0.9", "f0.r0.high": "0.1"}, "runs backwards"),
        ({"f0.r0.least": "many"}, "a whole number, not many"),
        ({"f0.r0.least": "5", "f0.r0.most": "2"}, "runs backwards"),
        ({"f0.r0.low": "0.5"}, "beside a label"),
        ({f"f{n}.frame": "id:" + "x" * 900 for n in range(12)}, "longer than 10,000 characters"),
    ],
)
def test_a10_what_cannot_be_meant_is_said_beside_it_and_kept(
    fields: dict[str, str], said: str, client: Client, base: str
) -> None:
    response = client.post(f"{base}/filter/", {"do": "apply", **fields})
    body = response.content.decode()
    assert response.status_code == 400
    assert said in body
    for value in fields.values():
        assert value in body


def test_count_follows_what_is_typed(client: Client, base: str) -> None:
    def counted(fields: dict[str, str]) -> str:
        body = client.post(f"{base}/filter/", {"do": "count", **fields}).content.decode()
        assert "<html" not in body
        return re.sub(r"<[^>]+>", "", body).strip()

    assert counted({"f0.r0.label": "car"}) == "3 of 6 frames"
    assert counted({"f0.r0.label": "car", "label": "person"}) == "1 of 6 frames"
    assert counted({}) == "6 of 6 frames"
    assert counted({"f0.frame": "car AND"}) == "A rule cannot be read yet."


def test_json_twin_says_the_text_and_the_count(client: Client, base: str) -> None:
    assert client.get(f"{base}/filter.json", {"q": "rois:(car)"}).json() == {
        "q": CAR,
        "total": 6,
        "matched": 3,
    }


def test_bad_text_of_the_address_stays_in_the_builder(client: Client, base: str) -> None:
    response = client.get(f"{base}/?panel=filter&q=car AND (")
    body = response.content.decode()
    assert response.status_code == 400
    assert re.search(
        r'name="f0.frame".*?aria-invalid="true".*?car AND \(</textarea>', body, re.DOTALL
    )


def test_hostile_text_is_only_text(client: Client, project: Project) -> None:
    version: Version = make_version(project, [make_frame("a", labels=[HOSTILE])])
    base = f"/datasets/{version.dataset.uid}/versions/{version.uid}"
    fields = {"f0.r0.label": HOSTILE, "f0.r0.added": HOSTILE, "x": HOSTILE, "do": "add-rule:0"}
    body = client.post(f"{base}/filter/", fields).content.decode()
    assert "<script>alert" not in body
    found = applied(client, base, {"f0.r0.label": HOSTILE})
    assert client.get(f"{base}.json", {"q": found}).json()["matched"] == 1


@pytest.mark.parametrize("change", ["add-rule:²", f"add-rule:{'9' * 5_000}", "drop-label:0.x.1"])
def test_a_button_of_no_form_changes_nothing(client: Client, base: str, change: str) -> None:
    response = client.post(f"{base}/filter/", {"do": change, "f0.frame": "meta.a:1"})
    assert response.status_code == 200
    assert "meta.a:1" in response.content.decode()


def test_very_many_cards_are_refused() -> None:
    given = QueryDict(mutable=True)
    for number in range(200):
        given[f"f{number}.frame"] = "x"
    form = FilterForm.sent(given)
    assert form.is_wrong
    assert len(form.cards) == 50


def test_a10_frame_of_a_filter_that_cannot_be_read_says_so_and_shows_the_frame(
    client: Client, base: str
) -> None:
    response = client.get(f"{base}/frames/a-0/?q=sources:(colour:red)")
    body = response.content.decode()
    assert response.status_code == 200
    assert "There is no field colour" in body
    assert f'href="{base}/?q=sources%3A%28colour%3Ared%29">Mend the filter' in body
    assert client.get(f"{base}/frames/a-0.json?q=((").status_code == 400


def test_frame_says_which_clause_and_which_region_matched(client: Client, base: str) -> None:
    address = f"{base}/frames/a-0/?q=rois:(car) AND NOT bus AND context_id:drive*"
    body = client.get(address).content.decode()
    assert body.count('<g class="shape') == 2
    assert len(re.findall(r'<g class="shape [^"]*hit" data-shape="0"', body)) == 1
    assert not re.search(r'hit" data-shape="1"', body)
    reasons = body.split('<ul class="reasons">')[1].split("</section>")[0]
    assert reasons.count('<span class="visually-hidden">matches</span>') == 3
    assert "<code>rois:(car)</code>" in reasons
    assert 'data-shape="0" tabindex="0"' in reasons
    why = client.get(address.replace("/?", ".json?")).json()["why"]
    assert [(each["text"], each["matched"], each["regions"]) for each in why] == [
        ("rois:(car)", True, [0]),
        ("NOT bus", True, []),
        ("context_id:drive*", True, []),
    ]


def test_frame_that_does_not_match_says_what_it_misses(client: Client, base: str) -> None:
    body = client.get(f"{base}/frames/a-1/?label=car").content.decode()
    assert '<span class="visually-hidden">does not match</span>' in body
    assert "Why" not in client.get(f"{base}/frames/a-1/").content.decode().split("<aside")[1]


def test_empty_result_says_what_there_would_be_without_each_rule(client: Client, base: str) -> None:
    body = client.get(f"{base}/?q=car AND bus&label=person&size=l").content.decode()
    links = re.findall(r'<a href="([^"]+)"><code>(.+?)</code> <span>(.+?)</span></a>', body)
    assert [(text.replace("&quot;", '"'), frames) for _, text, frames in links] == [
        ('label:"person"', "0 frames"),
        ("car", "0 frames"),
        ("bus", "1 frame"),
    ]
    left = links[2][0].replace("&amp;", "&")
    assert parse_qs(urlsplit(left).query) == {"q": ["car"], "label": ["person"], "size": ["l"]}
    assert client.get(left.replace("/?", ".json?")).json()["matched"] == 1


def test_builder_is_sent_only_by_who_may_see_the_version(
    browse: Callable[[User | None], Client], outsider: User, base: str
) -> None:
    sent = {"do": "count", "f0.frame": "car"}
    assert browse(outsider).post(f"{base}/filter/", sent).status_code == 404
    assert browse(None).post(f"{base}/filter/", sent)["Location"].startswith("/sign-in/")


def test_wrong_number_is_marked_for_who_does_not_see_it(client: Client, base: str) -> None:
    sent = {"do": "apply", "f0.r0.label": "car", "f0.r0.low": "7", "f0.r0.least": "1"}
    body = client.post(f"{base}/filter/", sent).content.decode()
    assert re.search(r'name="f0.r0.low" value="7"[^>]* aria-invalid="true"', body)
    assert not re.search(r'name="f0.r0.least"[^>]* aria-invalid="true"', body)
    assert 'id="f0-r0-problem" role="alert">The confidence is a number' in body


def as_sent(form: FilterForm) -> QueryDict:
    """Return what a browser sends of the form."""
    given = QueryDict(mutable=True)
    for c, card in enumerate(form.cards):
        given[f"f{c}.frame"] = card.frame_rule
        given[f"f{c}.source"] = card.source_rule
        for r, rule in enumerate(card.rules):
            name = f"f{c}.r{r}"
            given[f"{name}.mode"] = "exclude" if rule.excludes else "include"
            given[f"{name}.as"] = "lucene" if rule.is_lucene else "labels"
            if rule.labels:
                given.setlist(f"{name}.label", rule.labels)
            for field in ("low", "high", "least", "most", "lucene"):
                given[f"{name}.{field}"] = getattr(rule, field)
    return given


TEXTS = st.one_of(
    brute.filters().map(brute.text_of),
    st.lists(
        brute.filters("rois").map(lambda asked: f"rois:({brute.text_of(asked)})"), max_size=3
    ).map(" AND ".join),
    st.text('ab:()"*ORAND NOTrois[].0 1', max_size=30),
    st.sampled_from(["(*) OR (car)", "(*)", "((*)) OR (rois:(*))", "*"]),
)


@tries(200)
@given(TEXTS)
def test_a_filter_goes_through_the_form_unchanged(text: str) -> None:
    """What was not touched is sent as the same filter, and what cannot be read stays as typed."""
    builder = from_text(text)
    sent = FilterForm.sent(as_sent(FilterForm.of(text)))
    found = sent.text()
    if sent.is_wrong:
        assert [card.frame_rule for card in sent.cards] == [text.strip()]
    elif len(builder.filters) == 1:
        assert found == to_text(builder)
    else:
        every = FrameFilter(frame_rule="*")
        filters = tuple(every if each == FrameFilter() else each for each in builder.filters)
        assert found == to_text(Builder(filters))


BAD = {
    "100 kB": "car " * 25_000,
    "parentheses": "(" * 1_000 + "car" + ")" * 1_000,
    "star": "*",
    "stars": "label:" + "*a" * 4_000,
    "unknown field": "nothing.at.all:1",
    "backwards": "meta.speed:[20 TO 10]",
    "wide colon": "label\uff1acar",
    "wide quotes": "label:\u201ccar\u201d",
    "null": "car\x00",
    "invisible": "car\u200b",
    "half a group": "rois:(car AND count:[2 TO",
    "regex": "label:/(a+)+b/",
    "overflow": "meta.speed:1e999 OR meta.speed:" + "9" * 400,
    "backslashes": "\\" * 9_999,
    "not a date": "saved:[2026-99-99 TO *]",
}


@pytest.mark.parametrize("q", BAD.values(), ids=list(BAD))
def test_bad_filter_is_answered_or_refused_within_a_second_and_kept(
    q: str, client: Client, base: str
) -> None:
    start = time.process_time()
    pages = [
        client.get(f"{base}/", {"q": q, "panel": panel, "group": group})
        for panel, group in [("", "none"), ("filter", "url")]
    ]
    pages.append(client.get(f"{base}/filter/", {"q": q}))
    pages.append(
        client.post(f"{base}/filter/", {"do": "count", "f0.r0.lucene": q, "f0.r0.as": "lucene"})
    )
    assert time.process_time() - start < 4
    assert {page.status_code for page in pages} <= {200, 400}
    for page in pages[:3]:
        assert escape(q.strip()) in page.content.decode()
    assert client.get(f"{base}.json", {"q": q}).status_code in (200, 400)
