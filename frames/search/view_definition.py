"""What a data view asks for, as plain data: read from JSON, checked, and written back.

The words are those of ClearML's data views: `versions` are the input, `filters` are joined by OR,
`mapping.rules` translate labels, `labels_enumeration` numbers them, `iteration` orders them. A
filter's conditions are one Lucene text, `q`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from frames.search.query import Q_MAX_CHARS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from frames.models import Version

ALL: Final = "*"
SEQUENTIAL: Final = "sequential"
RANDOM: Final = "random"
UNKNOWN_LABEL: Final = -1
SEED: Final = 1337

# So that the fields of the form stay below the 1,000 that Django takes.
VERSIONS_MAX: Final = 100
FILTERS_MAX: Final = 40
MAPPING_MAX: Final = 100
LABELS_MAX: Final = 10_000
LABEL_MAX_CHARS: Final = 1_000
WEIGHT_MAX: Final = 1_000_000
_SEEDS: Final = range(-(2**31), 2**63)
_CLIPS: Final = range(1, 10_001)
_LIMITS: Final = range(1, 2**53)
_NUMBERS: Final = range(-(2**31), 2**31)
_UID: Final = re.compile(r"\*|[\w-]{1,64}", re.ASCII)
# Databases refuse the one, JSON texts the other.
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at one place of a definition, `("filters", 0, "weight")` say."""

    path: Path
    message: str


class DefinitionError(Exception):
    """A definition that cannot be meant, with all that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems[0].message)
        self.problems = list(problems)


@dataclass(frozen=True, slots=True)
class Scope:
    """A version of a dataset by their ids; `*` stands for all versions, or for all datasets."""

    dataset: str = ALL
    version: str = ALL

    def covers(self, version: Version) -> bool:
        """Whether a version is meant."""
        return self.dataset in (ALL, version.dataset.uid) and self.version in (ALL, version.uid)

    def as_json(self) -> dict[str, str]:
        """Return the two ids."""
        return {"dataset": self.dataset, "version": self.version}


@dataclass(frozen=True, slots=True)
class FrameFilter:
    """The frames of some of the input that match a Lucene text; an empty one matches all.

    `weight` is the filter's share of what is drawn, relative to the other filters'.
    """

    scope: Scope = Scope()
    weight: float = 1.0
    q: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the filter in ClearML's words."""
        return {**self.scope.as_json(), "weight": self.weight, "q": self.q}


@dataclass(frozen=True, slots=True)
class MappingRule:
    """A region that has all of `labels` gets `target` in their place."""

    scope: Scope
    labels: tuple[str, ...]
    target: str

    def as_json(self) -> dict[str, Any]:
        """Return the rule in ClearML's words."""
        return {
            "source": {**self.scope.as_json(), "labels": list(self.labels)},
            "target": self.target,
        }


@dataclass(frozen=True, slots=True)
class Iteration:
    """In what order frames come and when that ends.

    `limit` is None without one; `infinite` begins again at the end. In a random order that ends,
    `clip_length` frames of a context follow each other in order of time; 1 is no clip.
    """

    order: str = SEQUENTIAL
    infinite: bool = False
    limit: int | None = None
    random_seed: int = SEED
    clip_length: int = 1

    def as_json(self) -> dict[str, Any]:
        """Return the parameters in ClearML's words."""
        return {
            "order": self.order,
            "infinite": self.infinite,
            "limit": self.limit,
            "random_seed": self.random_seed,
            "clip_length": self.clip_length,
        }


