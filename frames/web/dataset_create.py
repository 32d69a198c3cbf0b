"""The page that makes a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from frames.actions.datasets import create_dataset
from frames.web import access
from frames.web.forms import Field, FormPage, answer_form, name_field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpResponse

    from frames.web.http import SignedInRequest


@require_http_methods(["GET", "POST"])
def dataset_create(request: SignedInRequest) -> HttpResponse:
    """Show the form; make the dataset with one empty draft and go to it (D9)."""
    projects = {project.uid: project for project in access.editable_projects(request.user)}
    if not projects:
        raise PermissionDenied

    def create(given: Mapping[str, str]) -> str:
        project = projects.get(given["project"])
        if project is None:
            raise PermissionDenied
        dataset = create_dataset(
            project=project,
            name=given["name"],
            description=given["description"],
            actor=request.user,
        )
        messages.success(request, f"{dataset.name} has an empty draft. Import frames into it.")
        return reverse("frames:dataset_import", args=[dataset.uid])

    form = FormPage(
        title="New dataset",
        submit="Create dataset",
        back_url=reverse("frames:dataset_list"),
        fields=[
            name_field(request.GET.get("name", "")),
            Field(
                "project",
                "Project",
                request.GET.get("project", ""),
                kind="select",
                choices=[(uid, project.name) for uid, project in projects.items()],
                is_required=True,
            ),
            Field(
                "description",
                "Description",
                kind="area",
                hint="What is in it, and where it comes from.",
            ),
        ],
    )
    return answer_form(request, form, create)
