"""Files behind http(s), read in ranges from the address that was checked."""

from __future__ import annotations

import io
import re
import socket
import tempfile
import threading
import time
from collections import OrderedDict
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urljoin

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError, SSLError
from urllib3.exceptions import TimeoutError as HTTPTimeoutError
from urllib3.util import Timeout, parse_url
from urllib3.util.ssl_match_hostname import CertificateError

from frames.media.addresses import checked_address
from frames.media.errors import MediaError
from frames.media.reader import MediaReader, check_size
from frames.models import PreviewReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _typeshed import WriteableBuffer
    from urllib3.response import BaseHTTPResponse, HTTPResponse

    from frames.media.policy import MediaPolicy

BLOCK_BYTES: Final = 1 << 20
# Who reads on gets twice as much each time, up to this, so that round trips matter less.
MAX_AHEAD_BLOCKS: Final = 8
CACHED_BLOCKS: Final = 24
MAX_REDIRECTS: Final = 5
# A file may take the policy's time-out and, besides, what its bytes need at this rate.
MIN_BYTES_PER_S: Final = 256 * 1024
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SPOOL_CHUNK_BYTES: Final = 1 << 18
_ERROR_BODY_BYTES: Final = 4096
_S3_ERROR_CODE: Final = re.compile(rb"<Code>([A-Za-z]{1,64})</Code>")
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class WrongRegionError(MediaError):
    """The bucket is in another region, which the answer names."""

    def __init__(self, region: str) -> None:
        super().__init__(PreviewReason.UNREACHABLE, f"The bucket is in the region {region}.")
        self.region = region


@contextmanager
def _cut_off_after(seconds: float, cut: Callable[[], object]) -> Iterator[threading.Event]:
    """Call `cut` if the block takes longer, which the event tells.

    A socket's own time-out begins anew with every byte that arrives: a server that sends a byte
    now and then would hold a worker for days.
    """
    late = threading.Event()

    def fire() -> None:
        late.set()
        # The connection may have ended in this very moment.
        with suppress(OSError, ValueError, RuntimeError):
            cut()

    timer = threading.Timer(seconds, fire)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


@contextmanager
def _headers_in_time(connection: HTTPConnection) -> Iterator[None]:
    sock = connection.sock
    seconds = cast("float", connection.timeout)
    with _cut_off_after(seconds, lambda: sock.shutdown(socket.SHUT_RDWR)):
        yield


def _tls_problem(error: SSLError) -> str:
    cause = error.args[0] if error.args else None
    if isinstance(cause, CertificateError):
        return "the certificate is another host's"
    return getattr(cause, "verify_message", "") or "the handshake failed"


class _Connection(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override] # as urllib3's own
        with _headers_in_time(self):
            return super().getresponse()


class _TlsConnection(HTTPSConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override] # as urllib3's own
        with _headers_in_time(self):
            return super().getresponse()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


@lru_cache(maxsize=32)
def _pool(scheme: str, host: str, port: int, address: str) -> HTTPConnectionPool:
    """Return the kept connections to an address; only a checked one is ever asked for."""
    if scheme == "https":
        # The certificate is the named host's, whatever address it is at.
        return _TlsPool(address, port, maxsize=4, server_hostname=host, assert_hostname=host)
    return _Pool(address, port, maxsize=4)


