"""Deleting the objects of a deleted dataset's sources: which go, which stay, and what is said."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

from frames.actions import deletions, jobs, objects, versions
from frames.formats.base import FrameData, SourceData
from frames.media import MediaError, MediaPolicy, parse_uri, s3
from frames.models import AuditEvent, Dataset, Job, PreviewReason, Source
from tests.factories import add_frames, make_version
from tests.properties import tries
from tests.services import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.contrib.auth.models import User
    from django.test import Client
    from pytest_django.fixtures import Settings

    from frames.models import Project

pytestmark = pytest.mark.django_db

KEYS = [f"drive/{name}" for name in ("a.png", "b.png", "c&ü.png", "film.mp4", "mask.png")]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 server; any keys are good."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def store(
    endpoint: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, project: Project
) -> Iterator[Any]:
    """The store's client; its bucket `pictures` may be read, and deleted from in `drive/`."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, os.devnull)
    settings.S3_ENDPOINT_URL = settings.GS_ENDPOINT_URL = endpoint
    settings.GS_ACCESS_KEY_ID = settings.GS_SECRET_ACCESS_KEY = "test"
    settings.MEDIA_ALLOW = ["s3://pictures/", "s3://gone/", "gs://google/"]
    settings.MEDIA_DELETE_ALLOW = ["s3://pictures/drive/", "s3://gone/", "gs://google/"]
    s3._client.cache_clear()
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    for bucket in ("pictures", "google"):
        client.create_bucket(Bucket=bucket)
        for key in [*KEYS, "elsewhere/a.png"]:
            client.put_object(Bucket=bucket, Key=key, Body=b"0123456789")
    yield client
    for bucket in ("pictures", "google"):
        for key in left(client, bucket):
            client.delete_object(Bucket=bucket, Key=key)
        client.delete_bucket(Bucket=bucket)
    s3._client.cache_clear()


def left(client: Any, bucket: str = "pictures") -> set[str]:
    """Return the keys of the objects that are there."""
    return {item["Key"] for item in client.list_objects_v2(Bucket=bucket).get("Contents", ())}


def frame(frame_id: str, *uris: str, **given: Any) -> FrameData:
    """Return a frame with a source for each address; all have the masks and preview given."""
    sources = [SourceData(f"s{n}", uri, "image/png", **given) for n, uri in enumerate(uris)]
    return FrameData(
        frame_id=frame_id, context_id="c", timestamp=0.0, sources=sources, rois=[], meta={}
    )


def delete(dataset: Dataset, **options: Any) -> Job:
    """Delete a dataset with its objects; return the job, which has not begun."""
    given = {"delete_all_versions": True, "delete_sources": True, **options}
    return deletions.delete_dataset(
        dataset, actor=None, confirmation=dataset.name, force=True, **given
    )


def run(job: Job) -> dict[str, int]:
    """Run a deletion to its end; return how many objects were deleted, kept and failed."""
    deletions.run(job.uid)
    job.refresh_from_db()
    assert job.state == Job.State.DONE, job.message
    assert job.position == job.total
    assert not Dataset.objects.filter(pk=job.options["dataset"]).exists()
    counts: dict[str, int] = job.result.get("objects", {})
    return counts


def test_m9_delete_sources_deletes_the_objects_that_no_other_dataset_names(
    project: Project, store: Any, endpoint: str
) -> None:
    """Each object once; what lies elsewhere, and what others name in any way, stays."""
    own = [f"s3://pictures/{key}" for key in [*KEYS, "elsewhere/a.png"]]
    version = make_version(
        project,
        [
            *(frame(f"f{n}", uri, "https://example.com/b.png") for n, uri in enumerate(own)),
            frame("again", own[0], "gs://google/drive/film.mp4"),
            frame("never there", "s3://pictures/drive/never there"),
        ],
    )
    by_port = endpoint.replace("http://", "s3://") + "/pictures/drive/c&ü.png"
    make_version(frames=[frame("other", own[1], by_port, "gs://google/drive/b.png")])
    make_version(
        project,
        [
            frame("masked", "https://x.test/1", masks=[{"id": "m", "uri": own[4]}]),
            frame("shown", "https://x.test/2", preview={"uri": "S3://pictures/drive/b.png"}),
        ],
    )
    job = delete(version.dataset)
    assert run(job) == {"deleted": 4, "kept": 3, "failed": 0}
    assert left(store) == {"drive/b.png", "drive/c&ü.png", "drive/mask.png", "elsewhere/a.png"}
    assert left(store, "google") == {*KEYS, "elsewhere/a.png"} - {"drive/film.mp4"}
    assert [e.details for e in AuditEvent.objects.filter(verb="delete objects")] == [
        {"deleted": 4, "kept": 3, "failed": 0}
    ]
    assert AuditEvent.objects.get(verb="delete").details["delete_sources"] is True


