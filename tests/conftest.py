"""What every test stands on: a state folder of its own, people, and a project they work in."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from tests.properties import tries

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from django.contrib.auth.models import User

    from frames.models import Project

# Before anything imports the settings: no test may read or write the real state, nor reach an
# engine that the shell of whoever runs it has configured. DATABASE_URL stays: it chooses the
# database the suite runs on.
if "project.settings" in sys.modules:
    raise RuntimeError("The settings are loaded already: unset DJANGO_SETTINGS_MODULE.")
STATE_DIR = tempfile.mkdtemp(prefix="framedeck-test-")
os.environ["FRAMEDECK_VAR"] = STATE_DIR
(Path(STATE_DIR) / "static").mkdir()  # WhiteNoise warns where it is missing
os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
SETTINGS_PATH = Path(__file__).resolve().parent.parent / "project" / "settings.py"
SETTINGS_READ = set(re.findall(r'env\.\w+\(\s*"(\w+)"', SETTINGS_PATH.read_text()))
for _name in list(os.environ):
    is_setting = _name.removesuffix("_FILE") in SETTINGS_READ - {"DATABASE_URL", "FRAMEDECK_VAR"}
    if is_setting or _name.startswith("AWS_"):
        del os.environ[_name]

SHARED_DATA_DIR = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    """Load the settings here: pytest-django by itself does so before this file is read."""
    from django.conf import settings

    settings.DATABASES  # noqa: B018  read so that they are loaded
    # xdist's workers are to load theirs, with a state folder each.
    del os.environ["DJANGO_SETTINGS_MODULE"]
    # A machine that is busy with other work makes no property false; and the fixtures of a test
    # are the same for all its examples on purpose: each makes a dataset of its own.
    quiet = [hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture]
    hypothesis.settings.register_profile(
        "suite", tries(100), deadline=None, suppress_health_check=quiet
    )
    hypothesis.settings.load_profile("suite")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the state folder."""
    shutil.rmtree(STATE_DIR, ignore_errors=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs the sample data, where it is absent.

    On PostgreSQL leave out what uses no database: it has been tested with SQLite, and is more than
    a third of all.
    """
    from django.db import connection

    if connection.vendor == "postgresql":
        without = [item for item in items if not _uses_database(item)]
        items[:] = [item for item in items if _uses_database(item)]
        config.hook.pytest_deselected(items=without)
    if SHARED_DATA_DIR.is_dir():
        return
    for item in items:
        if item.get_closest_marker("shared_data"):
            item.add_marker(pytest.mark.skip(reason=f"no sample data in {SHARED_DATA_DIR}"))


def _uses_database(item: pytest.Item) -> bool:
    if item.get_closest_marker("django_db"):
        return True
    # As pytest-django has it: without these a test that touches the database fails.
    return not {"db", "transactional_db"}.isdisjoint(getattr(item, "fixturenames", ()))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI set, turn a skip into a failure, but where the sample data is absent."""
    report = yield
    needs_absent_data = item.get_closest_marker("shared_data") and not SHARED_DATA_DIR.is_dir()
    if not needs_absent_data and not hasattr(report, "wasxfail"):
        _fail_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """With CI set, turn the skip of a whole file into a failure."""
    report = yield
    _fail_skip(report)
    return report


def _fail_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("CI") and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"


@pytest.fixture(scope="session", autouse=True)
def _flush_passes_the_audit_log() -> Generator[None]:
    """Let the flush behind each test of transactions empty the audit log on SQLite.

    It deletes there, which triggers refuse; on PostgreSQL it truncates. The class is patched: under
    a browser's event loop Django has other connections.
    """
    from django.db import connection

    from frames.migrations._append_only import CREATE, DROP

    operations = type(connection.ops)
    flush = operations.sql_flush

    def sql_flush(*args: Any, **options: Any) -> list[str]:
        return [*DROP["sqlite"], *flush(*args, **options), *CREATE["sqlite"]]

    with pytest.MonkeyPatch.context() as patch:
        if connection.vendor == "sqlite":
            patch.setattr(operations, "sql_flush", sql_flush)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of sample data; skips where it is absent. Mark the test `shared_data` too."""
    if not SHARED_DATA_DIR.is_dir():
        pytest.skip(f"no sample data in {SHARED_DATA_DIR}")
    return SHARED_DATA_DIR


@pytest.fixture
def run_queue() -> Callable[[], list[str]]:
    """Run what is queued, in this process, until nothing is; returns the tasks' names in order.

    Inside a transaction nothing is queued before it ends: enqueue inside
    `django_capture_on_commit_callbacks(execute=True)`.
    """
    from project.celery import app

    app.loader.import_default_modules()

    def run() -> list[str]:
        names = []
        with app.connection_for_read() as connection, connection.channel() as channel:
            queues = [queue(channel) for queue in app.amqp.queues.values()]
            for queue in queues:
                queue.declare()
            while message := next(filter(None, (queue.get() for queue in queues)), None):
                message.ack()
                name = message.headers["task"]
                names.append(name)
                app.tasks[name].apply(kwargs=message.payload[1], throw=True)
        return names

    with app.connection_for_write() as connection, connection.channel() as channel:
        for queue in app.amqp.queues.values():
            queue(channel).purge()
    return run


@pytest.fixture
def project(db: None) -> Project:
    """The project that the personas work in."""
    from frames.models import Project

    return Project.objects.create(name="Streets")


def _person(name: str, project: Project | None, role: str = "") -> User:
    """Return a user whose password is their name, with a role in the project."""
    from django.contrib.auth.models import User

    from frames.models import Grant

    # The fast hasher of a test is not worth a setting: an unusable password is not hashed.
    user = User.objects.create(username=name)
    if project is not None:
        Grant.objects.create(project=project, user=user, role=Grant.Role[role])
    return user


@pytest.fixture
def viewer(project: Project) -> User:
    """Who may read the project."""
    return _person("viewer", project, "VIEWER")


@pytest.fixture
def editor(project: Project) -> User:
    """Who may change the project's drafts."""
    return _person("editor", project, "EDITOR")


@pytest.fixture
def admin(project: Project) -> User:
    """Who may do all in the project; not a superuser."""
    return _person("admin", project, "ADMIN")


@pytest.fixture
def outsider(db: None) -> User:
    """Who has no grant in the project."""
    return _person("outsider", None)
