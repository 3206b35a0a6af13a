"""How the record stands, in a colour and in words: green only with everything in order and a checkpoint outside."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from audit.actions import Action
from audit.health import integrity
from audit.models import AuditEvent
from audit.sealer import Sealer, SealingHalted, report_halt
from audit.services import record_event
from audit.verification import record_verification, verify_record
from tests.audit.conftest import seal_and_export, sql, write_events

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def healthy(sealer: Sealer, settings: Settings, guards: None) -> Sealer:
    settings.AUDIT_SIGNING_KEYS = {1: bytes([1]) * 32}
    seal_and_export(sealer)
    record_verification(verify_record(), actor="worker")
    seal_and_export(sealer)
    return sealer


def test_a_record_in_order_is_green(healthy: Sealer) -> None:
    found = integrity()

    assert (found.state, found.reasons) == ("green", [])
    assert found.checkpoint is not None
    assert (found.checkpoint.size, found.unsealed, found.gaps, found.orphans, found.lag_s) == (11, 0, 0, 0, 0)
    assert [export.size for export in found.exports] == [11]
    assert found.verified is not None
    assert found.verified.action == Action.AUDIT_VERIFIED


def forge(sealer: Sealer) -> None:
    ids = write_events(1)
    sql("UPDATE audit_auditevent SET code = 'forged' WHERE id = %s", ids[0])
    with pytest.raises(SealingHalted) as halted:
        sealer.seal()
    report_halt(halted.value)


def restore(sealer: Sealer) -> None:
    sql("DELETE FROM audit_auditcheckpoint WHERE size > 5")


def edit_checkpoint(sealer: Sealer) -> None:
    sql("UPDATE audit_auditcheckpoint SET root = '0' WHERE size = 11")


def fail_verification(sealer: Sealer) -> None:
    sql("UPDATE audit_auditevent SET code = 'x' WHERE id = 2")
    record_verification(verify_record(), actor="worker")


def leap(sealer: Sealer) -> None:
    sql("UPDATE audit_auditevent SET id = 500 WHERE id = 11")
    if connection.vendor == "sqlite":
        sql("UPDATE sqlite_sequence SET seq = 600 WHERE name = 'audit_auditevent'")
    else:
        sql("UPDATE audit_auditevent SET id = 5000 WHERE id = 500")


RED: list[tuple[Callable[[Sealer], None], str]] = [
    (forge, "Sealing halted at event:12: bad_mac"),
    (restore, "the database went back"),
    (edit_checkpoint, "not what it signs"),
    (fail_verification, "verification failed"),
]


@pytest.mark.parametrize(("change", "reason"), RED, ids=[change.__name__ for change, _ in RED])
def test_what_was_changed_is_red(
    healthy: Sealer, change: Callable[[Sealer], None], reason: str, unguarded: None
) -> None:
    change(healthy)

    found = integrity()

    assert found.state == "red"
    assert any(reason in said for said in found.reasons), found.reasons


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite's own count follows every number")
def test_a_number_that_was_not_given_is_red(healthy: Sealer, unguarded: None) -> None:
    leap(healthy)

    assert any("has not given yet" in said for said in integrity().reasons)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL leaves gaps by itself")
def test_a_deletion_is_red_until_somebody_accepts_it(healthy: Sealer, unguarded: None) -> None:
    ids = write_events(3)
    sql("DELETE FROM audit_auditevent WHERE id = %s", ids[1])
    healthy.seal()
    assert f"Event {ids[1]} was deleted before it was sealed." in integrity().reasons

    record_event(Action.AUDIT_FINDING_ACCEPTED, request_id="", target=f"event:{ids[1]}", reason="a test")
    assert integrity().state != "red"


def test_without_an_export_it_is_never_green(healthy: Sealer, settings: Settings) -> None:
    settings.AUDIT_EXPORT_FILE = ""

    found = integrity()

    assert (found.state, len(found.reasons)) == ("amber", 1)
    assert "no checkpoint is kept outside" in found.reasons[0]


def test_an_export_that_stopped_is_amber(healthy: Sealer) -> None:
    sql("UPDATE audit_auditexport SET attempts = 3, error = 'No space left'")

    found = integrity()

    assert found.state == "amber"
    assert "No space left" in found.reasons[0]


def test_a_demo_key_is_said_so(healthy: Sealer, settings: Settings) -> None:
    settings.AUDIT_SIGNING_KEYS = {0: bytes(32), 1: bytes([1]) * 32}
    assert not integrity().is_demo
    settings.AUDIT_SIGNING_KEYS = {0: bytes([1]) * 32}

    found = integrity()

    assert (found.state, found.is_demo) == ("amber", True)


def test_silence_shows(healthy: Sealer) -> None:
    write_events(1)

    found = integrity(timezone.now() + timedelta(seconds=95))

    assert found.state == "amber"
    assert (found.unsealed, round(found.lag_s)) == (1, 95)
    assert len([said for said in found.reasons if "wait to be sealed" in said or "was signed" in said]) == 2


def test_a_request_that_nobody_closed_is_counted(healthy: Sealer) -> None:
    record_event(Action.CLIENT_SECRET_REQUESTED, request_id="r", target="issuance:1")
    record_event(Action.CLIENT_SECRET_REQUESTED, request_id="r", target="issuance:2")
    record_event(Action.CLIENT_SECRET_ISSUED, request_id="r", target="issuance:2")
    healthy.seal()

    assert integrity().orphans == 0
    found = integrity(timezone.now() + timedelta(seconds=61))
    assert (found.orphans, found.state) == (1, "amber")


def test_an_empty_record_is_amber(sealer: Sealer, export_file: Path) -> None:
    found = integrity()

    assert found.state == "amber"
    assert found.reasons[0] == "Nothing has been sealed yet. Is the worker running?"
    assert not AuditEvent.objects.exists()


def test_missing_guards_are_said(healthy: Sealer, unguarded: None) -> None:
    assert any("does not refuse changes" in said for said in integrity().reasons)