@dataclass(frozen=True, slots=True)
class Definition:
    """All that a data view asks for."""

    versions: tuple[Scope, ...] = ()
    filters: tuple[FrameFilter, ...] = (FrameFilter(),)
    mapping: tuple[MappingRule, ...] = ()
    labels_enumeration: dict[str, int] = field(default_factory=dict)
    iteration: Iteration = Iteration()

    @classmethod
    def from_json(cls, data: Any) -> Definition:
        """Read a definition; raise DefinitionError with everything that is wrong."""
        reader = _Reader()
        definition = cls(
            versions=tuple(reader.versions(data)),
            filters=tuple(reader.filters(data)),
            mapping=tuple(reader.mapping(data)),
            labels_enumeration=reader.enumeration(data),
            iteration=reader.iteration(data),
        )
        reader.check_scopes(definition)
        if reader.problems:
            raise DefinitionError(reader.problems)
        return definition

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {
            "versions": [scope.as_json() for scope in self.versions],
            "filters": [item.as_json() for item in self.filters],
            "mapping": {"rules": [rule.as_json() for rule in self.mapping]},
            "labels_enumeration": self.labels_enumeration,
            "iteration": self.iteration.as_json(),
        }

    def mapped(self, version: Version, labels: Sequence[str]) -> list[str]:
        """Return a region's labels as the view gives them; each is mapped by one rule at most."""
        targets: list[str] = []
        left = list(labels)
        for rule in self.mapping:
            if rule.scope.covers(version) and set(rule.labels) <= set(left):
                left = [label for label in left if label not in rule.labels]
                targets.append(rule.target)
        return list(dict.fromkeys([*targets, *left]))

    def number_of(self, labels: Sequence[str]) -> int:
        """Return the number of the first label that has one, UNKNOWN_LABEL if none has."""
        numbers = (self.labels_enumeration.get(label) for label in labels)
        return next((number for number in numbers if number is not None), UNKNOWN_LABEL)


