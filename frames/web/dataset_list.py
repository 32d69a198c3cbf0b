"""The datasets page: one card a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Count, OuterRef, Q, Subquery
from django.urls import reverse
from django.utils.http import urlencode

from frames.models import Dataset, Grant, Project, Source, Version
from frames.models.frame import ORDINAL_BITS, frame_pk
from frames.previews.spec import PREVIEW_EDGE_PX
from frames.web import access
from frames.web.addresses import version_address
from frames.web.http import respond
from frames.web.pictures import Picture, pictures_of
from frames.web.text import count, elapsed, percent, plural, words_of
from frames.web.versions import Action

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from django.contrib.auth.models import User
    from django.http import HttpResponse

    from frames.web.http import SignedInRequest

PAGE_SIZE: Final = 24
SORTS: Final = {
    "-updated": ("Recent first", "-updated_at"),
    "updated": ("Oldest first", "updated_at"),
    "name": ("Name A-Z", "name"),
    "-name": ("Name Z-A", "-name"),
}


@dataclass(frozen=True, slots=True)
class DatasetQuery:
    """What the page's address asks for; `page`, its `after`, counts from 1."""

    q: str = ""
    project: str = ""
    sort: str = "-updated"
    page: int = 1

    @classmethod
    def from_params(cls, params: dict[str, str]) -> DatasetQuery:
        """Read the address; what is not known falls back to the default."""
        number = params.get("after", "")
        # No name has a null character, and PostgreSQL refuses to be asked for one.
        return cls(
            q=params.get("q", "").replace("\x00", "").strip(),
            project=params.get("project", "").replace("\x00", ""),
            sort=params["sort"] if params.get("sort") in SORTS else "-updated",
            page=max(1, int(number)) if number.isdecimal() and len(number) < 7 else 1,
        )

    def next_querystring(self) -> str:
        """Return the query of the next page."""
        params = {"q": self.q, "project": self.project, "sort": self.sort}
        params = {key: value for key, value in params.items() if value}
        return urlencode({**params, "after": str(self.page + 1)})


@dataclass(frozen=True, slots=True)
class DatasetCard:
    """One dataset; the figures are of the version updated last."""

    uid: str
    name: str
    description: str
    project: str
    updated_at: datetime
    updated_by: str
    has_metadata: bool
    version_count: int
    version_name: str
    frame_count: int
    annotated_count: int
    tags: list[str]
    is_example: bool
    url: str
    strip: list[Picture]
    actions: list[Action]
    metadata_url: str

    @property
    def updated(self) -> str:
        """How long ago it was updated."""
        return elapsed(self.updated_at)

    @property
    def versions(self) -> str:
        """The number of versions, grouped."""
        return count(self.version_count)

    @property
    def frames(self) -> str:
        """The number of frames, grouped."""
        return count(self.frame_count)

    @property
    def annotated(self) -> str:
        """The share of frames with a region."""
        return percent(self.annotated_count, self.frame_count)

    def as_json(self) -> dict[str, Any]:
        """Return the dataset as JSON."""
        return {
            "id": self.uid,
            "name": self.name,
            "description": self.description,
            "project": self.project,
            "updated": self.updated_at.isoformat(),
            "updated_by": self.updated_by or None,
            "has_metadata": self.has_metadata,
            "versions": self.version_count,
            "version_name": self.version_name,
            "frames": self.frame_count,
            "annotated_frames": self.annotated_count,
            "tags": self.tags,
            "example": self.is_example,
            "url": self.url,
            "pictures": [picture.url for picture in self.strip if picture.is_ready],
        }


@dataclass(frozen=True, slots=True)
class DatasetListPage:
    """One page of the datasets the reader may see."""

    query: DatasetQuery
    project: Project | None
    projects: list[Project]
    total: int
    matched: int
    items: list[DatasetCard]
    next_url: str
    new_url: str
    import_url: str
    sorts: list[tuple[str, str]]

    @property
    def found(self) -> str:
        """How many datasets there are."""
        if self.matched == self.total:
            return plural(self.total, "dataset")
        return f"{count(self.matched)} out of {plural(self.total, 'dataset')}"

    def as_json(self) -> dict[str, Any]:
        """Return the list; `next` is the next page's number."""
        return {
            "total": self.total,
            "matched": self.matched,
            "items": [card.as_json() for card in self.items],
            "next": self.query.page + 1 if self.next_url else None,
        }


def dataset_list(request: SignedInRequest, *, as_json: bool = False) -> HttpResponse:
    """Show the datasets the reader may see, found by text, of one project or of all."""
    query = DatasetQuery.from_params(request.GET.dict())
    page = _load(request.user, query)
    return respond(request, page, "dataset/list.html", as_json=as_json, partial="cards")


