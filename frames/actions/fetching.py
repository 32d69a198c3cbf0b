"""Asking whether what frames name can be read, and what their masks hold: many URIs at once."""

from __future__ import annotations

from collections import Counter, OrderedDict
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from frames.media import MediaError, open_uri, probe
from frames.models import PreviewReason
from frames.previews.picture import pixel_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from frames.media import MediaPolicy
    from frames.previews.picture import MaskValue

THREADS: Final = 8
TIMEOUT_S: Final = 10.0
# Of sources asked last the answers are kept: the frames of one video stand together. Masks are
# mostly one frame's own, and their answers are large.
ANSWERS_KEPT: Final = 50_000
# A host that has failed so often and never answered is not waited for again.
HOST_FAILURES_MAX: Final = 16
MASK_MAX_PIXELS: Final = 50_000_000
MASK_VALUES_MAX: Final = 4_096
_SILENT: Final = frozenset({PreviewReason.UNREACHABLE, PreviewReason.TIMED_OUT})


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a URI: why it cannot be read, empty if it can; and a mask's values.

    `values` are empty where it is no picture. `is_crowded` tells that there are more of them than
    MASK_VALUES_MAX, and so more than anybody gives labels.
    """

    reason: str = ""
    values: Sequence[MaskValue] = ()
    is_crowded: bool = False


class Fetcher:
    """Asks about URIs, THREADS at once, each once while it is remembered. A context manager."""

    def __init__(self, policy: MediaPolicy) -> None:
        self._policy = replace(
            policy,
            timeout_s=min(policy.timeout_s, TIMEOUT_S),
            max_pixels=min(policy.max_pixels, MASK_MAX_PIXELS),
        )
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="fetch")
        self._answers: OrderedDict[tuple[str, bool], Answer] = OrderedDict()
        self._failures: Counter[str] = Counter()
        self._answered: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def ask(
        self, wanted: Iterable[tuple[str, bool]], on_wait: Callable[[], None]
    ) -> dict[tuple[str, bool], Answer]:
        """Return the answer for each (URI, whether it is a mask); call `on_wait` meanwhile."""
        asked = dict.fromkeys(wanted)
        found = {key: self._answers[key] for key in asked if key in self._answers}
        waiting: dict[Future[Answer], tuple[str, bool]] = {
            self._pool.submit(self._answer, *key): key for key in asked if key not in found
        }
        while waiting:
            done, _ = wait(waiting, timeout=1, return_when=FIRST_COMPLETED)
            for future in done:
                key = waiting.pop(future)
                found[key] = future.result()
            on_wait()
        for key, answer in found.items():
            if not key[1]:
                self._answers[key] = answer
                self._answers.move_to_end(key)
        while len(self._answers) > ANSWERS_KEPT:
            self._answers.popitem(last=False)
        return found

    def _answer(self, uri: str, is_mask: bool) -> Answer:  # noqa: FBT001 - half of a key
        host = urlsplit(uri).netloc if "://" in uri else ""
        if self._failures[host] >= HOST_FAILURES_MAX and host not in self._answered:
            return Answer(PreviewReason.UNREACHABLE.label)
        try:
            if is_mask:
                return self._mask(uri)
            probe(uri, self._policy)
        except MediaError as error:
            if host and error.reason in _SILENT:
                self._failures[host] += 1
            return Answer(error.reason.label)
        self._answered.add(host)
        return Answer()

    def _mask(self, uri: str) -> Answer:
        with open_uri(uri, self._policy) as file:
            try:
                values = pixel_values(
                    file, max_pixels=self._policy.max_pixels, most=MASK_VALUES_MAX
                )
            except MediaError as error:
                # A video's mask, or a damaged one, can be had; what it holds is not known.
                if error.reason in _SILENT:
                    raise
                return Answer()
        return Answer(values=values or (), is_crowded=values is None)


class Legend:
    """The mask values that have a label: those of a version's metadata.

    Black and zero are what tools leave where nothing is marked, and need none.
    """

    def __init__(self, metadata: dict[str, Any]) -> None:
        self._labelled: set[int | tuple[int, ...]] = {0, (0, 0, 0)}
        legends = metadata.get("mask_labels")
        for entries in legends.values() if isinstance(legends, dict) else ():
            for entry in entries if isinstance(entries, list) else ():
                if isinstance(entry, dict) and entry.get("labels"):
                    self._labelled |= _written(entry.get("value"))

    def unlabelled(
        self, values: Iterable[MaskValue], rois: Iterable[dict[str, Any]]
    ) -> list[MaskValue]:
        """Return the values that neither the legend nor a region of the frame labels."""
        labelled = set(self._labelled)
        for roi in rois:
            mask = roi.get("mask")
            if mask and roi.get("label"):
                labelled |= _written(mask.get("value"))
        return [value for value in values if labelled.isdisjoint(value)]


def _written(value: Any) -> set[int | tuple[int, ...]]:
    """Return a value of a legend as pixels have it."""
    if isinstance(value, list):
        return {tuple(value)} if all(type(part) is int for part in value) else set()
    return {value} if type(value) is int else set()
