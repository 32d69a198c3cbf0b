"""Numbers, times and names as people read them."""

from __future__ import annotations

import json
import textwrap
from datetime import UTC, datetime
from typing import Any, Final

_SPACE: Final = "\N{OPEN BOX}"
MS_PER_DAY: Final = 86_400_000
# Beyond this a timestamp is a date or a counter, not a position in a recording.
MAX_TIMECODE_MS: Final = 100 * 3_600_000
JSON_LINE_CHARS: Final = 88
# SQLite takes no condition of 1,000 parts.
WORDS_MAX: Final = 100


def timecode(ms: float) -> str:
    """Return a duration in milliseconds as [-]HH:MM:SS.mmm; hours go on past 99.

    >>> timecode(47_033.4)
    '00:00:47.033'
    """
    whole = round(abs(ms))
    seconds, thousandths = divmod(whole, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if ms < 0 and whole else ""
    return f"{sign}{hours:02}:{minutes:02}:{seconds:02}.{thousandths:03}"


def moment(timestamp: float) -> str:
    """Return a frame's timestamp: a timecode where it can be one, else the number itself.

    >>> moment(33), moment(1_598_982_880_693)
    ('00:00:00.033', '1598982880693')
    """
    if 0 <= timestamp < MAX_TIMECODE_MS:
        return timecode(timestamp)
    return f"{timestamp:.15g}" if abs(timestamp) < 1e15 else repr(timestamp)


def span(ms: float) -> str:
    """Return a duration in milliseconds: a timecode, led by whole days where there are any.

    >>> span(90_061_000)
    '1 d 01:01:01.000'
    """
    days, rest = divmod(ms, MS_PER_DAY)
    return f"{count(int(days))} d {timecode(rest)}" if days >= 1 else timecode(ms)


def elapsed(then: datetime, now: datetime | None = None) -> str:
    """Return how long ago something was, in its largest unit.

    >>> elapsed(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 2, 5, tzinfo=UTC))
    '2 h ago'
    """
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    if seconds < 60:
        return "just now"
    for unit, size in (("y", 31_557_600), ("mo", 2_629_800), ("d", 86_400), ("h", 3_600)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds // 60)} min ago"


def count(number: int) -> str:
    """Return a whole number with its thousands apart.

    >>> count(1_000_000)
    '1,000,000'
    """
    return f"{number:,}"


def number_text(number: float) -> str:
    """Return a number as JSON has it, a whole one without its point.

    >>> number_text(60.0), number_text(-0.25)
    ('60', '-0.25')
    """
    return str(int(number)) if number.is_integer() and abs(number) < 1e16 else repr(number)


def plural(number: int, noun: str) -> str:
    """Return a number with its noun, which takes an s.

    >>> plural(1, "frame"), plural(4812, "frame")
    ('1 frame', '4,812 frames')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def dimensions(width: int, height: int) -> str:
    """Return width and height in px as one text, empty when either is unknown."""
    return f"{width:,} \N{MULTIPLICATION SIGN} {height:,}" if width and height else ""


def percent(part: int, whole: int) -> str:
    """Return a share; only nothing is 0 % and only all is 100 %.

    >>> percent(1, 1000), percent(999, 1000), percent(0, 0)
    ('<1 %', '>99 %', '0 %')
    """
    if part == 0 or whole == 0:
        return "0 %"
    if part == whole:
        return "100 %"
    share = round(100 * part / whole)
    return "<1 %" if share == 0 else ">99 %" if share == 100 else f"{share} %"


def bar_width(number: int, most: int) -> str:
    """Return the length of a bar beside the longest one's 100; what is there is seen.

    >>> bar_width(1, 3), bar_width(1, 100_000), bar_width(0, 3)
    ('33.33', '1.00', '0.00')
    """
    return f"{max(100 * number / most, 1 if number else 0):.2f}"


def head_and_tail(name: str, tail: int = 14) -> tuple[str, str]:
    """Split a name, so that a narrow card can cut it in the middle and show both ends.

    >>> head_and_tail("s3://bucket/drive/front_camera_0001.mp4")
    ('s3://bucket/drive/front_c', 'amera_0001.mp4')
    """
    return (name[:-tail], name[-tail:]) if len(name) > 2 * tail else (name, "")


def json_text(value: Any, indent: int = 0) -> str:
    """Return JSON to read: what fits a line stays on it, and numbers fill their lines.

    Cost: each level is written once for every level above it.

    >>> print(json_text({"label": ["car"], "poly": list(range(30))}))
    {
      "label": ["car"],
      "poly": [
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
        23, 24, 25, 26, 27, 28, 29
      ]
    }
    """
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(flat) + indent <= JSON_LINE_CHARS:
        return flat
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        lines = [
            f"{inner}{json.dumps(key, ensure_ascii=False)}: {json_text(item, indent + 2)}"
            for key, item in value.items()
        ]
    elif all(isinstance(item, int | float) for item in value):
        filled = textwrap.wrap(
            flat[1:-1], JSON_LINE_CHARS - len(inner), break_long_words=False, break_on_hyphens=False
        )
        lines = [inner + f"\n{inner}".join(filled)]
    else:
        lines = [inner + json_text(item, indent + 2) for item in value]
    start, end = "{}" if isinstance(value, dict) else "[]"
    return f"{start}\n" + ",\n".join(lines) + f"\n{' ' * indent}{end}"


def value_text(value: Any) -> str:
    """Return a metadata value as it is read: text as it is, the rest as JSON.

    >>> value_text("rain"), value_text(False)
    ('rain', 'false')
    """
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def visible(text: str) -> str:
    """Return a name as people can tell it from another: spaces at its ends are drawn.

    >>> visible("car "), visible("traffic light"), visible(" ")
    ('car\u2423', 'traffic light', '\u2423')
    """
    inner = text.strip(" ")
    before, _, after = text.partition(inner) if inner else (text, "", "")
    return f"{_SPACE * len(before)}{inner}{_SPACE * len(after)}"


def words_of(text: str) -> list[str]:
    """Return the first words of a text that names are searched by, each once.

    >>> words_of("night  rain night")
    ['night', 'rain']
    """
    return list(dict.fromkeys(text.split()))[:WORDS_MAX]
