"""Administrators switch keys off, set policies and take history along; each act is an event."""

import csv
import io
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connections
from django.db.models import QuerySet
from django.test import AsyncClient, Client
from django.utils import timezone

from audit.models import AuditEvent
from relay.models import Call
from tests.tokens.conftest import MakeKey
from tokens.export import csv_rows, jsonl_rows
from tokens.models import ApiKey, Issuance, Policy


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
    assert json.loads(str(added.facts["max_ttl_s"])) == [None, 60]
    assert edited.facts == {"max_ttl_s": "[60, 120]", "allowed_models": '[null, ["gpt-realtime-mini"]]'}
    assert json.loads(str(deleted.facts["max_ttl_s"])) == [120, None]


def test_money_is_edited_in_dollars_and_kept_in_micro_dollars(adas_client: Client) -> None:
    form = {"position": 0, "own_session": "unknown", "microdollars_a_day": "2.5", "seconds_a_month": "3600"}
    assert adas_client.post("/admin/tokens/policy/add/", form).status_code == 302
    policy = Policy.objects.get()
    shown = adas_client.get(f"/admin/tokens/policy/{policy.pk}/change/").content.decode()
    adas_client.post(f"/admin/tokens/policy/{policy.pk}/change/", form | {"microdollars_a_day": "3"})

    assert policy.microdollars_a_day == 2_500_000
    assert policy.allowed_origins is None
    assert ">\nnull</textarea>" not in shown  # an open question is an empty field
    assert 'name="microdollars_a_day" value="2.50"' in shown
    edited = AuditEvent.objects.filter(action="policy.changed").order_by("id")[1]
    assert edited.facts == {"microdollars_a_day": "[2500000, 3000000]"}


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


@pytest.mark.django_db(transaction=True)
async def test_history_is_taken_along_and_that_is_an_event(ada: User, alices_page: AsyncClient) -> None:
    await alices_page.post("/api/client-secret", content_type="application/json", headers={"user-agent": "=cmd()"})
    row = await Issuance.objects.aget()
    await Call.objects.acreate(
        issuance=row, upstream_id="rtc_1", state="ended", ended_at=timezone.now(), requested_at=timezone.now(),
        cost_microdollars=1234,
    )  # fmt: skip

    (line,) = csv.DictReader(io.StringIO(await export(ada, "export_csv", row.pk)))
    assert (line["username"], line["status"], line["user_agent"]) == ("alice", "issued", "'=cmd()")
    taken = json.loads(await export(ada, "export_jsonl", row.pk))
    assert (taken["request_id"], taken["user_agent"]) == (row.request_id, "=cmd()")
    assert (line["call_upstream_id"], line["call_cost_microdollars"]) == ("rtc_1", "1234")
    assert (taken["call_state"], taken["call_cost_microdollars"]) == ("ended", 1234)
    events = AuditEvent.objects.filter(request_id=row.request_id).order_by("id")
    numbers = [str(number) async for number in events.values_list("id", flat=True)]
    assert (len(numbers), line["event_ids"], taken["event_ids"]) == (2, " ".join(numbers), " ".join(numbers))
    assert str(row.secret_digest) not in str(taken)
    assert await AuditEvent.objects.filter(action="issuances.exported", body__contains='"rows":1').acount() == 2


async def export(user: User, action: str, *pks: int) -> str:
    """Export as a browser does it over ASGI, and return the file."""
    client = AsyncClient()
    await client.aforce_login(user)
    chosen = {"action": action, "_selected_action": pks}
    response: Any = await client.post("/admin/tokens/issuance/", chosen)
    assert response.is_async, "an ASGI server would collect the whole of it first"
    return b"".join([part async for part in response.streaming_content]).decode()


@pytest.mark.parametrize("write", [csv_rows, jsonl_rows])
@pytest.mark.django_db(transaction=True)
async def test_a_long_history_comes_in_chunks_each_from_where_the_last_one_ended(
    monkeypatch: pytest.MonkeyPatch, write: Callable[[QuerySet[Issuance]], AsyncIterator[str]]
) -> None:
    monkeypatch.setattr("tokens.export.CHUNK_ROWS", 3)
    for number in range(8):
        await Issuance.objects.acreate(request_id=f"req_{number}", status="denied", requested_at="2026-11-21T00:00Z")
    lines: list[str] = []
    async for part in write(Issuance.objects.exclude(request_id="req_4")):
        assert part.count("\n") <= 3
        lines += part.splitlines()
        if "req_" in part:  # the heading comes before anything is read
            await Issuance.objects.acreate(request_id="req_new", status="denied", requested_at="2026-11-21T00:00Z")

    await sync_to_async(connections.close_all)()
    assert re.findall(r"req_\w+", "".join(lines)) == [f"req_{number}" for number in (7, 6, 5, 3, 2, 1, 0)]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
@pytest.mark.django_db(transaction=True)
async def test_no_cell_is_a_formula(start: str) -> None:
    await Issuance.objects.acreate(
        request_id="req_1", status="denied", user_agent=f'{start}1+1",\n"x', requested_at="2026-11-21T00:00Z"
    )
    _, line = [part async for part in csv_rows(Issuance.objects.all())]
    (cells,) = csv.reader(io.StringIO(line))
    await sync_to_async(connections.close_all)()

    assert f'\'{start}1+1",\n"x' in cells
