"""Triggers that keep the audit log append-only, whoever speaks to the database.

Nothing is let pass: its rows name people and projects, and those cannot be deleted before. What
remains is TRUNCATE on PostgreSQL, which the site's role needs no right for, and dropping the table
or the triggers. SQLite drops them with a table that a later migration makes anew: such a
migration has to end with `append_only` again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.migrations import RunPython

if TYPE_CHECKING:
    from django.apps.registry import Apps
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

CREATE: Final = {
    "sqlite": [
        """
        CREATE TRIGGER audit_no_update BEFORE UPDATE ON frames_auditevent
        BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END
        """,
        """
        CREATE TRIGGER audit_no_delete BEFORE DELETE ON frames_auditevent
        BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END
        """,
        # INSERT OR REPLACE deletes without a word to the trigger above.
        """
        CREATE TRIGGER audit_no_replace BEFORE INSERT ON frames_auditevent
        WHEN EXISTS (SELECT 1 FROM frames_auditevent WHERE id = NEW.id)
        BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END
        """,
    ],
    "postgresql": [
        """
        CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE integrity_constraint_violation USING MESSAGE = 'audit events are append-only';
        END $$
        """,
        """
        CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON frames_auditevent
        FOR EACH ROW EXECUTE FUNCTION audit_refuse()
        """,
    ],
}
DROP: Final = {
    "sqlite": [
        "DROP TRIGGER audit_no_update",
        "DROP TRIGGER audit_no_delete",
        "DROP TRIGGER audit_no_replace",
    ],
    "postgresql": [
        "DROP TRIGGER audit_no_change ON frames_auditevent",
        "DROP FUNCTION audit_refuse()",
    ],
}


def _create(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for sql in CREATE[schema_editor.connection.vendor]:
        schema_editor.execute(sql)


def _drop(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for sql in DROP[schema_editor.connection.vendor]:
        schema_editor.execute(sql)


def append_only() -> RunPython:
    """Return the operation that makes the triggers; undone, it drops them."""
    return RunPython(_create, _drop, elidable=False)
