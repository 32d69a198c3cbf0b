"""The forms that describe and delete a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from frames.actions.datasets import update_dataset
from frames.actions.deletions import contents, delete_dataset
from frames.actions.fields import parse_metadata
from frames.actions.objects import deletable
from frames.models import Dataset, Grant
from frames.web import access
from frames.web.forms import Field, FormPage, answer_form, name_field
from frames.web.text import json_text, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpResponse

    from frames.web.http import SignedInRequest


@require_http_methods(["GET", "POST"])
def dataset_edit(request: SignedInRequest, dataset_uid: str) -> HttpResponse:
    """Rename, describe and tag a dataset (D8)."""
    dataset = _dataset(request, dataset_uid, Grant.Role.EDITOR)
    address = reverse("frames:dataset_detail", args=[dataset.uid])

    def edit(given: Mapping[str, str]) -> str:
        update_dataset(
            dataset,
            actor=request.user,
            name=given["name"],
            description=given["description"],
            tags=given["tags"].split(","),
        )
        return address

    form = FormPage(
        title=f"Edit {dataset.name}",
        submit="Save",
        dataset=dataset,
        back_url=address,
        fields=[
            name_field(dataset.name),
            Field("description", "Description", dataset.description, kind="area"),
            Field("tags", "Tags", ", ".join(dataset.tags), hint="With commas between them."),
        ],
    )
    return answer_form(request, form, edit)


@require_http_methods(["GET", "POST"])
def dataset_metadata(request: SignedInRequest, dataset_uid: str) -> HttpResponse:
    """Edit a dataset's metadata (D8)."""
    dataset = _dataset(request, dataset_uid, Grant.Role.EDITOR)
    address = reverse("frames:dataset_detail", args=[dataset.uid])

    def edit(given: Mapping[str, str]) -> str:
        metadata = parse_metadata(given["metadata"])
        update_dataset(dataset, actor=request.user, metadata=metadata)
        messages.success(request, f"The metadata of {dataset.name} is saved.")
        return address

    form = FormPage(
        title=f"Metadata of {dataset.name}",
        submit="Save",
        dataset=dataset,
        back_url=address,
        fields=[
            Field("metadata", "JSON object", json_text(dataset.metadata), kind="code", rows=20)
        ],
    )
    return answer_form(request, form, edit)


@require_http_methods(["GET", "POST"])
def dataset_delete(request: SignedInRequest, dataset_uid: str) -> HttpResponse:
    """Delete a dataset, its name typed as a confirmation (M9)."""
    dataset = _dataset(request, dataset_uid, Grant.Role.ADMIN)

    def delete(given: Mapping[str, str]) -> str:
        job = delete_dataset(
            dataset,
            actor=request.user,
            confirmation=given["name"],
            delete_all_versions=bool(given.get("delete_all_versions")),
            force=bool(given.get("force")),
            delete_sources=bool(given.get("delete_sources")),
        )
        messages.success(request, f"{dataset.name} is deleted. Its rows are being removed.")
        return reverse("frames:job_detail", args=[job.uid])

    found = contents(dataset)
    fields = [
        Field(
            "name", "The dataset's name, to confirm", hint=f"Type {dataset.name}", is_required=True
        )
    ]
    if found["frames"]:
        versions = plural(found["drafts"] + found["published"], "version")
        label = f"Delete what is in it: {versions} with their frames"
        fields.append(Field("delete_all_versions", label, kind="check"))
    if found["published"]:
        label = f"Delete what is published too: {plural(found['published'], 'version')}"
        fields.append(Field("force", label, kind="check"))
    buckets = deletable(dataset)
    if buckets:
        fields.append(
            Field(
                "delete_sources",
                f"Delete the pictures and videos themselves too, in {', '.join(buckets)}",
                kind="check",
                hint="Only together with all versions. What another dataset names stays.",
            )
        )
    form = FormPage(
        title=f"Delete {dataset.name}?",
        submit="Delete dataset",
        is_deletion=True,
        dataset=dataset,
        back_url=reverse("frames:dataset_detail", args=[dataset.uid]),
        fields=fields,
        lead=[
            "The dataset, its versions, frames and annotations are deleted for everyone in "
            f"{dataset.project.name}. This cannot be undone.",
            "The pictures and videos themselves stay where they are stored"
            + (", unless you tick that they go too." if buckets else "."),
        ],
    )
    return answer_form(request, form, delete)


def _dataset(request: SignedInRequest, dataset_uid: str, role: Grant.Role) -> Dataset:
    dataset = access.dataset_or_404(request.user, dataset_uid)
    access.require(request.user, dataset.project, role)
    return dataset
