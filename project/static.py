"""How static files get their content-hashed names."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class ManifestStaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Hash and compress static files, and rewrite `import "./b.js"` in ES modules."""

    support_js_module_import_aggregation = True
