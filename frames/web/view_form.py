"""The form that makes and changes a data view (W7, W8); each of its buttons works by sending it."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, Q, Window
from django.db.models.functions import RowNumber
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from frames.actions import views as actions
from frames.actions.fields import NAME_MAX_CHARS, Refused, clean_description, clean_name
from frames.models import Dataset, Grant, Project, Version
from frames.search import views
from frames.search.clauses import joined
from frames.search.errors import QueryError
from frames.search.syntax import phrase
from frames.search.view_definition import (
    ALL,
    RANDOM,
    SEED,
    SEQUENTIAL,
    Definition,
    DefinitionError,
    Problem,
    Scope,
)
from frames.web import access
from frames.web.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from django.contrib.auth.models import User
    from django.http import HttpResponse, QueryDict

    from frames.models import DataView
    from frames.search.views import ViewFrames
    from frames.web.http import SignedInRequest

DATASETS_LISTED_MAX: Final = 500
VERSIONS_LISTED_MAX: Final = 100
LABELS_NUMBERED_MAX: Final = 200
_NUMBER_LINE: Final = re.compile(r"(-?\d{1,12})[\s:=]+(\S.*)")
_REPETITIONS: Final = {
    "once": "Use each frame once",
    "limit": "Limit frames",
    "infinite": "Infinite iterations",
}
_EVERYTHING: Final = "* *"


@dataclass(frozen=True, slots=True)
class RuleFields:
    """The fields that write a rule into a filter's text."""

    labels: str = ""
    exclude: str = ""
    confidence_low: str = ""
    confidence_high: str = ""
    count_low: str = ""
    count_high: str = ""
    frame: str = ""
    source: str = ""

    def clauses(self) -> list[str]:
        """Return what they say as clauses of a filter text."""
        inside = [f"label:{phrase(label)}" for label in _split(self.labels)]
        if self.confidence_low or self.confidence_high:
            low, high = self.confidence_low or "*", self.confidence_high or "*"
            inside.append(f"confidence:[{low} TO {high}]")
        if self.count_low or self.count_high:
            inside.append(f"count:[{self.count_low or '*'} TO {self.count_high or '*'}]")
        regions = f"rois:({' AND '.join(inside)})" if inside else ""
        if regions and self.exclude:
            regions = f"NOT {regions}"
        return [text for text in (regions, self.frame, self.source) if text]


@dataclass(frozen=True, slots=True)
class FilterFields:
    """One filter as it was typed."""

    scope: str = _EVERYTHING
    weight: str = "1"
    q: str = ""
    rule: RuleFields = RuleFields()


