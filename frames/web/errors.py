"""Errors in the form that was asked for: a page, or JSON where the address is a JSON twin's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpResponse, JsonResponse
from django.views import defaults

if TYPE_CHECKING:
    from django.http import HttpRequest


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404."""
    if request.path.endswith(".json"):
        return JsonResponse({"error": "not found"}, status=404)
    return defaults.page_not_found(request, exception)


def not_allowed(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    if request.path.endswith(".json"):
        return JsonResponse({"error": "not allowed"}, status=403)
    return defaults.permission_denied(request, exception)
