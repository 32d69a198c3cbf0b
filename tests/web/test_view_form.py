"""The form of a data view: its sections, its buttons without JavaScript, and what it refuses."""

from __future__ import annotations

import re
from collections import defaultdict
from html import unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from frames.actions import versions, views
from frames.models import DataView, Project
from frames.search.view_definition import Definition
from tests.factories import make_frame, make_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Version

    Browse = Callable[[User | None], Client]


@pytest.fixture
def filled(version: Version) -> dict[str, Any]:
    """What a person sends who fills in all of the form."""
    scope = f"{version.dataset.uid} {version.uid}"
    return {
        "project": version.dataset.project.uid,
        "name": "Cars and buses",
        "description": "Balanced",
        "version.dataset": version.dataset.uid,
        "version.version": version.uid,
        "filter.scope": ["* *", scope],
        "filter.weight": ["1", "2.5"],
        "filter.q": ["label:car", "label:bus"],
        "mapping.scope": "* *",
        "mapping.labels": 'car, "big, red bus"',
        "mapping.target": "vehicle",
        "numbers": "1 vehicle\n2 person\n",
        "order": "random",
        "repetition": "limit",
        "limit": "3",
        "seed": "42",
        "clip": "2",
        "do": "save",
    }


def text_of(response: Any) -> str:
    return unescape(response.content.decode())


