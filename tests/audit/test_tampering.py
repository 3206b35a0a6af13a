"""Every way to change the record that we could think of: full verification finds it, and names where it begins."""

import hmac
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from audit.actions import Action
from audit.event_rows import read_rows
from audit.models import AuditEvent
from audit.notes import signed_checkpoint, signers
from audit.sealer import Sealer
from audit.tree_models import AuditCheckpoint, AuditEdge
from audit.verification import verify_record
from tests.audit.conftest import seal_and_export, sql, write_events

pytestmark = pytest.mark.django_db(transaction=True)

# Two checkpoints of five events each, both exported; one event is not sealed yet.
SEALED, UNSEALED = 10, 11


@pytest.fixture
def ours(settings: Settings) -> Settings:
    """The settings, under a name that django.conf's leaves free."""
    return settings


@pytest.fixture
def record(sealer: Sealer) -> Sealer:
    seal_and_export(sealer)
    seal_and_export(sealer)
    assert write_events(1) == [UNSEALED]
    sealer.forget()
    return sealer


def sign_again(event: int) -> None:
    """Give a changed row the MAC that it should have: the intruder holds the key."""
    (row,) = read_rows(event - 1, event, 1)
    mac = hmac.digest(settings.AUDIT_MAC_KEYS[row.mac_key], row.record.encode(), "sha256").hex()
    sql("UPDATE audit_auditevent SET mac = %s WHERE id = %s", mac, event)


def edit() -> None:
    sql("UPDATE audit_auditevent SET body = '{\"seconds\":9}' WHERE id = 4")


def edit_with_the_mac_key() -> None:
    edit()
    sign_again(4)


def edit_with_the_mac_key_and_the_edge() -> None:
    edit_with_the_mac_key()
    sealed = list(AuditCheckpoint.objects.values_list("id", "size", "previous_size", "root", "note"))
    seal_all_again()
    for number, *_, root, note in sealed:
        sql("UPDATE audit_auditcheckpoint SET root = %s, note = %s WHERE id = %s", root, note, number)


def seal_all_again() -> None:
    """Make tree and checkpoints anew from the rows, as somebody with the signing key can."""
    sizes = list(AuditCheckpoint.objects.order_by("pk").values_list("id", "size"))
    sql("DELETE FROM audit_auditcheckpoint")
    sql("DELETE FROM audit_auditedge")
    sql("DELETE FROM audit_audittile")
    export_file, settings.AUDIT_EXPORT_FILE = settings.AUDIT_EXPORT_FILE, ""
    forger = Sealer()
    forger.lock.take = lambda: True  # type: ignore[method-assign]  # the intruder asks for no lock
    for number, size in sizes:
        forger.forget()
        forger._horizon.advance = lambda wait_s=0, size=size: size  # type: ignore[method-assign,misc]
        forger.seal()
        sql("UPDATE audit_auditcheckpoint SET id = %s WHERE size = %s", number, size)
    settings.AUDIT_EXPORT_FILE = export_file


def rewrite_with_both_keys() -> None:
    edit_with_the_mac_key()
    seal_all_again()
    settings_export = settings.AUDIT_EXPORT_FILE
    settings.AUDIT_EXPORT_FILE = ""
    assert verify_record().ok, "nothing inside the database may show it, or the test proves nothing"
    settings.AUDIT_EXPORT_FILE = settings_export


def delete_one() -> None:
    sql("DELETE FROM audit_auditevent WHERE id = 7")


def delete_the_end() -> None:
    sql("DELETE FROM audit_auditevent WHERE id >= 9")


def delete_everything() -> None:
    sql("DELETE FROM audit_auditevent")


def empty_the_table() -> None:
    sql("TRUNCATE audit_auditevent" if connection.vendor == "postgresql" else "DELETE FROM audit_auditevent")


def swap() -> None:
    codes = [AuditEvent.objects.get(pk=event).mac for event in (3, 6)]
    sql("UPDATE audit_auditevent SET mac = %s WHERE id = 3", codes[1])
    sql("UPDATE audit_auditevent SET mac = %s WHERE id = 6", codes[0])


def swap_whole_rows() -> None:
    sql("UPDATE audit_auditevent SET id = 1003 WHERE id = 3")
    sql("UPDATE audit_auditevent SET id = 3 WHERE id = 6")
    sql("UPDATE audit_auditevent SET id = 6 WHERE id = 1003")