class HttpFile:
    """One file behind http(s), of which ranges can be asked for.

    `trusted` is for the operator's own endpoints: they may be at a private address, and are never
    left by a redirect. Each redirect of other servers is checked like a URI that was given.
    """

    def __init__(self, url: str, policy: MediaPolicy, *, trusted: bool, follow: bool) -> None:
        self.url = url
        self._policy = policy
        self._trusted = trusted
        self._follow = follow
        self._spent_s = 0.0
        self._received = 0
        self._etag: str | None = None

    def _left_s(self) -> float:
        allowed = self._policy.timeout_s + self._received / MIN_BYTES_PER_S
        left = allowed - self._spent_s
        if left <= 0:
            raise MediaError(
                PreviewReason.TIMED_OUT, "The server answers too slowly.", retryable=True
            )
        return left

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Count the time against what is allowed, and name what goes wrong."""
        left_s = self._left_s()
        began = time.monotonic()
        try:
            yield
        except (HTTPError, OSError, ValueError) as error:
            host = parse_url(self.url).host
            late = time.monotonic() - began >= left_s or isinstance(error, TimeoutError)
            # urllib3 counts a refused connection among its time-outs.
            refused = isinstance(error, NewConnectionError)
            if late or (isinstance(error, HTTPTimeoutError) and not refused):
                raise MediaError(
                    PreviewReason.TIMED_OUT, f"{host} answers too slowly.", retryable=True
                ) from error
            if isinstance(error, SSLError):
                raise MediaError(
                    PreviewReason.UNREACHABLE,
                    f"No secure connection to {host}: {_tls_problem(error)}.",
                ) from error
            raise MediaError(
                PreviewReason.UNREACHABLE, f"The connection to {host} failed.", retryable=True
            ) from error
        finally:
            self._spent_s += time.monotonic() - began

    def _send(self, headers: dict[str, str]) -> BaseHTTPResponse:
        url = parse_url(self.url)
        scheme, host = url.scheme or "", (url.host or "").strip("[]").rstrip(".")
        port = url.port or (443 if scheme == "https" else 80)
        private = self._trusted or self._policy.allows_private(host, port)
        address = checked_address(host, port, allow_private=private)
        with self._timed():
            return _pool(scheme, host, port, address).urlopen(
                "GET",
                url.request_uri,
                # The host stays whom the request is for; the address is only where it goes.
                headers={
                    "Host": url.netloc or host,
                    "Accept-Encoding": "identity",
                    "User-Agent": "Framedeck",
                    **headers,
                },
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
                timeout=Timeout(connect=self._left_s(), read=self._left_s()),
            )

    def _checked_redirect(self, response: BaseHTTPResponse) -> str:
        target = urljoin(self.url, response.headers.get("Location", ""))
        if not target.lower().startswith(("http://", "https://")) or "Location" not in (
            response.headers
        ):
            raise MediaError(PreviewReason.UNREACHABLE, "The server redirects to nowhere.")
        try:
            self._policy.check(target)
        except MediaError as error:
            # The target is not named: it may be the name of an internal host.
            raise MediaError(
                PreviewReason.NOT_ALLOWED,
                "The server redirects to an address under none of the allowed prefixes.",
            ) from error
        return target

    def get(self, headers: dict[str, str]) -> BaseHTTPResponse:
        """Send the request, and follow redirects; the answer is 200, 206 or 416.

        Raises:
            MediaError: every other answer, by its reason.
        """
        for _ in range(MAX_REDIRECTS + 1):
            response = self._send(headers)
            if response.status in {200, 206, 416}:
                self._check_encoding(response)
                return response
            try:
                region = response.headers.get("x-amz-bucket-region")
                if self._trusted and region and response.status in {301, 307, 400}:
                    raise WrongRegionError(region)
                if not self._follow or response.status not in _REDIRECTS:
                    raise self._refusal(response)
                self.url = self._checked_redirect(response)
            finally:
                response.close()
        raise MediaError(
            PreviewReason.UNREACHABLE, f"The server redirects more than {MAX_REDIRECTS} times."
        )

    def _check_encoding(self, response: BaseHTTPResponse) -> None:
        encoding = response.headers.get("Content-Encoding", "identity").lower()
        if encoding not in {"", "identity"}:
            # Never inflated: a megabyte on the wire may be a terabyte.
            response.close()
            raise MediaError(
                PreviewReason.UNSUPPORTED, "The server sends the file compressed, though not asked."
            )

    def _refusal(self, response: BaseHTTPResponse) -> MediaError:
        status = response.status
        code = _S3_ERROR_CODE.search(self._read(response, _ERROR_BODY_BYTES))
        said = f"HTTP {status}" + (f" {code[1].decode()}" if code else "")
        host = parse_url(self.url).host
        if status in {401, 403}:
            return MediaError(PreviewReason.FORBIDDEN, f"{host} answers {said}.")
        if status in {404, 410}:
            return MediaError(PreviewReason.NOT_FOUND, f"{host} answers {said}.")
        transient = status in {408, 425, 429} or status >= 500
        return MediaError(PreviewReason.UNREACHABLE, f"{host} answers {said}.", retryable=transient)

    def _read(self, response: BaseHTTPResponse, count: int) -> bytes:
        try:
            with self._timed(), _cut_off_after(self._left_s(), response.shutdown) as late:
                data = response.read(count)
                if late.is_set():
                    # Cut off inside a body, urllib3 may return what came as if it were all.
                    raise TimeoutError
        except MediaError:
            response.close()
            raise
        self._received += len(data)
        return data

    def read_body(self, response: BaseHTTPResponse, count: int) -> bytes:
        """Read the body of a range answer: exactly `count` bytes of it."""
        data = self._read(response, count)
        if len(data) != count:
            response.close()
            raise self._broken()
        # Read to its end, its connection went back to the pool; one with more to come is dropped.
        response.close()
        return data

    def spool(self, response: BaseHTTPResponse, max_bytes: int) -> MediaReader:
        """Write the whole body to a temporary file, for a server that knows no ranges."""
        length = response.headers.get("Content-Length", "")
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - the reader closes it
        try:
            check_size(int(length) if length.isdecimal() else 0, max_bytes)
            size = 0
            while chunk := self._read(response, _SPOOL_CHUNK_BYTES):
                size += len(chunk)
                check_size(size, max_bytes)
                file.write(chunk)
            if length.isdecimal() and size != int(length):
                raise self._broken()
            file.seek(0)
        except BaseException:
            file.close()
            response.close()
            raise
        response.close()
        reader = MediaReader(file)
        reader.size = size
        return reader

    def range(self, first: int, end: int) -> BaseHTTPResponse:
        """Ask for the bytes [first, end) of the file that the first answer was of."""
        response = self.get({"Range": f"bytes={first}-{end - 1}"})
        etag = response.headers.get("ETag") or response.headers.get("Last-Modified")
        self._etag = self._etag or etag
        if etag != self._etag:
            response.close()
            raise MediaError(
                PreviewReason.UNREACHABLE, "The file changed while it was read.", retryable=True
            )
        return response

    def _broken(self) -> MediaError:
        host = parse_url(self.url).host
        return MediaError(
            PreviewReason.UNREACHABLE,
            f"The connection to {host} broke off inside the file.",
            retryable=True,
        )


class RangeReader(io.RawIOBase):
    """Reads a remote file in blocks as they are wanted, and keeps the last few."""

    def __init__(self, file: HttpFile, size: int, head: bytes) -> None:
        super().__init__()
        self._file = file
        self._size = size
        self._position = 0
        self._ahead = 1
        self._next_block = -1
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._keep(0, head)

    def _keep(self, first_block: int, data: bytes) -> None:
        for start in range(0, len(data), BLOCK_BYTES):
            block = first_block + start // BLOCK_BYTES
            self._blocks[block] = data[start : start + BLOCK_BYTES]
            self._next_block = block + 1
        while len(self._blocks) > CACHED_BLOCKS:
            self._blocks.popitem(last=False)

    def _fetch(self, block: int) -> None:
        self._ahead = min(self._ahead * 2, MAX_AHEAD_BLOCKS) if block == self._next_block else 1
        first = block * BLOCK_BYTES
        end = min(first + self._ahead * BLOCK_BYTES, self._size)
        response = self._file.range(first, end)
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if response.status != 206 or not found or int(found[1]) != first:
            response.close()
            raise MediaError(PreviewReason.UNREACHABLE, "The server answers another range.")
        self._keep(block, self._file.read_body(response, end - first))

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill the buffer from the block at the position; 0 at the end."""
        if self._position >= self._size:
            return 0
        view = memoryview(buffer).cast("B")
        block, offset = divmod(self._position, BLOCK_BYTES)
        if block not in self._blocks:
            self._fetch(block)
        self._blocks.move_to_end(block)
        data = self._blocks[block][offset : offset + len(view)]
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position; nothing is fetched."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("negative seek position")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True