@dataclass(frozen=True, slots=True)
class MappingFields:
    """One mapping rule as it was typed; labels stand with commas between them."""

    scope: str = _EVERYTHING
    labels: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class ViewForm:
    """All that was typed. `numbers` is the enumeration, a line `number label` a label."""

    project: str = ""
    name: str = ""
    description: str = ""
    versions: tuple[Scope, ...] = ()
    filters: tuple[FilterFields, ...] = (FilterFields(),)
    mapping: tuple[MappingFields, ...] = ()
    numbers: str = ""
    order: str = SEQUENTIAL
    repetition: str = "once"
    limit: str = ""
    seed: str = str(SEED)
    clip: str = "1"
    saved: str = ""

    @classmethod
    def from_post(cls, given: QueryDict) -> ViewForm:
        """Read what a person has sent."""
        given = _without_nulls(given)
        texts = {name: given.get(name, "") for name in ("project", "name", "description", "saved")}
        rule_names = RuleFields.__dataclass_fields__
        rules = _rows(given, {name: f"rule.{name}" for name in rule_names if name != "exclude"})
        filters = _rows(given, {name: f"filter.{name}" for name in ("scope", "weight", "q")})
        return cls(
            **texts,
            versions=tuple(
                Scope(row["dataset"], row["version"])
                for row in _rows(given, {n: f"version.{n}" for n in ("dataset", "version")})
            ),
            filters=tuple(
                FilterFields(
                    **row,
                    rule=RuleFields(
                        **(rules[n] if n < len(rules) else {}),
                        # A box that is not ticked sends nothing, so that each has its own name.
                        exclude=given.get(f"rule.exclude.{n}", ""),
                    ),
                )
                for n, row in enumerate(filters)
            ),
            mapping=tuple(
                MappingFields(**row)
                for row in _rows(given, {n: f"mapping.{n}" for n in ("scope", "labels", "target")})
            ),
            numbers=given.get("numbers", ""),
            order=given.get("order", SEQUENTIAL),
            repetition=given.get("repetition", "once"),
            limit=given.get("limit", "").strip(),
            seed=given.get("seed", "").strip(),
            clip=given.get("clip", "").strip(),
        )

    @classmethod
    def from_view(cls, view: DataView, definition: Definition, found: ViewFrames) -> ViewForm:
        """Show a view as it is, but for what its reader may not see."""
        iteration = definition.iteration
        repetition = "infinite" if iteration.infinite else "limit" if iteration.limit else "once"

        def is_visible(scope: Scope) -> bool:
            return scope == Scope() or any(map(scope.covers, found.versions))

        numbers = sorted((n, label) for label, n in definition.labels_enumeration.items())
        if found.missing:
            # Of the labels of what is hidden not even the names are told.
            known = set(views.labels_of(found))
            known |= {rule.target for rule in definition.mapping if is_visible(rule.scope)}
            numbers = [(number, label) for number, label in numbers if label in known]

        return cls(
            project=view.project.uid,
            name=view.name,
            description=view.description,
            versions=tuple(s for s in definition.versions if s not in found.missing),
            filters=tuple(
                FilterFields(_joined_scope(item.scope), f"{item.weight:.15g}", item.q)
                for item in definition.filters
                if is_visible(item.scope)
            ),
            mapping=tuple(
                MappingFields(_joined_scope(rule.scope), _listed(rule.labels), rule.target)
                for rule in definition.mapping
                if is_visible(rule.scope)
            ),
            numbers="\n".join(f"{number} {label}" for number, label in numbers),
            order=iteration.order,
            repetition=repetition,
            limit=str(iteration.limit or ""),
            seed=str(iteration.random_seed),
            clip=str(iteration.clip_length),
            saved=view.saved_at.isoformat() if view.saved_at else "",
        )

    def definition(self) -> Definition:
        """Return what was typed as a definition; raise DefinitionError with all that is wrong."""
        problems: list[Problem] = []
        numbers = self._numbers(problems)
        data = {
            "versions": [scope.as_json() for scope in self.versions],
            "filters": [
                {**_parted_scope(item.scope), "weight": _number(item.weight), "q": item.q}
                for item in self.filters
            ],
            "mapping": {
                "rules": [
                    {
                        "source": {**_parted_scope(row.scope), "labels": _split(row.labels)},
                        "target": row.target.strip(),
                    }
                    for row in self.mapping
                ]
            },
            "labels_enumeration": numbers,
            "iteration": {
                "order": self.order,
                "infinite": self.repetition == "infinite",
                "limit": _number(self.limit) if self.repetition == "limit" else None,
                "random_seed": _number(self.seed) if self.seed else SEED,
                "clip_length": _number(self.clip) if self.clip else 1,
            },
        }
        try:
            definition = Definition.from_json(data)
        except DefinitionError as error:
            raise DefinitionError([*problems, *error.problems]) from error
        if problems:
            raise DefinitionError(problems)
        return definition

    def _numbers(self, problems: list[Problem]) -> dict[str, int]:
        numbers: dict[str, int] = {}
        owners: dict[int, str] = {}
        for place, line in enumerate(self.numbers.splitlines(), 1):
            if not line.strip():
                continue
            found = _NUMBER_LINE.fullmatch(line.strip())
            problem = ""
            if found is None:
                problem = "a whole number, then a label, as in 1 car."
            elif found[2] in numbers:
                problem = f"{found[2]} has a number already."
            elif int(found[1]) in owners:
                problem = f"{int(found[1])} is the number of {owners[int(found[1])]} already."
            else:
                numbers[found[2]] = int(found[1])
                owners[int(found[1])] = found[2]
            if problem:
                problems.append(Problem(("labels_enumeration",), f"Line {place}: {problem}"))
        return numbers


@dataclass(frozen=True, slots=True)
class InputRow:
    """A dataset of the input, and which of its versions."""

    number: int
    scope: Scope
    name: str
    choices: list[tuple[str, str]]
    error: str


