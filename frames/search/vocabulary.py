"""What a dataset's frames can be grouped, sorted, sampled and shown by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from frames.index.cache import cache
from frames.index.terms import TEXT
from frames.models import Key, Term
from frames.search.query import KEY

if TYPE_CHECKING:
    from frames.models import Dataset

KEYS_MAX: Final = 500
SOURCES_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key of a dataset; one with too many texts cannot be grouped by."""

    name: str
    overflowed: bool


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A dataset's keys and the ids of its sources, by name, as many as a menu holds."""

    keys: list[KnownKey]
    has_more_keys: bool
    sources: list[str]


def vocabulary(dataset: Dataset) -> Vocabulary:
    """Return what a dataset's frames have. Queries: 2, none until the next write."""
    slot = ("vocabulary", dataset.pk, dataset.generation)
    found: Vocabulary | None = cache.get(slot)
    if found is None:
        keys = Key.objects.filter(dataset=dataset).order_by("name")
        known = [
            KnownKey(name, overflowed)
            for name, overflowed in keys.values_list("name", "overflowed")[: 2 * KEYS_MAX]
            if KEY.fullmatch(name)
        ]
        sources = Term.objects.filter(key__dataset=dataset, key__name="sources.id", kind=TEXT)
        found = Vocabulary(
            known[:KEYS_MAX],
            len(known) > KEYS_MAX,
            list(sources.order_by("value").values_list("value", flat=True)[:SOURCES_MAX]),
        )
        cache.put(slot, found, 200 * (len(found.keys) + len(found.sources)))
    return found
