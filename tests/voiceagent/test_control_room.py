"""The control room: who gets in, what a page begins with, and what its forms do."""

import hashlib
import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from agents.models import Agent, AgentVersion
from audit.models import AuditEvent
from relay.models import Call, CallCommand

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def call(alice: User, assistant: Agent) -> Call:
    """Alice's live call, which somebody looks after."""
    now = timezone.now()
    return Call.objects.create(
        user=alice, username="alice", upstream_id="rtc_1", request_id="r", state="live", agent="assistant",
        agent_version=assistant.published, requested_at=now, started_at=now, active_at=now, monitoring="joined",
        counted_picodollars=12_300 * 10**6, lease_owner="worker-1", transport="websocket",
    )  # fmt: skip


def path_of(call: Call) -> str:
    return f"/admin/live/{call.pk}/"


def text_of(client: Client, path: str) -> str:
    html = client.get(path).content.decode()
    return " ".join(re.sub(r"<[^>]*>", " ", html[html.index('id="content-main"') :]).split())


def do(client: Client, call: Call, action: str, text: str = "") -> str:
    """Send one of the forms, and return what the next page says."""
    page = client.post(path_of(call), {"action": action, "text": text}, follow=True).content.decode()
    found = re.search(r'<ul class="messagelist">(.*?)</ul>', page, re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", found[1]).split()) if found else ""


def test_item_88_a_live_call_is_listed_with_what_matters(adas_client: Client, call: Call) -> None:
    Call.objects.filter(pk=call.pk).update(muted=True)
    page = text_of(adas_client, "/admin/live/")

    assert "alice assistant Live Muted" in page
    assert "websocket $0.0123" in page
    assert f'href="{path_of(call)}"' in adas_client.get("/admin/live/").content.decode()


def test_what_is_over_is_not_listed(adas_client: Client, call: Call) -> None:
    Call.objects.update(state="ended", ended_at=timezone.now())

    assert "Nobody talks just now." in text_of(adas_client, "/admin/live/")
    page = text_of(adas_client, path_of(call))
    assert "The call is over." in page
    assert "Hang up" not in page


def test_item_88_hanging_up_wants_a_reason_and_is_on_record(adas_client: Client, ada: User, call: Call) -> None:
    assert "give a reason" in do(adas_client, call, "hang_up")
    assert do(adas_client, call, "hang_up", "Please call again tomorrow") == "The call has ended."

    call.refresh_from_db()
    assert (call.state, call.end_reason, call.end_detail) == ("ended", "administrator", "Please call again tomorrow")
    event = AuditEvent.objects.get(action="call.ended")
    assert (event.actor, event.code, event.target) == (f"user:{ada.pk}", "administrator", f"call:{call.pk}")
    assert event.facts["detail_sha256"] == hashlib.sha256(b"Please call again tomorrow").hexdigest()
    assert "does not go on" in do(adas_client, call, "hang_up", "Again")


@pytest.mark.parametrize(("action", "text"), [
    ("mute", ""), ("unmute", ""), ("say", "We close."), ("instructions", "Be long."), ("agent", "other"),
])  # fmt: skip
def test_item_88_a_form_steers_the_call(adas_client: Client, ada: User, call: Call, action: str, text: str) -> None:
    other = Agent.objects.create(slug="other", name="Other")
    other.published = AgentVersion.objects.create(agent=other, instructions="Be other.")
    other.save()
    assert do(adas_client, call, action, text)

    command = CallCommand.objects.get()
    assert (command.kind, command.text) == (action, text)
    event = AuditEvent.objects.get(action="call.commanded")
    assert (event.actor, event.code) == (f"user:{ada.pk}", action)


@pytest.mark.parametrize(("action", "text", "words"), [
    ("say", "", "Name a kind"), ("mute", "now", "Name a kind"), ("dance", "", "give a reason"),
    ("dance", "x", "give a reason"), ("instructions", "x" * 16_001, "Name a kind"), ("agent", "nobody", "assistant"),
])  # fmt: skip
def test_what_makes_no_sense_says_why(adas_client: Client, call: Call, action: str, text: str, words: str) -> None:
    assert words in do(adas_client, call, action, text)
    assert not CallCommand.objects.exists()


def test_a_call_out_of_reach_says_so(adas_client: Client, call: Call) -> None:
    Call.objects.update(monitoring="unmonitored")

    assert "can only be hung up" in do(adas_client, call, "mute")


def bob_with(*codenames: str) -> Client:
    bob = User.objects.create_user("bob", is_staff=True)
    bob.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(bob)
    return client


def test_staff_without_the_right_do_not_get_in(call: Call) -> None:
    client = bob_with()

    assert client.get("/admin/live/").status_code == 403
    assert client.get(path_of(call)).status_code == 403


def test_who_may_only_look_has_no_forms_and_no_way_to_do_it(call: Call) -> None:
    client = bob_with("view_call")
    page = text_of(client, f"{path_of(call)}?words")

    assert "alice" in page
    assert "Hang up" not in page
    assert "What is said" not in page
    assert client.post(path_of(call), {"action": "mute"}).status_code == 403
    assert not CallCommand.objects.exists()


def test_who_may_read_along_is_offered_to(call: Call) -> None:
    client = bob_with("view_call", "watch_call")

    assert "Read what is said" in text_of(client, path_of(call))
    page: Any = client.get(f"{path_of(call)}?words").content.decode()
    assert f'data-stream="/admin/live/stream?words={call.pk}"' in page
    assert not AuditEvent.objects.filter(action="call.watched").exists()  # not before words flow


def test_people_do_not_get_in(alices_client: Client, call: Call) -> None:
    assert alices_client.get("/admin/live/").status_code == 302
    assert alices_client.post(path_of(call), {"action": "mute"}).status_code == 302
