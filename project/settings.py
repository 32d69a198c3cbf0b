"""Every setting of Framedeck: the environment is read here and nowhere else.

`docs/configuration.md` lists each variable; a test holds the two equal.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF
from jinja2 import StrictUndefined
from kombu import Queue

from project.logging import configure_logging

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()

# --- read from the environment ------------------------------------------------------------

VAR_DIR = Path(env.str("FRAMEDECK_VAR", default=str(BASE_DIR / "var"))).resolve()
DEBUG = env.bool("DEBUG", default=False)
HTTPS_ONLY = env.bool("HTTPS_ONLY", default=False)
BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
HOST: str = env.str("HOST", default="127.0.0.1")
PORT = env.int("PORT", default=8000)
WEB_PROCESSES = env.int("WEB_PROCESSES", default=1)
WEB_THREADS = env.int("WEB_THREADS", default=8)
WORKER_PROCESSES = env.int("WORKER_PROCESSES", default=2)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
DATABASE_URL = env.str("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'db.sqlite3'}")
REDIS_URL = env.str("REDIS_URL", default="")
LOG_FORMAT: str = env.str("LOG_FORMAT", default="console")
LOG_LEVEL: str = env.str("LOG_LEVEL", default="INFO")

# boto3 reads the other AWS variables itself, but not this one.
AWS_REGION = env.str("AWS_REGION", default="")
S3_ENDPOINT_URL = env.str("S3_ENDPOINT_URL", default="")
S3_PREVIEWS_BUCKET = env.str("S3_PREVIEWS_BUCKET", default="")
S3_EXPORTS_BUCKET = env.str("S3_EXPORTS_BUCKET", default="")
GS_ENDPOINT_URL = env.str("GS_ENDPOINT_URL", default="https://storage.googleapis.com")
# Google's HMAC keys, the S3 interface's counterpart of AWS_ACCESS_KEY_ID; without: public buckets.
GS_ACCESS_KEY_ID = env.str("GS_ACCESS_KEY_ID", default="")
GS_SECRET_ACCESS_KEY = env.str("GS_SECRET_ACCESS_KEY", default="")

# URI prefixes every project may read, e.g. file:///srv/pictures/ or s3://bucket/ or https://host/.
MEDIA_ALLOW = env.list("MEDIA_ALLOW", default=[])
# Buckets or prefixes, e.g. s3://bucket/folder/, from which the deletion of a dataset may delete.
MEDIA_DELETE_ALLOW = env.list("MEDIA_DELETE_ALLOW", default=[])
# host or host:port that may resolve to a private or loopback address, e.g. minio:9000.
MEDIA_PRIVATE_HOSTS = env.list("MEDIA_PRIVATE_HOSTS", default=[])
MEDIA_MAX_BYTES = env.int("MEDIA_MAX_BYTES", default=256 * 1024 * 1024)
MEDIA_MAX_VIDEO_BYTES = env.int("MEDIA_MAX_VIDEO_BYTES", default=64 * 1024 * 1024 * 1024)
MEDIA_MAX_PIXELS = env.int("MEDIA_MAX_PIXELS", default=200_000_000)
MEDIA_TIMEOUT_S = env.int("MEDIA_TIMEOUT_S", default=30)

IMPORT_BATCH_FRAMES = env.int("IMPORT_BATCH_FRAMES", default=5_000)
UPLOAD_MAX_BYTES = env.int("UPLOAD_MAX_BYTES", default=2 * 1024 * 1024 * 1024)
ARCHIVE_MAX_BYTES = env.int("ARCHIVE_MAX_BYTES", default=20 * 1024 * 1024 * 1024)
ARCHIVE_MAX_FILES = env.int("ARCHIVE_MAX_FILES", default=1_000_000)
EXPORT_KEEP_DAYS = env.int("EXPORT_KEEP_DAYS", default=7)

INDEX_CACHE_BYTES = env.int("INDEX_CACHE_BYTES", default=224 * 1024 * 1024)
GARBAGE_GRACE_S = env.int("GARBAGE_GRACE_S", default=24 * 3600)
SIGNED_URL_TTL_S = env.int("SIGNED_URL_TTL_S", default=24 * 3600)
# Where collectstatic writes; a container image keeps it apart from the state it mounts.
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(VAR_DIR / "static"))).resolve()


def _secret_key() -> str:
    """Return SECRET_KEY, or one made once and kept in the state folder."""
    given: str = env.str("SECRET_KEY", default="")
    if given:
        return given
    path = VAR_DIR / "secret_key"
    if path.exists():
        return path.read_text()
    VAR_DIR.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=VAR_DIR) as draft:  # readable by its owner alone
        draft.write(secrets.token_urlsafe(64))
        draft.flush()
        # Whole and once: of two processes that start together both read the first one's.
        with contextlib.suppress(FileExistsError):
            os.link(draft.name, path)
    return path.read_text()


SECRET_KEY = _secret_key()
TESTING = "pytest" in sys.modules


def _own_names() -> list[str]:
    """Return the names under which a browser reaches this machine, as HOST says."""
    names = ["localhost", "127.0.0.1", "[::1]"]
    if HOST not in ("0.0.0.0", "::", ""):  # noqa: S104  compared with, not listened on
        return [*names, f"[{HOST}]" if ":" in HOST else HOST]
    names.append(socket.gethostname())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Asks the routing table which address leads out; a datagram socket sends nothing.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return names
        return [*names, probe.getsockname()[0]]


if not ALLOWED_HOSTS:
    ALLOWED_HOSTS = _own_names()

# --- Django ---------------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_structlog",
    "template_partials",
    "csp",
    "rest_framework",
    "frames",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Below WhiteNoise: a line for every page, none for every icon.
    "django_structlog.middlewares.RequestMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "frames.web.errors.SignInRequired",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
LOGIN_URL = "sign_in"
LOGIN_REDIRECT_URL = "frames:dataset_list"
LOGOUT_REDIRECT_URL = "sign_in"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "builtins": ["frames.web.pieces"],
        },
    },
    {
        "NAME": "pieces",
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "lstrip_blocks": True,
            "trim_blocks": True,
            "undefined": StrictUndefined,
        },
    },
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# --- rows -----------------------------------------------------------------------------------

DATABASES: dict[str, dict[str, Any]] = {"default": env.db_url_config(DATABASE_URL)}
_database = DATABASES["default"]
if _database["ENGINE"].endswith("sqlite3"):
    VAR_DIR.mkdir(parents=True, exist_ok=True)
    # IMMEDIATE: a transaction that reads and then writes would otherwise fail at once with
    # "database is locked" when another writer came between, whatever the busy timeout is.
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": (
            "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA foreign_keys=ON;"
            "PRAGMA cache_size=-8000;PRAGMA mmap_size=67108864;PRAGMA temp_store=MEMORY;"
        ),
    }
    _database["CONN_MAX_AGE"] = None
    # Tests have a file too, which workers and the live server's threads can open.
    _database["TEST"] = {"NAME": str(VAR_DIR / "test.sqlite3")}
else:
    _database["OPTIONS"] = {
        "pool": {"min_size": 1, "max_size": 16},
        # The planner takes a posting's range of keys for half a percent of the table, and compiles
        # for 0.6 s what runs for 5 ms.
        "options": "-c jit=off",
        # What DATABASE_URL says, as in `?sslmode=verify-full`.
        **_database.get("OPTIONS", {}),
    }
    # A pool and persistent connections exclude each other (Django refuses the pair).
    _database["CONN_MAX_AGE"] = 0

# --- queue and cache ------------------------------------------------------------------------

CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CONCURRENCY = WORKER_PROCESSES
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# What a lost worker held is sent again from the rows (tasks.sweep); this only says how often.
SWEEP_INTERVAL_S = 30
CELERY_BEAT_SCHEDULE = {"sweep": {"task": "frames.sweep", "schedule": SWEEP_INTERVAL_S}}
# In memory: a schedule of seconds needs no file, which a killed worker could leave broken.
CELERY_BEAT_SCHEDULER = "celery.beat.Scheduler"
# Ten thousand previews that wait must not keep an import waiting, nor who looks at other frames;
# and these, at a store that does not answer, not a job. Each queue is served in turn.
CELERY_TASK_DEFAULT_QUEUE = "work"
CELERY_TASK_ROUTES = {
    "frames.render_previews": {"queue": "previews"},
    "frames.render_requested": {"queue": "shown"},
}
CELERY_TASK_QUEUES = [Queue(name, routing_key=name) for name in ("work", "shown", "previews")]

if REDIS_URL:
    CELERY_BROKER_URL = REDIS_URL
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {"visibility_timeout": 4 * 3600}
    CACHES: dict[str, dict[str, Any]] = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": "framedeck",
        }
    }
else:
    CELERY_BROKER_URL = "files://localhost"  # project/file_queue.py
    QUEUE_DIR = VAR_DIR / "queue"
    QUEUE_DIR.mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(QUEUE_DIR),
        "polling_interval": 0.2,  # seconds
    }
    # Commands to workers are broadcasts, which the queue in a folder does not have.
    CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# A cache per process must not hold sessions: one process would not see another's sign-out.
SESSION_ENGINE = f"django.contrib.sessions.backends.{'cached_db' if REDIS_URL else 'db'}"

# --- files ----------------------------------------------------------------------------------

PREVIEWS_DIR = VAR_DIR / "previews"
UPLOADS_DIR = VAR_DIR / "uploads"
EXPORTS_DIR = VAR_DIR / "exports"
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "project.static.LibraryFinder",
]
# Of an npm package only what a page loads; the rest of it does not all survive hashed names.
BROWSER_LIBRARIES = {
    "vendor/htmx/htmx.min.js": BASE_DIR / "node_modules/htmx.org/dist/htmx.min.js",
}


def _bucket(name: str) -> dict[str, Any]:
    """Return the storage that keeps files in a bucket, read by signed URLs."""
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": name,
            "endpoint_url": S3_ENDPOINT_URL or None,
            "region_name": AWS_REGION or None,
            # Left alone boto3 signs URLs by version 2, which AWS refuses for new buckets.
            "signature_version": "s3v4",
            "querystring_auth": True,
            "querystring_expire": SIGNED_URL_TTL_S,
            "default_acl": None,
            "file_overwrite": True,
        },
    }


STORAGES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": UPLOADS_DIR},
    },
    "previews": _bucket(S3_PREVIEWS_BUCKET)
    if S3_PREVIEWS_BUCKET
    else {"BACKEND": "frames.previews.storage.PreviewFolderStorage"},
    "exports": _bucket(S3_EXPORTS_BUCKET)
    if S3_EXPORTS_BUCKET
    else {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": EXPORTS_DIR},
    },
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if TESTING or DEBUG
        else "project.static.ManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = TESTING or DEBUG
# Else each test's client lists every file anew, which was a fifth of the suite's time.
WHITENOISE_AUTOREFRESH = TESTING or DEBUG
FILE_UPLOAD_TEMP_DIR = None
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440

# --- logs -----------------------------------------------------------------------------------

LOGGING_CONFIG = None  # set up here, so that gunicorn and Celery find it done
configure_logging(LOG_FORMAT, LOG_LEVEL)
DJANGO_STRUCTLOG_CELERY_ENABLED = True
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = logging.DEBUG  # one line a request is enough
DJANGO_STRUCTLOG_CELERY_DEFAULT_LOG_LEVEL = logging.DEBUG  # of tasks, only what goes wrong
DJANGO_STRUCTLOG_CELERY_TASK_FAILURE_LOG_LEVEL = logging.ERROR

# --- safety ---------------------------------------------------------------------------------

_S3_ORIGINS = [S3_ENDPOINT_URL or f"https://{S3_PREVIEWS_BUCKET}.s3.amazonaws.com"]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", *(_S3_ORIGINS if S3_PREVIEWS_BUCKET else [])],
        "media-src": [SELF],
        "connect-src": [SELF],
        "font-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = HTTPS_ONLY
CSRF_COOKIE_SECURE = HTTPS_ONLY
SECURE_SSL_REDIRECT = HTTPS_ONLY
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS_ONLY else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS_ONLY
SECURE_HSTS_PRELOAD = HTTPS_ONLY
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^healthz$"]
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    USE_X_FORWARDED_HOST = True

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
