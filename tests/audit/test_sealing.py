"""Sealing: every event exactly once, in order, by one sealer, and nothing that this server did not write."""

import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from audit.actions import Action
from audit.event_rows import event_rows, is_genuine
from audit.models import AuditEvent
from audit.notes import signers
from audit.sealer import BATCH, Sealer, SealingHalted, Superseded, report_halt
from audit.services import record_event
from audit.stored_tree import growing_tree, newest_checkpoint, stored_tree
from audit.tree_models import AuditCheckpoint, AuditEdge
from audit.verification import verify_record
from audit.verifier import Note, check_consistency, check_inclusion, event_leaf, open_note
from tests.audit.conftest import roll_back_one, sql, write_events

pytestmark = pytest.mark.django_db(transaction=True)
timezone_now = timezone.now
only_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL leaves gaps by itself")
only_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite commits in order")


def newest() -> AuditCheckpoint:
    checkpoint = newest_checkpoint()
    assert checkpoint is not None
    return checkpoint


def test_every_event_gets_a_leaf_that_a_signature_covers(sealer: Sealer) -> None:
    ids = write_events(5)

    assert sealer.seal() == ids[-1]

    checkpoint = newest()
    note = open_note(checkpoint.note, [signers()[0].key])
    assert (note.size, note.root.hex()) == (ids[-1], checkpoint.root)
    assert note.size == checkpoint.size
    for row in event_rows(0, note.size):
        proof = stored_tree(note.size).inclusion_proof(row.id - 1)
        check_inclusion(event_leaf(row.id, row.mac, row.record), row.id - 1, note.size, proof, note.root)


def test_the_rows_texts_are_the_records_that_were_signed(sealer: Sealer) -> None:
    event = AuditEvent.objects.get(pk=write_events(1)[0])
    (row,) = event_rows(event.pk - 1, event.pk)

    assert (row.record, row.mac) == (event.record, event.mac)
    assert is_genuine(row)


def test_a_time_without_a_fraction_is_read_as_it_was_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole_second = timezone.now().replace(microsecond=0)
    monkeypatch.setattr("audit.services.timezone.now", lambda: whole_second)
    event = AuditEvent.objects.get(pk=write_events(1)[0])
    (row,) = event_rows(event.pk - 1, event.pk)

    assert row.record == event.record


def test_sealing_goes_on_where_it_stopped(sealer: Sealer) -> None:
    write_events(3)
    sealer.seal()
    old = Note.parse(newest().note)
    sealer.forget()
    write_events(300)

    assert sealer.seal() == 300
    new = Note.parse(newest().note)
    assert newest().previous_size == old.size
    check_consistency(old.size, old.root, new.size, new.root, stored_tree(new.size).consistency_proof(old.size))
    assert sealer.seal() == 0


