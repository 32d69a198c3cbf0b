"""What every page of a version has: the panel of the dataset's versions, and its JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from django.db.models import Q
from django.urls import reverse

from frames.models import Grant, Version
from frames.models.base import name_key
from frames.web.addresses import compare_address, version_address
from frames.web.lineage import outline, with_ancestors
from frames.web.text import count, elapsed, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from frames.models.version import VersionQuerySet

# What goes with the reader from one page of the version to the next.
_KEPT: Final = ("q", "label", "versions", "find")
# So many rows are drawn, however many versions a dataset has.
ROWS_MAX: Final = 100
# Of up to so many a tree reads who was made from whom: 8 ms more than a list of them takes.
TREE_VERSIONS_MAX: Final = 2_000
FIND_MAX_CHARS: Final = 255


@dataclass(frozen=True, slots=True)
class PanelQuery:
    """How the panel lists the versions: `versions` is empty for a list or `tree`, `find` a text."""

    versions: str = ""
    find: str = ""

    @classmethod
    def from_params(cls, params: Mapping[str, str]) -> PanelQuery:
        """Read the address; what is not known falls back to the list."""
        find = params.get("find", "").replace("\x00", "").strip()[:FIND_MAX_CHARS]
        return cls("tree" if params.get("versions") == "tree" else "", find)

    def params(self) -> dict[str, str]:
        """Return the fields that differ from their defaults."""
        given = {"versions": self.versions, "find": self.find}
        return {name: value for name, value in given.items() if value}


@dataclass(frozen=True, slots=True)
class Action:
    """One entry of a version's menu."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version in the panel.

    In a tree, `opens` says that the rows below are made from it, `forks` that these are several
    lines, and `closes` how many such branches end behind it. `is_muted` is one that does not
    match but leads to one that does.
    """

    uid: str
    name: str
    url: str
    is_draft: bool
    is_current: bool
    updated_at: datetime
    frames: str
    actions: list[Action]
    is_muted: bool = False
    is_merge: bool = False
    opens: bool = False
    forks: bool = False
    closes: int = 0

    @property
    def updated(self) -> str:
        """How long ago it was updated."""
        return elapsed(self.updated_at)

    @property
    def closed_branches(self) -> range:
        """The branches that end behind it, to count by."""
        return range(self.closes)


@dataclass(frozen=True, slots=True)
class VersionPanel:
    """The versions of a dataset as a list or a tree, all of them or those that were found."""

    query: PanelQuery
    params: Mapping[str, str]
    total: int
    matched: int
    rows: list[VersionRow]
    is_tree: bool
    create_url: str

    @property
    def count(self) -> str:
        """How many versions there are, and how many of them were found."""
        if self.query.find:
            return f"{count(self.matched)} of {count(self.total)}"
        return count(self.total)

    @property
    def note(self) -> str:
        """What is not drawn, and why."""
        if self.query.versions == "tree" and not self.is_tree:
            return (
                f"A tree is drawn of up to {plural(TREE_VERSIONS_MAX, 'version')}. "
                f"This is the list of the {count(len(self.rows))} updated last."
            )
        if self.matched > ROWS_MAX:
            return f"The {count(ROWS_MAX)} updated last are shown. Search to find others."
        return ""

    @property
    def kept(self) -> list[tuple[str, str]]:
        """The rest of the page's state, for the form that searches the versions."""
        return [(name, value) for name, value in self.params.items() if name != "find"]

    @property
    def list_url(self) -> str:
        """The same page with the versions as a list."""
        return self._with(versions="")

    @property
    def tree_url(self) -> str:
        """The same page with the versions as a tree."""
        return self._with(versions="tree")

    @property
    def all_url(self) -> str:
        """The same page with all versions."""
        return self._with(find="")

    @property
    def tabs_query(self) -> str:
        """The filter and the panel's own state, for the version's other pages."""
        return _querystring({name: self.params.get(name, "") for name in _KEPT})

    def _with(self, **changes: str) -> str:
        # A link without a query would lead to the address as it is.
        return _querystring({**self.params, **changes}) or "?"


