"""The frame browser's toolbar: each state of the page that a person can choose, as a link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse

from frames.search.query import ALL_SOURCES, GROUP_NONE, GROUP_URL, SORTS
from frames.web.addresses import version_address
from frames.web.text import plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from frames.models import Version
    from frames.search.query import FrameQuery
    from frames.search.vocabulary import Vocabulary

GROUPINGS: Final = {GROUP_URL: "Group by URL", GROUP_NONE: "Split Preview"}
SCOPES: Final = {"any": "Any", "every": "Every", "none": "No"}
VIEWS: Final = {"grid": "Grid", "table": "Table"}
SIZES: Final = {"s": "Small", "m": "Medium", "l": "Large"}
HEIGHT: Final = "sources.height"
# So many keys stand in a menu; the others are typed.
KEYS_IN_MENU: Final = 100


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several states of the page: a link that leads to it, empty where it cannot be had."""

    value: str
    label: str
    url: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Toolbar:
    """What can be chosen from a state of the page.

    `kept` is the part of the address that other parts of the page own.
    """

    version: Version
    query: FrameQuery
    vocabulary: Vocabulary
    kept: Mapping[str, str]

    def url(self, **changes: str) -> str:
        """Return the page with some fields changed, from its first item on."""
        params = self.query.params(**{"after": "", **changes})
        return version_address(self.version, {**params, **self.kept})

    def fields_without(self, *names: str) -> list[tuple[str, str]]:
        """Return the page's state but for some fields, for a form that asks for those."""
        state = {**self.query.params(), **self.kept}
        return [(name, value) for name, value in state.items() if name not in names]

    # --- groups -------------------------------------------------------------------------

    @property
    def groupings(self) -> list[Choice]:
        """Group by URL and Split Preview."""
        return [
            Choice(value, label, self._grouped(value), value == self.query.group)
            for value, label in GROUPINGS.items()
        ]

    @property
    def group_key(self) -> str:
        """The key that is grouped by, empty where none is."""
        return "" if self.query.group in GROUPINGS or self.query.sample else self.query.group

    @property
    def group_keys(self) -> list[Choice]:
        """The keys to group by; one with too many values leads nowhere."""
        # Frames have a region's labels as their own.
        return [
            Choice(
                key.name,
                key.name,
                "" if key.overflowed else self._grouped(key.name),
                key.name == self.group_key,
            )
            for key in self.vocabulary.keys[:KEYS_IN_MENU]
            if key.name != "rois.label"
        ]

    @property
    def has_more_keys(self) -> bool:
        """Whether keys can be typed that the menus do not hold."""
        return self.vocabulary.has_more_keys or len(self.vocabulary.keys) > KEYS_IN_MENU

    @property
    def fields_for_group(self) -> list[tuple[str, str]]:
        """The rest of the page's state, for the form that names a key to group by."""
        return self.fields_without("group", "sort", "sample", "match", "after")

    @property
    def scopes(self) -> list[Choice]:
        """How many frames of a group must match; nothing to choose without groups or a filter."""
        is_grouped = self.query.is_grouped and not self.query.sample
        if not is_grouped or not (self.query.q or self.query.label):
            return []
        return [
            Choice(value, label, self.url(scope=value), value == self.query.scope)
            for value, label in SCOPES.items()
        ]

    @property
    def sample_url(self) -> str:
        """The form that asks for a sample of each value of a property."""
        address = reverse(
            "frames:version_sample", args=[self.version.dataset.uid, self.version.uid]
        )
        return f"{address}{self.query.with_().querystring()}"

    @property
    def sample_note(self) -> str:
        """What is sampled, empty where nothing is."""
        if not self.query.sample:
            return ""
        of = f" of the regions that match {self.query.match}" if self.query.match else ""
        frames = plural(self.query.sample_size, "frame")
        return f"Up to {frames} of each value of {self.query.group}{of}"

    # --- order --------------------------------------------------------------------------

    @property
    def sorts(self) -> list[Choice]:
        """What frames can be sorted by, in the direction of now; groups have one order only."""
        if self.query.is_grouped:
            return []
        return [self._sort(key, label) for key, label in {**SORTS, HEIGHT: "Dimensions"}.items()]

    @property
    def sort_keys(self) -> list[Choice]:
        """The keys that frames can be sorted by, that of now among them."""
        names = [key.name for key in self.vocabulary.keys[:KEYS_IN_MENU] if key.name != HEIGHT]
        now = self.query.sort_key
        if now not in SORTS and now != HEIGHT and now not in names:
            names.append(now)
        return [self._sort(name, name) for name in names]

    @property
    def turned_url(self) -> str:
        """The page in the other direction."""
        sign = "" if self.query.descending else "-"
        return self.url(sort=f"{sign}{self.query.sort_key}")

    # --- look ---------------------------------------------------------------------------

    @property
    def views(self) -> list[Choice]:
        """Thumbnails or a table; samples are thumbnails."""
        if self.query.sample:
            return []
        return [
            Choice(value, label, self.url(view=value), value == self.query.view)
            for value, label in VIEWS.items()
        ]

    @property
    def sizes(self) -> list[Choice]:
        """The sizes of the pictures; those of a table are small."""
        if self.query.view == "table":
            return []
        return [
            Choice(value, label, self.url(size=value), value == self.query.size)
            for value, label in SIZES.items()
        ]

    @property
    def sources(self) -> list[Choice]:
        """Whose picture is shown: the first source's by its id, all, or that of a name."""
        named = {"": "First available", ALL_SOURCES: "All sources"}
        named |= {name: name for name in self.vocabulary.sources}
        if self.query.source not in named:
            named[self.query.source] = self.query.source
        return [
            Choice(value, label, self.url(source=value), value == self.query.source)
            for value, label in named.items()
        ]

    @property
    def columns_url(self) -> str:
        """The form that chooses the table's columns."""
        address = reverse(
            "frames:version_columns", args=[self.version.dataset.uid, self.version.uid]
        )
        return f"{address}{self.query.with_(view='table').querystring()}"

    # --- what else ----------------------------------------------------------------------

    @property
    def refresh_url(self) -> str:
        """The same page again."""
        return self.url(after=self.query.after)

    @property
    def export_url(self) -> str:
        """The form that exports what is found."""
        address = reverse(
            "frames:version_export", args=[self.version.dataset.uid, self.version.uid]
        )
        return f"{address}{self.query.with_().querystring()}"

    def _grouped(self, value: str) -> str:
        return self.url(group=value, sort="", sample="", match="")

    def _sort(self, key: str, label: str) -> Choice:
        """Return an option of the form's list, which has no address of its own."""
        sign = "-" if self.query.descending else ""
        return Choice(f"{sign}{key}", label, "", key == self.query.sort_key)
