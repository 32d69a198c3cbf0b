"""What people may write: names, descriptions, tags and metadata."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final

from frames.models.base import name_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from frames.models import Dataset, Project

NAME_MAX_CHARS: Final = 255
DESCRIPTION_MAX_CHARS: Final = 10_000
REASON_MAX_CHARS: Final = 2_000
TAGS_MAX: Final = 50
TAG_MAX_CHARS: Final = 64
METADATA_MAX_BYTES: Final = 256 * 1024
METADATA_MAX_LEVELS: Final = 64

# What databases keep in no text: half a character, and the null character.
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_COLOR: Final = range(256)
_MASK_VALUE: Final = range(2**16)


class Refused(Exception):
    """What was asked cannot be done; the message says why and what to do."""


def clean_name(name: str, what: str) -> str:
    """Return a name without surrounding blanks; raise Refused if it cannot be one."""
    name = unicodedata.normalize("NFC", name[: 4 * NAME_MAX_CHARS]).strip()
    if not name:
        raise Refused(f"Give the {what} a name.")
    # Some characters are several in the key that names are compared by.
    if len(name) > NAME_MAX_CHARS or len(name_key(name)) > NAME_MAX_CHARS:
        raise Refused(f"The {what}'s name is longer than {NAME_MAX_CHARS} characters.")
    if not name.isprintable():
        raise Refused(f"The {what}'s name holds control characters.")
    return name


def refuse_taken(name: str, siblings: QuerySet[Any], owner: Project | Dataset, what: str) -> None:
    """Raise Refused if one of the siblings has the name, or one that looks like it."""
    taken = siblings.filter(name_key=name_key(name)).values_list("name", flat=True).first()
    if taken == name:
        raise Refused(f"{owner.name} has a {what} named {name} already.")
    if taken is not None:
        raise Refused(
            f"{owner.name} has a {what} named {taken} already, which looks the same as {name}."
        )


def clean_description(text: str) -> str:
    """Return a description; raise Refused if it is too long."""
    if len(text) > DESCRIPTION_MAX_CHARS:
        raise Refused(f"The description is over {DESCRIPTION_MAX_CHARS:,} characters.")
    if "\x00" in text:
        raise Refused("The description holds a null character.")
    return text


def clean_reason(text: str) -> str:
    """Return why something is done all the same; raise Refused if it is too long."""
    text = text.strip()
    if len(text) > REASON_MAX_CHARS:
        raise Refused(f"The reason is over {REASON_MAX_CHARS:,} characters.")
    if "\x00" in text:
        raise Refused("The reason holds a null character.")
    return text


def clean_tags(tags: Sequence[str]) -> list[str]:
    """Return each tag once, without blanks around it; raise Refused if they are too many."""
    cleaned = list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
    if len(cleaned) > TAGS_MAX or any(len(tag) > TAG_MAX_CHARS for tag in cleaned):
        raise Refused(f"At most {TAGS_MAX} tags of at most {TAG_MAX_CHARS} characters each.")
    if not all(tag.isprintable() for tag in cleaned):
        raise Refused("A tag holds control characters.")
    return cleaned


def parse_metadata(text: str) -> dict[str, Any]:
    """Return typed metadata; nothing is the empty object. Raises Refused with line and column."""
    try:
        return clean_metadata(json.loads(text, object_pairs_hook=_object) if text.strip() else {})
    except json.JSONDecodeError as error:
        what = error.msg[:1].lower() + error.msg[1:]
        raise Refused(f"Line {error.lineno}, column {error.colno}: {what}.") from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise Refused("A number has too many digits.") from error


def clean_metadata(value: Any) -> dict[str, Any]:
    """Return metadata that every database holds and every page can show. Raises Refused.

    `mask_labels._all_`, where it is there, is a legend: a list of objects with a pixel `value`,
    a number or [red, green, blue], and its `labels`. All other keys are the writer's own.
    """
    if not isinstance(value, dict):
        raise Refused("Metadata is a JSON object, in braces.")
    _check(value, METADATA_MAX_LEVELS)
    size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
    if size > METADATA_MAX_BYTES:
        raise Refused(
            f"The metadata has {size:,} bytes; it can have {METADATA_MAX_BYTES:,}. "
            "Keep what is large in a file, and its address here."
        )
    if "mask_labels" in value:
        _check_mask_labels(value["mask_labels"])
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Refused(f"An object has the key {json.dumps(twice)} twice.")
    return found


def _check(value: Any, levels: int) -> None:
    if levels < 0:
        raise _too_deep()
    if isinstance(value, str) and _UNSTORABLE.search(value):
        raise Refused("A text holds a null character, or half of a character.")
    if isinstance(value, float) and not math.isfinite(value):
        raise Refused("NaN and infinite numbers are not JSON.")
    if isinstance(value, dict):
        for name, item in value.items():
            _check(name, levels)
            _check(item, levels - 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, levels - 1)


def _check_mask_labels(legends: Any) -> None:
    if not isinstance(legends, dict):
        raise Refused('mask_labels is an object, such as {"_all_": []}.')
    entries = legends.get("_all_", [])
    if not isinstance(entries, list):
        raise Refused("mask_labels._all_ is a list.")
    for number, entry in enumerate(entries):
        where = f"mask_labels._all_[{number}]"
        if not isinstance(entry, dict):
            raise Refused(f"{where} is an object with value and labels.")
        if not _is_mask_value(entry.get("value")):
            raise Refused(
                f"{where}.value is a whole number from 0 to {_MASK_VALUE[-1]}, "
                f"or [red, green, blue] from 0 to {_COLOR[-1]} each."
            )
        labels = entry.get("labels")
        if not isinstance(labels, list) or not all(isinstance(name, str) for name in labels):
            raise Refused(f"{where}.labels is a list of texts.")


def _is_mask_value(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) == 3 and all(type(part) is int and part in _COLOR for part in value)
    return type(value) is int and value in _MASK_VALUE


def _too_deep() -> Refused:
    return Refused(f"The metadata is nested more than {METADATA_MAX_LEVELS} levels deep.")