class Fields(HTMLParser):
    """The values of a page's fields by their names, as a browser would send them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.values: defaultdict[str, list[str]] = defaultdict(list)
        self._text: list[str] | None = None
        self._select = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name, value = given.get("name") or "", given.get("value") or ""
        is_unticked = given.get("type") in ("radio", "checkbox") and "checked" not in given
        if tag == "input" and not is_unticked:
            self.values[name].append(value)
        elif tag == "select":
            self._select = name
            self.values[name].append("")
        elif tag == "option" and "selected" in given:
            self.values[self._select][-1] = value
        elif tag == "textarea":
            self._text = self.values[name]
            self._text.append("")

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text[-1] += data if self._text[-1] else data.removeprefix("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._text = None


def value_of(response: Any, name: str) -> list[str]:
    """Return the values of the fields of a name on a page, in their order."""
    return Fields(response.content.decode()).values[name]


def test_w5_w7_all_sections_are_saved(
    version: Version, filled: dict[str, Any], browse: Browse, editor: User
) -> None:
    response = browse(editor).post("/views/new/", filled)
    view = DataView.objects.get()
    assert response["Location"] == f"/views/{view.uid}/"
    assert (view.name, view.description, view.created_by) == ("Cars and buses", "Balanced", editor)
    scope = {"dataset": version.dataset.uid, "version": version.uid}
    assert view.definition == {
        "versions": [scope],
        "filters": [
            {"dataset": "*", "version": "*", "weight": 1.0, "q": "label:car"},
            {**scope, "weight": 2.5, "q": "label:bus"},
        ],
        "mapping": {
            "rules": [
                {
                    "source": {"dataset": "*", "version": "*", "labels": ["car", "big, red bus"]},
                    "target": "vehicle",
                }
            ]
        },
        "labels_enumeration": {"vehicle": 1, "person": 2},
        "iteration": {
            "order": "random",
            "infinite": False,
            "limit": 3,
            "random_seed": 42,
            "clip_length": 2,
        },
    }


def test_w7_the_form_has_its_sections(version: Version, browse: Browse, editor: User) -> None:
    page = browse(editor).get("/views/new/")
    text = text_of(page)
    legends = ["General", "Input", "Filtering", "Mapping", "Labels enumeration", "Iteration"]
    places = [text.index(f"<legend>{legend}</legend>") for legend in legends]
    assert places == sorted(places)


def test_w7_a_view_is_edited_as_it_was_saved(
    filled: dict[str, Any], browse: Browse, editor: User
) -> None:
    client = browse(editor)
    client.post("/views/new/", filled)
    view = DataView.objects.get()
    fields = Fields(client.get(f"/views/{view.uid}/edit/").content.decode()).values
    assert fields["order"] == ["random"]
    client.post(f"/views/{view.uid}/edit/", {**fields, "do": "save"})
    saved = DataView.objects.get()
    assert saved.definition == view.definition
    assert saved.saved_at != view.saved_at


def test_w7_rows_are_added_and_removed_by_sending_the_form(
    version: Version, filled: dict[str, Any], browse: Browse, editor: User
) -> None:
    client = browse(editor)
    other = make_version(version.dataset.project, [make_frame("o")])

    def press(do: str, **more: str) -> Any:
        response = client.post("/views/new/", {**filled, **more, "do": do})
        assert response.status_code == 200
        return response

    page = press("add-version", add_dataset=other.dataset.uid)
    assert value_of(page, "version.version") == [version.uid, other.uid]
    assert value_of(press("remove-version 0"), "version.version") == []
    assert value_of(press("add-filter"), "filter.q") == ["label:car", "label:bus", ""]
    assert value_of(press("remove-filter 0"), "filter.q") == ["label:bus"]
    assert len(value_of(press("add-mapping"), "mapping.target")) == 2
    assert value_of(press("remove-mapping 0"), "mapping.target") == []
    assert value_of(press("add-filter"), "name") == ["Cars and buses"]
    assert not DataView.objects.exists()


def test_w7_a_scope_that_left_the_input_is_not_changed_in_silence(
    version: Version, filled: dict[str, Any], browse: Browse, editor: User
) -> None:
    client = browse(editor)
    page = client.post("/views/new/", {**filled, "do": "remove-version 0"})
    scope = f"{version.dataset.uid} {version.uid}"
    assert value_of(page, "filter.scope") == ["* *", scope]
    other = make_version(version.dataset.project, [make_frame("o")])
    moved = {"version.dataset": other.dataset.uid, "version.version": other.uid}
    refused = client.post("/views/new/", {**filled, **moved})
    assert refused.status_code == 400
    assert "not in the input any more" in text_of(refused)


def test_w7_all_versions_of_a_dataset_can_be_the_input(
    filled: dict[str, Any], browse: Browse, editor: User
) -> None:
    scope = filled["filter.scope"][1].split()[0]
    sent = {**filled, "version.version": "*", "filter.scope": ["* *", f"{scope} *"]}
    browse(editor).post("/views/new/", sent)
    assert DataView.objects.get().definition["versions"][0]["version"] == "*"


def test_w7_a_rule_is_written_into_the_filter(
    filled: dict[str, Any], browse: Browse, editor: User
) -> None:
    blank = ["", ""]
    rule = {
        "rule.labels": ["", "car, occluded"],
        "rule.confidence_low": ["", "0.8"],
        "rule.confidence_high": ["", "1"],
        "rule.count_low": ["", "2"],
        "rule.count_high": blank,
        "rule.frame": ["", "meta.light:dusk"],
        "rule.source": ["", "sources.width:640"],
    }
    client = browse(editor)
    page = client.post("/views/new/", {**filled, **rule, "do": "add-rule 1"})
    q = value_of(page, "filter.q")
    assert q[0] == "label:car"
    assert q[1] == (
        'label:bus AND rois:(label:"car" AND label:"occluded" AND confidence:[0.8 TO 1] '
        "AND count:[2 TO *]) AND meta.light:dusk AND sources.width:640"
    )
    assert value_of(page, "rule.labels") == ["", ""]
    excluded = client.post(
        "/views/new/", {**filled, **rule, "rule.exclude.1": "on", "do": "add-rule 1"}
    )
    assert 'label:bus AND NOT rois:(label:"car"' in value_of((excluded), "filter.q")[1]


def test_w7_a_rule_that_was_typed_and_not_added_is_saved(
    filled: dict[str, Any], browse: Browse, editor: User
) -> None:
    names = ("labels", "confidence_low", "confidence_high", "count_low", "count_high")
    rule = {f"rule.{name}": ["", ""] for name in (*names, "frame", "source")}
    rule["rule.labels"] = ["occluded", ""]
    browse(editor).post("/views/new/", {**filled, **rule})
    filters = DataView.objects.get().definition["filters"]
    assert filters[0]["q"] == 'label:car AND rois:(label:"occluded")'


def test_w7_a_rule_that_cannot_be_read_keeps_what_was_typed(
    filled: dict[str, Any], browse: Browse, editor: User
) -> None:
    rule = {f"rule.{name}": ["", ""] for name in ("labels", "frame", "source")}
    rule |= {
        f"rule.{kind}_{end}": ["", ""]
        for kind in ("confidence", "count")
        for end in ("low", "high")
    }
    rule["rule.frame"] = ["meta.light:(", ""]
    response = browse(editor).post("/views/new/", {**filled, **rule, "do": "add-rule 0"})
    page = response
    assert response.status_code == 400
    assert value_of(page, "rule.frame")[0] == "meta.light:("
    assert value_of(page, "filter.q")[0] == "label:car"


def test_w7_counts_show_before_saving(filled: dict[str, Any], browse: Browse, editor: User) -> None:
    page = browse(editor).post("/views/new/", {**filled, "do": "check"})
    assert "4 frames as it stands" in text_of(page)
    assert "3 frames</span>" in text_of(page)
    assert not DataView.objects.exists()


def test_w7_labels_of_the_input_are_numbered_behind_those_there_are(
    filled: dict[str, Any], browse: Browse, editor: User
) -> None:
    sent = {**filled, "mapping.labels": "car", "do": "number-labels"}
    page = browse(editor).post("/views/new/", sent)
    assert value_of(page, "numbers")[0].split("\n") == ["1 vehicle", "2 person", "3 bus"]


@pytest.mark.parametrize(
    ("changed", "field", "said"),
    [
        ({"numbers": "1 car\n1 bus"}, "numbers", "Line 2: 1 is the number of car already."),
        ({"numbers": "1 car\n2 car"}, "numbers", "Line 2: car has a number already."),
        ({"numbers": "car 1"}, "numbers", "Line 1: a whole number, then a label"),
        ({"numbers": "1.5 car"}, "numbers", "Line 1: a whole number, then a label"),
        ({"limit": ""}, "limit", "Limit Frames needs a number"),
        ({"limit": "many"}, "limit", "Limit Frames needs a number"),
        ({"limit": "0"}, "limit", "Limit Frames needs a number"),
        ({"clip": "0"}, "clip", "A clip has a whole number of frames"),
        ({"repetition": "infinite"}, "clip", "Clips are for a random order that ends"),
        ({"seed": "x"}, "seed", "A random seed is a whole number."),
        ({"filter.weight": ["0", "1"]}, "filter.weight", "A ratio is a number over 0"),
        ({"filter.weight": ["1", "-2"]}, "filter.weight", "A ratio is a number over 0"),
        ({"filter.weight": ["1", ""]}, "filter.weight", "A ratio is a number over 0"),
        ({"filter.q": ["label:(", ""]}, "filter.q", "The query cannot be read"),
        ({"mapping.labels": " , "}, "mapping.labels", "Name the labels to map from."),
        ({"mapping.target": ""}, "mapping.target", "Name the label to map to."),
        ({"name": ""}, "name", "Give the view a name."),
    ],
)
def test_w8_what_cannot_be_meant_is_said_and_kept(
    filled: dict[str, Any],
    browse: Browse,
    editor: User,
    changed: dict[str, Any],
    field: str,
    said: str,
) -> None:
    response = browse(editor).post("/views/new/", {**filled, **changed})
    page = response
    assert response.status_code == 400
    assert said in text_of(page)
    wanted = changed.get(field, filled.get(field))
    assert value_of(page, field) == (wanted if isinstance(wanted, list) else [wanted])
    assert value_of(page, "description") == ["Balanced"]
    assert not DataView.objects.exists()


def test_w8_all_that_is_wrong_is_said_at_once(
    filled: dict[str, Any], browse: Browse, editor: User
) -> None:
    sent = {**filled, "name": " ", "limit": "x", "mapping.target": ""}
    page = text_of(browse(editor).post("/views/new/", sent))
    for said in ("Give the view a name.", "Limit Frames needs a number", "the label to map to"):
        assert said in page


def test_w8_a_view_without_input_is_refused(
    filled: dict[str, Any], browse: Browse, editor: User
) -> None:
    sent = {k: v for k, v in filled.items() if not k.startswith("version.")}
    response = browse(editor).post("/views/new/", {**sent, "filter.scope": ["* *", "* *"]})
    assert response.status_code == 400
    assert "Choose a dataset or a version for the input." in text_of(response)


@pytest.mark.parametrize("junk", ["do=save", "do=remove-filter+x", "filter.q=a&do=add-rule+9"])
def test_forms_that_no_page_sends_are_answered(browse: Browse, editor: User, junk: str) -> None:
    response = browse(editor).post(
        "/views/new/", junk, content_type="application/x-www-form-urlencoded"
    )
    assert response.status_code in (200, 400)


@pytest.mark.parametrize(
    ("field", "do"),
    [
        ("project", "save"),
        ("name", "save"),
        ("version.dataset", "save"),
        ("version.version", "check"),
        ("filter.scope", "save"),
        ("filter.q", "save"),
        ("mapping.target", "save"),
        ("numbers", "save"),
        ("add_dataset", "add-version"),
    ],
)
def test_null_characters_are_no_error_of_the_site(
    filled: dict[str, Any], browse: Browse, editor: User, field: str, do: str
) -> None:
    client = browse(editor)
    sent = {**filled, field: ["\x00", "\x00a"] if field.startswith("filter") else "\x00", "do": do}
    assert client.post("/views/new/", sent).status_code in (200, 302, 400, 404)
    assert client.get("/views/new/?version=%00&q=%00&label=%00&project=%00").status_code == 200
    for act in ({"one": "archive \x00"}, {"action": "archive", "view": "\x00"}):
        assert client.post("/views/act/", act).status_code in (302, 404)


def test_the_frame_browser_s_filter_begins_a_view(
    version: Version, base: str, browse: Browse, editor: User
) -> None:
    client = browse(editor)
    page = client.get(f"{base}/?q=label:bus+OR+person&label=car")
    link = re.search(r'href="(/views/new/[^"]*)"', text_of(page))
    assert link is not None
    form = client.get(link.group(1))
    assert value_of(form, "version.version") == [version.uid]
    assert value_of(form, "filter.q") == ['(label:bus OR person) AND label:"car"']
    assert "1 frame as it stands" in text_of(form)


def test_a_version_one_may_not_see_begins_nothing(browse: Browse, editor: User) -> None:
    hidden = make_version(frames=[make_frame("h")])
    page = browse(editor).get(f"/views/new/?version={hidden.uid}")
    assert hidden.dataset.name not in text_of(page)
    assert value_of(page, "version.version") == []


def test_a_hidden_version_cannot_be_sent(
    filled: dict[str, Any], browse: Browse, editor: User
) -> None:
    hidden = make_version(frames=[make_frame("h")])
    sent = {
        **filled,
        "version.dataset": hidden.dataset.uid,
        "version.version": hidden.uid,
        "filter.scope": ["* *", "* *"],
    }
    response = browse(editor).post("/views/new/", sent)
    assert response.status_code == 400
    assert "not there, or not visible to you" in text_of(response)
    assert hidden.dataset.name not in text_of(response)


def test_a_view_is_made_only_where_one_may(
    filled: dict[str, Any], browse: Browse, editor: User, viewer: User
) -> None:
    assert browse(viewer).post("/views/new/", filled).status_code == 403
    other = Project.objects.create(name="Elsewhere")
    sent = {**filled, "project": other.uid}
    assert browse(editor).post("/views/new/", sent).status_code == 404


def test_a_published_view_is_not_edited(version: Version, browse: Browse, editor: User) -> None:
    scope = {"dataset": version.dataset.uid, "version": version.uid}
    view = views.save_view(
        project=version.dataset.project,
        name="Cars",
        definition=Definition.from_json({"versions": [scope], "filters": [{}]}),
        actor=None,
    )
    views.publish_view(view, actor=None)
    client = browse(editor)
    for response in (
        client.get(f"/views/{view.uid}/edit/"),
        client.post(f"/views/{view.uid}/edit/", {"do": "save", "name": "Other"}),
    ):
        assert response["Location"] == f"/views/{view.uid}/"
    assert DataView.objects.get().name == "Cars"


def test_editing_leaves_out_what_is_not_there_and_says_so(
    version: Version, browse: Browse, editor: User
) -> None:
    hidden = make_version(frames=[make_frame("h", labels=["spy"])])
    scopes = [{"dataset": v.dataset.uid, "version": v.uid} for v in (version, hidden)]
    view = views.save_view(
        project=version.dataset.project,
        name="Cars",
        definition=Definition.from_json(
            {"versions": scopes, "filters": [{"q": "car"}, {**scopes[1], "q": "label:spy"}]}
        ),
        actor=None,
    )
    page = browse(editor).get(f"/views/{view.uid}/edit/")
    assert "1 version, 1 filter, 0 mapping rules, 0 numbers" in text_of(page)
    assert "spy" not in text_of(page)
    assert value_of(page, "filter.q") == ["car"]


def test_numbers_of_labels_that_are_not_visible_are_left_out(
    version: Version, browse: Browse, editor: User
) -> None:
    """What is seen keeps its numbers: labels of frames, and those that visible rules map to."""
    hidden = make_version(frames=[make_frame("h", labels=["spy"])])
    scopes = [{"dataset": v.dataset.uid, "version": v.uid} for v in (version, hidden)]
    rule = {"source": {**scopes[0], "labels": ["no", "such"]}, "target": "vehicle"}
    secret = {"source": {**scopes[1], "labels": ["spy"]}, "target": "agent"}
    view = views.save_view(
        project=version.dataset.project,
        name="Cars",
        definition=Definition.from_json(
            {
                "versions": scopes,
                "filters": [{}],
                "mapping": {"rules": [rule, secret]},
                "labels_enumeration": {"car": 4, "spy": 7, "vehicle": 1, "agent": 9},
            }
        ),
        actor=None,
    )
    page = browse(editor).get(f"/views/{view.uid}/edit/")
    text = text_of(page)
    assert "1 mapping rule, 2 numbers. Saving leaves them out." in text
    assert "1 vehicle\n4 car" in text
    assert "spy" not in text
    assert "agent" not in text


def test_saving_over_somebody_else_is_refused(
    version: Version, filled: dict[str, Any], browse: Browse, editor: User
) -> None:
    client = browse(editor)
    client.post("/views/new/", filled)
    view = DataView.objects.get()
    seen = value_of((client.get(f"/views/{view.uid}/edit/")), "saved")[0]
    client.post(f"/views/{view.uid}/edit/", {**filled, "saved": seen})
    response = client.post(f"/views/{view.uid}/edit/", {**filled, "name": "Mine", "saved": seen})
    assert response.status_code == 400
    assert "since you opened it" in text_of(response)
    assert value_of((response), "name") == ["Mine"]


def test_the_newest_published_version_is_offered_first(
    version: Version, browse: Browse, editor: User
) -> None:
    versions.publish(version, actor=None, name="v1", reason="unchecked")
    versions.create_version(dataset=version.dataset, name="next", parents=[version], actor=None)
    sent = {"do": "add-version", "add_dataset": version.dataset.uid}
    page = browse(editor).post("/views/new/", sent)
    assert value_of(page, "version.version") == [version.uid]
