"""The facets of a version as a page of their own, and the way of a range's form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.shortcuts import redirect

from frames.models import Grant, Version
from frames.search import facets
from frames.search.clauses import Clause, FilterText
from frames.search.errors import QueryError
from frames.search.query import FrameQuery
from frames.search.syntax import number_of, times_of
from frames.web import access
from frames.web.addresses import version_address
from frames.web.facets import FacetsPage, TypedRange, facets_page, refined_address
from frames.web.http import respond
from frames.web.version_detail import given_filter, refused_json
from frames.web.versions import panel_of

if TYPE_CHECKING:
    from django.http import HttpResponse

    from frames.web.http import SignedInRequest
    from frames.web.versions import VersionPanel


@dataclass(frozen=True, slots=True)
class FacetsView:
    """The facets as a page of their own, with what every page of a version has."""

    facets: FacetsPage
    version: Version
    may_edit: bool
    may_publish: bool
    panel: VersionPanel

    @property
    def kept(self) -> list[tuple[str, str]]:
        """The rest of the page's state, for the form that changes the filter text."""
        kept = {**self.facets.query.with_(q="").params(), "key": self.facets.key}
        return [(name, value) for name, value in kept.items() if value]

    def as_json(self) -> dict[str, Any]:
        """Return the facets."""
        return self.facets.as_json()


def version_facets(
    request: SignedInRequest, dataset_uid: str, version_uid: str, *, as_json: bool = False
) -> HttpResponse:
    """Show the facets; of `key` alone if one is named, its values those that contain `value`."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    params = request.GET.dict()
    key = params.get("key", "")
    try:
        query = FrameQuery.from_params(params)
        page = facets_page(version, query, key, params.get("value", "").strip())
    except QueryError as error:
        if as_json:
            return refused_json(error)
        page = FacetsPage(version, FrameQuery(), params.get("q", ""), key, error)
    status = 400 if page.error else 200
    if request.htmx and not request.htmx.boosted and not as_json:
        part = "values" if "value" in params else "body" if key else "list"
        template = f"version/facet_{part}.html"
        return respond(request, page, template, as_json=False, status=status)
    return _whole(request, page, params, as_json=as_json, status=status)


def _whole(
    request: SignedInRequest,
    page: FacetsPage,
    params: dict[str, str],
    *,
    as_json: bool,
    status: int,
) -> HttpResponse:
    version = page.version
    role = access.role_in(request.user, version.dataset.project)
    view = FacetsView(
        facets=page,
        version=version,
        may_edit=role >= Grant.Role.EDITOR,
        may_publish=role >= Grant.Role.ADMIN,
        panel=panel_of(version, params, role),
    )
    return respond(request, view, "version/facets.html", as_json=as_json, status=status)


def facet_refine(request: SignedInRequest, dataset_uid: str, version_uid: str) -> HttpResponse:
    """Go to the frames whose key lies in the range of a form; with both fields empty, to all.

    A field that cannot be read is said on the page of the key, beside what was typed.
    """
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    params = request.GET.dict()
    key = params.get("key", "")
    low, high = (params.get(name, "").strip() for name in ("low", "high"))
    try:
        query = FrameQuery.from_params(params)
        text = FilterText.read(query.q)
    except QueryError:
        return redirect(version_address(version, given_filter(request.GET)))
    if not low and not high:
        return redirect(refined_address(version, query.with_(q=text.without(key))))
    read = _date if facets.is_of_times(version, key) else _number
    try:
        clause = Clause(key, low=read(low, "low"), high=read(high, "high"))
    except QueryError as error:
        page = _refused_page(version, query, key, TypedRange(low, high, error))
        kept = {name: value for name, value in params.items() if name not in ("low", "high")}
        return _whole(request, page, kept, as_json=False, status=400)
    return redirect(refined_address(version, query.with_(q=text.with_(clause))))


def _number(text: str, field: str) -> float | None:
    """Return a bound as a number, None for an open one; raise QueryError."""
    number = number_of(text)
    if text and number is None:
        raise QueryError(f"“{text}” is no number: write it as 20 or 0.5.", field=field)
    return number


def _date(text: str, field: str) -> str | None:
    """Return a bound that is an ISO date, None for an open one; raise QueryError."""
    if text and times_of(text) is None:
        raise QueryError(
            f"“{text}” is no date: write it as 2026-11-21 or 2026-11-21T10:00.", field=field
        )
    return text or None


def _refused_page(version: Version, query: FrameQuery, key: str, typed: TypedRange) -> FacetsPage:
    """Return a key's page with the range as it was typed; what is wrong alone without fields."""
    error = typed.error
    try:
        page = facets_page(version, query, key, typed=typed)
        if key and page.card and page.card.plot:
            return page
    except QueryError as other:
        error = other
    return FacetsPage(version, query, query.q, key, error)
