"""Dark, light, or as the system says: kept in a cookie, so that no page flashes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from frames.web.http import back_from

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

YEAR_S: Final = 365 * 24 * 3600


@login_not_required
@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the chosen theme and go back; the page's script sets the same cookie by itself."""
    response = redirect(back_from(request))
    chosen = request.POST.get("theme")
    if chosen in ("dark", "light"):
        response.set_cookie(
            "theme", chosen, max_age=YEAR_S, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE
        )
    else:
        response.delete_cookie("theme", samesite="Lax")
    return response
