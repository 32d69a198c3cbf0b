"""What every page shares of HTTP: the signed-in request, and how a page object is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django_htmx.middleware import HtmxDetails


class SignedInRequest(HttpRequest):
    """A request of someone signed in: LoginRequiredMiddleware has sent the others away."""

    user: User
    htmx: HtmxDetails


class Page(Protocol):
    """Everything one page shows, as plain data."""

    def as_json(self) -> dict[str, Any]:
        """Return the page's data for its JSON twin."""
        ...


def respond(
    request: SignedInRequest,
    page: Page,
    template: str,
    *,
    as_json: bool,
    partial: str = "",
    status: int = 200,
) -> HttpResponse:
    """Answer a page as JSON, as its named partial (to htmx, but for links it boosts) or whole."""
    response: HttpResponse
    if as_json:
        response = JsonResponse(page.as_json(), status=status)
    else:
        is_part = request.htmx and not request.htmx.boosted
        if partial and is_part and not request.htmx.history_restore_request:
            template = f"{template}#{partial}"
        response = render(request, template, {"page": page}, status=status)
    # A partial has the page's own address, so a cache must tell the two apart and always ask.
    patch_vary_headers(response, ["HX-Request"])
    patch_cache_control(response, private=True, no_cache=True)
    return response


def back_from(request: HttpRequest) -> str:
    """Return the page a form was sent from, if it is one of this site's."""
    back = request.POST.get("next", "")
    hosts = {request.get_host()}
    return back if url_has_allowed_host_and_scheme(back, allowed_hosts=hosts) else "/"
