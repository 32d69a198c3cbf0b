"""Log lines as data, with the context they were written in."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.services import BASE_DIR

PROGRAM = """
import logging, structlog
from project.logging import configure_logging
configure_logging({log_format!r}, "INFO")
structlog.contextvars.bind_contextvars(request_id="r1")
structlog.get_logger("ours").info("imported", frames=3)
logging.getLogger("theirs").warning("slow %s", "disk")
logging.getLogger("theirs").debug("not shown")
password = "in-a-local-variable"
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger("ours").exception("failed")
"""


def lines(log_format: str) -> list[str]:
    """Return what the program above writes."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(log_format=log_format)],
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == ""
    return result.stderr.splitlines()


def test_json_lines_hold_event_values_and_context() -> None:
    ours, theirs, failed = (json.loads(line) for line in lines("json"))
    assert (ours["event"], ours["frames"], ours["level"]) == ("imported", 3, "info")
    assert (theirs["event"], theirs["logger"]) == ("slow disk", "theirs")
    assert {line["request_id"] for line in (ours, theirs, failed)} == {"r1"}
    assert "ZeroDivisionError" in failed["exception"]


def test_console_shows_a_traceback_but_no_values_of_variables() -> None:
    text = "\n".join(lines("console"))
    assert "ZeroDivisionError" in text
    assert "in-a-local-variable" not in text
    assert "\x1b[" not in text  # no colours where nobody looks
