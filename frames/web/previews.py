"""Previews over HTTP: their files, their states for tiles that wait, and trying again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.core.files.storage import storages
from django.http import FileResponse, Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from frames.actions import previews
from frames.models import Grant
from frames.previews.storage import verify_preview_url
from frames.web import access
from frames.web.http import back_from
from frames.web.pictures import Picture, picture_of

if TYPE_CHECKING:
    from frames.web.http import SignedInRequest

MAX_KEYS: Final = 100


@require_safe
def preview_file(request: SignedInRequest, name: str) -> HttpResponse | FileResponse:
    """Serve a preview kept in a folder to whoever holds its signed URL.

    The signature covers the name and its expiry, so this asks no database. A URL shows one
    picture for good: made again, it has the same pixels.
    """
    expiry, signature = request.GET.get("e", ""), request.GET.get("s", "")
    if not verify_preview_url(name, expiry, signature):
        raise Http404
    try:
        file = storages["previews"].open(name)
    except FileNotFoundError as error:
        raise Http404 from error
    response = FileResponse(file)
    response["Cache-Control"] = f"private, max-age={settings.SIGNED_URL_TTL_S}, immutable"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


@require_safe
def preview_states(request: SignedInRequest) -> HttpResponse:
    """Return the state of each `key`, at most MAX_KEYS; what one may not see stays pending."""
    keys = list(dict.fromkeys(request.GET.getlist("key")))
    if len(keys) > MAX_KEYS:
        return JsonResponse({"error": f"at most {MAX_KEYS} keys at once"}, status=400)
    found = {row.key: picture_of(row) for row in access.previews_of(request.user, keys)}
    items = [found.get(key, Picture(key)).as_json() for key in keys]
    return JsonResponse({"items": items}, headers={"Cache-Control": "no-store"})


@require_POST
def preview_retry(request: SignedInRequest, key: str) -> HttpResponse:
    """Let an editor have a failed preview made again; go back to the page it was asked from."""
    preview = access.preview_or_404(request.user, key)
    access.require(request.user, preview.project, Grant.Role.EDITOR)
    previews.retry([preview.key])
    return redirect(back_from(request))
