"""The database itself refuses to change the record, whoever asks: tried by SQL, past every model."""

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, connection, transaction

from audit.actions import Action
from audit.guards import drop_guards, guards_lifted, missing_guards
from audit.models import AuditEvent
from audit.services import record_event

pytestmark = pytest.mark.django_db(transaction=True)
COLUMNS = "id, version, nonce, recorded_at, action, request_id, actor, target, code, body, personal, mac_key, mac"


def run(statement: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def event(guards: None) -> AuditEvent:
    return record_event(Action.CALL_ENDED, request_id="req_1", actor="user:7")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_auditevent SET actor = 'user:8'",
        "DELETE FROM audit_auditevent WHERE actor = 'user:7'",
        "DELETE FROM audit_auditevent",
    ],
)
def test_rows_are_neither_changed_nor_removed(event: AuditEvent, statement: str) -> None:
    with pytest.raises(DatabaseError, match="append-only"):
        run(statement)
    assert AuditEvent.objects.get().actor == "user:7"


def test_no_insert_replaces_a_row(event: AuditEvent) -> None:
    copy = f"SELECT {COLUMNS.replace('actor', chr(39) + 'user:8' + chr(39))} FROM audit_auditevent"
    replace = {
        "sqlite": f"INSERT OR REPLACE INTO audit_auditevent ({COLUMNS}) {copy}",
        "postgresql": f"INSERT INTO audit_auditevent ({COLUMNS}) {copy} ON CONFLICT (id) DO UPDATE SET actor = 'x'",
    }
    with pytest.raises(DatabaseError, match="append-only"):
        run(replace[connection.vendor])
    assert AuditEvent.objects.get().actor == "user:7"


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has neither TRUNCATE nor replication")
@pytest.mark.parametrize(
    "statements",
    [
        "TRUNCATE audit_auditevent",
        "SET LOCAL session_replication_role = replica; DELETE FROM audit_auditevent",
    ],
)
def test_postgresqls_own_ways_are_closed(event: AuditEvent, statements: str) -> None:
    with pytest.raises(DatabaseError, match="append-only"):
        run(statements)
    assert AuditEvent.objects.count() == 1


def test_django_cannot_empty_the_database(event: AuditEvent) -> None:
    with pytest.raises((CommandError, DatabaseError)):
        call_command("flush", interactive=False, verbosity=0)
    assert AuditEvent.objects.count() == 1


def test_a_guard_that_is_missing_is_named(guards: None) -> None:
    assert missing_guards() == []
    drop_guards()
    assert "audit_auditevent_no_" in " ".join(missing_guards())


def test_guards_are_lifted_for_one_transaction_alone(event: AuditEvent) -> None:
    with guards_lifted(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_auditevent")
    assert (AuditEvent.objects.count(), missing_guards()) == (0, [])


def test_guards_that_were_lifted_in_vain_come_back(event: AuditEvent) -> None:
    with pytest.raises(ZeroDivisionError), guards_lifted():
        raise ZeroDivisionError
    assert (AuditEvent.objects.count(), missing_guards()) == (1, [])
