"""The page that makes a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from frames.actions.datasets import Refused, create_dataset
from frames.models import Grant
from frames.web import access

if TYPE_CHECKING:
    from frames.models import Project
    from frames.web.http import SignedInRequest


@dataclass(frozen=True, slots=True)
class DatasetCreatePage:
    """The form as it was filled in, and what is wrong with it."""

    projects: list[Project]
    project: str
    name: str
    description: str
    problem: str = ""


@require_http_methods(["GET", "POST"])
def dataset_create(request: SignedInRequest) -> HttpResponse:
    """Show the form; make the dataset with one empty draft and go to it."""
    projects = access.editable_projects(request.user)
    if not projects:
        raise PermissionDenied
    given = request.POST if request.method == "POST" else request.GET
    page = DatasetCreatePage(
        projects=projects,
        project=given.get("project", ""),
        name=given.get("name", ""),
        description=given.get("description", ""),
    )
    if request.method == "GET":
        return render(request, "dataset/create.html", {"page": page})
    project = access.project_or_404(request.user, page.project)
    access.require(request.user, project, Grant.Role.EDITOR)
    try:
        dataset = create_dataset(
            project=project, name=page.name, description=page.description, actor=request.user
        )
    except Refused as error:
        page = DatasetCreatePage(
            projects, page.project, page.name, page.description, problem=str(error)
        )
        return render(request, "dataset/create.html", {"page": page}, status=400)
    messages.success(request, f"{dataset.name} has an empty draft. Import frames into it.")
    return redirect("frames:dataset_import", dataset.uid)
