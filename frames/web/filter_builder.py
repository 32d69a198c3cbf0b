"""The filter builder: a form that writes the version page's query text, and reads it back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from django.shortcuts import redirect, render
from django.urls import reverse

from frames.search import pages
from frames.search.errors import QueryError
from frames.search.query import FrameQuery
from frames.web import access
from frames.web.addresses import version_address
from frames.web.filter_form import FIELD, FilterForm
from frames.web.http import respond
from frames.web.text import count, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpResponse, QueryDict

    from frames.models import Version
    from frames.web.http import SignedInRequest

LABELS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class FilterBuilder:
    """The form with what stands around it: the rest of the page's state, and labels to choose.

    `matched` is the number of frames that match, None where that is not known.
    """

    version: Version
    form: FilterForm
    kept: dict[str, str]
    total: int
    matched: int | None

    @property
    def url(self) -> str:
        """Where the form is sent to."""
        return reverse("frames:filter_builder", args=[self.version.dataset.uid, self.version.uid])

    @property
    def clear_url(self) -> str:
        """The version's page without a filter."""
        return version_address(self.version, {k: v for k, v in self.kept.items() if k != "label"})

    @property
    def labels(self) -> list[str]:
        """The most frequent labels. Queries: 0, or those of the label list."""
        return [row.label for row in pages.label_counts(self.version)[:LABELS_MAX]]

    @property
    def found(self) -> str:
        """How many frames match."""
        if self.matched is None:
            return ""
        return f"{count(self.matched)} of {plural(self.total, 'frame')}"

    @property
    def builder(self) -> FilterBuilder:
        """Itself: as a page of its own it is shown by the same template."""
        return self

    def as_json(self) -> dict[str, Any]:
        """Return the filter as text, with the number of matches."""
        return {"q": self.form.text(), "total": self.total, "matched": self.matched}


def builder_of(version: Version, text: str, kept: Mapping[str, str], matched: int) -> FilterBuilder:
    """Return the builder of a query text."""
    state = {name: value for name, value in kept.items() if name not in ("q", "after")}
    return FilterBuilder(version, FilterForm.of(text), state, version.frame_count, matched)


def filter_builder(
    request: SignedInRequest, dataset_uid: str, version_uid: str, *, as_json: bool = False
) -> HttpResponse:
    """Show the builder of the address's filter; sent, change it, count with it, or go to its page.

    A change of the form itself (another rule, another card) shows it again, not yet applied.
    """
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    if request.method != "POST":
        kept = _kept(request.GET)
        builder = FilterBuilder(
            version, FilterForm.of(request.GET.get("q", "")), kept, version.frame_count, None
        )
        return respond(request, _counted(builder), "version/filter.html", as_json=as_json)
    return _sent(request, version)


def _sent(request: SignedInRequest, version: Version) -> HttpResponse:
    given = request.POST
    change = given.get("do", "apply")
    kept = _kept(given)
    form = FilterForm.sent(given)
    builder = FilterBuilder(version, form, kept, version.frame_count, None)
    if change == "count":
        return render(request, "version/filter_count.html", {"builder": _counted(builder)})
    if change == "apply":
        text = form.text()
        if not form.is_wrong:
            return redirect(version_address(version, {**kept, **({"q": text} if text else {})}))
    else:
        form.change(change)
        builder = _counted(builder)
    template = "version/panel_filter.html" if request.htmx else "version/filter.html"
    status = 400 if change == "apply" and not request.htmx else 200
    return render(request, template, {"page": builder}, status=status)


def _kept(given: QueryDict) -> dict[str, str]:
    """Return the rest of the page's state: what is not the form's own."""
    own = ("csrfmiddlewaretoken", "do", "q", "after")
    return {
        name: str(value)
        for name, value in given.items()
        if name not in own and not FIELD.fullmatch(name)
    }


def _counted(builder: FilterBuilder) -> FilterBuilder:
    """Return the builder with the number of frames that match, where it can be told."""
    text = builder.form.text()
    if builder.form.is_wrong:
        return builder
    try:
        query = FrameQuery.from_params({"q": text, "label": builder.kept.get("label", "")})
        return replace(builder, matched=len(pages.matched_frames(builder.version, query)))
    except QueryError as error:
        builder.form.problem = error.message
        return builder
