"""Events to seal, a sealer, and hands that reach past the guards."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from audit.actions import Action
from audit.exports import deliver
from audit.guards import drop_guards
from audit.sealer import Sealer
from audit.services import record_event
from audit.sinks import configured_sinks


@pytest.fixture(autouse=True)
def export_file(settings: Settings, tmp_path: Path) -> Path:
    """Where checkpoints are exported to; nothing else is configured."""
    path = tmp_path / "checkpoints.jsonl"
    settings.AUDIT_EXPORT_FILE = str(path)
    settings.AUDIT_EXPORT_STDOUT, settings.AUDIT_WEBHOOK_URL, settings.AUDIT_WITNESS_URL = False, "", ""
    return path


@pytest.fixture
def sealer(transactional_db: None) -> Iterator[Sealer]:
    restart_numbers()
    sealer = Sealer()
    yield sealer
    sealer.lock.drop()
    connection.close()  # and with it PostgreSQL's lock


def write_events(count: int, *, user: int = 7) -> list[int]:
    """Record events with personal data; returns their identifiers."""
    return [
        record_event(
            Action.CALL_ENDED, request_id=f"req_{number}", actor=f"user:{user}", target=f"call:{number}",
            person={"username": "alice", "ip": "192.0.2.7"}, seconds=number,
        ).pk
        for number in range(count)
    ]  # fmt: skip


def roll_back_one() -> None:
    """Use up a number that no event gets, on PostgreSQL."""
    with transaction.atomic():
        write_events(1)
        transaction.set_rollback(True)


def sql(statement: str, *values: str | int) -> None:
    """Change a table as somebody with the database would; the tests' database has no guards."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def restart_numbers(last: int = 0) -> None:
    """Go on behind `last`, as a new database does: emptying the tables between tests leaves the count where it was."""
    if connection.vendor == "sqlite":
        sql("UPDATE sqlite_sequence SET seq = %s WHERE name = 'audit_auditevent'", last)
    else:
        sql("ALTER SEQUENCE audit_auditevent_id_seq RESTART WITH %s", last + 1)


def seal_and_export(sealer: Sealer, count: int = 5) -> list[int]:
    """Record events, seal them, and take the checkpoint outside."""
    ids = write_events(count)
    sealer.seal()
    for sink in configured_sinks():
        deliver(sink, timezone.now())
    return ids


@pytest.fixture
def unguarded(healthy: Sealer) -> None:
    """Take the guards away after all, as the owner of the database can."""
    drop_guards()
