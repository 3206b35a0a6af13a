"""The record's page for administrators: its state in words, the full check, and the card of the overview."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from audit.actions import Action
from audit.exports import deliver
from audit.models import AuditEvent
from audit.notes import signers
from audit.sealer import Sealer
from audit.services import record_event
from audit.sinks import configured_sinks
from audit.verification import asked_since, is_due, record_verification, verify_record
from audit.verifier import check_receipt
from tests.audit.conftest import restart_numbers

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/admin/integrity/"


@pytest.fixture
def sealed(settings: Settings, tmp_path: Path, guards: None) -> None:
    """Three events, sealed with a server's own keys, exported and verified."""
    settings.AUDIT_SIGNING_KEYS = {1: b"s" * 32}
    settings.AUDIT_EXPORT_FILE = str(tmp_path / "checkpoints.jsonl")
    restart_numbers()
    for number in range(3):
        record_event(Action.CALL_ENDED, request_id=f"req_{number}")
    seal()
    record_verification(verify_record(), actor="worker")
    seal()


def seal() -> None:
    sealer = Sealer()
    sealer.seal()
    sealer.lock.drop()
    for sink in configured_sinks():
        deliver(sink, timezone.now())


def shown(client: Client, path: str = PAGE) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def test_a_record_that_is_sealed_exported_and_verified_is_green(adas_client: Client, sealed: None) -> None:
    page = shown(adas_client)

    assert "badge--good" in page
    assert "Intact and anchored outside" in page
    assert "Not shown" not in page


def test_it_is_never_green_without_a_checkpoint_outside(adas_client: Client, sealed: None, settings: Settings) -> None:
    settings.AUDIT_EXPORT_FILE = ""
    page = shown(adas_client)

    assert "badge--good" not in page
    assert "no checkpoint is kept outside the database" in page


def test_a_row_changed_by_sql_turns_the_page_red_and_is_named(adas_client: Client, sealed: None) -> None:
    second = AuditEvent.objects.order_by("id")[1]
    with connection.cursor() as cursor:
        for statement in lifted("UPDATE audit_auditevent SET actor = 'user:8' WHERE id = %s"):
            cursor.execute(statement, [second.pk] if "%s" in statement else None)
    adas_client.post(PAGE)
    assert is_due(timezone.now())
    record_verification(verify_record(), actor="worker")

    for page in (shown(adas_client), shown(adas_client, "/admin/overview/")):
        assert "badge--bad" in page
        assert f"Broken at event {second.pk}" in page
    assert f"/admin/audit/auditevent/{second.pk}/change/" in shown(adas_client)


def lifted(statement: str) -> list[str]:
    table = "audit_auditevent"
    if connection.vendor == "sqlite":
        return [f"DROP TRIGGER {table}_no_update", statement]
    return [f"ALTER TABLE {table} DISABLE TRIGGER USER", statement, f"ALTER TABLE {table} ENABLE TRIGGER USER"]


def test_whoever_asks_for_a_check_sees_it_under_way_and_asks_once(adas_client: Client, ada: User, sealed: None) -> None:
    assert not is_due(timezone.now() - timedelta(hours=24))
    for _ in range(2):
        assert adas_client.post(PAGE).status_code == 302

    assert "Every event is being checked" in shown(adas_client)
    asked = AuditEvent.objects.get(action="audit.verification_asked")
    assert (asked.actor, asked_since()) == (f"user:{ada.pk}", asked.recorded_at)
    record_verification(verify_record(), actor="worker")
    assert "Every event is being checked" not in shown(adas_client)


def test_the_page_is_for_whoever_may_see_events(client: Client, alice: User) -> None:
    alice.is_staff = True
    alice.save()
    client.force_login(alice)

    assert client.get(PAGE).status_code == 403
    assert client.post(PAGE).status_code == 403
    assert not AuditEvent.objects.filter(action="audit.verification_asked").exists()


def test_an_event_s_page_tells_since_when_it_is_sealed(adas_client: Client, sealed: None) -> None:
    first = AuditEvent.objects.earliest("id")
    page = shown(adas_client, f"/admin/audit/auditevent/{first.pk}/change/")
    assert "In the sealed record since" in page
    assert f'href="/api/audit/proof/{first.pk}" download' in page
    receipt = adas_client.get(f"/api/audit/proof/{first.pk}").json()
    assert check_receipt(receipt, [signer.key for signer in signers()]).size >= first.pk
    newest = record_event(Action.CALL_ENDED, request_id="req_new")
    assert "Not sealed yet" in shown(adas_client, f"/admin/audit/auditevent/{newest.pk}/change/")
