"""Django's admin for every model: people and projects can be changed, the data is to look at.

Frames, versions and the index are written by frames/actions alone, which keeps membership,
postings and counts in step. Nothing here counts or lists a table that grows with the frames.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib import admin
from django.core.paginator import Paginator

from frames import models

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

    AnyPaginator = Paginator[Any]
    AnyModelAdmin = admin.ModelAdmin[Any]
    AnyModelForm = forms.ModelForm[Any]
    AnyTabularInline = admin.TabularInline[Any, Any]
else:  # generic for the type checker alone
    AnyPaginator = Paginator
    AnyModelAdmin = admin.ModelAdmin
    AnyModelForm = forms.ModelForm
    AnyTabularInline = admin.TabularInline

MAX_LISTED_ROWS = 10_000


class CappedPaginator(AnyPaginator):
    """Counts no further than what anybody pages through: a count of 10 M rows takes seconds."""

    @cached_property
    def count(self) -> int:
        """The number of rows, at most MAX_LISTED_ROWS."""
        rows = cast("QuerySet[Any]", self.object_list)
        return rows[:MAX_LISTED_ROWS].count()


class Bounded(AnyModelAdmin):
    """Lists a page of rows in the order of the primary key, at the same cost whatever there is."""

    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 50


class NoDelete(Bounded):
    """What others hang on by the million is deleted by an action, not by a cascade in a request."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False


class ReadOnly(NoDelete):
    """Rows to look at."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False


class GrantInline(AnyTabularInline):
    """The people of a project."""

    model = models.Grant
    raw_id_fields = ["user"]
    extra = 0


class ProjectForm(AnyModelForm):
    """A project's fields; its addresses are typed as a JSON list."""

    def clean_media_allow(self) -> list[str]:
        """Return the addresses; an emptied field means none."""
        given = self.cleaned_data["media_allow"]
        if given is None:
            return []
        if not (isinstance(given, list) and all(isinstance(prefix, str) for prefix in given)):
            raise forms.ValidationError('Give a list of addresses: ["s3://bucket/"].')
        return given


@admin.register(models.Project)
class ProjectAdmin(NoDelete):
    """Projects with their people and the addresses they may read."""

    form = ProjectForm
    list_display = ["name", "uid", "created_at"]
    search_fields = ["name"]
    readonly_fields = ["uid", "created_at"]
    inlines = [GrantInline]


@admin.register(models.Grant)
class GrantAdmin(Bounded):
    """Who may do what."""

    list_display = ["project", "user", "role"]
    list_select_related = ["project", "user"]
    list_filter = ["role"]
    search_fields = ["project__name", "user__username"]
    raw_id_fields = ["project", "user"]


