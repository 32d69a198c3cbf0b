"""Names: which are one and the same, and which are none."""

from __future__ import annotations

import doctest
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frames.actions import versions
from frames.actions.datasets import create_dataset
from frames.actions.fields import Refused, clean_name
from frames.models import Version, base
from frames.models.base import name_key
from tests.factories import make_version

if TYPE_CHECKING:
    from frames.models import Project

CYRILLIC_ES = "\N{CYRILLIC SMALL LETTER ES}"
CYRILLIC_ER = "\N{CYRILLIC SMALL LETTER ER}"


def test_examples_of_the_documentation() -> None:
    assert doctest.testmod(base).failed == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Current", "CURRENT"),
        ("Current", f"{CYRILLIC_ES}urrent"),
        ("Current", f"{CYRILLIC_ES.upper()}urrent"),
        ("paper", f"{CYRILLIC_ER}a{CYRILLIC_ER}er"),
        ("v1", "\N{FULLWIDTH LATIN SMALL LETTER V}1"),
        ("file", "\N{LATIN SMALL LIGATURE FI}le"),
        ("\N{LATIN SMALL LETTER E WITH ACUTE}te", "e\N{COMBINING ACUTE ACCENT}te"),
        ("Stra\N{LATIN SMALL LETTER SHARP S}e", "STRASSE"),
    ],
)
def test_names_that_look_the_same_are_one(project: Project, one: str, other: str) -> None:
    dataset = create_dataset(project=project, name="Names", actor=None)
    versions.delete_version(dataset.versions.get(), actor=None)
    versions.create_version(dataset=dataset, name=one, actor=None)
    with pytest.raises(Refused, match="already"):
        versions.create_version(dataset=dataset, name=other, actor=None)
    create_dataset(project=project, name=one, actor=None)
    with pytest.raises(Refused, match="already"):
        create_dataset(project=project, name=other, actor=None)


@pytest.mark.parametrize(
    ("one", "other"),
    [("v1", "vl"), ("modern", "modem"), ("v0", "vO "), ("re-1", "re_1"), ("a b", "ab")],
)
def test_names_in_one_alphabet_are_compared_letter_by_letter(one: str, other: str) -> None:
    assert name_key(one) != name_key(other)


@given(st.text(max_size=40))
def test_a_key_is_its_own_key(name: str) -> None:
    """So what looks like a name looks like all that look like it."""
    key = name_key(name)
    assert name_key(key) == key


def test_a_refused_look_alike_is_shown_what_is_there(db: None) -> None:
    version = make_version()
    with pytest.raises(Refused, match=r"a version named Current already, which looks the same"):
        versions.create_version(dataset=version.dataset, name="current", actor=None)


def test_a_version_keeps_its_name_in_another_case(db: None) -> None:
    version = make_version()
    assert versions.update_version(version, actor=None, name="CURRENT").name == "CURRENT"


def test_a_name_is_kept_as_it_was_typed(db: None) -> None:
    """Composed, so that it is found however it is typed."""
    version = make_version()
    made = versions.create_version(
        dataset=version.dataset, name="e\N{COMBINING ACUTE ACCENT}te\N{SUPERSCRIPT TWO}", actor=None
    )
    assert made.name == "\N{LATIN SMALL LETTER E WITH ACUTE}te\N{SUPERSCRIPT TWO}"
    assert (
        Version.objects.get(name_key=name_key("\N{LATIN CAPITAL LETTER E WITH ACUTE}TE2")) == made
    )


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "\n", "a\nb", "a\x00b", "x" * 256, "x" * 10_000, "x" * 10_000_000),
        # What turns the order of the letters around, and what cannot be seen.
        *("a\N{RIGHT-TO-LEFT OVERRIDE}b", "a\N{ZERO WIDTH SPACE}b", "\N{ZERO WIDTH JOINER}"),
        # One character of it is 18 in its key.
        "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 100,
        "\ud800",
    ],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(Refused):
        clean_name(name, "version")


def test_the_longest_name_is_a_name() -> None:
    assert clean_name(" " + "x" * 255 + " ", "version") == "x" * 255
