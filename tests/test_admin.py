"""Django's admin has every model, and lets nobody write data past the actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from frames.models import Dataset, Frame, Project, Source, Version

if TYPE_CHECKING:
    from django.db.models import Model
    from django.test import Client

MODELS = list(apps.get_app_config("frames").get_models())
CHANGEABLE = {"project", "grant", "apikey"}


def url(model: type[Model], page: str, *args: Any) -> str:
    return reverse(f"admin:frames_{model._meta.model_name}_{page}", args=args)


@pytest.fixture
def operator(client: Client, db: None) -> Client:
    """A client signed in as a superuser."""
    client.force_login(User.objects.create_superuser("operator"))
    return client


@pytest.fixture
def version(project: Project) -> Version:
    """A version of a dataset with one frame that has one source."""
    dataset = Dataset.objects.create(project=project, name="Drives")
    version = Version.objects.create(dataset=dataset, name="first")
    frame = Frame.objects.create(
        id=dataset.pk << 32,
        dataset=dataset,
        frame_id="f1",
        context_id="c1",
        saved_in_version=version,
        saved_ms=0,
    )
    Source.objects.create(frame=frame, position=0, source_id="front", uri="s3://bucket/a.jpg")
    return version


def test_every_model_is_registered() -> None:
    missing = [model.__name__ for model in MODELS if not admin.site.is_registered(model)]
    assert not missing


@pytest.mark.parametrize("model", MODELS)
def test_list_opens(operator: Client, version: Version, model: type[Model]) -> None:
    assert operator.get(url(model, "changelist")).status_code == 200


@pytest.mark.parametrize("model", [Project, Dataset, Version, Frame, Source])
def test_row_opens(operator: Client, version: Version, model: type[Model]) -> None:
    row = model._default_manager.get()
    assert operator.get(url(model, "change", row.pk)).status_code == 200


@pytest.mark.parametrize(
    "model", [model for model in MODELS if model._meta.model_name not in CHANGEABLE]
)
def test_data_cannot_be_added(operator: Client, model: type[Model]) -> None:
    assert operator.get(url(model, "add")).status_code == 403


@pytest.mark.parametrize("model", [Project, Dataset, Version, Frame, Source])
def test_nothing_that_others_hang_on_can_be_deleted(
    operator: Client, version: Version, model: type[Model]
) -> None:
    row = model._default_manager.get()
    assert operator.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert model._default_manager.filter(pk=row.pk).exists()


def test_list_of_frames_counts_no_more_than_it_can_show(operator: Client, version: Version) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        operator.get(url(Frame, "changelist"))
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert counts
    assert all("LIMIT 10000" in sql for sql in counts)


def test_who_is_not_staff_is_sent_to_sign_in(client: Client, admin: User) -> None:
    client.force_login(admin)
    response = client.get(reverse("admin:index"))
    assert response.status_code == 302
    assert "login" in response.headers["Location"]


@pytest.mark.parametrize(
    ("typed", "kept"), [("", []), ("[]", []), ('["s3://media/"]', ["s3://media/"])]
)
def test_addresses_of_a_project_are_a_list_also_where_the_field_is_emptied(
    operator: Client, typed: str, kept: list[str]
) -> None:
    assert post_project(operator, typed).status_code == 302
    assert Project.objects.get().media_allow == kept


@pytest.mark.parametrize("typed", ['"s3://media/"', "{}", "[1]", "s3://media/", "false"])
def test_addresses_of_a_project_that_are_no_list_are_refused(operator: Client, typed: str) -> None:
    page = post_project(operator, typed)
    assert "media_allow" in page.context["adminform"].form.errors
    assert not Project.objects.exists()


def post_project(operator: Client, media_allow: str) -> Any:
    """Add a project in the admin."""
    grants = {"grants-TOTAL_FORMS": "0", "grants-INITIAL_FORMS": "0"}
    return operator.post(
        url(Project, "add"), {"name": "Streets", "media_allow": media_allow, **grants}
    )