def restore_an_old_copy() -> None:
    """Bring back what the database held after the first checkpoint."""
    sql("DELETE FROM audit_auditevent WHERE id > 5")
    sql("DELETE FROM audit_auditcheckpoint WHERE size > 5")
    sql("DELETE FROM audit_auditpersonal WHERE event_id > 5")
    edge = AuditEdge.objects.get(level=0)
    edge.hashes = bytes(edge.hashes)[: 5 * 32]
    edge.save()


def forge_one_that_is_not_sealed() -> None:
    sql("UPDATE audit_auditevent SET code = 'forged' WHERE id = %s", UNSEALED)


def change_a_checkpoints_root() -> None:
    sql("UPDATE audit_auditcheckpoint SET root = %s WHERE size = 10", "0" * 64)


def change_a_checkpoints_note() -> None:
    sql("UPDATE audit_auditcheckpoint SET note = replace(note, 'voiceagent', 'voiceagenT') WHERE size = 10")


def remove_a_checkpoint() -> None:
    sql("DELETE FROM audit_auditcheckpoint WHERE size = 5")


def change_the_edge() -> None:
    edge = AuditEdge.objects.get(level=0)
    edge.hashes = bytes(8 * 32) + bytes(edge.hashes)[8 * 32 :]
    edge.save()


def edit_two() -> None:
    """The later one has a wrong MAC, which shows before leaves are compared; the earlier one is named all the same."""
    edit_with_the_mac_key()
    sql("UPDATE audit_auditevent SET code = 'forged' WHERE id = 6")


def move_a_time_beyond_all() -> None:
    """Python has no such time."""
    sql("UPDATE audit_auditevent SET recorded_at = 'infinity' WHERE id = 4")


def change_somebodys_name() -> None:
    sql("UPDATE audit_auditpersonal SET data = replace(data, 'alice', 'alicf') WHERE event_id = 8")


def change_a_salt() -> None:
    sql("UPDATE audit_auditpersonal SET salt = 'none' WHERE event_id = 8")


def garble_a_checkpoints_root() -> None:
    sql("UPDATE audit_auditcheckpoint SET root = 'none' WHERE size = 10")


TAMPERINGS: list[tuple[Callable[[], None], int]] = [
    (edit, 4), (edit_with_the_mac_key, 4), (edit_with_the_mac_key_and_the_edge, 1), (rewrite_with_both_keys, 1),
    (delete_one, 7), (delete_the_end, 9), (delete_everything, 1), (empty_the_table, 1), (swap, 3), (swap_whole_rows, 3),
    (restore_an_old_copy, 6), (forge_one_that_is_not_sealed, UNSEALED), (change_a_checkpoints_root, 6),
    (change_a_checkpoints_note, 6), (remove_a_checkpoint, 6), (change_the_edge, 1), (change_somebodys_name, 8),
    (change_a_salt, 8), (garble_a_checkpoints_root, 6), (edit_two, 4), (move_a_time_beyond_all, 4),
]  # fmt: skip


def test_an_untouched_record_is_fine(record: Sealer) -> None:
    report = verify_record()

    assert (report.ok, report.first_bad_id, report.message) == (True, None, "")
    assert (report.size, report.events, report.unsealed, report.gaps) == (SEALED, SEALED, 1, 0)
    assert (report.checkpoints, report.anchors) == (2, 1)


@pytest.mark.parametrize(("tamper", "first_bad"), TAMPERINGS, ids=[tamper.__name__ for tamper, _ in TAMPERINGS])
def test_tampering_is_found_and_named(
    record: Sealer, export_file: Path, tamper: Callable[[], None], first_bad: int, capsys: pytest.CaptureFixture[str]
) -> None:
    tamper()

    with pytest.raises(CommandError) as failed:
        call_command("audit_verify", checkpoints=export_file)

    assert failed.value.returncode == 1
    assert f'"first_bad_id": {first_bad},' in capsys.readouterr().out
    told = AuditEvent.objects.filter(action=Action.AUDIT_VERIFIED).get()
    assert (told.code, told.target) == ("tampered", f"event:{first_bad}")