def _load(user: User, query: DatasetQuery) -> DatasetListPage:
    projects = list(Project.objects.visible_to(user))
    project = access.project_or_404(user, query.project) if query.project else None
    visible = Dataset.objects.visible_to(user)
    if project:
        visible = visible.filter(project=project)
    matching = visible
    for word in words_of(query.q):
        matching = matching.filter(
            Q(name__icontains=word) | Q(description__icontains=word) | Q(tags__icontains=word)
        )
    total = visible.count()
    matched = matching.count() if query.q else total

    start = (query.page - 1) * PAGE_SIZE
    datasets = list(
        matching.select_related("project", "updated_by").order_by(SORTS[query.sort][1], "pk")[
            start : start + PAGE_SIZE
        ]
    )
    newest, counts = _newest_versions(datasets), _version_counts(datasets)
    roles = access.roles_in(user, {dataset.project_id for dataset in datasets})
    strips = _strips(datasets, newest)
    cards = [
        _card(
            dataset,
            newest.get(dataset.pk),
            counts.get(dataset.pk, 0),
            strips[dataset.pk],
            roles[dataset.project_id],
        )
        for dataset in datasets
    ]
    editable = [p for p in access.editable_projects(user) if project in (None, p)]
    return DatasetListPage(
        query=query,
        project=project,
        projects=projects,
        total=total,
        matched=matched,
        items=cards,
        next_url=f"?{query.next_querystring()}" if start + PAGE_SIZE < matched else "",
        new_url=_new_url(editable),
        import_url=_import_url(editable),
        sorts=[(value, label) for value, (label, _) in SORTS.items()],
    )


def _newest_versions(datasets: Sequence[Dataset]) -> dict[int, Version]:
    """Return the version updated last by its dataset; one query."""
    newest = Version.objects.filter(dataset=OuterRef("pk")).order_by("-updated_at", "-pk")
    wanted = Dataset.objects.filter(pk__in=[dataset.pk for dataset in datasets]).annotate(
        newest=Subquery(newest.values("pk")[:1])
    )
    versions = Version.objects.filter(pk__in=wanted.values("newest"))
    return {version.dataset_id: version for version in versions}


def _version_counts(datasets: Sequence[Dataset]) -> dict[int, int]:
    """Return how many versions each dataset has; one query."""
    counts = (
        Version.objects.filter(dataset__in=datasets)
        .order_by()
        .values_list("dataset_id")
        .annotate(Count("pk"))
    )
    return dict(counts)


def _card(
    dataset: Dataset, version: Version | None, version_count: int, strip: list[Picture], role: int
) -> DatasetCard:
    address = reverse("frames:dataset_detail", args=[dataset.uid])
    if version:
        # The row is at hand: without this the address would fetch it again.
        version.dataset = dataset
        url = version_address(version)
    else:
        url = address
    return DatasetCard(
        uid=dataset.uid,
        name=dataset.name,
        description=dataset.description,
        project=dataset.project.name,
        updated_at=dataset.updated_at,
        updated_by=dataset.updated_by.get_username() if dataset.updated_by else "",
        has_metadata=bool(dataset.metadata),
        version_count=version_count,
        version_name=version.name if version else "",
        frame_count=version.frame_count if version else 0,
        annotated_count=version.annotated_count if version else 0,
        tags=dataset.tags,
        is_example=dataset.is_example,
        url=url,
        strip=strip,
        actions=_actions(address, role),
        metadata_url=f"{address}metadata/" if role >= Grant.Role.EDITOR else "",
    )


def _actions(address: str, role: int) -> list[Action]:
    """Return what the reader can do with a dataset (D8)."""
    actions = []
    if role >= Grant.Role.EDITOR:
        actions += [
            Action("Rename", f"{address}edit/"),
            Action("Add tag", f"{address}edit/#tags"),
            Action("Edit metadata", f"{address}metadata/"),
            Action("New empty version", f"{address}versions/new/"),
        ]
    if role >= Grant.Role.ADMIN:
        actions.append(Action("Delete", f"{address}delete/"))
    return actions


def _strips(
    datasets: Sequence[Dataset], versions: Mapping[int, Version]
) -> dict[int, list[Picture]]:
    """Return a few pictures of each dataset, spread over the version that its card tells of.

    Two queries for all cards together: the sources, by primary keys that the ordinals give, and
    their previews.
    """
    wanted = [
        frame_pk(dataset_pk, ordinal)
        for dataset_pk, version in versions.items()
        for ordinal in version.sample
    ]
    sources = list(Source.objects.filter(frame_id__in=wanted, position=0).order_by("frame_id"))
    projects = {dataset.pk: dataset.project_id for dataset in datasets}
    pictures = pictures_of(
        [(projects[source.frame_id >> ORDINAL_BITS], source) for source in sources],
        PREVIEW_EDGE_PX,
    )
    strips: dict[int, list[Picture]] = {dataset.pk: [] for dataset in datasets}
    for source in sources:
        strips[source.frame_id >> ORDINAL_BITS].append(pictures[source.pk])
    return strips


def _new_url(editable: list[Project]) -> str:
    """Return where a dataset is made, in the one project there is for it or in one of several."""
    if not editable:
        return ""
    url = reverse("frames:dataset_create")
    return f"{url}?project={editable[0].uid}" if len(editable) == 1 else url


def _import_url(editable: list[Project]) -> str:
    """Return where frames are imported, by way of the projects where there are several."""
    if not editable:
        return ""
    if len(editable) > 1:
        return reverse("frames:project_list")
    return reverse("frames:import_create", args=[editable[0].uid])