def test_many_events_are_sealed_in_several_steps(sealer: Sealer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.sealer.BATCH", 100)
    ids = write_events(250)

    sealer.seal()

    sizes = list(AuditCheckpoint.objects.order_by("pk").values_list("size", flat=True))
    assert sizes[-1] == ids[-1]
    assert len(sizes) >= 3
    assert BATCH > 100
    assert stored_tree(newest().size).root().hex() == newest().root


def test_the_newest_checkpoint_is_signed_again_each_minute(sealer: Sealer) -> None:
    write_events(2)
    sealer.seal()
    later = timezone.now() + timedelta(seconds=61)

    sealer.beat(timezone.now())
    sealer.beat(later)
    sealer.beat(later + timedelta(seconds=1))

    first, again = AuditCheckpoint.objects.order_by("pk")
    assert (again.size, again.root, again.previous_size) == (first.size, first.root, None)
    key = signers()[0].key
    assert key.time_signed(Note.parse(again.note)) == int(later.timestamp())


def put_repetition(root: str) -> None:
    """Add the row of a repetition, as whoever may add to the record can."""
    AuditCheckpoint.objects.create(
        size=newest().size, root=root, note=newest().note, signing_key=0, gaps=0,
        made_at=timezone.now() - timedelta(minutes=5),
    )  # fmt: skip


def a_minute_later(sealer: Sealer) -> None:
    sealer.seal()
    sealer.beat(timezone.now() + timedelta(seconds=61))


@pytest.mark.parametrize("is_resumed", [False, True])
def test_a_root_that_was_put_there_gets_no_signature(sealer: Sealer, is_resumed: bool) -> None:
    write_events(2)
    sealer.seal()
    put_repetition("f" * 64)
    rows = AuditCheckpoint.objects.count()
    if is_resumed:
        sealer.forget()

    with pytest.raises(SealingHalted) as halted:
        a_minute_later(sealer)

    assert halted.value.code == "tree"
    assert AuditCheckpoint.objects.count() == rows


def test_a_clock_that_went_back_silences_nobody(sealer: Sealer) -> None:
    write_events(2)
    sealer.seal()

    sealer.beat(timezone.now() - timedelta(hours=1))

    assert AuditCheckpoint.objects.count() == 2


def test_a_number_that_no_event_got_is_a_leaf_of_its_own(sealer: Sealer) -> None:
    before = write_events(2)
    roll_back_one()
    after = write_events(2)

    sealer.seal()

    assert newest().gaps == after[0] - before[-1] - 1 == (1 if connection.vendor == "postgresql" else 0)
    assert newest().size == after[-1]
    assert newest().findings == ""


@only_sqlite
@pytest.mark.parametrize("which", [1, -1])
def test_a_row_deleted_before_it_was_sealed_is_found_on_sqlite(sealer: Sealer, which: int) -> None:
    ids = write_events(4)
    sql("DELETE FROM audit_auditevent WHERE id = %s", ids[which])

    sealer.seal()

    assert newest().size == ids[-1]
    assert json.loads(newest().findings) == [[ids[which], "gap"]]


def test_a_number_far_ahead_halts(sealer: Sealer) -> None:
    write_events(1)
    sealer.seal()
    size = newest().size
    if connection.vendor == "sqlite":
        sql("UPDATE sqlite_sequence SET seq = seq + 20000 WHERE name = 'audit_auditevent'")
    else:
        sql("SELECT setval('audit_auditevent_id_seq', %s)", size + 20_000)
    write_events(1)

    with pytest.raises(SealingHalted) as halted:
        sealer.seal()

    assert (halted.value.code, halted.value.event) == ("jump", size + 1)


def forge(event: int) -> None:
    sql("UPDATE audit_auditevent SET code = 'forged' WHERE id = %s", event)


def test_a_row_that_this_server_did_not_write_halts_after_those_before_it(sealer: Sealer) -> None:
    ids = write_events(5)
    forge(ids[2])

    with pytest.raises(SealingHalted) as halted:
        sealer.seal()

    assert (halted.value.code, halted.value.event) == ("bad_mac", ids[2])
    assert newest().size == ids[1]


def test_a_halt_is_recorded_once_and_a_recorded_decision_goes_past_it(sealer: Sealer) -> None:
    ids = write_events(5)
    forge(ids[2])
    for _ in range(2):
        with pytest.raises(SealingHalted) as halted:
            sealer.seal()
        report_halt(halted.value)
    alarm = AuditEvent.objects.get(action=Action.AUDIT_SEALING_HALTED)
    assert (alarm.target, alarm.code) == (f"event:{ids[2]}", "bad_mac")

    accepting = record_event(
        Action.AUDIT_FINDING_ACCEPTED, request_id="", actor="user:1", target=f"event:{ids[2]}", reason="seen"
    )

    sealer.seal()
    assert newest().size == accepting.pk
    assert [ids[2], "bad_mac"] in json.loads(newest().findings)


def test_a_forged_decision_goes_past_nothing(sealer: Sealer) -> None:
    ids = write_events(2)
    forge(ids[0])
    sql(
        "UPDATE audit_auditevent SET action = %s, target = %s WHERE id = %s",
        Action.AUDIT_FINDING_ACCEPTED.value, f"event:{ids[0]}", ids[1],
    )  # fmt: skip

    with pytest.raises(SealingHalted):
        sealer.seal()


FIELDS = "version, nonce, recorded_at, action, request_id, actor, target, code, body, personal, mac_key, mac"
COPY = f"INSERT INTO audit_auditevent ({FIELDS}) SELECT {FIELDS} FROM audit_auditevent WHERE id = %s"


@pytest.mark.parametrize("is_resumed", [False, True])
def test_a_copied_row_halts(sealer: Sealer, is_resumed: bool) -> None:
    ids = write_events(3)
    sealer.seal()
    if is_resumed:
        sealer.forget()
    sql(COPY, ids[1])

    with pytest.raises(SealingHalted) as halted:
        sealer.seal()

    assert (halted.value.code, halted.value.event) == ("replayed", ids[-1] + 1)


def test_a_copy_of_an_old_row_halts(sealer: Sealer, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as clock:
        clock.setattr("audit.services.timezone.now", lambda: timezone_now() - timedelta(minutes=30))
        old = write_events(1)
    write_events(1)
    sealer.seal()
    sealer.forget()
    sql(COPY, old[0])

    with pytest.raises(SealingHalted) as halted:
        sealer.seal()

    assert halted.value.code == "backdated"


@pytest.mark.parametrize("is_resumed", [False, True])
def test_after_a_wrong_clock_one_decision_is_enough(
    sealer: Sealer, monkeypatch: pytest.MonkeyPatch, is_resumed: bool
) -> None:
    with monkeypatch.context() as clock:
        clock.setattr("audit.services.timezone.now", lambda: timezone_now() + timedelta(hours=1))
        write_events(2)
    sealer.seal()
    first, _ = write_events(2)
    call_command("audit_accept", first, reason="the clock was an hour ahead", clock=True)
    write_events(1)

    sealer.seal()
    if is_resumed:
        sealer.forget()
    last = write_events(1)
    sealer.seal()

    assert newest().size == last[0]
    report = verify_record()
    assert (report.ok, report.accepted, report.message) == (True, 1, "")


def test_a_decision_about_one_event_forgives_no_other(sealer: Sealer, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as clock:
        clock.setattr("audit.services.timezone.now", lambda: timezone_now() + timedelta(hours=1))
        write_events(1)
    first, second = write_events(2)
    call_command("audit_accept", first, reason="somebody copied it")

    with pytest.raises(SealingHalted) as halted:
        sealer.seal()

    assert (halted.value.code, halted.value.event) == ("backdated", second)


def test_a_clock_that_went_back_is_noted(sealer: Sealer, monkeypatch: pytest.MonkeyPatch) -> None:
    write_events(1)
    monkeypatch.setattr("audit.services.timezone.now", lambda: timezone_now() - timedelta(seconds=5))
    late = write_events(1)

    sealer.seal()

    assert json.loads(newest().findings) == [[late[0], "clock_went_back"]]


def test_a_second_sealer_waits(sealer: Sealer) -> None:
    write_events(1)
    sealer.seal()
    if connection.vendor == "sqlite":
        second = Sealer()
        write_events(1)
        assert second.seal() == 0
        assert newest().size == 1
    sealer.lock.drop()


def test_without_the_lock_the_comparison_keeps_a_second_from_sealing(
    sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_events(1)
    second = Sealer()
    monkeypatch.setattr("audit.seal_lock.SealLock.take", lambda self: True)
    monkeypatch.setattr("audit.seal_lock.SealLock.is_held", True)
    sealer.seal()
    second.seal()
    write_events(1)
    sealer.seal()
    write_events(1)

    with pytest.raises(Superseded):
        second.seal()
    sizes = AuditCheckpoint.objects.order_by("pk").values_list("previous_size", "size")
    assert [size for _, size in sizes][:-1] == [before for before, _ in sizes][1:]


def test_the_database_takes_no_two_checkpoints_after_the_same(sealer: Sealer) -> None:
    write_events(2)
    sealer.seal()
    fork = newest()
    fork.pk, fork.size = None, fork.size + 1

    with pytest.raises(Exception, match=r"(?i)unique"), transaction.atomic():
        fork.save(force_insert=True)


def test_a_database_that_went_back_is_not_sealed_further(sealer: Sealer) -> None:
    write_events(2)
    sealer.seal()
    write_events(2)
    sealer.seal()
    sql("DELETE FROM audit_auditcheckpoint WHERE size > 2")
    write_events(1)

    with pytest.raises(SealingHalted) as halted:
        sealer.seal()
    assert halted.value.code == "tree"
    sealer.forget()
    with pytest.raises(SealingHalted):
        sealer.seal()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_auditcheckpoint SET root = '%s'" % ("0" * 64),
        "UPDATE audit_auditcheckpoint SET size = size + 1",
        "UPDATE audit_auditcheckpoint SET note = replace(note, 'voiceagent', 'voiceagenT')",
        "DELETE FROM audit_auditedge WHERE level = 0",
        "DELETE FROM audit_auditcheckpoint",
    ],
)
def test_a_changed_checkpoint_or_edge_halts_the_next_start(sealer: Sealer, statement: str) -> None:
    write_events(3)
    sealer.seal()
    sql(statement)
    sealer.forget()

    with pytest.raises(SealingHalted) as halted:
        sealer.seal()

    assert halted.value.code == "tree"


def test_a_new_key_signs_once_together_with_the_old_one(sealer: Sealer, settings: Settings) -> None:
    settings.AUDIT_SIGNING_KEYS = {1: bytes([1]) * 32}
    write_events(1)
    sealer.seal()
    sealer.forget()
    settings.AUDIT_SIGNING_KEYS = {1: bytes([1]) * 32, 2: bytes([2]) * 32}
    sealer.seal()
    handover = Note.parse(newest().note)
    write_events(1)
    sealer.seal()

    new, old = signers()
    rotation = AuditEvent.objects.get(action=Action.AUDIT_KEY_ROTATED)
    assert rotation.facts["verifier_key"] == new.verifier_key
    assert handover.size >= rotation.pk
    assert new.key.has_signed(handover)
    assert old.key.has_signed(handover)
    assert not old.key.has_signed(Note.parse(newest().note))
    assert AuditEvent.objects.filter(action=Action.AUDIT_KEY_ROTATED).count() == 1


def test_the_edge_is_one_row_a_level(sealer: Sealer) -> None:
    write_events(260)
    sealer.seal()

    assert list(AuditEdge.objects.order_by("level").values_list("level", "number")) == [(0, 1), (1, 0)]
    assert growing_tree().root().hex() == newest().root
