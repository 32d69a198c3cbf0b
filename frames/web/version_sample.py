"""The form behind Sample by Property: which property, of which regions, how many of each value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from frames.search.errors import QueryError
from frames.search.query import SAMPLE_MAX, FrameQuery
from frames.search.vocabulary import KnownKey, vocabulary
from frames.web import access
from frames.web.addresses import version_address
from frames.web.http import respond
from frames.web.version_detail import given_filter

if TYPE_CHECKING:
    from django.http import HttpResponse

    from frames.models import Version
    from frames.search.vocabulary import Vocabulary
    from frames.web.http import SignedInRequest

DEFAULT_SIZE: Final = 6


@dataclass(frozen=True, slots=True)
class SamplePage:
    """The form, filled with the setting that the version's page has now."""

    version: Version
    query: FrameQuery
    vocabulary: Vocabulary

    @property
    def size(self) -> int:
        """How many frames of each value."""
        return self.query.sample_size or DEFAULT_SIZE

    @property
    def size_max(self) -> int:
        """How many can be had."""
        return SAMPLE_MAX

    @property
    def frame_keys(self) -> list[KnownKey]:
        """The properties of frames."""
        return [key for key in self.vocabulary.keys if not key.name.startswith("rois.")]

    @property
    def region_keys(self) -> list[KnownKey]:
        """The properties of regions."""
        return [key for key in self.vocabulary.keys if key.name.startswith("rois.")]

    @property
    def key_groups(self) -> list[tuple[str, list[KnownKey]]]:
        """The properties by their type, types without any left out."""
        groups = [("FRAME", self.frame_keys), ("ROI", self.region_keys)]
        return [(name, keys) for name, keys in groups if keys]

    @property
    def action(self) -> str:
        """The page that shows the samples."""
        return version_address(self.version)

    @property
    def kept(self) -> list[tuple[str, str]]:
        """The rest of the page's state."""
        changed = ("group", "sort", "scope", "sample", "match", "view", "columns")
        return [(k, v) for k, v in self.query.params().items() if k not in changed]

    @property
    def back_url(self) -> str:
        """The page as it was."""
        return version_address(self.version, self.query.params())

    def as_json(self) -> dict[str, Any]:
        """Return the setting, and the properties to choose from."""
        return {
            "group": self.query.group if self.query.sample else None,
            "sample": self.size,
            "match": self.query.match,
            "frame_keys": [key.name for key in self.frame_keys if not key.overflowed],
            "region_keys": [key.name for key in self.region_keys if not key.overflowed],
        }


def version_sample(
    request: SignedInRequest, dataset_uid: str, version_uid: str, *, as_json: bool = False
) -> HttpResponse:
    """Show the form; it leads to the version's page, which says what is wrong with a setting."""
    version = access.version_or_404(request.user, dataset_uid, version_uid)
    try:
        query = FrameQuery.from_params(request.GET.dict())
    except QueryError:
        query = FrameQuery(**given_filter(request.GET))
    page = SamplePage(version, query, vocabulary(version.dataset))
    return respond(request, page, "version/sample.html", as_json=as_json)
