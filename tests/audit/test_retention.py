"""Pruning and erasing: only what may go, never unseen, and without touching a proof."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from django.utils import timezone
from pytest_django import Settings

from audit import event_rows, verification
from audit.actions import Action
from audit.event_rows import EventRow
from audit.exports import deliver
from audit.guards import guards_lifted
from audit.models import AuditEvent, AuditPersonal
from audit.notes import signers
from audit.sealer import Sealer
from audit.services import record_event
from audit.sinks import configured_sinks
from audit.stored_tree import newest_checkpoint, stored_tree
from audit.tree_models import AuditTile
from audit.verification import verify_record
from audit.verifier import Report, check_bundle, check_inclusion
from tests.audit.conftest import seal_and_export, sql, write_events

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def record(sealer: Sealer, monkeypatch: pytest.MonkeyPatch, guards: None) -> Sealer:
    """Ten events of three days ago and five of today, sealed and exported."""
    now = timezone.now()
    with monkeypatch.context() as clock:
        clock.setattr("audit.services.timezone.now", lambda: now - timedelta(days=3))
        seal_and_export(sealer, 10)
    seal_and_export(sealer, 5)
    return sealer


def test_a_dry_run_says_what_would_go_and_does_nothing(record: Sealer, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("audit_prune", days=2)

    assert "Would remove events 1 to 10." in capsys.readouterr().out
    assert AuditEvent.objects.count() == 15


def test_old_events_go_and_every_later_one_is_still_proved(record: Sealer, tmp_path: Path) -> None:
    call_command("audit_prune", days=2, yes=True)
    record.seal()

    assert list(AuditEvent.objects.order_by("pk").values_list("pk", flat=True)) == [11, 12, 13, 14, 15, 16]
    assert not AuditPersonal.objects.filter(pk__lte=10).exists()
    assert AuditEvent.objects.get(pk=16).facts == {"first": 1, "last": 10}
    report = verify_record()
    assert (report.ok, report.pruned_to, report.events, report.gaps, report.checkpoints) == (True, 10, 6, 0, 3)

    call_command("audit_export_bundle", tmp_path / "rest.jsonl")
    with (tmp_path / "rest.jsonl").open() as lines:
        check_bundle(lines, [signers()[0].key], Report())
    checkpoint = newest_checkpoint()
    assert checkpoint is not None
    tree, root = stored_tree(checkpoint.size), bytes.fromhex(checkpoint.root)
    check_inclusion(tree.leaf(3), 3, checkpoint.size, tree.inclusion_proof(3), root)


def test_pruning_while_the_record_is_verified_is_no_finding(record: Sealer, monkeypatch: pytest.MonkeyPatch) -> None:
    read = event_rows.row_batches

    def prune_first(after: int, up_to: int) -> Iterator[Iterator[EventRow]]:
        monkeypatch.undo()
        call_command("audit_prune", days=2, yes=True)
        return read(after, up_to)

    monkeypatch.setattr(verification, "row_batches", prune_first)

    report = verify_record()

    assert (report.ok, report.pruned_to, report.message) == (True, 10, "")


def test_a_lost_tile_of_what_was_pruned_is_a_finding(record: Sealer) -> None:
    call_command("audit_prune", days=2, yes=True)
    sql("DELETE FROM audit_auditedge")

    report = verify_record()

    assert (report.ok, report.first_bad_id) == (False, 1)


def test_the_guards_are_back_afterwards(record: Sealer) -> None:
    call_command("audit_prune", days=2, yes=True)

    with pytest.raises(DatabaseError):
        sql("DELETE FROM audit_auditevent WHERE id = 12")
    with pytest.raises(DatabaseError):
        sql("DELETE FROM audit_auditcheckpoint")
    AuditTile.objects.create(id=AuditTile.id_of(7, 0), hashes=b"")
    with pytest.raises(DatabaseError):
        sql("UPDATE audit_audittile SET hashes = hashes")


def test_it_can_be_done_again_and_sealing_goes_on(record: Sealer) -> None:
    call_command("audit_prune", days=2, yes=True)
    record.seal()
    call_command("audit_prune", days=2, yes=True)
    record.forget()
    write_events(3)
    record.seal()

    assert AuditEvent.objects.filter(action=Action.AUDIT_PRUNED).count() == 1
    assert verify_record().ok


def test_a_deletion_that_says_it_pruned_is_none(record: Sealer) -> None:
    """Without the MAC key nobody can record that they were allowed to."""
    fake = record_event(Action.AUDIT_PRUNED, request_id="", actor="server", first=1, last=3)

    with guards_lifted():
        sql("DELETE FROM audit_auditevent WHERE id <= 5")
        sql("UPDATE audit_auditevent SET body = %s WHERE id = %s", '{"first":1,"last":5}', fake.pk)

    assert verify_record().first_bad_id == 1


def test_what_was_not_exported_does_not_go(record: Sealer, export_file: Path) -> None:
    sql("DELETE FROM audit_auditexport")

    call_command("audit_prune", days=1, yes=True)

    assert AuditEvent.objects.count() == 15


@pytest.mark.parametrize("days", [0, -1])
def test_nobody_prunes_today(record: Sealer, days: int) -> None:
    with pytest.raises(CommandError):
        call_command("audit_prune", days=days, yes=True)


def test_somebodys_personal_data_go_and_nothing_else(record: Sealer, capsys: pytest.CaptureFixture[str]) -> None:
    write_events(2, user=8)
    root_before = newest_checkpoint()
    call_command("audit_erase", "user:7", reason="asked on 21 November")
    assert "Would erase the personal data of 15 events." in capsys.readouterr().out

    call_command("audit_erase", "user:7", reason="asked on 21 November", yes=True)
    record.seal()

    assert list(AuditPersonal.objects.order_by("pk").values_list("pk", flat=True)) == [16, 17]
    erased = AuditEvent.objects.get(action=Action.PERSONAL_DATA_ERASED)
    assert erased.target == "user:7"
    assert json.loads(erased.body) == {"first": 1, "last": 15, "reason": "asked on 21 November", "rows": 15}
    report = verify_record()
    assert (report.ok, report.erased) == (True, 15)
    assert newest_checkpoint() != root_before


def test_a_name_is_found_where_no_account_is(record: Sealer) -> None:
    call_command("audit_erase", username="alice", reason="asked", yes=True)
    assert not AuditPersonal.objects.exists()

    with pytest.raises(CommandError):
        call_command("audit_erase", reason="asked", yes=True)


def test_the_commands_about_keys_say_what_outsiders_need(
    record: Sealer, tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: Settings
) -> None:
    call_command("audit_keys")
    old = capsys.readouterr().out.strip()
    assert old == signers()[0].verifier_key

    call_command("audit_rotate_key", tmp_path / "next.key")
    said = capsys.readouterr().out
    number, _, seed = (tmp_path / "next.key").read_text().strip().partition(":")
    settings.AUDIT_SIGNING_KEYS = settings.AUDIT_SIGNING_KEYS | {int(number): bytes.fromhex(seed)}
    record.forget()
    record.seal()
    call_command("audit_keys")

    new, replaced = capsys.readouterr().out.split()
    assert new in said
    assert replaced == f"{old}@16"
    with pytest.raises(CommandError):
        call_command("audit_rotate_key", tmp_path / "next.key")
    assert (tmp_path / "next.key").stat().st_mode & 0o077 == 0
    for sink in configured_sinks():
        deliver(sink, timezone.now())
