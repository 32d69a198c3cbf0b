"""Which terms a frame has: the one place that says what is indexed and under which key.

Keys of frame space: `context_id`, `timestamp`, `label`, `meta.*`, `sources.id`,
`sources.content_type`, `sources.width`, `sources.height`, `sources.meta.*`. Keys of region
space, which answer for single regions: `rois.label`, `rois.confidence`, `rois.sources`,
`rois.meta.*`. Nested objects are joined with dots and lists give each of their values, as
Elasticsearch does for the same documents. Keys with a leading underscore are Framedeck's own and
listed nowhere: `_defects.zero_area` and `_defects.outside` are for the publish gate,
`_saved_in_version` is the version that wrote the revision, by its primary key, and
`_repeats.0`, `_repeats.1`, ... hold the labels that stand on more than one region of a frame: on
one and the sum of 2 to the power of each number under which the label is there. So the regions
with a label are counted in frame space, whatever the filter.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from frames.index.geometry import frame_defects
from frames.index.numbers import bucket
from frames.models import Term

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TEXT, NUMBER, BOOLEAN, NULL = (
    int(Term.Kind.TEXT),
    int(Term.Kind.NUMBER),
    int(Term.Kind.BOOLEAN),
    int(Term.Kind.NULL),
)
HASH_BUCKET, ANY, LIST = (
    int(Term.Kind.HASH_BUCKET),
    int(Term.Kind.ANY),
    int(Term.Kind.LIST),
)
# What is a value, in the order of values of different kinds.
VALUE_KINDS: Final = (NUMBER, BOOLEAN, TEXT)
# What the values of ANY name: the types that a key's values have, null apart.
TYPE_TEXT, TYPE_NUMBER, TYPE_BOOLEAN = "text", "number", "boolean"

REGION_PREFIX: Final = "rois."
SAVED_IN_VERSION: Final = "_saved_in_version"
REPEATS_PREFIX: Final = "_repeats."
TEXT_MAX_CHARS: Final = 255
# Frames are bounded by their format; this bounds what one of them can cost the index.
SCALARS_PER_OBJECT_MAX: Final = 500
KEY_MAX_CHARS: Final = 200

# Above so many texts a key's further ones share hash buckets and are verified on the rows.
# Contexts are exempt: a folder of a million pictures has as many, and they are what is walked.
TEXTS_PER_KEY_MAX: Final = 20_000
HASH_BUCKETS: Final = 1024
UNBOUNDED_KEYS: Final = frozenset({"context_id"})


class Token(NamedTuple):
    """A term by what it says: key, kind, and value as `Term.value` holds it.

    Equal to, and hashed as, the plain tuple of the three, which is ten times cheaper to make.
    """

    key: str
    kind: int
    value: str


class SourceLike(Protocol):
    """What the index reads of a source: a `Source` row or a format's `SourceData`."""

    source_id: str
    content_type: str
    width: int | None
    height: int | None
    meta: Any


def is_region_key(key: str) -> bool:
    """Whether the key's postings hold regions, not frames."""
    return key.startswith(REGION_PREFIX)


def term_text(value: str) -> str:
    """Return a text as terms hold it: long ones keep their beginning and a hash of the whole."""
    if len(value) <= TEXT_MAX_CHARS:
        return value
    digest = hashlib.blake2b(value.encode(), digest_size=16).hexdigest()
    return f"{value[: TEXT_MAX_CHARS - 33]}\u2026{digest}"


def number_text(representative: float) -> str:
    """Return a bucket's number as terms hold it."""
    return repr(representative + 0.0)


def hash_bucket(text: str) -> str:
    """Return the hash bucket, as terms hold it, of a text of an overflowed key."""
    digest = hashlib.blake2b(text.encode(), digest_size=4).digest()
    return f"{int.from_bytes(digest) % HASH_BUCKETS:04d}"


class Sink(Protocol):
    """Where terms go: the batch of a writer, or the sets of a brute-force check.

    Called 40 times a frame: positional, and with plain values.
    """

    def token(self, key: str, kind: int, value: str) -> None:
        """Take a term that is complete in itself."""

    def number(self, key: str, value: float) -> None:
        """Take a finite number, to be put into its bucket, and that the key has one."""