class _Reader:
    """Reads each part of a definition and notes what is wrong with it."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def versions(self, data: Any) -> Iterator[Scope]:
        items = self._list(data, "versions", VERSIONS_MAX)
        if not items:
            self._refuse(("versions",), "Choose a dataset or a version for the input.")
        seen = set()
        for number, item in enumerate(items):
            scope = self._scope(item, ("versions", number))
            if scope.dataset == ALL:
                self._refuse(("versions", number), "The input names a dataset.")
            elif scope in seen:
                self._refuse(("versions", number), "This version is in the input already.")
            seen.add(scope)
            yield scope

    def filters(self, data: Any) -> Iterator[FrameFilter]:
        items = self._list(data, "filters", FILTERS_MAX)
        if not items:
            self._refuse(("filters",), "A view has at least one filter. An empty one takes all.")
        for number, item in enumerate(items):
            path = ("filters", number)
            weight = self._field(item, "weight", 1.0)
            if (
                isinstance(weight, bool)
                or not isinstance(weight, int | float)
                or not math.isfinite(weight)
                or not 0 < weight <= WEIGHT_MAX
            ):
                self._refuse(
                    (*path, "weight"), f"A ratio is a number over 0, at most {WEIGHT_MAX:,}."
                )
                weight = 1.0
            q = self._text(self._field(item, "q", ""), (*path, "q"), Q_MAX_CHARS, "filter")
            yield FrameFilter(self._scope(item, path), float(weight), q.strip())

    def mapping(self, data: Any) -> Iterator[MappingRule]:
        mapping = self._field(data, "mapping", {})
        for number, item in enumerate(self._list(mapping, "rules", MAPPING_MAX, "mapping")):
            path = ("mapping", "rules", number)
            source = self._field(item, "source", {})
            labels = self._field(source, "labels", [])
            if isinstance(labels, str):
                labels = [labels]
            if not isinstance(labels, list) or not labels or not all(labels):
                self._refuse((*path, "labels"), "Name the labels to map from.")
                labels = []
            cleaned = [
                self._text(label, (*path, "labels"), LABEL_MAX_CHARS, "label") for label in labels
            ]
            target = self._field(item, "target", "")
            if not target:
                self._refuse((*path, "target"), "Name the label to map to.")
            yield MappingRule(
                self._scope(source, path),
                tuple(dict.fromkeys(cleaned)),
                self._text(target, (*path, "target"), LABEL_MAX_CHARS, "label"),
            )

    def enumeration(self, data: Any) -> dict[str, int]:
        numbers = self._field(data, "labels_enumeration", {})
        if not isinstance(numbers, dict):
            self._refuse(("labels_enumeration",), "The enumeration gives each label a number.")
            return {}
        if len(numbers) > LABELS_MAX:
            self._refuse(("labels_enumeration",), f"At most {LABELS_MAX:,} labels have numbers.")
            return {}
        owners: dict[int, str] = {}
        for label, number in numbers.items():
            path = ("labels_enumeration", label)
            self._text(label, path, LABEL_MAX_CHARS, "label")
            if isinstance(number, bool) or not isinstance(number, int) or number not in _NUMBERS:
                self._refuse(path, f"The number of {label} is a whole number.")
            elif number in owners:
                self._refuse(path, f"{owners[number]} has the number {number} already.")
            else:
                owners[number] = label
        return numbers

    def iteration(self, data: Any) -> Iteration:
        given = self._field(data, "iteration", {})
        order = self._field(given, "order", SEQUENTIAL)
        if order not in (SEQUENTIAL, RANDOM):
            self._refuse(("iteration", "order"), "The order is sequential or random.")
        infinite = self._field(given, "infinite") or False
        if not isinstance(infinite, bool):
            self._refuse(("iteration", "infinite"), "infinite is true or false.")
        limit = self._field(given, "limit")
        if limit is not None and (
            isinstance(limit, bool) or not isinstance(limit, int) or limit not in _LIMITS
        ):
            self._refuse(
                ("iteration", "limit"), "Limit Frames needs a number: how many frames at most."
            )
        seed = self._field(given, "random_seed", SEED)
        if isinstance(seed, bool) or not isinstance(seed, int) or seed not in _SEEDS:
            self._refuse(("iteration", "random_seed"), "A random seed is a whole number.")
        clip = self._field(given, "clip_length", 1)
        if isinstance(clip, bool) or not isinstance(clip, int) or clip not in _CLIPS:
            self._refuse(
                ("iteration", "clip_length"),
                f"A clip has a whole number of frames, from 1 to {_CLIPS[-1]:,}.",
            )
        elif clip > 1 and (order != RANDOM or infinite):
            self._refuse(
                ("iteration", "clip_length"),
                "Clips are for a random order that ends; a sequential one keeps all in order.",
            )
        return Iteration(order, infinite, limit, seed, clip)

    def check_scopes(self, definition: Definition) -> None:
        """Note what is named behind the input and not in it."""
        named: list[tuple[Path, Scope]] = [
            (("filters", n), item.scope) for n, item in enumerate(definition.filters)
        ]
        named += [
            (("mapping", "rules", n), rule.scope) for n, rule in enumerate(definition.mapping)
        ]
        for path, scope in named:
            if not any(_within(scope, entry) for entry in definition.versions):
                self._refuse((*path, "scope"), "This version is not in the input any more.")

    def _scope(self, item: Any, path: Path) -> Scope:
        parts = [self._field(item, name, ALL) for name in ("dataset", "version")]
        if not all(
            isinstance(part, str) and re.fullmatch(r"\*|[\w-]{1,64}", part) for part in parts
        ):
            self._refuse((*path, "scope"), "A dataset and a version are named by their ids.")
            return Scope()
        return Scope(*parts)

    def _text(self, value: Any, path: Path, most: int, what: str) -> str:
        if not isinstance(value, str):
            self._refuse(path, f"A {what} is text.")
        elif len(value) > most:
            self._refuse(path, f"The {what} is longer than {most:,} characters.")
        elif _UNSTORABLE.search(value):
            self._refuse(path, f"The {what} holds a character that cannot be stored.")
        else:
            return value
        return ""

    def _list(self, data: Any, name: str, most: int, owner: str = "") -> list[Any]:
        items = self._field(data, name, [])
        path = (owner, name) if owner else (name,)
        if not isinstance(items, list):
            self._refuse(path, f"{name} is a list.")
            return []
        if len(items) > most:
            self._refuse(path, f"There are more than {most:,} {name}.")
            return []
        if not all(isinstance(item, dict) for item in items):
            self._refuse(path, f"{name} is a list of objects.")
            return []
        return items

    def _field(self, data: Any, name: str, default: Any = None) -> Any:
        return data.get(name, default) if isinstance(data, dict) else default

    def _refuse(self, path: Path, message: str) -> None:
        self.problems.append(Problem(path, message))


def _within(scope: Scope, entry: Scope) -> bool:
    """Whether an entry of the input holds something of what a scope means."""
    if scope.dataset not in (ALL, entry.dataset):
        return False
    return scope.version in (ALL, entry.version) or (entry.version == ALL and scope.dataset != ALL)
