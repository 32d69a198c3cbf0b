"""The page that makes a version from several parents, conflict by conflict or by one rule.

Its whole state is the address: `parent` for each parent in order, `picks` with a letter for each
conflict (the number of a parent, or `-`), `rule` for the rest, `page`, and what was typed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.shortcuts import redirect
from django.urls import reverse

from frames.actions import versions
from frames.actions.fields import NAME_MAX_CHARS, Refused
from frames.actions.versions import CONFLICTS_LISTED_MAX
from frames.models import Grant
from frames.search.compare import frame_changes
from frames.search.merge import unite
from frames.web import access
from frames.web.addresses import frame_address, version_address
from frames.web.drawn import drawn_rows
from frames.web.http import respond
from frames.web.pictures import ratio_of
from frames.web.text import count, plural
from frames.web.version_compare import change_lines
from frames.web.versions import version_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpResponse, QueryDict

    from frames.models import Dataset, Version
    from frames.search.merge import Rule, Side, Union
    from frames.web.drawn import Drawn
    from frames.web.http import SignedInRequest

PAGE_SIZE: Final = 12
PARENTS_MAX: Final = 10
VERSIONS_SHOWN: Final = 100
LINES_SHOWN: Final = 5
UNDECIDED: Final = "-"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A published version that can be a parent."""

    version: Version
    is_chosen: bool

    @property
    def frames(self) -> str:
        """How many frames it holds."""
        return plural(self.version.frame_count, "frame")


@dataclass(frozen=True, slots=True)
class Option:
    """One revision of a frame in conflict; `value` is the number of its first parent."""

    value: str
    names: str
    url: str
    drawn: Drawn
    lines: list[str]
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Conflict:
    """A frame of which parents hold different revisions; `field` is its name in the form."""

    field: str
    frame_id: str
    options: list[Option]
    is_decided: bool


