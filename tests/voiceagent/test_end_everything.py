"""Everything of a user ends at once, each step is on record, and nobody else notices."""

import io
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import AsyncClient, Client
from django.utils import timezone

from agents.models import Agent
from audit.models import AuditEvent
from relay import services as relay_services
from relay.models import Call
from tests.conftest import FakeUpstream
from tests.tokens.conftest import MakeKey
from tokens.models import ApiKey, Issuance
from voiceagent.admin_views import MAY_END_EVERYTHING
from voiceagent.end_everything import Ended, end_everything

ACT: dict[str, Any] = {"actor": "user:1", "request_id": "req_tests"}
WITH_EACH = ["api_key.revoked", "sessions.ended", "client_secret.revoked", "call.ended", "user.everything_ended"]


@pytest.fixture
def hung_up(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """The calls that the upstream was told to end."""
    told: list[Call] = []
    monkeypatch.setattr(relay_services, "hang_up_upstream", told.append)
    return told


def live_call(user: User, upstream_id: str, **changes: Any) -> Call:
    now = timezone.now()
    facts = {"state": "live", "requested_at": now, "started_at": now, "request_id": "req_1"} | changes
    return Call.objects.create(user=user, username=user.username, upstream_id=upstream_id, **facts)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def mint(client: Client) -> Issuance:
    client.post("/api/client-secret", content_type="application/json")
    return Issuance.objects.latest("id")


def test_everything_of_one_user_ends_and_nothing_of_others(
    alice: User,
    charlie: User,
    assistant: Agent,
    make_key: MakeKey,
    hung_up: list[Call],
) -> None:
    phone, laptop, others = signed_in(alice), signed_in(alice), signed_in(charlie)
    key = make_key()
    secret, theirs = mint(laptop), mint(others)
    call, asked_for = live_call(alice, "rtc_1"), live_call(alice, "rtc_2", state="requested")
    their_call = live_call(charlie, "rtc_3")

    assert end_everything(alice, **ACT) == Ended(api_keys=1, sessions=2, secrets=1, calls=2)

    assert [client.get("/api/whoami").status_code for client in (phone, laptop, others)] == [401, 401, 200]
    bearer = {"authorization": f"Bearer {key.value}"}
    assert Client().get("/api/whoami", headers=bearer).status_code == 401
    assert set(Issuance.objects.filter(revoked_at=None)) == {theirs}
    assert Issuance.objects.get(revoked_at__isnull=False) == secret
    assert set(Call.objects.filter(state="ended")) == {call, asked_for} == set(hung_up)
    assert Call.objects.get(pk=their_call.pk).state == "live"
    assert User.objects.get(pk=alice.pk).is_active


def test_each_step_is_on_record_under_one_request(
    alice: User,
    make_key: MakeKey,
    hung_up: list[Call],
) -> None:
    make_key()
    mint(signed_in(alice))
    live_call(alice, "rtc_1")
    before = AuditEvent.objects.latest("id").pk
    end_everything(alice, **ACT)

    events = AuditEvent.objects.filter(pk__gt=before).order_by("id")
    assert [event.action for event in events] == WITH_EACH
    assert {event.actor for event in events} == {"user:1"}
    last = events.last()
    assert last is not None
    assert last.target == f"user:{alice.pk}"
    assert last.facts == {"api_keys": 1, "sessions": 1, "secrets": 1, "calls": 1, "disabled": False}


def test_a_second_time_nothing_is_left(alice: User, make_key: MakeKey, hung_up: list[Call]) -> None:
    make_key()
    mint(signed_in(alice))
    live_call(alice, "rtc_1")
    end_everything(alice, **ACT)
    rows = list(ApiKey.objects.values()), list(Issuance.objects.values()), list(Call.objects.values())

    assert end_everything(alice, **ACT) == Ended(0, 0, 0, 0)
    assert (list(ApiKey.objects.values()), list(Issuance.objects.values()), list(Call.objects.values())) == rows
    assert len(hung_up) == 1


def test_what_is_over_is_left_as_it_was(alice: User) -> None:
    now = timezone.now()
    common = {"user": alice, "requested_at": now, "status": "issued"}
    Issuance.objects.create(request_id="req_expired", expires_at=now - timedelta(seconds=1), **common)
    Issuance.objects.create(request_id="req_revoked", expires_at=now + timedelta(hours=1), revoked_at=now, **common)

    assert end_everything(alice, **ACT).secrets == 0


@pytest.mark.parametrize("disable", [True, False])
def test_the_account_is_disabled_only_when_asked(alice: User, disable: bool) -> None:
    end_everything(alice, disable=disable, **ACT)
    end_everything(alice, disable=disable, **ACT)

    assert User.objects.get(pk=alice.pk).is_active is not disable
    assert AuditEvent.objects.filter(action="user.disabled").count() == int(disable)


@pytest.mark.django_db(transaction=True)
async def test_the_upstream_is_told(alice: User, alices_page: AsyncClient, upstream: FakeUpstream) -> None:
    await sync_to_async(live_call)(alice, "rtc_9")
    await sync_to_async(end_everything)(alice, **ACT)

    assert upstream.hung_up == ["rtc_9"]


def test_the_command_says_what_it_ended(alice: User, make_key: MakeKey) -> None:
    make_key()
    said = io.StringIO()
    call_command("end_everything", "alice", "--disable", stdout=said)

    assert "1 API keys revoked, 0 sessions ended, 0 client secrets revoked, 0 calls ended" in said.getvalue()
    assert not User.objects.get().is_active
    assert AuditEvent.objects.latest("id").actor == "command"


@pytest.mark.django_db
def test_the_command_knows_nobody_of_another_name() -> None:
    with pytest.raises(CommandError, match="no user 'alcie'"):
        call_command("end_everything", "alcie")


def test_an_administrator_is_asked_first(adas_client: Client, alice: User, make_key: MakeKey) -> None:
    make_key()
    chosen = {"action": "end_everything", "_selected_action": [alice.pk]}
    asked = adas_client.post("/admin/auth/user/", chosen, follow=True)
    assert "End everything" in asked.content.decode()
    assert asked.context["rows"][0]["api_keys"] == 1
    assert ApiKey.objects.get().revoked_at is None

    said = adas_client.post("/admin/end-everything/", {"user": alice.pk}, follow=True).content.decode()
    import re

    print(re.findall(r"messagelist.*?</ul>", said, re.S), ApiKey.objects.values())
    assert "Ended for alice: 1 API keys revoked" in said
    assert ApiKey.objects.get().revoked_at is not None
    assert User.objects.get(pk=alice.pk).is_active


def test_the_page_disables_when_the_box_is_ticked(adas_client: Client, alice: User) -> None:
    adas_client.post("/admin/end-everything/", {"user": alice.pk, "disable": "on"})

    assert not User.objects.get(pk=alice.pk).is_active


@pytest.mark.parametrize("query", ["", "user=x", "user=-1", "user=99999999999999999999", "user=4711"])
def test_nobody_chosen_ends_nothing(adas_client: Client, query: str) -> None:
    response = adas_client.get(f"/admin/end-everything/?{query}")

    assert response.status_code == 200
    assert "Choose users in the list first" in response.content.decode()


@pytest.mark.parametrize("missing", MAY_END_EVERYTHING)
def test_every_one_of_the_rights_is_needed(alice: User, missing: str) -> None:
    clerk = User.objects.create_user("clerk", is_staff=True)
    names = [name.split(".")[1] for name in MAY_END_EVERYTHING if name != missing]
    clerk.user_permissions.set(Permission.objects.filter(codename__in=names))

    assert signed_in(clerk).post("/admin/end-everything/", {"user": alice.pk}).status_code == 403
    assert not AuditEvent.objects.exists()


def test_a_superuser_s_is_ended_by_superusers_alone(ada: User) -> None:
    clerk = User.objects.create_user("clerk", is_staff=True)
    names = [name.split(".")[1] for name in MAY_END_EVERYTHING]
    clerk.user_permissions.set(Permission.objects.filter(codename__in=names))

    assert signed_in(clerk).post("/admin/end-everything/", {"user": ada.pk}).status_code == 403
    assert signed_in(clerk).post("/admin/end-everything/", {"user": clerk.pk}).status_code == 302


@pytest.mark.parametrize("page", ["end-everything", "whose"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_people_who_are_no_staff_get_to_the_door(client: Client, alice: User, page: str, method: str) -> None:
    for somebody in (client, signed_in(alice)):
        response = getattr(somebody, method)(f"/admin/{page}/", {"user": alice.pk, "value": "ek_1"})
        assert response.status_code == 302
        assert response["Location"].startswith("/admin/login/")
    assert not AuditEvent.objects.exists()
