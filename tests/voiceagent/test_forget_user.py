"""Somebody is forgotten: their name is nowhere any more, what happened stays, and the record still verifies."""

import io
from pathlib import Path

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from pytest_django import Settings

from audit.models import AuditEvent, AuditPersonal
from audit.verification import verify_record
from relay.models import Call, CallCommand, TranscriptItem
from tests.voiceagent.test_end_everything import live_call
from tests.voiceagent.test_integrity_page import seal
from tokens.key_services import create_api_key
from tokens.models import Issuance
from usage.ledger import Entry, write_entries

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def asked(alice: User, charlie: User, settings: Settings, tmp_path: Path) -> None:
    """Alice and Charlie logged in, each asked for a secret, and Alice called."""
    settings.AUDIT_EXPORT_FILE = str(tmp_path / "checkpoints.jsonl")
    for user in (alice, charlie):
        client = Client(HTTP_USER_AGENT=f"Browser of {user.username}")
        client.post("/accounts/login/", {"login": user.username, "password": "a-long-password"})
        client.post("/api/client-secret", content_type="application/json")
    call = live_call(alice, "rtc_1", state="ended", ended_at=alice.date_joined)
    moment = alice.date_joined
    TranscriptItem.objects.create(call=call, item_id="item_1", role="user", text="I am alice.", started_at=moment)
    own = {"type": "realtime", "instructions": "You talk to alice."}
    Call.objects.update(session_changes=own)
    Issuance.objects.filter(user=alice).update(session=own)
    CallCommand.objects.create(call=call, kind="say", text="Hello, alice.", session=own, requested_at=moment)
    create_api_key(alice, name="alice's laptop", scopes=["mint"], days=9, allowed_networks=[], request_id="", actor="t")
    EmailAddress.objects.create(user=alice, email="alice@example.org")
    write_entries(
        [Entry(call_number=call.pk, kind="response", source_id="resp_1", at=moment, counts={}, username="alice")]
    )


def forget(*words: str) -> str:
    told = io.StringIO()
    call_command("forget_user", *words, stdout=told)
    return told.getvalue()


def whole_database() -> str:
    rows = ""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            rows += repr(cursor.fetchall())
    return rows


def test_a_dry_run_counts_and_changes_nothing(asked: None) -> None:
    told = forget("alice", "--reason", "asked for it")

    assert "1 requests for secrets, 1 calls" in told
    assert User.objects.filter(username="alice").exists()
    assert not AuditEvent.objects.filter(action="personal_data.erased").exists()


def test_their_name_is_nowhere_and_others_are_as_they_were(asked: None, alice: User) -> None:
    before = AuditEvent.objects.count()
    forget("alice", "--reason", "asked for it", "--yes")

    kept = whole_database()
    assert "alice" not in kept
    assert "Browser of charlie" in kept
    assert AuditEvent.objects.count() > before
    assert (Issuance.objects.count(), Call.objects.count()) == (2, 1)
    alice.refresh_from_db()
    assert (alice.username, alice.is_active, alice.has_usable_password()) == (f"erased-{alice.pk}", False, False)


def test_the_record_is_proved_as_before(asked: None, alice: User) -> None:
    seal()
    forget("alice", "--reason", "asked for it", "--yes")
    seal()

    assert verify_record().ok
    erased = AuditEvent.objects.get(action="personal_data.erased")
    assert (erased.actor, erased.target, erased.facts["reason"]) == ("command", f"user:{alice.pk}", "asked for it")
    assert AuditPersonal.objects.exists()


def test_nobody_of_that_name_is_an_error(db: None) -> None:
    with pytest.raises(CommandError, match="no user"):
        forget("nobody", "--reason", "x")
