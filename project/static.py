"""Where static files come from and how they get their content-hashed names."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.checks import CheckMessage, Error
from django.core.files.storage import FileSystemStorage
from whitenoise.storage import CompressedManifestStaticFilesStorage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class ManifestStaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Hash and compress static files, and rewrite `import "./b.js"` in ES modules."""

    support_js_module_import_aggregation = True


class LibraryFinder(BaseFinder):
    """Finds the files of settings.BROWSER_LIBRARIES: static path to file of an npm package."""

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        """Name the libraries that are not installed."""
        return [
            Error(f"{path} is missing.", hint="Run `make setup`.", id="project.E001")
            for path in settings.BROWSER_LIBRARIES.values()
            if not path.is_file()
        ]

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002  Django's signature
        """Return the file behind a static path, or a list of it if all are asked for."""
        source = settings.BROWSER_LIBRARIES.get(path)
        if find_all:
            return [str(source)] if source else []
        return str(source) if source else None

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Any]]:
        """Yield each file's name and the storage it lies in, as collectstatic wants them."""
        for path, source in settings.BROWSER_LIBRARIES.items():
            storage = FileSystemStorage(location=source.parent)
            storage.prefix = str(PurePosixPath(path).parent)  # type: ignore[attr-defined]
            yield source.name, storage