def test_m9_delete_sources_is_ignored_unless_all_versions_are_deleted(
    project: Project, store: Any
) -> None:
    """As of a dataset whose versions are empty, though revisions are still there."""
    version = make_version(project, [frame("f", "s3://pictures/drive/a.png")])
    versions.delete_frames(version, ["f"], actor=None)
    assert Source.objects.exists()
    assert run(delete(version.dataset, delete_all_versions=False)) == {}
    assert len(left(store)) == 6


@pytest.mark.parametrize(
    "allowed",
    [[], ["s3://"], ["https://pictures/drive/"], ["s3://pictures/driv"], ["s3://gone/drive/"]],
)
def test_m9_nothing_is_deleted_where_the_operator_does_not_list_it(
    project: Project, store: Any, settings: Settings, allowed: list[str]
) -> None:
    settings.MEDIA_DELETE_ALLOW = allowed
    version = make_version(project, [frame("f", "s3://pictures/drive/a.png")])
    assert objects.deletable(version.dataset) == []
    assert run(delete(version.dataset)) == {"deleted": 0, "kept": 0, "failed": 0}
    assert len(left(store)) == 6


def test_what_the_project_may_not_read_is_not_deleted(
    project: Project, store: Any, settings: Settings
) -> None:
    settings.MEDIA_ALLOW = ["s3://pictures/drive/a.png"]
    uris = ["s3://pictures/drive/a.png", "s3://pictures/drive/b.png"]
    version = make_version(project, [frame("f", *uris)])
    assert run(delete(version.dataset))["deleted"] == 1
    assert left(store) == {*KEYS, "elsewhere/a.png"} - {"drive/a.png"}


def test_what_another_dataset_gets_while_objects_are_deleted_stays(
    project: Project, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "REVISIONS_PER_BATCH", 1)
    uris = [f"s3://pictures/{key}" for key in KEYS]
    job = delete(make_version(project, [frame(uri, uri) for uri in uris]).dataset)
    other = make_version(project)
    request = s3.delete_objects

    def import_meanwhile(*args: Any) -> Any:
        monkeypatch.setattr(s3, "delete_objects", request)
        add_frames(other, [frame("new", uris[3])])
        return request(*args)

    monkeypatch.setattr(s3, "delete_objects", import_meanwhile)
    assert run(job) == {"deleted": 4, "kept": 1, "failed": 0}
    assert left(store) == {"drive/film.mp4", "elsewhere/a.png"}


class Killed(BaseException):
    """What no code under test may catch, as it cannot a kill -9."""