@dataclass(frozen=True, slots=True)
class MergePage:
    """The parents chosen, what they hold together, and a page of their conflicts."""

    dataset: Dataset
    candidates: list[Candidate]
    parents: list[Version]
    union: Union | None
    conflicts: list[Conflict]
    picks: str
    rule: str
    page: int
    name: str
    description: str
    problem: str = ""

    @property
    def union_text(self) -> str:
        """What the new version will hold."""
        return plural(len(self.union), "frame") if self.union else ""

    @property
    def conflicts_text(self) -> str:
        """How many conflicts there are."""
        return plural(self.union.conflicts, "frame") if self.union else ""

    @property
    def is_listed(self) -> bool:
        """Whether conflicts are few enough to be chosen one by one."""
        return self.union is not None and 0 < self.union.conflicts <= CONFLICTS_LISTED_MAX

    @property
    def only_rule(self) -> str:
        """Why conflicts are not listed."""
        if self.union is None or self.union.conflicts <= CONFLICTS_LISTED_MAX:
            return ""
        return (
            f"That is more than {count(CONFLICTS_LISTED_MAX)}, which is the most to choose one by "
            "one. Choose a rule for all."
        )

    @property
    def decided_text(self) -> str:
        """How many conflicts have been chosen."""
        decided = len(self.picks) - self.picks.count(UNDECIDED)
        return f"{count(decided)} of {count(len(self.picks))} chosen"

    @property
    def rules(self) -> list[tuple[str, str, bool]]:
        """What can be done with conflicts that nobody has chosen for: value, text, chosen."""
        first, last = self.parents[0].name, self.parents[-1].name
        if len(self.parents) > 2:
            first, last = (f"{first}'s, else the next parent's", f"{last}'s, else the one's before")
        else:
            first, last = f"{first}'s", f"{last}'s"
        rules = [("first", f"Take {first}"), ("last", f"Take {last}")]
        if self.is_listed:
            rules.insert(0, ("", "Ask for each"))
        return [(value, text, value == self.rule) for value, text in rules]

    @property
    def pages(self) -> int:
        """How many pages of conflicts there are."""
        return -(-len(self.picks) // PAGE_SIZE)

    @property
    def previous_page(self) -> int:
        """The number of the page before, 0 on the first."""
        return self.page - 1

    @property
    def next_page(self) -> int:
        """The number of the page behind, 0 on the last."""
        return self.page + 1 if self.page < self.pages else 0

    @property
    def ratio(self) -> str:
        """The shape of the pictures' boxes."""
        return ratio_of(
            option.drawn.size for conflict in self.conflicts for option in conflict.options
        )

    @property
    def back_url(self) -> str:
        """Where to go instead."""
        return reverse("frames:dataset_detail", args=[self.dataset.uid])

    def as_json(self) -> dict[str, Any]:
        """Return what the parents hold together, and a page of their conflicts."""
        return {
            "candidates": [version_json(candidate.version) for candidate in self.candidates],
            "parents": [version_json(parent) for parent in self.parents],
            "frames": len(self.union) if self.union else None,
            "total": self.union.conflicts if self.union else None,
            "matched": len(self.picks),
            "items": [
                {
                    "frame_id": conflict.frame_id,
                    "options": [
                        {
                            "parents": option.names,
                            "url": option.url,
                            "changes": option.lines,
                            "is_chosen": option.is_chosen,
                        }
                        for option in conflict.options
                    ],
                }
                for conflict in self.conflicts
            ],
            "next": self.next_page or None,
        }

    @property
    def url(self) -> str:
        """The page's address with its state."""
        query: list[tuple[str, Any]] = [("parent", parent.uid) for parent in self.parents]
        if self.picks.strip(UNDECIDED):
            query.append(("picks", self.picks))
        if self.rule:
            query.append(("rule", self.rule))
        if self.page > 1:
            query.append(("page", self.page))
        if self.name != _default_name(self.parents):
            query.append(("name", self.name))
        if self.description:
            query.append(("description", self.description))
        path = reverse("frames:version_merge", args=[self.dataset.uid])
        return f"{path}?{urlencode(query)}" if query else path


def version_merge(
    request: SignedInRequest, dataset_uid: str, *, as_json: bool = False
) -> HttpResponse:
    """Choose parents, choose between their revisions, and make a draft of their union."""
    dataset = access.dataset_or_404(request.user, dataset_uid)
    access.require(request.user, dataset.project, Grant.Role.EDITOR)
    given = request.POST if request.method == "POST" else request.GET
    page = _page(dataset, given)
    if request.method != "POST" or page.union is None or page.problem:
        status = 400 if page.problem else 200
        return respond(request, page, "version/merge.html", as_json=as_json, status=status)
    if "create" not in request.POST:
        # Another page of conflicts: what was chosen on this one travels in the address.
        return redirect(replace(page, page=_number(given.get("go", ""), page.pages)).url)
    try:
        version = versions.create_version(
            dataset=dataset,
            name=page.name,
            description=page.description,
            parents=page.parents,
            actor=request.user,
            rule=_rule(page.rule),
            chosen=_chosen(page),
        )
    except Refused as error:
        page = replace(page, problem=str(error))
        return respond(request, page, "version/merge.html", as_json=False, status=400)
    messages.success(request, f"{version.name} holds {plural(version.frame_count, 'frame')}.")
    return redirect(version_address(version))


def _page(dataset: Dataset, given: QueryDict) -> MergePage:
    """Read the state of the page. Queries: a dozen."""
    wanted = [uid for uid in dict.fromkeys(given.getlist("parent")) if uid.isalnum()]
    wanted = wanted[:PARENTS_MAX]
    published = dataset.versions.published().order_by("-published_at", "-pk")
    found = {version.uid: version for version in published.filter(uid__in=wanted)}
    parents = [found[uid] for uid in wanted if uid in found]
    for parent in parents:
        parent.dataset = dataset
    union = unite(parents) if len(parents) > 1 else None
    listed = union.conflicts if union and union.conflicts <= CONFLICTS_LISTED_MAX else 0
    picks = _picks(given, listed, len(parents))
    rule = given.get("rule", "") if given.get("rule") in ("first", "last") else ""
    page = _number(given.get("page", ""), -(-listed // PAGE_SIZE))
    problem = ""
    if len(parents) < len(given.getlist("parent")):
        problem = (
            "A parent is a published version of this dataset, and is named once. What is not was "
            "left out."
        )
    return MergePage(
        dataset=dataset,
        problem=problem,
        candidates=[
            Candidate(version, version.uid in found) for version in published[:VERSIONS_SHOWN]
        ],
        parents=parents,
        union=union,
        conflicts=_conflicts(union, picks, page) if union and listed else [],
        picks=picks,
        rule=rule,
        page=page,
        name=given.get("name", _default_name(parents)),
        description=given.get("description", ""),
    )


def _default_name(parents: Sequence[Version]) -> str:
    """Return the name of a version nobody has named yet."""
    return f"Merge of {', '.join(parent.name for parent in parents)}"[:NAME_MAX_CHARS]


def _picks(given: QueryDict, conflicts: int, parents: int) -> str:
    """Return a letter for each conflict, what the form has sent over what the address holds."""
    valid = set(map(str, range(parents)))
    kept = given.get("picks", "")[:conflicts].ljust(conflicts, UNDECIDED)
    letters = [letter if letter in valid else UNDECIDED for letter in kept]
    for number in range(conflicts):
        if (sent := given.get(f"c{number}")) in valid:
            letters[number] = str(sent)
    return "".join(letters)


def _number(text: str, last: int) -> int:
    """Return a page's number, from 1 to the last."""
    return min(max(1, int(text)), max(1, last)) if text.isdecimal() and len(text) < 6 else 1


def _rule(text: str) -> Rule | None:
    if text == "first":
        return "first"
    return "last" if text == "last" else None


def _chosen(page: MergePage) -> dict[str, str]:
    """Return the parent chosen for each frame that one was chosen for."""
    if page.union is None:
        return {}
    numbers = [number for number, letter in enumerate(page.picks) if letter != UNDECIDED]
    names = page.union.names(numbers)
    return {
        name: page.parents[int(page.picks[number])].uid
        for name, number in zip(names, numbers, strict=True)
    }


def _conflicts(union: Union, picks: str, page: int) -> list[Conflict]:
    """Return a page of conflicts with their pictures. Queries: 3."""
    first = (page - 1) * PAGE_SIZE
    found = union.sides(first, PAGE_SIZE)
    rows = [side.row for sides in found for side in sides]
    drawn = drawn_rows(union.parents[0].dataset.project_id, rows)
    of = {row.frame.pk: picture for row, picture in zip(rows, drawn, strict=True)}
    conflicts = []
    for number, sides in enumerate(found, first):
        options = [
            _option(union.parents, sides, side, of[side.row.frame.pk], picks[number])
            for side in sides
        ]
        frame_id = sides[0].row.frame.frame_id
        decided = any(option.is_chosen for option in options)
        conflicts.append(Conflict(f"c{number}", frame_id, options, decided))
    return conflicts


def _option(
    parents: Sequence[Version], sides: Sequence[Side], side: Side, drawn: Drawn, pick: str
) -> Option:
    holders = [parents[number] for number in side.parents]
    first = sides[0].row
    lines = (
        change_lines(first, side.row, frame_changes(first, side.row))
        if side is not sides[0]
        else []
    )
    more = len(lines) - LINES_SHOWN
    return Option(
        value=str(side.parents[0]),
        names=", ".join(holder.name for holder in holders),
        url=frame_address(holders[0], side.row.frame.frame_id, {}),
        drawn=drawn,
        lines=lines[:LINES_SHOWN] + ([f"and {plural(more, 'change')} more"] if more > 0 else []),
        is_chosen=pick in map(str, side.parents),
    )