@dataclass(frozen=True, slots=True)
class FilterRow:
    """One filter with what it matches, where that is known."""

    number: int
    fields: FilterFields
    scopes: list[tuple[str, str]]
    count: str
    errors: dict[str, str]

    @property
    def title(self) -> str:
        """What it is called."""
        return f"Filter {self.number + 1}"

    @property
    def has_rule(self) -> bool:
        """Whether something stands in the fields of a rule."""
        return self.fields.rule != RuleFields()


@dataclass(frozen=True, slots=True)
class MappingRow:
    """One mapping rule."""

    number: int
    fields: MappingFields
    scopes: list[tuple[str, str]]
    errors: dict[str, str]

    @property
    def messages(self) -> list[str]:
        """What is wrong with its labels."""
        return [self.errors[name] for name in ("labels", "target") if name in self.errors]


@dataclass(frozen=True, slots=True)
class ViewFormPage:
    """The form, its choices, the counts of what it asks for, and what is wrong with it."""

    form: ViewForm
    view: DataView | None
    projects: list[Project]
    datasets: list[tuple[str, str]]
    has_more_datasets: bool
    choices: dict[str, tuple[str, list[tuple[str, str]]]]
    found: ViewFrames | None
    problems: Sequence[tuple[str, str]] = ()
    left_out: str = ""
    orders: tuple[tuple[str, str], ...] = (
        (SEQUENTIAL, "Sequential, by context and timestamp"),
        (RANDOM, "Random"),
    )
    repetitions: tuple[tuple[str, str], ...] = field(default=tuple(_REPETITIONS.items()))
    name_max: int = NAME_MAX_CHARS

    @property
    def title(self) -> str:
        """The page's heading."""
        return f"Edit {self.view.name}" if self.view else "New data view"

    @property
    def back_url(self) -> str:
        """Where one goes who gives up."""
        if self.view:
            return reverse("frames:view_detail", args=[self.view.uid])
        return reverse("frames:view_list")

    @property
    def errors(self) -> dict[str, str]:
        """The first thing that is wrong with each field, by the field's id."""
        return dict(reversed(self.problems))

    @property
    def inputs(self) -> list[InputRow]:
        """The rows of the input."""
        rows = []
        for number, scope in enumerate(self.form.versions):
            name, choices = self.choices.get(scope.dataset, ("", []))
            error = self.errors.get(f"versions-{number}", "")
            rows.append(InputRow(number, scope, name, [(ALL, "All versions"), *choices], error))
        return rows

    @property
    def filters(self) -> list[FilterRow]:
        """The rows of the filters."""
        return [
            FilterRow(
                number,
                item,
                self._scopes_with(item.scope),
                plural(self.found.filters[number].matched, "frame") if self.found else "",
                self._errors_of(f"filters-{number}-"),
            )
            for number, item in enumerate(self.form.filters)
        ]

    @property
    def mapping(self) -> list[MappingRow]:
        """The rows of the mapping."""
        return [
            MappingRow(
                number, row, self._scopes_with(row.scope), self._errors_of(f"mapping-{number}-")
            )
            for number, row in enumerate(self.form.mapping)
        ]

    @property
    def scopes(self) -> list[tuple[str, str]]:
        """What a filter or a mapping rule can apply to."""
        found = {_EVERYTHING: "All of the input"}
        for scope in self.form.versions:
            name, choices = self.choices.get(scope.dataset, ("", []))
            if name:
                found.setdefault(f"{scope.dataset} {ALL}", f"{name}, all versions of the input")
                if scope.version != ALL:
                    version = dict(choices).get(scope.version, "a version that is not there")
                    found.setdefault(_joined_scope(scope), f"{name} {version}")
        return list(found.items())

    @property
    def total(self) -> str:
        """How many frames the view holds as it stands."""
        return plural(self.found.count, "frame") if self.found else ""

    @property
    def number_rows(self) -> int:
        """How high the field of the enumeration is, in lines."""
        return min(20, max(4, self.form.numbers.count("\n") + 2))

    def _scopes_with(self, chosen: str) -> list[tuple[str, str]]:
        """Return the choices, with what was chosen among them though it is gone from the input."""
        found = self.scopes
        return found if chosen in dict(found) else [*found, (chosen, "Not in the input any more")]

    def _errors_of(self, prefix: str) -> dict[str, str]:
        return {
            key.removeprefix(prefix): message
            for key, message in self.errors.items()
            if key.startswith(prefix)
        }


