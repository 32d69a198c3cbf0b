"""The addresses of the pages. Each page has a JSON twin: `.json` for the last slash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import path
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView

from frames.web.audit_list import audit_list
from frames.web.bulk_edit import bulk_edit, job_undo
from frames.web.context_detail import context_detail
from frames.web.dataset_change import dataset_delete, dataset_edit, dataset_metadata
from frames.web.dataset_create import dataset_create
from frames.web.dataset_detail import dataset_detail
from frames.web.dataset_list import dataset_list
from frames.web.filter_builder import filter_builder
from frames.web.frame_detail import frame_detail
from frames.web.frame_history import frame_history
from frames.web.frame_why import frame_why
from frames.web.import_create import import_into_dataset, import_into_project
from frames.web.job_detail import job_cancel, job_detail
from frames.web.job_download import job_download
from frames.web.label_list import label_list
from frames.web.previews import preview_file, preview_retry, preview_states
from frames.web.project_list import project_list
from frames.web.source_original import source_original, source_preview
from frames.web.theme import theme
from frames.web.version_change import (
    version_branch,
    version_create,
    version_delete,
    version_edit,
    version_publish,
)
from frames.web.version_check import check_frames, version_check
from frames.web.version_columns import version_columns
from frames.web.version_compare import version_compare, version_compare_choice
from frames.web.version_detail import version_detail
from frames.web.version_export import version_export
from frames.web.version_facets import facet_refine, version_facets
from frames.web.version_info import version_info
from frames.web.version_merge import version_merge
from frames.web.version_metadata import version_metadata, version_metadata_edit
from frames.web.version_restore import version_restore
from frames.web.version_sample import version_sample
from frames.web.version_statistics import version_statistics
from frames.web.view_actions import view_act
from frames.web.view_detail import view_detail
from frames.web.view_export import view_export
from frames.web.view_form import view_create, view_edit
from frames.web.view_list import view_list

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from django.urls import URLPattern

VERSION = "datasets/<slug:dataset_uid>/versions/<slug:version_uid>"


def page(
    route: str, view: Callable[..., Any], name: str, *, takes_posts: bool = False
) -> list[URLPattern]:
    """Return the paths of a page and of its JSON twin, which are read and not written to."""
    safe = require_safe(view)
    return [
        path(f"{route}/", view if takes_posts else safe, name=name),
        path(f"{route}.json", safe, {"as_json": True}, name=f"{name}_json"),
    ]


app_name = "frames"
urlpatterns = [
    path("", RedirectView.as_view(pattern_name="frames:dataset_list"), name="start"),
    *page("projects", project_list, "project_list"),
    path("projects/<slug:project_uid>/import/", import_into_project, name="import_create"),
    *page("datasets", dataset_list, "dataset_list"),
    path("datasets/new/", dataset_create, name="dataset_create"),
    *page("datasets/<slug:dataset_uid>", dataset_detail, "dataset_detail"),
    path("datasets/<slug:dataset_uid>/import/", import_into_dataset, name="dataset_import"),
    path("datasets/<slug:dataset_uid>/edit/", dataset_edit, name="dataset_edit"),
    path("datasets/<slug:dataset_uid>/metadata/", dataset_metadata, name="dataset_metadata"),
    path("datasets/<slug:dataset_uid>/delete/", dataset_delete, name="dataset_delete"),
    path("datasets/<slug:dataset_uid>/versions/new/", version_create, name="version_create"),
    *page(VERSION, version_detail, "version_detail"),
    *page(f"{VERSION}/info", version_info, "version_info"),
    *page(f"{VERSION}/metadata", version_metadata, "version_metadata"),
    path(f"{VERSION}/metadata/edit/", version_metadata_edit, name="version_metadata_edit"),
    path(f"{VERSION}/bulk/", bulk_edit, name="bulk_edit"),
    path(f"{VERSION}/branch/", version_branch, name="version_branch"),
    path(f"{VERSION}/edit/", version_edit, name="version_edit"),
    *page(f"{VERSION}/check", version_check, "version_check", takes_posts=True),
    *page(f"{VERSION}/check/<slug:kind>", check_frames, "check_frames"),
    *page(f"{VERSION}/export", version_export, "version_export", takes_posts=True),
    path(f"{VERSION}/publish/", version_publish, name="version_publish"),
    path(f"{VERSION}/delete/", version_delete, name="version_delete"),
    *page("datasets/<slug:dataset_uid>/merge", version_merge, "version_merge", takes_posts=True),
    path("datasets/<slug:dataset_uid>/compare/", version_compare_choice, name="compare_choice"),
    *page(
        "datasets/<slug:dataset_uid>/compare/<slug:before_uid>/<slug:after_uid>",
        version_compare,
        "version_compare",
    ),
    *page(f"{VERSION}/statistics", version_statistics, "version_statistics"),
    *page(f"{VERSION}/facets", version_facets, "version_facets"),
    path(f"{VERSION}/facets/refine/", facet_refine, name="facet_refine"),
    *page(f"{VERSION}/filter", filter_builder, "filter_builder", takes_posts=True),
    *page(f"{VERSION}/columns", version_columns, "version_columns"),
    *page(f"{VERSION}/sample", version_sample, "version_sample"),
    *page(f"{VERSION}/history", frame_history, "frame_history"),
    path(f"{VERSION}/restore/", version_restore, name="version_restore"),
    *page(f"{VERSION}/labels", label_list, "label_list"),
    *page(f"{VERSION}/why", frame_why, "frame_why"),
    *page(f"{VERSION}/context", context_detail, "context_detail"),
    # An id that no path can hold (`..`, a line break) comes as ?id=.
    *page(f"{VERSION}/frames", frame_detail, "frame_by_id"),
    *page(f"{VERSION}/frames/<path:frame_id>", frame_detail, "frame_detail"),
    *page("audit", audit_list, "audit_list"),
    *page("views", view_list, "view_list"),
    path("views/new/", view_create, name="view_create"),
    path("views/act/", view_act, name="view_act"),
    *page("views/<slug:view_uid>", view_detail, "view_detail"),
    path("views/<slug:view_uid>/edit/", view_edit, name="view_edit"),
    *page("views/<slug:view_uid>/export", view_export, "view_export", takes_posts=True),
    *page("jobs/<slug:job_uid>", job_detail, "job_detail"),
    path("jobs/<slug:job_uid>/download/", job_download, name="job_download"),
    path("jobs/<slug:job_uid>/cancel/", job_cancel, name="job_cancel"),
    path("jobs/<slug:job_uid>/undo/", job_undo, name="job_undo"),
    path("previews/state/", preview_states, name="preview_states"),
    path("previews/<slug:key>/retry/", preview_retry, name="preview_retry"),
    path("previews/<path:name>", preview_file, name="preview_file"),
    path("sources/<int:source_pk>/original", source_original, name="source_original"),
    path("sources/<int:source_pk>/preview", source_preview, name="source_preview"),
    path("theme/", theme, name="theme"),
]
