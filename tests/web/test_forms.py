"""Every form of a dataset and a version, given what no person types."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from frames.models import Dataset, Version
from tests.web.support import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import User
    from django.test import Client

FORMS = {
    "edit/": ("name", "description", "tags"),
    "metadata/": ("metadata",),
    "delete/": ("name",),
    "versions/new/": ("name", "description"),
    "versions/{uid}/edit/": ("name", "description", "tags"),
    "versions/{uid}/branch/": ("name", "description"),
    "versions/{uid}/metadata/edit/": ("metadata",),
    "versions/{uid}/publish/": ("name", "copy_name", "copy_description", "reason"),
}
BAD = (
    *("", " ", "\x00", "a\x00b", "\n", "\ud800", "\N{RIGHT-TO-LEFT OVERRIDE}abc", HOSTILE),
    *("x" * 10_000, "[" * 10_000, "," * 10_000, "\N{ZERO WIDTH SPACE}", "\U0010ffff"),
)


@pytest.mark.parametrize("page", FORMS)
def test_a_form_takes_it_or_says_what_is_wrong(
    version: Version, browse: Callable[[User | None], Client], admin: User, page: str
) -> None:
    client = browse(admin)
    address = f"/datasets/{version.dataset.uid}/{page.format(uid=version.uid)}"
    assert client.get(address).status_code == 200
    for text in BAD:
        sent = dict.fromkeys(FORMS[page], text.encode("utf-8", "surrogatepass").decode("latin-1"))
        for given in (sent, dict.fromkeys(FORMS[page], text.replace("\ud800", ""))):
            response = client.post(address, given)
            assert response.status_code in (302, 400), (text, response.status_code)
            if response.status_code == 400:
                body = response.content.decode()
                assert 'role="alert"' in body
                assert "<script>alert" not in body
    assert client.post(address, {}).status_code in (302, 400)
    assert Dataset.objects.live().exists()
    assert all(v.name.isprintable() and v.name.strip() for v in Version.objects.all())
