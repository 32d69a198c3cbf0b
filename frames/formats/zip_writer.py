"""A zip file of very many small files, written in memory that does not grow with them.

Python's zipfile keeps half a kilobyte a file until the end; here the directory is kept aside on
disk. Layout: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 to 4.3.16.
"""

from __future__ import annotations

import struct
import tempfile
import zlib
from shutil import copyfileobj
from typing import IO, Final

# The first moment the format knows: the same files give the same bytes, whenever.
_DATE: Final = 1 << 5 | 1
_UTF8_NAME: Final = 1 << 11
_DEFLATED: Final = 8
_VERSION_DEFLATE: Final = 20
_VERSION_ZIP64: Final = 45
_REGULAR_FILE: Final = 0o100644 << 16
_MADE_BY_UNIX: Final = 3 << 8 | _VERSION_ZIP64
_LIMIT_32: Final = 0xFFFFFFFF
_LIMIT_16: Final = 0xFFFF


class ZipWriter:
    """Writes one file after the other; sizes and offsets over 4 GiB are kept as zip64."""

    def __init__(self, file: IO[bytes], scratch: str | None) -> None:
        self._file = file
        self._offset = 0
        self._count = 0
        self._directory = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115  closed by finish

    def add(self, name: str, data: bytes) -> None:
        """Add a file of less than 4 GiB; its name is a path with slashes."""
        packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._begin(name, zlib.crc32(data), packer.compress(data) + packer.flush(), len(data))

    def add_file(self, name: str, content: IO[bytes]) -> None:
        """Add what a file holds from its beginning, of any size, without compressing it."""
        content.seek(0)
        crc = size = 0
        while block := content.read(1 << 20):
            crc = zlib.crc32(block, crc)
            size += len(block)
        content.seek(0)
        self._begin(name, crc, b"", size, stored=size)
        copyfileobj(content, self._file)

    def finish(self) -> None:
        """Write the directory."""
        size = self._directory.tell()
        begin = self._offset
        self._directory.seek(0)
        copyfileobj(self._directory, self._file)
        self._directory.close()
        count = self._count
        if count >= _LIMIT_16 or _is_wide(begin + size):
            head = (b"PK\x06\x06", 44, _MADE_BY_UNIX, _VERSION_ZIP64, 0, 0)
            self._file.write(struct.pack("<4sQHHIIQQQQ", *head, count, count, size, begin))
            self._file.write(struct.pack("<4sIQI", b"PK\x06\x07", 0, begin + size, 1))
            count, size, begin = _LIMIT_16, _LIMIT_32, _LIMIT_32
        end = (b"PK\x05\x06", 0, 0, count, count, size, begin, 0)
        self._file.write(struct.pack("<4sHHHHIIH", *end))

    def _begin(self, name: str, crc: int, data: bytes, size: int, stored: int = 0) -> None:
        """Write a file's header and data, and its line of the directory."""
        encoded = name.encode()
        method = 0 if stored or not data else _DEFLATED
        packed = stored or len(data)
        large = _is_wide(size) or _is_wide(packed)
        far = _is_wide(self._offset)
        version = _VERSION_ZIP64 if large or far else _VERSION_DEFLATE
        sizes = (_LIMIT_32, _LIMIT_32) if large else (packed, size)
        common = (version, _UTF8_NAME, method, 0, _DATE, crc, *sizes, len(encoded))

        extra = struct.pack("<HHQQ", 1, 16, size, packed) if large else b""
        header = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", *common, len(extra))
        self._file.write(header + encoded + extra + data)

        wide = ((size, packed) if large else ()) + ((self._offset,) if far else ())
        more = struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
        place = (0, 0, 0, _REGULAR_FILE, _LIMIT_32 if far else self._offset)
        entry = ("<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", _MADE_BY_UNIX, *common, len(more), *place)
        self._directory.write(struct.pack(*entry) + encoded + more)

        self._offset += len(header) + len(encoded) + len(extra) + packed
        self._count += 1


def _is_wide(value: int) -> bool:
    """Whether a size or an offset has no room in 32 bits, of which the greatest says so."""
    return value >= _LIMIT_32