def emit(sink: Sink, key: str, value: Any) -> None:
    """Send one scalar of a key to the sink; what is no JSON scalar, or not finite, is left out."""
    if isinstance(value, str):
        sink.token(key, TEXT, term_text(value))
        sink.token(key, ANY, TYPE_TEXT)
    elif isinstance(value, bool):
        sink.token(key, BOOLEAN, "true" if value else "false")
        sink.token(key, ANY, TYPE_BOOLEAN)
    elif value is None:
        sink.token(key, NULL, "")
    elif isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            return
        if math.isfinite(number):
            sink.number(key, number)


def emit_object(sink: Sink, prefix: str, value: dict[str, Any]) -> None:
    """Send the scalars of a JSON object to the sink, depth first, and their keys as present.

    At most SCALARS_PER_OBJECT_MAX of them. Names that begin with an underscore are the
    producer's bookkeeping (`_id`, `_clearml_data_entry_class`) and are passed over.
    """
    stack: list[tuple[str, Any]] = [(prefix, value)]
    left = SCALARS_PER_OBJECT_MAX
    while stack:
        key, item = stack.pop()
        if type(item) is dict:
            for name, child in item.items():
                if not name.startswith("_"):
                    stack.append((f"{key}.{name}", child))
        elif type(item) is list:
            if len(key) <= KEY_MAX_CHARS:
                sink.token(key, LIST, "")
            for child in item:
                stack.append((key, child))
        elif len(key) <= KEY_MAX_CHARS:
            emit(sink, key, item)
            left -= 1
            if not left:
                return


def emit_frame(
    sink: Sink,
    *,
    context_id: str,
    timestamp: float,
    meta: dict[str, Any],
    sources: Iterable[SourceLike],
) -> None:
    """Send every term of frame space that a frame has to the sink, but for its labels."""
    sink.token("context_id", TEXT, context_id)
    sink.number("timestamp", timestamp)
    if meta:
        emit_object(sink, "meta", meta)
    for source in sources:
        emit_source(sink, source)


def emit_source(sink: Sink, source: SourceLike) -> None:
    """Send every term that a source gives its frame to the sink."""
    sink.token("sources.id", TEXT, source.source_id)
    if source.content_type:
        sink.token("sources.content_type", TEXT, source.content_type)
    if source.width is not None:
        sink.number("sources.width", source.width)
    if source.height is not None:
        sink.number("sources.height", source.height)
    if source.meta:
        emit_object(sink, "sources.meta", source.meta)


def emit_labels(sink: Sink, rois: list[dict[str, Any]]) -> None:
    """Send the labels of a frame, which are those of its regions, and their repeats to the sink."""
    labels = Counter(label for roi in rois for label in set(roi.get("label") or ()))
    for label, regions in labels.items():
        sink.token("label", TEXT, term_text(label))
        for power in range((regions - 1).bit_length()):
            if (regions - 1) >> power & 1:
                sink.token(f"{REPEATS_PREFIX}{power}", TEXT, term_text(label))
    if labels:
        sink.token("label", ANY, TYPE_TEXT)


def emit_defects(sink: Sink, rois: list[dict[str, Any]], sources: Sequence[SourceLike]) -> None:
    """Send what is wrong with the geometry of a frame's regions to the sink."""
    for defect in frame_defects(rois, sources):
        sink.token(defect, BOOLEAN, "true")


def emit_region(sink: Sink, roi: dict[str, Any]) -> None:
    """Send every term of region space that a region has to the sink."""
    for label in roi.get("label") or ():
        sink.token("rois.label", TEXT, term_text(label))
    confidence = roi.get("confidence")
    if confidence is not None:
        sink.number("rois.confidence", confidence)
    for source_id in roi.get("sources") or ():
        sink.token("rois.sources", TEXT, term_text(source_id))
    meta = roi.get("meta")
    if meta:
        emit_object(sink, "rois.meta", meta)


def number_token(key: str, value: float) -> Token:
    """Return the term of the bucket that a number falls into."""
    return Token(key, NUMBER, number_text(bucket(value)))
