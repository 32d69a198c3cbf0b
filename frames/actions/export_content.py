"""What an export writes: the frames of a version that a page is about, or the list of a data view.

Either is fixed when it is asked for: as bitmaps of frame revisions, which never change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from os.path import commonprefix
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson
from django.db.models import TextField
from django.db.models.functions import Cast, Length

from frames.actions.fields import Refused
from frames.formats.base import About, FrameData, Header, SourceData
from frames.index.bitmaps import dump, load, union
from frames.index.reader import DatasetIndex
from frames.models import DataView, Frame, Preview, Source, Version
from frames.models.frame import frame_pk
from frames.previews.spec import PREVIEW_EDGE_PX, VIEWER_EDGE_PX, spec_for
from frames.search import order, view_order, views
from frames.search.query import GROUP_NONE, FrameQuery
from frames.search.selection import selected_frames, selection_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from frames.index.bitmaps import BitMap
    from frames.models import Job, Project
    from frames.search.view_order import Drawn
    from frames.search.views import ViewFrames

CHUNK_FRAMES: Final = 1_000
# Of frames of ten thousand polygons each a few are read at once.
READ_MAX_CHARS: Final = 16 * 1024 * 1024
LABELS_MAX: Final = 20_000
READ_CHUNK: Final = 10_000


class Content(Protocol):
    """What an export writes, in its order; `options` and `snapshot` are what a job keeps of it."""

    @property
    def source(self) -> Version | DataView:
        """What it is of, for the audit log."""
        ...

    @property
    def project(self) -> Project:
        """The project that its job belongs to."""
        ...

    @property
    def total(self) -> int:
        """How many frames it has."""
        ...

    @property
    def name(self) -> str:
        """What its file is called, without the suffix."""
        ...

    @property
    def options(self) -> dict[str, Any]:
        """What was asked for, as JSON."""
        ...

    def snapshot(self) -> bytes:
        """Return which frames these are, for `of_job`."""
        ...

    def about(self, scratch: str, on_chunk: Callable[[int], None], *, with_folder: bool) -> About:
        """Return what a writer is told first; and where it shows pictures their folder.

        Queries: 4, and for the folder 1 for each 10,000 frames.
        """
        ...

    def chunks(self, *, with_sizes: bool) -> Iterator[list[FrameData]]:
        """Yield the frames in order; fewer than `total` where some were removed meanwhile.

        Memory: frames of READ_MAX_CHARS. Queries: 4 to 8 a chunk.
        """
        ...


@dataclass(frozen=True, slots=True)
class VersionContent:
    """Frames of a version in order of context, timestamp and id."""

    source: Version
    query: FrameQuery
    frames: BitMap

    @property
    def project(self) -> Project:
        """The version's."""
        return self.source.dataset.project

    @property
    def total(self) -> int:
        """How many frames there are."""
        return len(self.frames)

    @property
    def name(self) -> str:
        """The dataset's and the version's."""
        return f"{_short(self.source.dataset.name)}-{_short(self.source.name)}"

    @property
    def options(self) -> dict[str, Any]:
        """The filter of the page."""
        return self.query.params()

    def snapshot(self) -> bytes:
        """Return the ordinals."""
        return dump(self.frames)

    def about(self, scratch: str, on_chunk: Callable[[int], None], *, with_folder: bool) -> About:
        """Return the header, the labels of the whole version and the folder."""
        version = self.source
        index = DatasetIndex(version.dataset)
        counts = index.counts("label", index.members(version), limit=LABELS_MAX)
        pks = (frame_pk(version.dataset_id, ordinal) for ordinal in self.frames)
        folder = _folder(pks, on_chunk) if with_folder else ""
        return About(_header(version), sorted(item.value for item in counts), folder, scratch)

    def chunks(self, *, with_sizes: bool) -> Iterator[list[FrameData]]:
        """Yield the frames."""
        version = self.source
        index = DatasetIndex(version.dataset)
        query = FrameQuery(group=GROUP_NONE)
        after: str | None = ""
        while after is not None:
            ordinals, after = order.page_of(index, self.frames, query, CHUNK_FRAMES)
            for part in _parts([frame_pk(version.dataset_id, ordinal) for ordinal in ordinals]):
                found = _read(part)
                frames = [found[pk] for pk in part if pk in found]
                if with_sizes:
                    _add_sizes(version.dataset.project_id, frames)
                yield frames
            query = query.with_(after=after or "")