@pytest.mark.parametrize("step", range(0, 24, 2))
@pytest.mark.parametrize("is_done", [False, True])
def test_a_killed_deletion_of_objects_comes_to_the_same_end(
    project: Project, store: Any, step: int, is_done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at each heartbeat, or as a store has answered; then run again."""
    monkeypatch.setattr(objects, "REVISIONS_PER_BATCH", 2)
    monkeypatch.setattr(objects, "_REVISIONS_PER_QUERY", 2)
    monkeypatch.setattr(objects, "_RENEW_S", 0)
    uris = [f"s3://pictures/{key}" for key in KEYS] + ["s3://gone/x"]
    frames = [frame(f"{n}", uris[n % 6], uris[(n + 1) % 6]) for n in range(8)]
    job = delete(make_version(project, frames).dataset)
    make_version(project, [frame("other", uris[2])])
    left_steps = iter(range(step))

    def dying(act: Callable[..., Any]) -> Callable[..., Any]:
        def run_and_die(*args: Any) -> Any:
            answer = act(*args) if is_done else None
            if next(left_steps, None) is None:
                raise Killed
            return answer if is_done else act(*args)

        return run_and_die

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "renew", dying(jobs.renew))
        patch.setattr(s3, "delete_objects", dying(s3.delete_objects))
        with pytest.raises(Killed):
            deletions.run(job.uid)
    Job.objects.filter(pk=job.pk).update(heartbeat_at=timezone.now() - timedelta(minutes=5))
    assert run(job) == {"deleted": 4, "kept": 1, "failed": 1}
    assert left(store) == {"drive/c&ü.png", "elsewhere/a.png"}
    assert [(e.path, e.reason.partition(":")[0]) for e in job.errors.all()] == [
        ("s3://gone/x", "NoSuchBucket")
    ]
    assert AuditEvent.objects.filter(verb="delete objects").count() == 1


def test_one_request_is_of_one_bucket_and_of_so_many_objects(
    project: Project, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_DELETED_AT_ONCE", 2)
    asked: list[list[str]] = []
    request = s3.delete_objects

    def note(uris: Any, policy: Any) -> Any:
        asked.append([f"{uri.scheme}://{uri.authority}" for uri in uris])
        return request(uris, policy)

    monkeypatch.setattr(s3, "delete_objects", note)
    uris = [f"{bucket}/{key}" for key in KEYS[:3] for bucket in ("s3://pictures", "gs://google")]
    assert run(delete(make_version(project, [frame("f", *uris)]).dataset))["deleted"] == 6
    assert sorted(asked) == [
        *([["gs://google"]] * 3),
        ["s3://pictures"],
        ["s3://pictures", "s3://pictures"],
    ]


def test_objects_that_cannot_be_deleted_are_listed_and_do_not_stop_the_deletion(
    project: Project,
    store: Any,
    endpoint: str,
    admin: User,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A store may refuse one of several."""
    of_store = s3._client(endpoint, None, signed=True, google=False)
    request = of_store.delete_objects

    def refuse_one(**given: Any) -> Any:
        answer = request(**given)
        key = given["Delete"]["Objects"][0]["Key"]
        return answer | {"Errors": [{"Key": key, "Code": "AccessDenied", "Message": "Not yours"}]}

    monkeypatch.setattr(of_store, "delete_objects", refuse_one)
    uris = ["s3://pictures/drive/a.png", "s3://pictures/drive/b.png", "s3://gone/a.png"]
    job = delete(make_version(project, [frame("f", *uris)]).dataset)
    assert run(job) == {"deleted": 1, "kept": 0, "failed": 2}
    client.force_login(admin)
    page = client.get(f"/jobs/{job.uid}/").content.decode()
    assert "AccessDenied: Not yours" in page
    assert "NoSuchBucket" in page
    assert "objects failed</dt><dd>2" in page


def test_a_store_that_does_not_answer_is_not_asked_for_ever(
    project: Project, store: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.S3_ENDPOINT_URL = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setattr(objects, "REVISIONS_PER_BATCH", 1)
    asked = []
    request = s3.delete_objects

    def note(uris: Any, policy: Any) -> Any:
        asked.append(uris)
        return request(uris, policy)

    monkeypatch.setattr(s3, "delete_objects", note)
    frames = [frame(key, f"s3://pictures/{key}") for key in KEYS]
    job = delete(make_version(project, frames).dataset)
    assert run(job) == {"deleted": 0, "kept": 0, "failed": 5}
    assert len(asked) == 3
    reasons = list(job.errors.values_list("reason", flat=True))
    assert reasons[0].startswith("The store did not answer")
    assert reasons[4] == "Not asked: the store has not answered before."


def test_a_deletion_that_is_started_again_still_deletes_objects(
    project: Project, store: Any
) -> None:
    job = delete(make_version(project, [frame("f", "s3://pictures/drive/a.png")]).dataset)
    Dataset.objects.filter(pk=job.options["dataset"]).update(
        deleted_at=timezone.now() - timedelta(hours=3)
    )
    Job.objects.update(state=Job.State.FAILED, finished_at=timezone.now() - timedelta(hours=2))
    deletions.sweep()
    assert run(Job.objects.exclude(pk=job.pk).get(kind=Job.Kind.DELETE))["deleted"] == 1
    assert "drive/a.png" not in left(store)


addresses = st.sampled_from(
    [
        f"{store}/{key}"
        for store in ("s3://pictures/drive", "gs://pictures/drive", "s3://pictures")
        for key in "abc"
    ]
)
datasets = st.lists(
    st.lists(
        st.tuples(st.lists(addresses, min_size=1, max_size=3), st.none() | addresses), max_size=4
    ),
    min_size=1,
    max_size=3,
)


@tries(40)
@given(described=datasets, batch=st.integers(1, 3))
def test_the_objects_that_go_are_those_of_a_brute_force_model(
    described: list[Any],
    batch: int,
    project: Project,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those of the dataset's sources where that is allowed, less those that any other names."""
    settings.MEDIA_ALLOW = ["s3://", "gs://"]
    settings.MEDIA_DELETE_ALLOW = ["s3://pictures/drive/", "gs://pictures/"]
    monkeypatch.setattr(objects, "REVISIONS_PER_BATCH", batch)
    monkeypatch.setattr(objects, "_REVISIONS_PER_QUERY", batch)
    gone: list[str] = []

    def request(uris: Any, policy: Any) -> dict[Any, str]:
        gone.extend(f"{uri.scheme}://{uri.authority}/{'/'.join(uri.path)}" for uri in uris)
        return {}

    monkeypatch.setattr(s3, "delete_objects", request)
    made = [
        make_version(
            project,
            [
                frame(f"f{n}", *uris, masks=[{"id": "m", "uri": mask}] if mask else None)
                for n, (uris, mask) in enumerate(frames)
            ],
        ).dataset
        for frames in described
    ]
    own = {uri for uris, _ in described[0] for uri in uris}
    own = {uri for uri in own if uri.startswith(("s3://pictures/drive/", "gs://pictures/"))}
    named = {uri for frames in described[1:] for uris, mask in frames for uri in (*uris, mask)}
    counts = run(delete(made[0]))
    assert sorted(gone) == sorted(own - named)
    if described[0]:
        assert counts == {"deleted": len(own - named), "kept": len(own & named), "failed": 0}
    Dataset.objects.filter(project=project).delete()


def test_an_answer_that_never_came_names_its_cause(store: Any, settings: Settings) -> None:
    settings.S3_ENDPOINT_URL = f"http://127.0.0.1:{free_port()}"
    uri = parse_uri("s3://pictures/drive/a.png")
    with pytest.raises(MediaError) as caught:
        s3.delete_objects([uri], MediaPolicy(allow=()))
    assert caught.value.reason is PreviewReason.UNREACHABLE
    assert "EndpointConnectionError" in caught.value.detail


def test_m9_the_form_offers_to_delete_objects_where_some_may_be(
    project: Project, store: Any, client: Client, admin: User
) -> None:
    """It needs its own tick, and says in which bucket."""
    client.force_login(admin)
    lies_there = make_version(project, [frame("f", "s3://pictures/drive/a.png")]).dataset
    lies_elsewhere = make_version(project, [frame("f", "s3://pictures/elsewhere/a.png")]).dataset
    pages = {
        dataset.pk: client.get(f"/datasets/{dataset.uid}/delete/").content.decode()
        for dataset in (lies_there, lies_elsewhere)
    }
    assert "themselves too, in s3://pictures/drive/" in pages[lies_there.pk]
    assert 'name="delete_sources"' in pages[lies_there.pk]
    assert 'name="delete_sources"' not in pages[lies_elsewhere.pk]
    sent = {"name": lies_there.name, "delete_all_versions": "on", "delete_sources": "on"}
    client.post(f"/datasets/{lies_there.uid}/delete/", sent)
    run(Job.objects.get(kind=Job.Kind.DELETE))
    assert "drive/a.png" not in left(store)


def test_m9_without_its_tick_objects_stay(
    project: Project, store: Any, client: Client, admin: User
) -> None:
    client.force_login(admin)
    dataset = make_version(project, [frame("f", "s3://pictures/drive/a.png")]).dataset
    sent = {"name": dataset.name, "delete_all_versions": "on"}
    client.post(f"/datasets/{dataset.uid}/delete/", sent)
    assert run(Job.objects.get(kind=Job.Kind.DELETE)) == {}
    assert len(left(store)) == 6
