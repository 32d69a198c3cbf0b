"""The terminal's two words about the index: prove it, and make it again."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from frames.models import Posting
from tests.factories import make_frame, make_version

pytestmark = pytest.mark.django_db


def said(command: str, *datasets: str) -> str:
    out = io.StringIO()
    call_command(command, *datasets, stdout=out, stderr=out)
    return out.getvalue()


def test_a_damaged_index_is_found_and_mended() -> None:
    version = make_version(frames=[make_frame("a", labels=["car"]), make_frame("b")])
    assert "1 dataset: the index equals the rows" in said("check_index")
    Posting.objects.all().delete()
    with pytest.raises(CommandError, match=r"run manage\.py reindex"):
        said("check_index", version.dataset.uid)
    assert "2 frame revisions indexed" in said("reindex", version.dataset.uid)
    assert "the index equals the rows" in said("check_index", version.dataset.uid)


@pytest.mark.parametrize("command", ["check_index", "reindex"])
def test_a_dataset_that_is_not_there_is_an_error(command: str) -> None:
    with pytest.raises(CommandError, match="no such dataset: nowhere"):
        said(command, "nowhere")