def open_http(
    url: str, policy: MediaPolicy, max_bytes: int, *, trusted: bool = False, follow: bool = True
) -> MediaReader:
    """Open a file behind http(s); its first megabyte is there when this returns.

    A server that knows ranges is asked for what is read and no more; the whole file of another
    goes to a temporary file first, up to `policy.max_bytes`.

    Raises:
        MediaError: NOT_FOUND, FORBIDDEN, NOT_ALLOWED, PRIVATE_ADDRESS, UNREACHABLE, TIMED_OUT,
            TOO_LARGE, or UNSUPPORTED where the body is compressed. Reading may raise it too.
    """
    file = HttpFile(url, policy, trusted=trusted, follow=follow)
    response = file.range(0, BLOCK_BYTES)
    if response.status == 416:
        # An empty file has no first byte.
        response.close()
        return MediaReader(RangeReader(file, 0, b""))
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status == 206 and not found:
        response.close()
        response = file.get({})
    if response.status != 206 or not found:
        return file.spool(response, min(max_bytes, policy.max_bytes))
    size = int(found[3])
    try:
        check_size(size, max_bytes)
        if int(found[1]) != 0:
            raise MediaError(PreviewReason.UNREACHABLE, "The server answers another range.")
    except MediaError:
        response.close()
        raise
    head = file.read_body(response, min(size, BLOCK_BYTES))
    reader = MediaReader(RangeReader(file, size, head))
    reader.size = size
    return reader


def probe(url: str, policy: MediaPolicy, *, trusted: bool = False, follow: bool = True) -> None:
    """Ask a server for the first byte of a file, and leave the rest, should it send all.

    Not by HEAD: a signed address of a bucket is signed for one method, and many servers answer
    HEAD otherwise than GET. The errors are those of `open_http`, but for its limits of size.
    """
    file = HttpFile(url, policy, trusted=trusted, follow=follow)
    response = file.get({"Range": "bytes=0-0"})
    if response.status == 206:
        # Read to its end, its connection is used again.
        file._read(response, 2)
    response.close()
