"""The form that chooses the columns of the frame browser's table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.shortcuts import redirect

from frames.search.errors import QueryError
from frames.search.query import COLUMNS_MAX, GROUP_NONE, FrameQuery
from frames.search.vocabulary import KEYS_MAX, vocabulary
from frames.web import access
from frames.web.addresses import version_address
from frames.web.http import respond
from frames.web.text import count
from frames.web.version_detail import given_filter

if TYPE_CHECKING:
    from django.http import HttpResponse

    from frames.models import Version
    from frames.web.http import SignedInRequest


@dataclass(frozen=True, slots=True)
class ColumnsPage:
    """The keys that can be columns, those ticked that are; `problem` says what is wrong."""

    version: Version
    query: FrameQuery
    keys: list[str]
    chosen: list[str]
    has_more: bool
    problem: str = ""

    @property
    def ticks(self) -> list[tuple[str, bool]]:
        """Each key, and whether it is a column now."""
        return [(key, key in self.chosen) for key in self.keys]

    @property
    def limit(self) -> int:
        """How many columns can be chosen."""
        return COLUMNS_MAX

    @property
    def note(self) -> str:
        """What the list does not hold."""
        return f"The first {count(KEYS_MAX)} keys are listed." if self.has_more else ""

    @property
    def kept(self) -> list[tuple[str, str]]:
        """The rest of the page's state."""
        return [(k, v) for k, v in self.query.params().items() if k not in ("columns", "after")]

    @property
    def back_url(self) -> str:
        """The table as it was."""
        return version_address(self.version, self.query.params())

    def as_json(self) -> dict[str, Any]:
        """Return the keys and the columns."""
        return {"keys": self.keys, "columns": self.chosen}


def version_columns(
    request: SignedInRequest, dataset_uid: str, version_uid: str, *, as_json: bool = False
) -> HttpResponse:
    """Show the form, or lead to the table with the columns that were ticked."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    given = request.GET.dict()
    ticked = request.GET.getlist("column")
    try:
        query = FrameQuery.from_params(given)
    except QueryError:
        query = FrameQuery(**given_filter(given))
    known = vocabulary(version.dataset)
    page = ColumnsPage(
        version=version,
        query=replace(query, view="table", group=GROUP_NONE, sample="", match="", scope="any"),
        # A comma parts the columns of an address.
        keys=[key.name for key in known.keys if "," not in key.name],
        chosen=ticked or query.column_keys,
        has_more=known.has_more_keys,
    )
    if "show" not in given:
        return respond(request, page, "version/columns.html", as_json=as_json)
    chosen = page.query.with_(columns=",".join(ticked)).params()
    try:
        FrameQuery.from_params(chosen)
    except QueryError as error:
        page = replace(page, problem=error.message)
        return respond(request, page, "version/columns.html", as_json=as_json, status=400)
    return redirect(version_address(version, chosen))