@pytest.mark.parametrize("first_bad", [None, 3, 7])
def test_personal_data_are_checked_across_batches(
    record: Sealer, monkeypatch: pytest.MonkeyPatch, first_bad: int | None
) -> None:
    monkeypatch.setattr("audit.event_rows.BATCH", 3)
    monkeypatch.setattr("audit.verification.PERSONAL_AT_ONCE", 2)
    sql("DELETE FROM audit_auditpersonal WHERE event_id IN (1, 4, 10)")
    if first_bad:
        sql("UPDATE audit_auditpersonal SET data = '{}' WHERE event_id = %s", first_bad)

    report = verify_record()

    assert (report.ok, report.first_bad_id) == (first_bad is None, first_bad)
    assert first_bad or (report.events, report.erased) == (SEALED, 3)


AT_THE_END = pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite's numbers end with its last event")


@pytest.mark.parametrize("event", [5, pytest.param(SEALED, marks=AT_THE_END)])
def test_personal_data_of_no_event_are_found(sealer: Sealer, event: int) -> None:
    write_events(SEALED)
    sql("DELETE FROM audit_auditevent WHERE id = %s", event)
    sealer.seal()

    report = verify_record()

    assert (report.ok, report.first_bad_id) == (False, event)


def test_a_fork_among_the_exported_checkpoints_is_a_finding(record: Sealer, export_file: Path) -> None:
    notes = [json.loads(line) for line in export_file.read_text().splitlines()]
    forked = signed_checkpoint(signers(), SEALED, b"f" * 32, 0)
    export_file.write_text("".join(f"{json.dumps(line)}\n" for line in [*notes, notes[-1] | {"note": forked}]))

    with pytest.raises(CommandError) as failed:
        call_command("audit_verify", checkpoints=export_file)

    assert failed.value.returncode == 1


def test_without_an_export_a_full_rewrite_is_not_seen(record: Sealer) -> None:
    """What the page says about checkpoints kept outside is no empty phrase."""
    rewrite_with_both_keys()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="no other database knows the statement")
def test_a_replaced_row_is_found(record: Sealer) -> None:
    names = "version, nonce, recorded_at, action, request_id, actor, target, code, body, personal, mac_key, mac"
    sql(f"INSERT OR REPLACE INTO audit_auditevent (id, {names}) SELECT 2, {names} FROM audit_auditevent WHERE id = 3")

    assert verify_record().first_bad_id == 2


def test_a_row_put_into_a_gap_is_found(sealer: Sealer) -> None:
    write_events(4)
    kept = AuditEvent.objects.get(pk=3)
    sql("DELETE FROM audit_auditevent WHERE id = 3")
    sql("DELETE FROM audit_auditpersonal WHERE event_id = 3")
    sealer.seal()
    assert verify_record().gaps == 1

    kept._state.adding = True
    kept.save()

    assert verify_record().first_bad_id == 3


def test_a_whole_tile_that_was_changed_is_found(sealer: Sealer) -> None:
    write_events(300)
    sealer.seal()
    tile = connection.ops.quote_name("audit_audittile")
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {tile} SET hashes = %s WHERE id = 0", [bytes(8192)])

    assert verify_record().first_bad_id == 1


def test_an_accepted_row_is_counted_and_no_finding(sealer: Sealer) -> None:
    write_events(3)
    sql("UPDATE audit_auditevent SET code = 'forged' WHERE id = 2")
    call_command("audit_accept", "2", reason="a test of the alarm")
    sealer.seal()

    report = verify_record()
    assert (report.ok, report.accepted, report.size) == (True, 1, 4)


def test_a_replaced_key_signs_no_more(sealer: Sealer, ours: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ours.AUDIT_SIGNING_KEYS = {1: bytes([1]) * 32}
    write_events(1)
    sealer.seal()
    ours.AUDIT_SIGNING_KEYS = {1: bytes([1]) * 32, 2: bytes([2]) * 32}
    sealer.forget()
    sealer.seal()
    assert verify_record().ok
    ours.AUDIT_SIGNING_KEYS = {1: bytes([1]) * 32}
    write_events(1)
    sealer.forget()
    monkeypatch.setattr("audit.sealer._check_stored", lambda *args: None)  # the thief has no scruples
    sealer.seal()
    ours.AUDIT_SIGNING_KEYS = {1: bytes([1]) * 32, 2: bytes([2]) * 32}

    report = verify_record()
    assert not report.ok
    assert "replaced" in report.message