@require_http_methods(["GET", "POST"])
def view_create(request: SignedInRequest) -> HttpResponse:
    """Make a data view (W5); `version`, `q` and `label` of the address are its first filter."""
    projects = access.editable_projects(request.user)
    if not projects:
        raise PermissionDenied
    if request.method == "GET":
        form = _new_form(request.user, _without_nulls(request.GET), projects)
        return _show(request, form, None)
    form = ViewForm.from_post(request.POST)
    return _answer(request, form, None)


@require_http_methods(["GET", "POST"])
def view_edit(request: SignedInRequest, view_uid: str) -> HttpResponse:
    """Change a draft."""
    view = access.view_or_404(request.user, view_uid)
    access.require(request.user, view.project, Grant.Role.EDITOR)
    if not view.is_draft or view.is_archived:
        why = (
            "is in the archive. Restore it first."
            if view.is_archived
            else ("is published and cannot change. Clone it.")
        )
        messages.warning(request, f"{view.name} {why}")
        return redirect("frames:view_detail", view.uid)
    if request.method == "POST":
        return _answer(request, ViewForm.from_post(request.POST), view)
    try:
        definition = Definition.from_json(view.definition)
    except DefinitionError as error:
        return _show(request, ViewForm(name=view.name), view, _fields_of(error))
    try:
        found = views.evaluate(definition, Version.objects.visible_to(request.user))
    except QueryError as error:
        messages.warning(request, error.message)
        return redirect("frames:view_detail", view.uid)
    form = ViewForm.from_view(view, definition, found)
    hidden = (
        len(definition.versions) - len(form.versions),
        len(definition.filters) - len(form.filters),
        len(definition.mapping) - len(form.mapping),
        max(0, len(definition.labels_enumeration) - len(form.numbers.splitlines())),
    )
    left_out = ""
    if any(hidden):
        left_out = (
            "Parts of this view are not there any more, or not visible to you: "
            f"{plural(hidden[0], 'version')}, {plural(hidden[1], 'filter')}, "
            f"{plural(hidden[2], 'mapping rule')}, {plural(hidden[3], 'number')}. "
            "Saving leaves them out."
        )
    return _show(request, form, view, left_out=left_out)


def _answer(request: SignedInRequest, form: ViewForm, view: DataView | None) -> HttpResponse:
    """Do what a button asks: change the form's rows and show it again, or save."""
    verb, _, argument = request.POST.get("do", "save").partition(" ")
    number = int(argument) if argument.isdecimal() and len(argument) < 4 else 0
    try:
        if verb in _CHANGES:
            form = _CHANGES[verb](request, form, number)
            return _show(request, form, view)
        for number, item in enumerate(form.filters):
            # What was typed is meant, also by who does not press the button beside it.
            if item.rule != RuleFields():
                form = _add_rule(request, form, number)
    except QueryError as error:
        return _show(request, form, view, [(f"filters-{number}-q", error.message)], status=400)
    problems = [] if verb != "save" else _said_problems(form)
    try:
        definition = form.definition()
        if verb != "save":
            return _show(request, form, view)
        if problems:
            return _show(request, form, view, problems, status=400)
        saved = _save(request.user, form, view, definition)
    except DefinitionError as error:
        return _show(request, form, view, [*problems, *_fields_of(error)], status=400)
    except Refused as error:
        return _show(request, form, view, [("", str(error))], status=400)
    messages.success(request, f"{saved.name} is saved with {plural(saved.saved_count, 'frame')}.")
    return redirect("frames:view_detail", saved.uid)


def _said_problems(form: ViewForm) -> list[tuple[str, str]]:
    """Return what is wrong with the name and the description, to be told with all else."""
    problems = []
    checks: dict[str, Callable[[], str]] = {
        "name": lambda: clean_name(form.name, "view"),
        "description": lambda: clean_description(form.description),
    }
    for field_id, check in checks.items():
        try:
            check()
        except Refused as error:
            problems.append((field_id, str(error)))
    return problems


def _save(user: User, form: ViewForm, view: DataView | None, definition: Definition) -> DataView:
    if view is not None:
        return actions.update_view(
            view,
            name=form.name,
            description=form.description,
            definition=definition,
            actor=user,
            seen=form.saved,
        )
    project = access.project_or_404(user, form.project)
    access.require(user, project, Grant.Role.EDITOR)
    return actions.save_view(
        project=project,
        name=form.name,
        description=form.description,
        definition=definition,
        actor=user,
    )


