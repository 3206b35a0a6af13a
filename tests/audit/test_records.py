"""What an event says and how that is proved: the record, its MAC, and personal data kept apart."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pytest_django import Settings

from audit import records
from audit.actions import Action
from audit.models import AuditEvent, AuditPersonal
from audit.services import record_event

MOMENT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
PERSON = {"username": "alice", "ip": "192.0.2.7", "user_agent": ""}


@pytest.mark.django_db
def test_a_record_can_be_made_again_from_its_row_and_bears_its_mac(settings: Settings) -> None:
    settings.AUDIT_MAC_KEYS = {1: b"k" * 32}
    record_event(Action.CALL_ENDED, request_id="req_1", actor="user:7", target="call:5", code="user", b="ü", a=1)

    event = AuditEvent.objects.get()

    written = json.loads(event.record)
    assert written[3:9] == ["call.ended", "req_1", "user:7", "call:5", "user", '{"a":1,"b":"\\u00fc"}']
    assert event.mac == hmac.new(b"k" * 32, event.record.encode(), hashlib.sha256).hexdigest()


def test_a_record_is_these_bytes() -> None:
    """An outsider's program makes the same bytes, so that none of them may change unseen."""
    record = records.record_of(
        version=1, nonce="0" * 32, recorded_at=MOMENT, action="call.ended", request_id="req_1", actor="user:7",
        target="call:5", code="user", body='{"seconds":12}', personal="", mac_key=3,
    )  # fmt: skip

    assert record == (
        '[1,"00000000000000000000000000000000","2026-11-21T09:30:00.000000Z","call.ended","req_1","user:7","call:5",'
        '"user","{\\"seconds\\":12}","",3]'
    )
    assert records.mac_of(record, b"k" * 32) == hmac.new(b"k" * 32, record.encode(), "sha256").hexdigest()


def test_a_time_is_told_in_utc() -> None:
    berlin = timezone(timedelta(hours=1))
    assert records.time_text(datetime(2026, 11, 21, 10, 30, tzinfo=berlin)) == records.time_text(MOMENT)


def test_the_key_with_the_highest_number_is_in_use(settings: Settings) -> None:
    settings.AUDIT_MAC_KEYS = {2: b"2" * 32, 10: b"0" * 32, 1: b"1" * 32}
    assert records.newest_mac_key() == (10, b"0" * 32)


def test_nonces_come_once_and_in_the_order_of_time() -> None:
    nonces = [records.make_nonce() for _ in range(1000)]
    times = [nonce[:12] for nonce in nonces]
    assert (len(set(nonces)), {len(nonce) for nonce in nonces}, times) == (1000, {32}, sorted(times))


@pytest.mark.django_db
def test_an_event_only_commits_to_who_somebody_was() -> None:
    event = record_event(Action.LOGIN_SUCCEEDED, request_id="req_1", person=PERSON)

    kept = AuditPersonal.objects.get()
    assert (kept.event_id, json.loads(kept.data)) == (event.pk, {"username": "alice", "ip": "192.0.2.7"})
    assert event.personal == records.commitment_of(kept.data, kept.salt)
    assert "alice" not in event.record
    assert "192.0.2.7" not in event.record


@pytest.mark.django_db
def test_the_same_person_is_not_recognised_in_another_event() -> None:
    first = record_event(Action.LOGIN_SUCCEEDED, request_id="req_1", person=PERSON)
    second = record_event(Action.LOGIN_SUCCEEDED, request_id="req_2", person=PERSON)
    assert first.personal != second.personal


@pytest.mark.django_db
def test_an_event_about_nobody_commits_to_nothing() -> None:
    assert record_event(Action.CALL_ENDED, request_id="req_1", person={"username": "", "ip": None}).personal == ""
    assert not AuditPersonal.objects.exists()


@pytest.mark.django_db
def test_a_body_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="8192"):
        record_event(Action.CALL_ENDED, request_id="req_1", text="x" * 8192)
    assert not AuditEvent.objects.exists()
