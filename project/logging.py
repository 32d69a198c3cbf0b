"""Log lines as data: for a person on the console, or as one JSON object a line."""

from __future__ import annotations

import logging.config
import sys
from typing import TYPE_CHECKING, Any

import structlog
from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from structlog.typing import Processor

# What every line gets, whether structlog or the standard library wrote it. The context holds the
# request id, which django-structlog carries from the web process into the worker.
_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.stdlib.ExtraAdder(),
]


def configure_logging(log_format: str, level: str) -> None:
    """Set up structlog and the standard library's logging, to standard error.

    Raises:
        ImproperlyConfigured: the format is not `console` or `json`, or the level is unknown.
    """
    renderers: dict[str, list[Processor]] = {
        "console": [
            # Not the renderer's default, which prints the values of local variables.
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        "json": [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
    }
    if log_format not in renderers:
        raise ImproperlyConfigured(f"LOG_FORMAT is {log_format!r}, not console or json.")
    if level not in logging.getLevelNamesMapping():
        raise ImproperlyConfigured(f"LOG_LEVEL is {level!r}, not DEBUG, INFO, WARNING or ERROR.")

    formatter: dict[str, Any] = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": _SHARED,
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *renderers[log_format],
        ],
    }
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": formatter},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"handlers": ["stderr"], "level": level},
            "loggers": {
                # django-structlog writes these, one line a request, with its id and its user.
                "django.request": {"level": "CRITICAL"},
                "django.server": {"level": "ERROR"},
                # It writes one a task too; of Celery itself only what goes wrong is news.
                "celery": {"level": "WARNING"},
                "celery.apps.worker": {"level": level},  # that a worker is ready
            },
        }
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
