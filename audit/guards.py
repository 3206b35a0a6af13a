"""Triggers by which the database itself refuses to change the record. They are made anew after every migration.

They stop mistakes, injected SQL and whoever has the application's account; the owner of the database can remove
them, and against that one only the sealed tree and its exported checkpoints help.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

# The tables whose rows never change and never go, and when a new row would take the place of one that is there.
GUARDED: Final = {
    "audit_auditevent": "id = NEW.id",
    "audit_audittile": "id = NEW.id",
    "audit_auditcheckpoint": "id = NEW.id OR previous_size = NEW.previous_size"
    " OR (size = NEW.size AND previous_size IS NOT NULL AND NEW.previous_size IS NOT NULL)",
}

# INSERT OR REPLACE removes a row without any trigger on DELETE, so an identifier that exists is refused.
SQLITE: Final = {
    "{table}_no_update": "BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END",
    "{table}_no_delete": "BEFORE DELETE ON {table} BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END",
    "{table}_no_replace": "BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE {is_same})"
    " BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END",
}
# The last one takes a transaction number before the row's identifier is drawn: who waits for all older transactions
# then knows that no smaller identifier is still to come.
POSTGRESQL: Final = {
    "{table}_no_change": "BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    "{table}_no_truncate": "BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
    "{table}_takes_xid": "BEFORE INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION audit_take_xid()",
}
FUNCTIONS: Final = """
CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$;
CREATE OR REPLACE FUNCTION audit_take_xid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_current_xact_id(); RETURN NULL; END $$;
"""


def create_guards(using: str = DEFAULT_DB_ALIAS) -> None:
    """Make the triggers that are missing, and on PostgreSQL have them fire for replication, too."""
    database = connections[using]
    with transaction.atomic(using=using), database.cursor() as cursor:
        if database.vendor == "postgresql":
            cursor.execute(FUNCTIONS)
        for table, name, trigger in _triggers(database):
            if database.vendor == "sqlite":
                cursor.execute(f"CREATE TRIGGER IF NOT EXISTS {name} {trigger}")
            else:
                cursor.execute(f"CREATE OR REPLACE TRIGGER {name} {trigger}")
                cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def drop_guards(using: str = DEFAULT_DB_ALIAS) -> None:
    """Remove the triggers. Only who may change the tables can."""
    database = connections[using]
    with transaction.atomic(using=using), database.cursor() as cursor:
        for table, name, _ in _triggers(database):
            cursor.execute(
                f"DROP TRIGGER IF EXISTS {name}" + (f" ON {table}" if database.vendor == "postgresql" else "")
            )


@contextmanager
def guards_lifted() -> Iterator[None]:
    """Hold a transaction in which the record may be pruned. Others see the guards all the time."""
    with transaction.atomic():
        drop_guards()
        yield
        create_guards()


def missing_guards() -> list[str]:
    """Return the names of the triggers that should be there and are not, or do not always fire."""
    if connection.vendor == "sqlite":
        question = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    else:
        question = "SELECT tgname FROM pg_trigger WHERE tgenabled = 'A'"
    with connection.cursor() as cursor:
        cursor.execute(question)
        present = {name for (name,) in cursor.fetchall()}
    return [name for _, name, _ in _triggers(connection) if name not in present]


def after_migration(*, using: str, **kwargs: Any) -> None:
    """Make the guards when the tables are there: a migration that remakes a table loses its triggers."""
    if set(GUARDED) <= set(connections[using].introspection.table_names()):
        create_guards(using)


def _triggers(database: BaseDatabaseWrapper | Any) -> list[tuple[str, str, str]]:
    """Return table, name and text of each trigger."""
    templates = SQLITE if database.vendor == "sqlite" else POSTGRESQL
    return [
        (table, name.format(table=table), trigger.format(table=table, is_same=is_same))
        for table, is_same in GUARDED.items()
        for name, trigger in templates.items()
    ]
