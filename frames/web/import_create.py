"""The page that imports frames: an uploaded file, or an address the operator has allowed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from frames.actions.imports import ImportRefused, start_import
from frames.models import Grant
from frames.web import access

if TYPE_CHECKING:
    from django.http import HttpResponse, QueryDict

    from frames.models import Dataset, Project
    from frames.web.http import SignedInRequest


SAMPLINGS: Final = {
    "": "Every frame",
    "every_frames": "Every n frames",
    "every_ms": "Every n milliseconds",
}


@dataclass(frozen=True, slots=True)
class ImportPage:
    """The form as it was filled in, what is wrong with it, and what may be named."""

    project: Project
    dataset: Dataset | None
    dataset_name: str
    known_names: list[str]
    uri: str
    sampling: str
    every: str
    allowed: list[str]
    max_upload_bytes: int
    problem: str = ""

    @property
    def samplings(self) -> list[tuple[str, str]]:
        """The ways to choose frames of a video."""
        return list(SAMPLINGS.items())

    @property
    def max_upload(self) -> str:
        """The largest upload in words."""
        return f"{self.max_upload_bytes / 1024**3:.3g} GB"


@require_http_methods(["GET", "POST"])
def import_into_project(request: SignedInRequest, project_uid: str) -> HttpResponse:
    """Import into a new dataset of a project, or into one named in the form."""
    project = access.project_or_404(request.user, project_uid)
    return _import(request, project, None)


@require_http_methods(["GET", "POST"])
def import_into_dataset(request: SignedInRequest, dataset_uid: str) -> HttpResponse:
    """Import into a dataset's draft."""
    dataset = access.dataset_or_404(request.user, dataset_uid)
    return _import(request, dataset.project, dataset)


def _import(request: SignedInRequest, project: Project, dataset: Dataset | None) -> HttpResponse:
    access.require(request.user, project, Grant.Role.EDITOR)
    page = _page(request.POST if request.method == "POST" else request.GET, project, dataset)
    if request.method == "GET":
        return render(request, "import/create.html", {"page": page})
    try:
        job = start_import(
            project=project,
            dataset_name=page.dataset_name,
            user=request.user,
            uri=page.uri or None,
            upload=request.FILES.get("file"),
            options=_sampling(page.sampling, page.every),
        )
    except ImportRefused as error:
        page = replace(page, problem=str(error))
        return render(request, "import/create.html", {"page": page}, status=400)
    return redirect("frames:job_detail", job.uid)


def _page(given: QueryDict, project: Project, dataset: Dataset | None) -> ImportPage:
    names = (
        () if dataset else project.datasets.live().order_by("name").values_list("name", flat=True)
    )
    return ImportPage(
        project=project,
        dataset=dataset,
        dataset_name=dataset.name if dataset else given.get("dataset", "").strip(),
        known_names=list(names[:200]),
        uri=given.get("uri", "").strip(),
        sampling=sampling if (sampling := given.get("sampling", "")) in SAMPLINGS else "",
        every=given.get("every", "").strip(),
        allowed=sorted({*settings.MEDIA_ALLOW, *project.media_allow}),
        max_upload_bytes=settings.UPLOAD_MAX_BYTES,
    )


def _sampling(sampling: str, every: str) -> dict[str, Any]:
    """Return the reader's options for videos. Raises ImportRefused."""
    if not sampling:
        return {}
    try:
        number = int(every)
    except ValueError:
        number = 0
    if not 1 <= number <= 86_400_000:
        unit = "frames" if sampling == "every_frames" else "milliseconds"
        raise ImportRefused(f"Give the number of {unit} as a whole number from 1.")
    return {sampling: number}
