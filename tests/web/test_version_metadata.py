"""A version's metadata: shown, changed in drafts, and refused where it cannot be kept."""

from __future__ import annotations

import json
from html import unescape
from typing import TYPE_CHECKING

import pytest

from frames.actions import versions
from frames.actions.fields import METADATA_MAX_BYTES
from tests.web.support import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

    from frames.models import Version

    Browse = Callable[[User | None], Client]

LEGEND = {
    "mask_labels": {
        "_all_": [
            {"value": [128, 64, 128], "labels": ["road"], "note": "kept"},
            {"value": 7, "labels": ["void", "other"]},
        ]
    },
    "licence": "CC0",
}


def test_i1_metadata_is_shown_with_its_mask_legend(
    version: Version, base: str, browse: Browse, viewer: User
) -> None:
    version.metadata = LEGEND
    version.save()
    body = unescape(browse(viewer).get(f"{base}/metadata/").content.decode())
    assert '"licence": "CC0"' in body
    assert 'fill="rgb(128, 64, 128)"' in body
    assert "void, other" in body
    assert f"{base}/metadata/edit/" not in body  # a viewer cannot
    page = browse(viewer).get(f"{base}/metadata.json").json()
    assert page["metadata"] == LEGEND


def test_i1_metadata_is_edited_as_json(
    version: Version, base: str, browse: Browse, editor: User
) -> None:
    """What was not touched, unknown keys among it, is as it was."""
    version.metadata = LEGEND
    version.save()
    client = browse(editor)
    assert f"{base}/metadata/edit/" in client.get(f"{base}/metadata/").content.decode()
    form = client.get(f"{base}/metadata/edit/").content.decode()
    text = unescape(form.split("<textarea")[1].split(">", 1)[1].split("</textarea>")[0])
    assert json.loads(text) == LEGEND
    response = client.post(f"{base}/metadata/edit/", {"metadata": text.replace("CC0", "CC BY")})
    assert response["Location"] == f"{base}/metadata/"
    version.refresh_from_db()
    assert version.metadata == {**LEGEND, "licence": "CC BY"}


def test_i1_empty_text_is_the_empty_object(
    version: Version, base: str, browse: Browse, editor: User
) -> None:
    version.metadata = LEGEND
    version.save()
    browse(editor).post(f"{base}/metadata/edit/", {"metadata": "  "})
    version.refresh_from_db()
    assert version.metadata == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n  "a": 1,\n  "b" 2\n}', "Line 3, column 7: expecting ':' delimiter."),
        ("{", "Line 1, column 2:"),
        ('{"a": 1} more', "Line 1, column 10: extra data."),
        ("[1, 2]", "Metadata is a JSON object, in braces."),
        ('"text"', "Metadata is a JSON object, in braces."),
        ("null", "Metadata is a JSON object, in braces."),
        ('{"a": NaN}', "NaN and infinite numbers are not JSON."),
        ('{"a": 1e999}', "NaN and infinite numbers are not JSON."),
        ('{"a": 1, "a": 2}', 'An object has the key "a" twice.'),
        ('{"a": "\\u0000"}', "null character"),
        ('{"\\ud800": 1}', "half of a character"),
        ('{"a": ' + "9" * 5_000 + "}", "A number has too many digits."),
        ('{"a": ' + "[" * 70 + "]" * 70 + "}", "nested more than 64 levels deep"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested more than 64 levels deep"),
        ('{"a": "' + "x" * METADATA_MAX_BYTES + '"}', "it can have 262,144"),
        ('{"mask_labels": []}', "mask_labels is an object"),
        ('{"mask_labels": {"_all_": {}}}', "mask_labels._all_ is a list."),
        ('{"mask_labels": {"_all_": [1]}}', "mask_labels._all_[0] is an object"),
        (
            '{"mask_labels": {"_all_": [{"value": [0, 0, 256], "labels": []}]}}',
            "mask_labels._all_[0].value is",
        ),
        (
            '{"mask_labels": {"_all_": [{"value": true, "labels": []}]}}',
            "mask_labels._all_[0].value is",
        ),
        (
            '{"mask_labels": {"_all_": [{"value": 1, "labels": "road"}]}}',
            "mask_labels._all_[0].labels is a list of texts.",
        ),
    ],
)
def test_i1_bad_metadata_says_where_and_keeps_what_was_typed(
    version: Version, base: str, browse: Browse, editor: User, text: str, said: str
) -> None:
    response = browse(editor).post(f"{base}/metadata/edit/", {"metadata": text})
    body = unescape(response.content.decode())
    assert response.status_code == 400
    assert said in body
    assert text in body
    version.refresh_from_db()
    assert version.metadata == {}


def test_i1_published_metadata_cannot_change(
    version: Version, base: str, browse: Browse, editor: User
) -> None:
    versions.publish(version, actor=None, reason="unchecked")
    client = browse(editor)
    page = client.get(f"{base}/metadata/").content.decode()
    assert f"{base}/metadata/edit/" not in page
    assert "Published metadata cannot change." in page
    led = client.get(f"{base}/metadata/edit/", follow=True).content.decode()
    assert "Current is published: its metadata cannot change." in led
    response = client.post(f"{base}/metadata/edit/", {"metadata": '{"a": 1}'})
    assert response.status_code == 400
    assert "is published: its metadata cannot change" in response.content.decode()
    version.refresh_from_db()
    assert version.metadata == {}


def test_i1_a_viewer_changes_nothing(
    version: Version, base: str, browse: Browse, viewer: User
) -> None:
    response = browse(viewer).post(f"{base}/metadata/edit/", {"metadata": '{"a": 1}'})
    assert response.status_code == 403
    version.refresh_from_db()
    assert version.metadata == {}


def test_i1_metadata_is_escaped(version: Version, base: str, browse: Browse, editor: User) -> None:
    versions.update_version(
        version,
        actor=None,
        metadata={HOSTILE: HOSTILE, "mask_labels": {"_all_": [{"value": 1, "labels": [HOSTILE]}]}},
    )
    for page in ("metadata", "metadata/edit"):
        assert "<script>alert" not in browse(editor).get(f"{base}/{page}/").content.decode()


def test_i1_a_legend_of_another_shape_from_elsewhere_is_still_shown(
    version: Version, base: str, browse: Browse, viewer: User
) -> None:
    """An import takes metadata as it is."""
    for legend in ([1], {"_all_": 3}, {"_all_": [3, {"value": [1, "<b>", None]}, {}]}):
        version.metadata = {"mask_labels": legend}
        version.save()
        assert browse(viewer).get(f"{base}/metadata/").status_code == 200
