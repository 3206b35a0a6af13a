"""Proofs by REST: for whoever acted, and for those who may see the record; nobody else learns that there is one."""

import json

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from pytest_django import Settings

from audit import group_commit
from audit.actions import Action
from audit.models import AuditEvent
from audit.notes import signers
from audit.sealer import Sealer
from audit.services import record_event
from audit.verifier import Note, check_consistency, check_receipt
from tests.audit.conftest import sealer, write_events
from tests.tokens.conftest import MakeKey

__all__ = ["sealer"]
pytestmark = pytest.mark.django_db(transaction=True)
KEYS = [signer.key for signer in signers()]


def of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def event_of(actor: str) -> int:
    return record_event(Action.CALL_ENDED, request_id="r", actor=actor, target="call:1").pk


def test_whoever_acted_gets_a_receipt_that_holds(sealer: Sealer, alice: User) -> None:
    write_events(3)
    event = event_of(f"user:{alice.pk}")
    write_events(3)
    sealer.seal()

    receipt = of(alice).get(f"/api/audit/proof/{event}").json()

    assert check_receipt(receipt, KEYS).size >= event + 3
    assert '"call.ended"' in receipt["record"]


def test_the_answer_to_an_issuance_names_its_receipt(sealer: Sealer, alices_client: Client, settings: Settings) -> None:
    settings.UPSTREAM_API_KEY = "sk-test"
    issued = alices_client.post("/api/client-secret", {"kind": "relayed"}, content_type="application/json")
    group_commit.stop_writer()
    sealer.seal()
    number = issued.json()["auditEvent"]
    receipt = alices_client.get(f"/api/audit/proof/{number}").json()

    assert issued["X-Audit-Event"] == str(number)
    assert check_receipt(receipt, KEYS).size >= number
    assert json.loads(receipt["record"])[3:5] == ["client_secret.issued", issued["X-Request-ID"]]
    assert issued.json()["value"] not in receipt["record"]


def test_others_learn_nothing(sealer: Sealer, alice: User, charlie: User) -> None:
    event = event_of(f"user:{alice.pk}")
    sealer.seal()
    client = of(charlie)

    answers = [client.get(f"/api/audit/proof/{number}").json() for number in (event, event + 1000)]

    assert [answer["code"] for answer in answers] == ["unknown_event"] * 2
    assert answers[0]["message"] == answers[1]["message"]


def test_staff_need_the_permission(sealer: Sealer, alice: User, charlie: User, ada: User) -> None:
    event = event_of(f"user:{alice.pk}")
    sealer.seal()
    assert of(ada).get(f"/api/audit/proof/{event}").status_code == 200
    charlie.is_staff = True
    charlie.save()
    assert of(charlie).get(f"/api/audit/proof/{event}").status_code == 404

    charlie.user_permissions.add(Permission.objects.get_or_create(codename="view_auditevent", defaults={
        "name": "Can view audit event", "content_type_id": _content_type()})[0])  # fmt: skip

    assert of(charlie).get(f"/api/audit/proof/{event}").status_code == 200


def _content_type() -> int:
    return ContentType.objects.get_for_model(AuditEvent).pk


def test_a_keys_own_events_are_its_users(sealer: Sealer, alice: User, make_key: MakeKey) -> None:
    made = make_key(scopes=["read"])
    event = event_of(f"key:{made.key.pk}")
    sealer.seal()

    assert of(alice).get(f"/api/audit/proof/{event}").status_code == 200
    assert (
        Client().get(f"/api/audit/proof/{event}", headers={"authorization": f"Bearer {made.value}"}).status_code == 200
    )


def test_an_event_that_is_not_sealed_yet_says_when_to_ask_again(sealer: Sealer, alice: User) -> None:
    event = event_of(f"user:{alice.pk}")

    response = of(alice).get(f"/api/audit/proof/{event}")

    assert (response.status_code, response.json()["code"]) == (409, "event_not_sealed")
    assert response["Retry-After"] == "1"
    assert of(alice).get("/api/audit/checkpoint").status_code == 409


def test_a_checkpoint_continues_the_one_that_was_kept(sealer: Sealer, alice: User) -> None:
    write_events(3)
    sealer.seal()
    old = of(alice).get("/api/audit/checkpoint").json()
    assert old["consistency"] is None
    write_events(4)
    sealer.seal()

    new = of(alice).get(f"/api/audit/checkpoint?from={old['size']}").json()

    proof = [bytes.fromhex(node) for node in new["consistency"]["hashes"]]
    check_consistency(
        old["size"], bytes.fromhex(old["root"]), new["size"], Note.parse(new["checkpoint"]).root, proof
    )  # fmt: skip
    receipt = of(alice).get("/api/audit/proof/1?from=2")
    assert receipt.status_code == 404, "Alice acted in none of these"


def test_pruned_or_missing_numbers_are_unknown(sealer: Sealer, ada: User) -> None:
    write_events(1)
    sealer.seal()

    assert of(ada).get("/api/audit/proof/0").status_code == 404
    assert of(ada).get("/api/audit/proof/99999999999999999999").status_code == 404