@admin.register(models.ApiKey)
class ApiKeyAdmin(Bounded):
    """Keys to revoke; a new one is made where its secret can be shown once."""

    list_display = ["name", "prefix", "user", "scope", "expires_at", "last_used_at", "revoked_at"]
    list_select_related = ["user"]
    fields = ["user", "name", "prefix", "scope", "expires_at", "revoked_at", "last_used_at"]
    readonly_fields = ["user", "prefix", "scope", "last_used_at"]
    search_fields = ["=prefix", "name", "user__username"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse."""
        return False


@admin.register(models.AuditEvent)
class AuditEventAdmin(ReadOnly):
    """Who did what, newest first."""

    list_display = ["at", "actor", "verb", "object_kind", "object_name", "project"]
    list_select_related = ["actor", "project"]
    search_fields = ["=object_uid"]


@admin.register(models.Dataset)
class DatasetAdmin(ReadOnly):
    """Datasets; a name is changed by its form, which knows what looks like it."""

    list_display = ["name", "project", "uid", "updated_at", "deleted_at"]
    list_select_related = ["project"]
    search_fields = ["name", "=uid"]
    fields = [
        *("uid", "project", "name", "description", "tags", "metadata", "is_example"),
        *("created_by", "created_at", "updated_by", "updated_at", "deleted_at"),
    ]


@admin.register(models.Version)
class VersionAdmin(ReadOnly):
    """Versions and their counts."""

    list_display = ["name", "dataset", "status", "frame_count", "annotated_count", "region_count"]
    list_select_related = ["dataset"]
    list_filter = ["status"]
    search_fields = ["name", "=uid", "dataset__name"]
    fields = [
        *("uid", "dataset", "name", "description", "status", "parents", "tags", "metadata"),
        *("frame_count", "annotated_count", "region_count", "created_by", "created_at"),
        "published_at",
    ]


@admin.register(models.DeletedVersion)
class DeletedVersionAdmin(ReadOnly):
    """Versions that are gone, and what took their place."""

    list_display = ["name", "dataset", "deleted_at", "deleted_by", "replaced_by"]
    list_select_related = ["dataset", "deleted_by", "replaced_by"]
    search_fields = ["name", "=uid"]


@admin.register(models.DataView)
class DataViewAdmin(ReadOnly):
    """Saved queries."""

    list_display = ["name", "project", "status", "created_by", "saved_at", "archived_at"]
    list_select_related = ["project", "created_by"]
    list_filter = ["status"]
    search_fields = ["name", "=uid"]


@admin.register(models.Job)
class JobAdmin(ReadOnly):
    """Imports, newest first, with how far each came."""

    list_display = ["created_at", "kind", "dataset", "state", "imported", "unchanged", "failed"]
    list_select_related = ["dataset"]
    list_filter = ["state"]
    search_fields = ["=uid"]


@admin.register(models.JobError)
class JobErrorAdmin(ReadOnly):
    """What a job could not take."""

    list_display = ["job", "index", "path", "reason"]
    list_select_related = ["job"]
    ordering = ["-id"]


@admin.register(models.CheckFinding)
class CheckFindingAdmin(ReadOnly):
    """What checks before publishing have found."""

    list_display = ["job", "kind", "count"]
    list_select_related = ["job"]
    ordering = ["-id"]


@admin.register(models.Preview)
class PreviewAdmin(ReadOnly):
    """Thumbnails: their state, and why one failed."""

    list_display = ["key", "state", "reason", "uri", "timestamp_ms", "edge_px", "attempts"]
    list_filter = ["state"]
    ordering = ["key"]


@admin.register(models.Frame)
class FrameAdmin(ReadOnly):
    """Frame revisions."""

    list_display = ["id", "dataset", "frame_id", "context_id", "timestamp"]
    list_select_related = ["dataset"]


@admin.register(models.Source)
class SourceAdmin(ReadOnly):
    """Sources of frame revisions."""

    list_display = ["id", "frame_id", "position", "source_id", "uri", "content_type"]
    ordering = ["-id"]


@admin.register(models.Key)
class KeyAdmin(ReadOnly):
    """Fields the index knows."""

    list_display = ["dataset", "name", "distinct", "overflowed"]
    list_select_related = ["dataset"]


@admin.register(models.Term)
class TermAdmin(ReadOnly):
    """Values the index knows."""

    list_display = ["id", "key", "kind", "value", "number"]
    list_select_related = ["key"]


@admin.register(models.Posting, models.Membership)
class BitmapAdmin(ReadOnly):
    """Rows of bitmaps; the key is `term << 16 | segment`, or `version << 16 | segment`."""

    list_display = ["id", "cardinality"]


@admin.register(models.Identities, models.RegionOffsets)
class SegmentAdmin(ReadOnly):
    """Rows of numbers for a segment; the key is `dataset << 16 | segment`."""

    list_display = ["id"]


@admin.register(models.Unheld)
class UnheldAdmin(ReadOnly):
    """Revisions that wait to be collected."""

    list_display = ["dataset", "seen_at"]
    list_select_related = ["dataset"]
    ordering = ["dataset"]
