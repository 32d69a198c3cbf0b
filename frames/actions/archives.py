"""Keeping what is uploaded and unpacking archives, within bounds.

Both lie under a digest of their content, so that the same file has the same address whenever it
comes: frames whose identity is derived from their sources' URIs are the same frames again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from django.conf import settings

from frames.actions.fields import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.files.uploadedfile import UploadedFile

SUFFIXES: Final = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_CHUNK_BYTES: Final = 1 << 20
_DIGEST_BYTES: Final = 16
_FOLDERS_MAX: Final = 64


class ArchiveRefused(Refused):
    """The archive is damaged, too large, or tries to leave its folder."""


def is_archive(uri: str) -> bool:
    """Whether an address is a file that `unpack` takes, by its name."""
    return uri.startswith("file://") and uri.lower().endswith(SUFFIXES)


def keep_upload(upload: UploadedFile[Any], folder: Path) -> str:
    """Keep an uploaded file in a project's folder and return its URI. Raises ArchiveRefused."""
    name = (Path(upload.name or "").name or "upload")[-200:]
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=folder) as unfinished:
            part = Path(unfinished, "part")
            with part.open("wb") as file:
                for chunk in upload.chunks():
                    digest.update(chunk)
                    file.write(chunk)
            target = folder / digest.hexdigest() / name
            target.parent.mkdir(exist_ok=True)
            # Also where it is already: its folder's time says when it was last wanted.
            part.replace(target)
    except OSError as error:
        raise ArchiveRefused(f"{name} cannot be kept: {error.strerror}.") from error
    return target.as_uri()


def unpack(uri: str, folder: Path) -> str:
    """Unpack an archive in a project's folder; return the URI of what is to be imported from it.

    That is its manifest if it has just one JSON file at the top, else the folder. Unpacking
    again replaces what a killed attempt left. Raises ArchiveRefused.
    """
    archive = Path(unquote(urlsplit(uri).path))
    try:
        with archive.open("rb") as file:
            digest = hashlib.file_digest(
                file, lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES)
            ).hexdigest()
    except OSError as error:
        raise ArchiveRefused(f"{archive.name} cannot be read: {error.strerror}.") from error
    target = folder / digest / f"{archive.name}.unpacked"
    # Beside the folder: in it, a file of the archive could bear its name.
    done = target.with_name(f"{target.name}.complete")
    if not done.exists():
        shutil.rmtree(target, ignore_errors=True)
        try:
            target.mkdir(parents=True)
            _extract(archive, target)
        except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, RuntimeError) as error:
            shutil.rmtree(target, ignore_errors=True)
            # The text of an OSError tells where on this machine the archive lies.
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise ArchiveRefused(f"{archive.name} cannot be unpacked: {reason}.") from error
        except ArchiveRefused:
            shutil.rmtree(target, ignore_errors=True)
            raise
        done.touch()
    os.utime(target.parent)
    return _content(target)


def _content(folder: Path) -> str:
    """Return the URI of an unpacked folder's manifest, or of the folder without one."""
    while True:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
        manifests = [e for e in entries if e.suffix.lower() in {".json", ".jsonl", ".ndjson"}]
        if len(manifests) == 1:
            return manifests[0].as_uri()
        if len(entries) == 1 and entries[0].is_dir():
            # Most archives hold one folder, named as they are.
            folder = entries[0]
            continue
        return folder.as_uri() + "/"


def _extract(archive: Path, target: Path) -> None:
    left = settings.ARCHIVE_MAX_BYTES
    for number, (name, file) in enumerate(_members(archive)):
        if number >= settings.ARCHIVE_MAX_FILES:
            raise ArchiveRefused(
                f"{archive.name} holds over {settings.ARCHIVE_MAX_FILES:,} files, the limit."
            )
        path = target / _safe(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            # Sizes told by the archive are not believed: a bomb lies about them.
            while chunk := file.read(_CHUNK_BYTES):
                left -= len(chunk)
                if left < 0:
                    raise ArchiveRefused(
                        f"{archive.name} unpacks to over {settings.ARCHIVE_MAX_BYTES:,} bytes, "
                        "the limit."
                    )
                out.write(chunk)


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the regular files of a zip or tar archive; links and devices are passed over."""
    if archive.name.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                if not info.is_dir():
                    with opened.open(info) as file:
                        yield info.filename, file
        return
    with tarfile.open(archive, "r|*") as opened_tar:
        for member in opened_tar:
            content = opened_tar.extractfile(member) if member.isreg() else None
            if content is not None:
                yield member.name, content


def _safe(name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if len(path.parts) > _FOLDERS_MAX:
        raise ArchiveRefused(f"A file lies in more than {_FOLDERS_MAX} folders inside each other.")
    if path.is_absolute() or ".." in path.parts or "\x00" in name or not path.parts:
        raise ArchiveRefused(f"{name!r} would be written outside of the archive's own folder.")
    return path
