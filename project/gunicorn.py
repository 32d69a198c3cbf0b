"""How gunicorn serves the site: `gunicorn -c python:project.gunicorn project.wsgi`."""

from __future__ import annotations

import gc
from typing import Any

from gunicorn import glogging
from gunicorn.http import message

from project import settings

# A filter is part of the address: 10,000 characters, each up to 12 bytes once it is quoted. What
# is longer than a filter may be has to come through too: the page says so, and keeps the text. A
# browser repeats the address in Referer, htmx in HX-Current-URL.
_ADDRESS_MAX_BYTES = 128 * 1024


class Logger(glogging.Logger):  # type: ignore[misc]
    """Hands gunicorn's lines to the site's logging."""

    def setup(self, cfg: Any) -> None:
        """Take the handlers gunicorn gives its loggers away again."""
        super().setup(cfg)
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True


bind = (
    f"[{settings.HOST}]:{settings.PORT}"
    if ":" in settings.HOST
    else f"{settings.HOST}:{settings.PORT}"
)
worker_class = "gthread"
workers = settings.WEB_PROCESSES
threads = settings.WEB_THREADS
timeout = 60  # seconds without a sign of life from a worker, however long its requests take
graceful_timeout = 10  # seconds
keepalive = 5  # seconds
logger_class = Logger
loglevel = "warning"
message.MAX_REQUEST_LINE = _ADDRESS_MAX_BYTES  # 8,190, which no setting may exceed but without end
limit_request_line = _ADDRESS_MAX_BYTES
limit_request_field_size = _ADDRESS_MAX_BYTES
limit_request_fields = 60
control_socket_disable = True  # it would lie outside the state folder, and nothing uses it


def post_worker_init(worker: Any) -> None:
    """Leave what is loaded to itself: it lives as long as the process.

    A full collection walks its 180,000 objects, and later those of the templates and the cache
    too, which takes 60 ms of whichever request it meets: each fiftieth by Python's thresholds. What
    requests leave behind are cycles of a few objects, which the younger generations find.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(25_000, 50, 100)