@dataclass(frozen=True, slots=True)
class ViewContent:
    """The list of a data view in its order, labels mapped and numbered as the view does.

    Regions carry their number as `label_num`; formats that number classes themselves take the
    labels in the order of the view's numbers.
    """

    source: DataView
    view: ViewFrames

    @property
    def project(self) -> Project:
        """The view's."""
        return self.source.project

    @property
    def total(self) -> int:
        """How many frames an iteration gives."""
        return self.view.length or 0

    @property
    def name(self) -> str:
        """The view's."""
        return _short(self.source.name)

    @property
    def options(self) -> dict[str, Any]:
        """The view, and the datasets that a reader of the file must be allowed to see."""
        datasets = {version.dataset.uid for version in self.view.versions}
        return {"view": self.source.uid, "name": self.source.name, "datasets": sorted(datasets)}

    def snapshot(self) -> bytes:
        """Return the definition and the frames of each filter."""
        return views.freeze(self.view)

    def about(self, scratch: str, on_chunk: Callable[[int], None], *, with_folder: bool) -> About:
        """Return a header that names the view, the labels as it gives them, and the folder."""
        numbers = self.view.definition.labels_enumeration
        unnumbered = sorted(set(views.labels_of(self.view)) - set(numbers))
        labels = [*sorted(numbers, key=lambda label: numbers[label]), *unnumbered]
        named = {"name": self.source.name, "description": self.source.description}
        header = Header({key: value for key, value in named.items() if value})
        folder = _folder(self._pks(), on_chunk) if with_folder else ""
        return About(header, labels, folder, scratch)

    def chunks(self, *, with_sizes: bool) -> Iterator[list[FrameData]]:
        """Yield the frames."""
        drawn = view_order.frames(self.view, CHUNK_FRAMES)
        while chunk := list(islice(drawn, CHUNK_FRAMES)):
            items = iter(chunk)
            for part in _parts([_pk(item) for item in chunk]):
                yield self._frames(list(islice(items, len(part))), with_sizes=with_sizes)

    def _frames(self, drawn: Sequence[Drawn], *, with_sizes: bool) -> list[FrameData]:
        found = _read([_pk(item) for item in drawn])
        frames = []
        of_project: dict[int, list[FrameData]] = {}
        for item in drawn:
            frame = found.get(_pk(item))
            if frame is None:
                continue
            rois = views.labelled_rois(self.view.definition, item.version, frame.rois)
            frames.append(replace(frame, rois=rois))
            of_project.setdefault(item.version.dataset.project_id, []).append(frame)
        if with_sizes:
            for project_pk, shown in of_project.items():
                _add_sizes(project_pk, shown)
        return frames

    def _pks(self) -> Iterator[int]:
        """Yield the revisions that the filters have, those beyond a limit too."""
        held: dict[int, list[BitMap]] = {}
        for item in self.view.filters:
            for part in item.own:
                held.setdefault(part.version.dataset_id, []).append(part.frames)
        for dataset_pk, sets in held.items():
            yield from (frame_pk(dataset_pk, ordinal) for ordinal in union(sets))


def of_version(version: Version, query: FrameQuery) -> VersionContent:
    """Return the frames that a page of a version is about now. Raises Refused, QueryError."""
    query = selection_of(query)
    frames = selected_frames(version, query)
    if not frames:
        raise Refused("No frame matches, so there is nothing to export. Change the filter.")
    return VersionContent(version, query, frames)


def of_view(source: DataView, view: ViewFrames) -> ViewContent:
    """Return what a view holds now of what may be seen. Raises Refused, QueryError."""
    if view.error:
        raise view.error
    if view.definition.iteration.infinite:
        raise Refused("A view without end has no list. Set its repetition to once, or to a limit.")
    if not view.count:
        raise Refused("The view holds no frame, so there is nothing to export.")
    return ViewContent(source, view)


def of_job(job: Job) -> Content:
    """Return what was asked for when a job was made. Raises Refused where it is gone."""
    if "view" in job.options:
        source = DataView.objects.filter(uid=job.options["view"]).first()
        view = views.thaw(bytes(job.staged))
        if source is None or view is None:
            raise Refused("The view that this export was of, or a version in it, has been deleted.")
        return ViewContent(source, view)
    if job.version is None:
        raise Refused("The version that this export was of has been deleted.")
    return VersionContent(job.version, FrameQuery(), load(bytes(job.staged)))


