"""A loopback web server whose answers a test writes itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """A web server on loopback: `answers` by path, `requests` as (path, headers) in order."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.requests.append((self.path, dict(self.headers)))
                answer = site.answers.get(self.path.partition("?")[0])
                if answer is None:
                    self.send_error(404)
                else:
                    answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Keep the test's output free of the server's log."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))

    def file(
        self,
        path: str,
        data: bytes,
        *,
        ranges: bool = True,
        headers: dict[str, str] | None = None,
    ) -> str:
        """Serve bytes at a path, with or without ranges; return the URL."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            wanted = request.headers.get("Range") if ranges else None
            body = data
            if wanted:
                first, last = (int(part) for part in wanted.removeprefix("bytes=").split("-"))
                if first >= len(data):
                    request.send_response(416)
                    request.send_header("Content-Range", f"bytes */{len(data)}")
                    body = b""
                else:
                    body = data[first : last + 1]
                    end = first + len(body) - 1
                    request.send_response(206)
                    request.send_header("Content-Range", f"bytes {first}-{end}/{len(data)}")
            else:
                request.send_response(200)
            request.send_header("Content-Length", str(len(body)))
            for name, value in (headers or {}).items():
                request.send_header(name, value)
            request.end_headers()
            request.wfile.write(body)

        self.answers[path] = answer
        return self.url + path

    def status(self, path: str, status: int, body: bytes = b"", **headers: str) -> str:
        """Answer with a status; return the URL."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(status)
            for name, value in headers.items():
                request.send_header(name.replace("_", "-"), value)
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)

        self.answers[path] = answer
        return self.url + path