def panel_of(version: Version, params: Mapping[str, str], role: int) -> VersionPanel:
    """Return the panel of a version's dataset, itself marked in it, as the page's address asks.

    `role` is what the reader may do. Queries: 2 for a list, 3 for a tree; to find, 3 and 5.
    """
    query = PanelQuery.from_params(params)
    dataset = version.dataset
    newest = dataset.versions.order_by("-updated_at", "-pk")
    total = dataset.versions.count()
    found = _found(newest, query.find)
    matched = found.count() if query.find else total
    is_tree = query.versions == "tree" and total <= TREE_VERSIONS_MAX
    reader = _Reader(version, query, role)
    rows = reader.by_lineage(newest, found) if is_tree else reader.by_update(found)
    return VersionPanel(
        query=query,
        params=params,
        total=total,
        matched=matched,
        rows=rows,
        is_tree=is_tree,
        create_url=reverse("frames:version_create", args=[dataset.uid])
        if role >= Grant.Role.EDITOR
        else "",
    )


def version_json(version: Version) -> dict[str, Any]:
    """Return a version as JSON."""
    return {
        "id": version.uid,
        "name": version.name,
        "status": version.status,
        "frames": version.frame_count,
        "annotated_frames": version.annotated_count,
        "annotations": version.region_count,
        "updated": version.updated_at.isoformat(),
        "url": version_address(version),
    }


def _found(versions: VersionQuerySet, find: str) -> VersionQuerySet:
    """Keep the versions whose name, description or ID has a text (V6)."""
    if not find:
        return versions
    return versions.filter(
        Q(name__icontains=find)
        # The key also knows the letters of other alphabets, which a database may not.
        | Q(name_key__contains=name_key(find))
        | Q(description__icontains=find)
        | Q(uid__startswith=find.lower())
    )


class _Reader:
    """Makes the rows of one panel."""

    def __init__(self, shown: Version, query: PanelQuery, role: int) -> None:
        self.shown = shown
        self.query = query
        self.role = role

    def by_update(self, found: VersionQuerySet) -> list[VersionRow]:
        """Return the rows of those updated last. Queries: 1."""
        return [self._row(version) for version in _light(found)[:ROWS_MAX]]

    def by_lineage(self, newest: VersionQuerySet, found: VersionQuerySet) -> list[VersionRow]:
        """Return rows by descent, those updated last first. Queries: 2, and 1 to find.

        Where not all can be drawn, these are: what was found, or else the page's own version and
        those updated last, and from each the way up to its root as far as there are rows left.
        """
        parents: dict[int, list[int]] = {}
        for pk, parent in newest.values_list("pk", "parents"):
            parents.setdefault(pk, []).extend([parent] if parent else [])
        above = {pk: min(those) for pk, those in parents.items() if those}
        if self.query.find:
            wanted = list(found.values_list("pk", flat=True)[:ROWS_MAX])
        else:
            wanted = [self.shown.pk, *parents]
        drawn = with_ancestors(wanted, above, ROWS_MAX)
        # Those alone that are still there: one may be deleted in this moment.
        rows = _light(Version.objects.filter(pk__in=drawn)).in_bulk()
        matching = set(wanted)
        return [
            self._row(
                rows[place.pk],
                is_muted=place.pk not in matching,
                is_merge=len(parents[place.pk]) > 1,
                opens=place.opens,
                forks=place.forks,
                closes=place.closes,
            )
            for place in outline((pk for pk in parents if pk in rows), above)
        ]

    def _row(self, version: Version, **place: Any) -> VersionRow:
        # The row is at hand: without this the address would fetch it again.
        version.dataset = self.shown.dataset
        return VersionRow(
            uid=version.uid,
            name=version.name,
            url=version_address(version, self.query.params()),
            is_draft=version.is_draft,
            is_current=version.pk == self.shown.pk,
            updated_at=version.updated_at,
            frames=plural(version.frame_count, "frame"),
            actions=list(self._actions(version)),
            **place,
        )

    def _actions(self, version: Version) -> Iterator[Action]:
        """Yield what the reader can do with a version (V7)."""
        address = version_address(version)
        if self.role >= Grant.Role.EDITOR:
            yield Action("Rename", f"{address}edit/")
            if not version.is_draft:
                yield Action("Create new version", f"{address}branch/")
        if version.is_draft and self.role >= Grant.Role.ADMIN:
            yield Action("Publish", f"{address}publish/")
            yield Action("Delete", f"{address}delete/")
        yield Action("View metadata", f"{address}metadata/")
        if version.pk != self.shown.pk:
            yield Action(f"Compare with {self.shown.name}", compare_address(version, self.shown))


def _querystring(params: Mapping[str, str]) -> str:
    given = {name: value for name, value in params.items() if value}
    return f"?{urlencode(given)}" if given else ""


def _light(versions: VersionQuerySet) -> VersionQuerySet:
    """Leave out what can be large and no row shows."""
    return versions.defer("description", "metadata", "sample", "tags")
