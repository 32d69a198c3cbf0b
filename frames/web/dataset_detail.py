"""A dataset's address: it leads to the version updated last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.contrib import messages
from django.http import JsonResponse
from django.shortcuts import redirect

from frames.models import Grant
from frames.web import access
from frames.web.addresses import version_address
from frames.web.versions import version_json

if TYPE_CHECKING:
    from django.http import HttpResponse

    from frames.web.http import SignedInRequest

VERSIONS_LISTED_MAX: Final = 500


def dataset_detail(
    request: SignedInRequest, dataset_uid: str, *, as_json: bool = False
) -> HttpResponse:
    """Lead to the newest version; as JSON, return the dataset and the versions updated last."""
    dataset = access.dataset_or_404(request.user, dataset_uid)
    versions = dataset.versions.order_by("-updated_at", "-pk")
    if as_json:
        items = []
        for version in versions.defer("description", "metadata")[:VERSIONS_LISTED_MAX]:
            version.dataset = dataset
            items.append(version_json(version))
        body = {
            "id": dataset.uid,
            "name": dataset.name,
            "description": dataset.description,
            "project": {"id": dataset.project.uid, "name": dataset.project.name},
            "tags": dataset.tags,
            "metadata": dataset.metadata,
            "updated": dataset.updated_at.isoformat(),
            "version_count": versions.count(),
            "versions": items,
        }
        return JsonResponse(body, headers={"Cache-Control": "private, no-cache"})
    newest = versions.first()
    if newest is None:
        if access.may(request.user, dataset.project, Grant.Role.EDITOR):
            return redirect("frames:dataset_import", dataset.uid)
        messages.info(request, f"{dataset.name} has no version.")
        return redirect("frames:dataset_list")
    newest.dataset = dataset
    return redirect(version_address(newest))
