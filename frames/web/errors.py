"""Errors in the form that was asked for: a page, or JSON where the address is a JSON twin's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views import defaults

from frames.models import Dataset
from frames.web.access import DatasetGone, VersionGone
from frames.web.addresses import version_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from frames.models import AuditEvent, DeletedVersion


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404, or 410 for what was there and has been deleted."""
    if isinstance(exception, VersionGone):
        return _version_gone(request, exception.deleted)
    if isinstance(exception, DatasetGone):
        return _dataset_gone(request, exception.event)
    if request.path.endswith(".json"):
        return JsonResponse({"error": "not found"}, status=404)
    return defaults.page_not_found(request, exception)


def not_allowed(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    if request.path.endswith(".json"):
        return JsonResponse({"error": "not allowed"}, status=403)
    return defaults.permission_denied(request, exception)


class SignInRequired(LoginRequiredMiddleware):
    """Leads who is not signed in to do so; a JSON twin, which no person reads, answers 401."""

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., HttpResponseBase], *args: Any
    ) -> HttpResponseBase | None:
        """Answer a request without a session, and let the others through."""
        refused = super().process_view(request, view_func, *args)
        if refused is not None and request.path.endswith(".json"):
            return JsonResponse({"error": "sign in first"}, status=401)
        return refused


def _version_gone(request: HttpRequest, deleted: DeletedVersion) -> HttpResponse:
    """Say that a version was deleted, and lead to its parent or else the newest there is."""
    dataset = deleted.dataset
    instead = deleted.replaced_by or dataset.versions.order_by("-updated_at", "-pk").first()
    if instead is not None:
        instead.dataset = dataset
    if request.path.endswith(".json"):
        body = {
            "error": f"{deleted.name} has been deleted",
            "replaced_by": instead
            and {"id": instead.uid, "name": instead.name, "url": version_address(instead)},
        }
        return JsonResponse(body, status=410)
    page = {
        "deleted": deleted,
        "instead": instead,
        "url": version_address(instead) if instead else "",
    }
    return render(request, "version/gone.html", page, status=410)


def _dataset_gone(request: HttpRequest, event: AuditEvent) -> HttpResponse:
    """Say that a dataset was deleted, and lead to the one that has its name now."""
    namesakes = Dataset.objects.visible_to(request.user)
    instead = namesakes.filter(project=event.project, name=event.object_name).first()
    url = reverse("frames:dataset_detail", args=[instead.uid]) if instead else ""
    if request.path.endswith(".json"):
        body = {
            "error": f"{event.object_name} has been deleted",
            "replaced_by": instead and {"id": instead.uid, "name": instead.name, "url": url},
        }
        return JsonResponse(body, status=410)
    page = {"event": event, "instead": instead, "url": url}
    return render(request, "dataset/gone.html", page, status=410)