# --- what the buttons do --------------------------------------------------------------------


def _add_version(request: SignedInRequest, form: ViewForm, _: int) -> ViewForm:
    """Add the newest published version of the chosen dataset, or its newest."""
    datasets = Dataset.objects.visible_to(request.user)
    uid = _without_nulls(request.POST).get("add_dataset", "")
    dataset = datasets.filter(uid=uid).first()
    if dataset is None:
        return form
    taken = {scope.version for scope in form.versions if scope.dataset == dataset.uid}
    versions = dataset.versions.exclude(uid__in=taken).order_by(
        F("published_at").desc(nulls_last=True), "-updated_at", "-pk"
    )
    newest = versions.first()
    scope = Scope(dataset.uid, newest.uid if newest else ALL)
    return form if scope in form.versions else replace(form, versions=(*form.versions, scope))


def _remove_version(_: SignedInRequest, form: ViewForm, number: int) -> ViewForm:
    return replace(form, versions=_without(form.versions, number))


def _add_filter(_: SignedInRequest, form: ViewForm, __: int) -> ViewForm:
    return replace(form, filters=(*form.filters, FilterFields()))


def _remove_filter(_: SignedInRequest, form: ViewForm, number: int) -> ViewForm:
    return replace(form, filters=_without(form.filters, number) or (FilterFields(),))


def _add_rule(_: SignedInRequest, form: ViewForm, number: int) -> ViewForm:
    """Write the rule's fields into the filter's text, and empty them. Raises QueryError."""
    if number >= len(form.filters):
        return form
    item = form.filters[number]
    changed = replace(item, q=joined(item.q, *item.rule.clauses()), rule=RuleFields())
    return replace(
        form, filters=tuple(changed if n == number else f for n, f in enumerate(form.filters))
    )


def _add_mapping(_: SignedInRequest, form: ViewForm, __: int) -> ViewForm:
    return replace(form, mapping=(*form.mapping, MappingFields()))


def _remove_mapping(_: SignedInRequest, form: ViewForm, number: int) -> ViewForm:
    return replace(form, mapping=_without(form.mapping, number))


def _number_labels(request: SignedInRequest, form: ViewForm, __: int) -> ViewForm:
    """Add the input's labels, as they are mapped, behind those that have numbers."""
    try:
        definition = form.definition()
    except DefinitionError:
        return form
    found = views.evaluate(definition, Version.objects.visible_to(request.user))
    taken = definition.labels_enumeration
    labels = [label for label in views.labels_of(found) if label not in taken]
    first = max(taken.values(), default=-1) + 1
    lines = [f"{n} {label}" for n, label in enumerate(labels[:LABELS_NUMBERED_MAX], max(first, 0))]
    return replace(form, numbers="\n".join([*form.numbers.splitlines(), *lines]))


_CHANGES: Final = {
    "add-version": _add_version,
    "remove-version": _remove_version,
    "add-filter": _add_filter,
    "remove-filter": _remove_filter,
    "add-rule": _add_rule,
    "add-mapping": _add_mapping,
    "remove-mapping": _remove_mapping,
    "number-labels": _number_labels,
}


# --- how it is shown ------------------------------------------------------------------------


def _show(
    request: SignedInRequest,
    form: ViewForm,
    view: DataView | None,
    problems: Sequence[tuple[str, str]] = (),
    *,
    left_out: str = "",
    status: int = 200,
) -> HttpResponse:
    """Show the form with the counts of what it asks for, where that can be told."""
    found = None
    if form.versions:
        try:
            definition = form.definition()
            found = views.evaluate(definition, Version.objects.visible_to(request.user))
            told = {place for place, _ in problems}
            problems = [*problems] + [
                (f"filters-{n}-q", item.error.message)
                for n, item in enumerate(found.filters)
                if item.error and f"filters-{n}-q" not in told
            ]
        except (DefinitionError, QueryError):
            found = None
    datasets = Dataset.objects.visible_to(request.user).select_related("project")
    listed = list(datasets.order_by("-updated_at", "-pk")[: DATASETS_LISTED_MAX + 1])
    page = ViewFormPage(
        form=form,
        view=view,
        projects=access.editable_projects(request.user),
        datasets=[(d.uid, f"{d.project.name} / {d.name}") for d in listed[:DATASETS_LISTED_MAX]],
        has_more_datasets=len(listed) > DATASETS_LISTED_MAX,
        choices=_choices(request.user, form),
        found=found,
        problems=list(problems),
        left_out=left_out,
    )
    return render(request, "view/form.html", {"page": page}, status=status)


