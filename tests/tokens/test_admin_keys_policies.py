"""Administrators switch keys off, set policies and take history along; each act is an event."""

import csv
import io
import json

import pytest
from django.contrib.auth.models import User
from django.test import Client

from audit.models import AuditEvent
from tests.tokens.conftest import MakeKey
from tokens.export import csv_rows
from tokens.models import ApiKey, Issuance, Policy


@pytest.fixture
def adas_client(ada: User) -> Client:
    client = Client()
    client.force_login(ada)
    return client


def act(client: Client, model: str, action: str, *pks: int) -> str:
    chosen = {"action": action, "_selected_action": pks}
    response = client.post(f"/admin/tokens/{model}/", chosen, follow=True)
    assert response.status_code == 200
    return response.getvalue().decode()


def test_a_key_is_switched_off_and_on_and_revoked(adas_client: Client, ada: User, make_key: MakeKey) -> None:
    key = make_key().key
    assert "1 keys switched off" in act(adas_client, "apikey", "switch_off", key.pk)
    assert not ApiKey.objects.get().enabled
    act(adas_client, "apikey", "switch_on", key.pk)
    act(adas_client, "apikey", "revoke", key.pk)

    assert ApiKey.objects.get().revoked_at is not None
    events = AuditEvent.objects.filter(actor=f"user:{ada.pk}").order_by("id")
    assert [event.action for event in events] == ["api_key.disabled", "api_key.enabled", "api_key.revoked"]


def test_the_detail_of_a_key_shows_no_digest(adas_client: Client, make_key: MakeKey) -> None:
    key = make_key().key
    shown = adas_client.get(f"/admin/tokens/apikey/{key.pk}/change/").content.decode()

    assert key.public_part in shown
    assert key.digest not in shown


def test_a_policy_s_changes_are_recorded_with_before_and_after(adas_client: Client, alice: User) -> None:
    form = {"user": alice.pk, "position": 0, "own_session": "unknown", "max_ttl_s": 60}
    assert adas_client.post("/admin/tokens/policy/add/", form).status_code == 302
    policy = Policy.objects.get()
    changed = form | {"max_ttl_s": 120, "allowed_models": '["gpt-realtime-mini"]'}
    assert adas_client.post(f"/admin/tokens/policy/{policy.pk}/change/", changed).status_code == 302
    assert adas_client.post(f"/admin/tokens/policy/{policy.pk}/delete/", {"post": "yes"}).status_code == 302

    added, edited, deleted = AuditEvent.objects.filter(action="policy.changed").order_by("id")
    assert json.loads(added.body["max_ttl_s"]) == [None, 60]
    assert edited.body == {"max_ttl_s": "[60, 120]", "allowed_models": '[null, ["gpt-realtime-mini"]]'}
    assert json.loads(deleted.body["max_ttl_s"]) == [120, None]


def test_money_is_edited_in_dollars_and_kept_in_micro_dollars(adas_client: Client) -> None:
    form = {"position": 0, "own_session": "unknown", "microdollars_a_day": "2.5", "seconds_a_month": "3600"}
    assert adas_client.post("/admin/tokens/policy/add/", form).status_code == 302
    policy = Policy.objects.get()
    shown = adas_client.get(f"/admin/tokens/policy/{policy.pk}/change/").content.decode()
    adas_client.post(f"/admin/tokens/policy/{policy.pk}/change/", form | {"microdollars_a_day": "3"})

    assert policy.microdollars_a_day == 2_500_000
    assert 'name="microdollars_a_day" value="2.50"' in shown
    edited = AuditEvent.objects.filter(action="policy.changed").order_by("id")[1]
    assert edited.body == {"microdollars_a_day": "[2500000, 3000000]"}


def test_a_bad_policy_is_refused_in_the_form(adas_client: Client) -> None:
    form = {"position": 0, "own_session": "unknown", "allowed_networks": '["everywhere"]', "issue_rate": "often"}
    shown = adas_client.post("/admin/tokens/policy/add/", form).content.decode()

    assert "is not a network such as" in shown
    assert "Give a rate such as 20/m" in shown
    assert not Policy.objects.exists()


def test_secrets_are_revoked(adas_client: Client, alices_client: Client) -> None:
    alices_client.post("/api/client-secret", content_type="application/json")
    act(adas_client, "issuance", "revoke", Issuance.objects.get().pk)

    assert Issuance.objects.get().revoked_at is not None
    assert AuditEvent.objects.filter(action="client_secret.revoked").exists()


def test_history_is_taken_along_and_that_is_an_event(adas_client: Client, alices_client: Client) -> None:
    alices_client.post("/api/client-secret", content_type="application/json", headers={"user-agent": "=cmd()"})
    row = Issuance.objects.get()

    (line,) = csv.DictReader(io.StringIO(act(adas_client, "issuance", "export_csv", row.pk)))
    assert (line["username"], line["status"], line["user_agent"]) == ("alice", "issued", "'=cmd()")
    taken = json.loads(act(adas_client, "issuance", "export_jsonl", row.pk))
    assert (taken["request_id"], taken["user_agent"]) == (row.request_id, "=cmd()")
    assert str(row.secret_digest) not in str(taken)
    assert AuditEvent.objects.filter(action="issuances.exported", body__rows=1).count() == 2


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
@pytest.mark.django_db
def test_no_cell_is_a_formula(start: str) -> None:
    Issuance.objects.create(
        request_id="req_1", status="denied", user_agent=f'{start}1+1",\n"x', requested_at="2026-11-21T00:00Z"
    )
    _, line = csv_rows(Issuance.objects.all())
    (cells,) = csv.reader(io.StringIO(line))

    assert f'\'{start}1+1",\n"x' in cells