def _pk(item: Drawn) -> int:
    return frame_pk(item.version.dataset_id, item.ordinal)


def _short(name: str) -> str:
    """Return a name of which two and a suffix are no more than a file's may have."""
    return name.encode()[:100].decode(errors="ignore")


def _parts(pks: Sequence[int]) -> Iterator[list[int]]:
    """Yield runs of frames whose regions and metadata are read at once. Queries: 1."""
    length = Length(Cast("rois", TextField())) + Length(Cast("meta", TextField()))
    lengths = dict(Frame.objects.filter(pk__in=pks).values_list("pk", length))
    part: list[int] = []
    total = 0
    for pk in pks:
        total += lengths.get(pk, 0)
        if part and total > READ_MAX_CHARS:
            yield part
            part, total = [], lengths.get(pk, 0)
        part.append(pk)
    yield part


def _read(pks: Sequence[int]) -> dict[int, FrameData]:
    """Return those frames that are there. Queries: 2.

    Texts of JSON and no model instances: that is twice as fast.
    """
    found: dict[int, FrameData] = {}
    frames = Frame.objects.filter(pk__in=pks).values_list(
        *("pk", "frame_id", "context_id", "timestamp"),
        *(Cast(name, TextField()) for name in ("rois", "meta", "extra")),
    )
    for pk, frame_id, context_id, timestamp, *texts in frames:
        found[pk] = FrameData(frame_id, context_id, timestamp, [], *map(orjson.loads, texts))
    sources = Source.objects.filter(frame__in=pks).order_by("frame_id", "position")
    for (
        pk,
        name,
        uri,
        kind,
        width,
        height,
        time_ms,
        masks,
        preview,
        meta,
        extra,
    ) in sources.values_list(
        *("frame_id", "source_id", "uri", "content_type", "width", "height", "timestamp"),
        *(Cast(name, TextField()) for name in ("masks", "preview", "meta", "extra")),
    ):
        source = SourceData(name, uri, kind, width, height, time_ms)
        source.masks, source.preview, source.meta = map(_value, (masks, preview, meta))
        source.extra = orjson.loads(extra)
        found[pk].sources.append(source)
    return found


def _value(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


def _add_sizes(project_pk: int, frames: Sequence[FrameData]) -> None:
    """Take the size of a source that came without from its preview, if that is made. Queries: 1."""
    wanted: dict[str, list[SourceData]] = {}
    for source in (source for frame in frames for source in frame.sources):
        if source.width and source.height:
            continue
        # The grid's preview is of the source itself unless the source came with one.
        edge_px = VIEWER_EDGE_PX if source.preview else PREVIEW_EDGE_PX
        wanted.setdefault(spec_for(source, edge_px).key(project_pk), []).append(source)
    if not wanted:
        return
    ready = Preview.objects.filter(state=Preview.State.READY, pk__in=wanted)
    for key, width, height in ready.values_list("key", "original_width", "original_height"):
        for source in wanted[key]:
            source.width, source.height = width, height


def _header(version: Version) -> Header:
    """Return what a manifest says of the dataset and version, without what is empty."""
    dataset = version.dataset
    about: dict[str, Any] = {
        "name": dataset.name,
        "description": dataset.description,
        "tags": dataset.tags,
    }
    named: dict[str, Any] = {
        "name": version.name,
        "description": version.description,
        "metadata": version.metadata,
    }
    return Header(
        {key: value for key, value in about.items() if value},
        {key: value for key, value in named.items() if value},
    )


def _folder(pks: Iterable[int], on_chunk: Callable[[int], None]) -> str:
    """Return the folder that the sources of all frames lie in. Queries: 1 for each 10,000."""
    prefix: str | None = None
    left = iter(pks)
    while part := list(islice(left, READ_CHUNK)):
        uris = Source.objects.filter(frame__in=part).values_list("uri", flat=True)
        known = [] if prefix is None else [prefix]
        prefix = commonprefix([*known, *uris.iterator(chunk_size=READ_CHUNK)])  # noqa: RUF071  no path
        on_chunk(0)
    folder = (prefix or "")[: (prefix or "").rfind("/") + 1]
    # Of two stores, or of two hosts, there is no folder.
    return folder if folder.count("/") > 2 else ""