def _choices(user: User, form: ViewForm) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Return each dataset's name, and its versions updated last with those chosen. Queries: 1."""
    uids = {scope.dataset for scope in form.versions}
    chosen = {scope.version for scope in form.versions}
    rank = Window(RowNumber(), partition_by="dataset", order_by=["-updated_at", "-pk"])
    versions = (
        Version.objects.visible_to(user)
        .filter(dataset__uid__in=uids)
        .annotate(rank=rank)
        .filter(Q(rank__lte=VERSIONS_LISTED_MAX) | Q(uid__in=chosen))
        .select_related("dataset")
        .order_by("-updated_at", "-pk")
    )
    found: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    for version in versions:
        _, choices = found.setdefault(version.dataset.uid, (version.dataset.name, []))
        choices.append((version.uid, f"{version.name}{' (draft)' if version.is_draft else ''}"))
    return found


def _fields_of(error: DefinitionError) -> list[tuple[str, str]]:
    """Return each problem with the id of the field it is about."""
    return [(_field_id(problem.path), problem.message) for problem in error.problems]


def _field_id(path: Sequence[str | int]) -> str:
    head, *rest = path
    if head == "labels_enumeration":
        return "numbers"
    if head == "iteration":
        return {"random_seed": "seed", "clip_length": "clip"}.get(str(rest[0]), str(rest[0]))
    if head == "mapping":
        rest = [part for part in rest if part != "rules"]
    return "-".join(str(part) for part in (head, *rest))


def _new_form(user: User, given: Mapping[str, str], projects: Sequence[Project]) -> ViewForm:
    """Return an empty form, or one that begins with a version under a filter."""
    versions = Version.objects.visible_to(user).select_related("dataset__project")
    version = versions.filter(uid=given.get("version", "")).first()
    wanted = {given.get("project", ""), version.dataset.project.uid if version else ""}
    project = next((p for p in projects if p.uid in wanted), projects[0])
    form = ViewForm(project=project.uid)
    if version is None:
        return form
    label, text = given.get("label", ""), given.get("q", "")
    if label:
        clause = f"label:{phrase(label)}"
        try:
            text = joined(text, clause)
        except QueryError:
            text = f"({text}) AND {clause}"
    name = f"{version.dataset.name}: {text}" if text else f"{version.dataset.name} {version.name}"
    return replace(
        form,
        name="".join(c for c in name if c.isprintable())[:NAME_MAX_CHARS],
        versions=(Scope(version.dataset.uid, version.uid),),
        filters=(FilterFields(q=text),),
    )


def _without_nulls(given: QueryDict) -> QueryDict:
    """Return what was sent without null characters, which PostgreSQL refuses to be asked for."""
    cleaned = given.copy()
    for name, values in given.lists():
        cleaned.setlist(name, [str(value).replace("\x00", "") for value in values])
    return cleaned


def _rows(given: QueryDict, names: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the rows of fields that are sent once a row; a row that is not whole is left out."""
    columns = [given.getlist(name) for name in names.values()]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=False)]


def _without(rows: tuple[Any, ...], number: int) -> tuple[Any, ...]:
    return tuple(row for place, row in enumerate(rows) if place != number)


def _joined_scope(scope: Scope) -> str:
    return f"{scope.dataset} {scope.version}"


def _parted_scope(text: str) -> dict[str, str]:
    dataset, _, version = text.partition(" ")
    return {"dataset": dataset, "version": version or ALL}


def _split(text: str) -> list[str]:
    """Return labels with commas between them; one with a comma inside stands in quotes."""
    try:
        parts = next(csv.reader([text], skipinitialspace=True), [])
    except csv.Error:
        parts = text.split(",")
    return [part.strip() for part in parts if part.strip()]


def _listed(labels: Sequence[str]) -> str:
    quoted = (
        '"' + label.replace('"', '""') + '"' if re.search('[,"]', label) else label
        for label in labels
    )
    return ", ".join(quoted)


def _number(text: str) -> Any:
    """Return a number, or the text itself, which the definition then refuses."""
    text = text.strip()
    if re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
        return int(text)
    if re.fullmatch(r"-?\d{0,12}\.\d{1,12}", text, re.ASCII):
        return float(text)
    return text
