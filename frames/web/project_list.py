"""The projects page."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Count
from django.urls import reverse

from frames.models import Dataset, Grant, Project
from frames.web.http import respond
from frames.web.text import plural

if TYPE_CHECKING:
    from django.http import HttpResponse

    from frames.web.http import SignedInRequest

MAX_TAGS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class ProjectCard:
    """One project the reader is in."""

    uid: str
    name: str
    description: str
    dataset_count: int
    tags: list[str]
    role: str
    url: str
    import_url: str

    @property
    def datasets(self) -> str:
        """The number of datasets in words."""
        return plural(self.dataset_count, "dataset")

    def as_json(self) -> dict[str, Any]:
        """Return the project as JSON."""
        return {
            "id": self.uid,
            "name": self.name,
            "description": self.description,
            "datasets": self.dataset_count,
            "tags": self.tags,
            "role": self.role,
            "url": self.url,
        }


@dataclass(frozen=True, slots=True)
class ProjectListPage:
    """Every project the reader is in."""

    items: list[ProjectCard]

    def as_json(self) -> dict[str, Any]:
        """Return the list."""
        items = [card.as_json() for card in self.items]
        return {"total": len(items), "matched": len(items), "items": items, "next": None}


def project_list(request: SignedInRequest, *, as_json: bool = False) -> HttpResponse:
    """Show the projects the reader is in, with their size, tags in use and the reader's role."""
    visible = Dataset.objects.visible_to(request.user).order_by()
    counts = dict(visible.values_list("project_id").annotate(Count("pk")))
    tags: dict[int, set[str]] = defaultdict(set)
    for project_pk, dataset_tags in visible.exclude(tags=[]).values_list("project_id", "tags"):
        tags[project_pk].update(dataset_tags)
    grants = Grant.objects.filter(user=request.user)
    roles = {grant.project_id: Grant.Role(grant.role) for grant in grants}
    everywhere = Grant.Role.ADMIN if request.user.is_superuser else Grant.Role.VIEWER
    cards = []
    for project in Project.objects.visible_to(request.user):
        role = max(roles.get(project.pk, Grant.Role.VIEWER), everywhere)
        cards.append(
            ProjectCard(
                uid=project.uid,
                name=project.name,
                description=project.description,
                dataset_count=counts.get(project.pk, 0),
                tags=sorted(tags[project.pk])[:MAX_TAGS_SHOWN],
                role=role.label,
                url=f"{reverse('frames:dataset_list')}?project={project.uid}",
                import_url=reverse("frames:import_create", args=[project.uid])
                if role >= Grant.Role.EDITOR
                else "",
            )
        )
    return respond(request, ProjectListPage(cards), "project/list.html", as_json=as_json)
