"""Where previews are kept, and the signed URLs at which browsers read them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.core.cache import cache
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.urls import get_script_prefix
from django.utils.crypto import constant_time_compare, salted_hmac

if TYPE_CHECKING:
    from frames.models import Preview

_SALT: Final = "frames.previews.storage"
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
# What Preview.name gives, and while it is written a random end.
_NAME: Final = re.compile(r"[0-9a-f]{2}/[0-9a-f]{40}\.jpg(\.[0-9a-f]{32})?")


def _expiry(now_s: float) -> int:
    """Return an epoch second half to a whole SIGNED_URL_TTL_S away, the same for half of it.

    So that a preview's URL stays the same for hours, and the browser's cache knows it again.
    """
    step: int = max(1, settings.SIGNED_URL_TTL_S // 2)
    return (int(now_s) // step + 2) * step


def _signature(name: str, expiry: int) -> str:
    return salted_hmac(_SALT, f"{name}\n{expiry}", algorithm="sha256").hexdigest()[:32]


def verify_preview_url(name: str, expiry: str, signature: str) -> bool:
    """Return whether a preview's URL was signed here and has not expired.

    `expiry` and `signature` are the URL's `e` and `s`, as they came.
    """
    if not expiry.isdecimal() or len(expiry) > 12 or int(expiry) < time.time():
        return False
    return constant_time_compare(_signature(name, int(expiry)), signature)


class PreviewFolderStorage(Storage):
    """Previews as files under PREVIEWS_DIR.

    Saving replaces what was there in one step: a reader sees the old file or the new one, never
    half of one, also when the writer is killed.
    """

    def path(self, name: str) -> str:
        """Return the file's path.

        Raises:
            ValueError: it is not the name of a preview; what is could not leave the folder.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a preview's name: {name!r}")
        return os.path.join(settings.PREVIEWS_DIR, name)

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        return File(Path(self.path(name)).open(mode))

    def save(self, name: str | None, content: IO[Any], max_length: int | None = None) -> str:
        """Keep a preview in place of what was there."""
        path = self.path(name or "")
        temporary = f"{path}.{uuid.uuid4().hex}"
        try:
            descriptor = os.open(temporary, _CREATE, 0o600)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            descriptor = os.open(temporary, _CREATE, 0o600)
        try:
            with open(descriptor, "wb") as file:
                shutil.copyfileobj(content, file)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        return str(name)

    def delete(self, name: str) -> None:
        """Remove a preview, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(name))

    def exists(self, name: str) -> bool:
        """Return whether the preview is there."""
        return os.path.exists(self.path(name))

    def size(self, name: str) -> int:
        """Return the preview's size in bytes."""
        return os.path.getsize(self.path(name))

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """Return the folders and the files in a folder; raise FileNotFoundError if it is not."""
        folders: list[str] = []
        files: list[str] = []
        with os.scandir(os.path.join(settings.PREVIEWS_DIR, path)) as entries:
            for entry in entries:
                (folders if entry.is_dir() else files).append(entry.name)
        return folders, files

    def get_modified_time(self, name: str) -> datetime:
        """Return when the preview was written."""
        return datetime.fromtimestamp(os.path.getmtime(self.path(name)), tz=UTC)

    def url(self, name: str | None) -> str:
        """Return a URL that shows the preview to whoever has it, for a limited time."""
        if not name:
            raise ValueError("a preview's URL needs its name")
        expiry = _expiry(time.time())
        query = urlencode({"e": expiry, "s": _signature(name, expiry)})
        return f"{get_script_prefix()}previews/{name}?{query}"


def save_preview(name: str, data: bytes) -> None:
    """Keep a preview's JPEG under its name, in place of what was there."""
    storages["previews"].save(name, ContentFile(data))


def has_preview(name: str) -> bool:
    """Return whether a preview is where it was kept."""
    return storages["previews"].exists(name)


def preview_url(preview: Preview) -> str:
    """Return the URL at which a browser reads a preview that is ready."""
    storage = storages["previews"]
    if isinstance(storage, PreviewFolderStorage):
        return storage.url(preview.name)
    # A bucket's signature holds the second it was made in: kept, or no browser would ever find
    # a preview in its cache.
    kept_as = f"preview-url:{preview.name}"
    url: str | None = cache.get(kept_as)
    if url is None:
        url = storage.url(preview.name)
        cache.set(kept_as, url, timeout=settings.SIGNED_URL_TTL_S // 2)
    return url
