"""A dataset's address: it leads to the version updated last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import JsonResponse
from django.shortcuts import redirect

from frames.web import access
from frames.web.addresses import version_address
from frames.web.versions import version_json

if TYPE_CHECKING:
    from django.http import HttpResponse

    from frames.web.http import SignedInRequest


def dataset_detail(
    request: SignedInRequest, dataset_uid: str, *, as_json: bool = False
) -> HttpResponse:
    """Lead to the newest version; as JSON, return the dataset and its versions."""
    dataset = access.dataset_or_404(request.user, dataset_uid)
    versions = dataset.versions.order_by("-updated_at", "-pk")
    if as_json:
        items = []
        for version in versions:
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
            "versions": items,
        }
        return JsonResponse(body, headers={"Cache-Control": "private, no-cache"})
    newest = versions.first()
    if newest is None:
        return redirect("frames:dataset_import", dataset.uid)
    newest.dataset = dataset
    return redirect(version_address(newest))
