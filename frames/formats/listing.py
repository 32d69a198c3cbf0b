"""A frame as a viewer lists it, one member a line: `id : "287024"`, `rois : Array[2] [...]`.

What a person copies off ClearML's frame viewer. Not JSON, but each value is, or bare text.

Source: ClearML documentation, "SingleFrames", the listing below "WebApp".
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from frames.formats.jsonstream import ValueProblem

_MEMBER: Final = re.compile(r"^(\w+) : ((?:Array\[\d+\]|Object)\s)?", re.MULTILINE)


def is_listing(head: str) -> bool:
    """Whether a text begins as a listing does."""
    return _MEMBER.match(head.lstrip()) is not None


def read_listing(text: str) -> dict[str, Any]:
    """Return the members of a listing. Raises ValueProblem."""
    members: dict[str, Any] = {}
    found = list(_MEMBER.finditer(text))
    ends = [*(match.start() for match in found[1:]), len(text)]
    for match, end in zip(found, ends, strict=True):
        name, value = match[1], text[match.end() : end].strip()
        if name in members:
            raise ValueProblem(f"has the key {name} twice")
        try:
            members[name] = json.loads(value)
        except (ValueError, RecursionError):
            if match[2] or "\n" in value:
                raise ValueProblem(f"{name} is not JSON") from None
            members[name] = value
    return members
