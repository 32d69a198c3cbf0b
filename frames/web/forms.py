"""A page with a form: its fields as they were filled in, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django.shortcuts import redirect, render

from frames.actions.fields import NAME_MAX_CHARS, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from django.http import HttpResponse, QueryDict

    from frames.models import Dataset, Version
    from frames.web.http import SignedInRequest


@dataclass(frozen=True, slots=True)
class Field:
    """One field; `kind` is text, area, code, check or select, and a tick's value is on or empty."""

    name: str
    label: str
    value: str = ""
    kind: str = "text"
    hint: str = ""
    max_length: int = 0
    is_required: bool = False
    rows: int = 3
    choices: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class FormPage:
    """A form with its heading, what it says before its fields, and its button.

    `dataset`, with its project, and `version` are the path that leads to it.
    """

    title: str
    submit: str
    back_url: str
    fields: Sequence[Field] = ()
    lead: Sequence[str] = ()
    problem: str = ""
    dataset: Dataset | None = None
    version: Version | None = None
    is_deletion: bool = False

    @property
    def values(self) -> dict[str, str]:
        """Each field's value by its name."""
        return {field.name: field.value for field in self.fields}

    def filled(self, given: QueryDict) -> FormPage:
        """Return the form with what a person has sent."""
        fields = [replace(field, value=given.get(field.name, "")) for field in self.fields]
        return replace(self, fields=fields)


def name_field(value: str = "", *, name: str = "name", label: str = "Name") -> Field:
    """Return the field of a name that must be given."""
    return Field(name, label, value, max_length=NAME_MAX_CHARS, is_required=True)


def answer_form(
    request: SignedInRequest,
    form: FormPage,
    act: Callable[[Mapping[str, str]], str],
    template: str = "form.html",
) -> HttpResponse:
    """Show the form, or do what it asks and go to the address that `act` returns.

    What is refused shows the form again, filled as it was sent, with status 400.
    """
    if request.method != "POST":
        return render(request, template, {"page": form})
    form = form.filled(request.POST)
    try:
        return redirect(act(form.values))
    except Refused as error:
        return render(request, template, {"page": replace(form, problem=str(error))}, status=400)
