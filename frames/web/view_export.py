"""The page that exports the list of a data view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from frames.actions import exports
from frames.actions.export_content import of_view
from frames.actions.fields import Refused
from frames.formats.writers import OUTPUT_FORMATS
from frames.models import Job, Version
from frames.search import views
from frames.search.errors import QueryError
from frames.search.view_definition import Definition, DefinitionError
from frames.web import access
from frames.web.http import respond
from frames.web.text import plural
from frames.web.version_export import earlier_exports

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpResponse

    from frames.formats.writers import OutputFormat
    from frames.models import DataView
    from frames.web.http import SignedInRequest
    from frames.web.version_export import EarlierExport


@dataclass(frozen=True, slots=True)
class ViewExportPage:
    """How much would be exported, the formats, and what the reader exported before."""

    view: DataView
    matched: int
    is_complete: bool
    chosen: str
    problem: str
    earlier: Sequence[EarlierExport]

    formats: Sequence[OutputFormat] = OUTPUT_FORMATS

    @property
    def found(self) -> str:
        """How many frames the list has."""
        return plural(self.matched, "frame")

    @property
    def submit(self) -> str:
        """What the button does."""
        return f"Export {self.found}"

    @property
    def back_url(self) -> str:
        """The view."""
        return reverse("frames:view_detail", args=[self.view.uid])

    @property
    def keep_days(self) -> str:
        """How long a file is kept."""
        return plural(settings.EXPORT_KEEP_DAYS, "day")

    def as_json(self) -> dict[str, Any]:
        """Return the number of frames, the formats and the earlier exports."""
        return {
            "matched": self.matched,
            "is_complete": self.is_complete,
            "formats": [
                {"name": one.name, "title": one.title, "holds": one.holds} for one in self.formats
            ],
            "items": [export.as_json() for export in self.earlier],
            "error": self.problem or None,
        }


@require_http_methods(["GET", "HEAD", "POST"])
def view_export(request: SignedInRequest, view_uid: str, *, as_json: bool = False) -> HttpResponse:
    """Let who may see a data view export what of it they may see."""
    view = access.view_or_404(request.user, view_uid)
    format_name = request.POST.get("format", "")
    matched, is_complete, problem = 0, True, ""
    try:
        definition = Definition.from_json(view.definition)
        found = views.evaluate(definition, Version.objects.visible_to(request.user))
        is_complete = found.is_complete
        content = of_view(view, found)
        matched = content.total
        if request.method == "POST":
            job = exports.start_export(content=content, format_name=format_name, actor=request.user)
            return redirect("frames:job_detail", job.uid)
    except (DefinitionError, QueryError, Refused) as error:
        problem = str(error)
    own = Job.objects.filter(project=view.project, created_by=request.user, options__view=view.uid)
    page = ViewExportPage(
        view=view,
        matched=matched,
        is_complete=is_complete,
        chosen=format_name or OUTPUT_FORMATS[0].name,
        problem=problem,
        earlier=earlier_exports(own),
    )
    status = 400 if problem else 200
    return respond(request, page, "view/export.html", as_json=as_json, status=status)
