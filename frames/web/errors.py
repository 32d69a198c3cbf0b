"""Errors in the form that was asked for: a page, or JSON where the address is a JSON twin's."""

from __future__ import annotations

from dataclasses import dataclass
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
    from datetime import datetime

    from django.contrib.auth.models import AnonymousUser, User
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from frames.models import AuditEvent, DeletedVersion, Version


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404, or 410 for what was there and has been deleted."""
    if isinstance(exception, VersionGone):
        return _version_gone(exception.deleted).answer(request)
    if isinstance(exception, DatasetGone):
        return _dataset_gone(exception.event, request.user).answer(request)
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


@dataclass(frozen=True, slots=True)
class _Gone:
    """Something that was deleted, and what took its place; without `instead`, nothing did."""

    name: str
    what: str
    at: datetime
    by: User | None
    hint: str
    instead: Version | Dataset | None
    url: str

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Say so, with where to go on."""
        if not request.path.endswith(".json"):
            return render(request, "gone.html", {"gone": self}, status=410)
        body = {
            "error": f"{self.name} has been deleted",
            "replaced_by": self.instead
            and {"id": self.instead.uid, "name": self.instead.name, "url": self.url},
        }
        return JsonResponse(body, status=410)


def _version_gone(deleted: DeletedVersion) -> _Gone:
    """Lead to a version's parent, or else to the newest there is."""
    dataset = deleted.dataset
    instead = deleted.replaced_by or dataset.versions.order_by("-updated_at", "-pk").first()
    hint = "The dataset has no other version."
    if instead is not None:
        instead.dataset = dataset
        hint = f"The newest version of the dataset is {instead.name}."
    if deleted.replaced_by:
        hint = f"It was made from {deleted.replaced_by.name}, which is still there."
    return _Gone(
        name=deleted.name,
        what=f"This version of {dataset.name} was deleted",
        at=deleted.deleted_at,
        by=deleted.deleted_by,
        hint=hint,
        instead=instead,
        url=version_address(instead) if instead else "",
    )


def _dataset_gone(event: AuditEvent, user: User | AnonymousUser) -> _Gone:
    """Lead to the dataset that has a dataset's name now."""
    namesakes = Dataset.objects.visible_to(user)
    instead = namesakes.filter(project=event.project, name=event.object_name).first()
    project = event.project.name if event.project else ""
    return _Gone(
        name=event.object_name,
        what=f"This dataset of {project} was deleted, with all of its versions,",
        at=event.at,
        by=event.actor,
        hint="Another dataset has its name now." if instead else "",
        instead=instead,
        url=reverse("frames:dataset_detail", args=[instead.uid]) if instead else "",
    )
