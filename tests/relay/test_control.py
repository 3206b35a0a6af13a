"""Steering live calls: who may want what, that it is on record, and that it happens."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from agents.models import Agent, AgentVersion
from audit.models import AuditEvent
from relay.acts import Reaction
from relay.handoffs import handoff_session
from relay.models import Call, CallCommand
from relay.recorder import Past, Standing
from relay.supervisor import Supervisor
from relay.watch import ANSWER_ID, BUSY, COMMAND_LIFE, LINE_ID, Watch
from tests.engine.caller import Caller
from tests.relay.test_charges import start
from tests.relay.test_supervisor import looked_after, quick, supervisor, until, until_call
from tests.relay.test_watch import GRANTED, START, at, session
from tokens.key_services import create_api_key
from tokens.models import Policy

__all__ = ["quick", "supervisor"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("prices")]


@pytest.fixture
def call(alice: User, assistant: Agent) -> Call:
    """Alice's live call, which somebody looks after."""
    call = start(alice, assistant)
    Call.objects.filter(pk=call.pk).update(upstream_id="rtc_1", monitoring="joined", lease_owner="worker-1")
    call.refresh_from_db()
    return call


def want(client: Client, kind: str, text: str = "", call_id: str = "rtc_1") -> Any:
    body = {"kind": kind, **({"text": text} if text else {})}
    return client.post(f"/api/calls/{call_id}/commands", body, content_type="application/json")


def test_an_owner_mutes_and_the_wish_is_on_record(alices_client: Client, alice: User, call: Call) -> None:
    answer = want(alices_client, "mute")

    call.refresh_from_db()
    assert (answer.status_code, answer.json()["state"], call.muted) == (202, "requested", True)
    event = AuditEvent.objects.get(action="call.commanded")
    assert (event.code, event.actor, event.target) == ("mute", f"user:{alice.pk}", f"call:{call.pk}")


@pytest.mark.parametrize("kind", ["say", "instructions"])
def test_what_the_agent_says_is_not_its_owner_s(alices_client: Client, call: Call, kind: str) -> None:
    assert want(alices_client, kind, "assistant").json()["code"] == "policy_denied"
    assert not CallCommand.objects.exists()


def test_who_may_bring_a_session_may_change_it(alices_client: Client, alice: User, call: Call) -> None:
    Policy.objects.create(user=alice, own_session=True)

    assert want(alices_client, "instructions", "Be long.").status_code == 202


def test_staff_steer_a_stranger_s_call(client: Client, ada: User, call: Call, assistant: Agent) -> None:
    other = Agent.objects.create(slug="other", name="Other")
    other.published = AgentVersion.objects.create(agent=other, instructions="Be other.")
    other.save()
    client.force_login(ada)

    for kind, text in (("say", "We close."), ("instructions", "Be long."), ("agent", "other")):
        assert want(client, kind, text).status_code == 202
    call.refresh_from_db()
    assert call.session_changes == handoff_session(other.published)
    assert AuditEvent.objects.filter(action="call.commanded").count() == 3
    assert client.post("/v1/realtime/calls/rtc_1/hangup").status_code == 200
    call.refresh_from_db()
    assert call.end_reason == "administrator"


def test_a_stranger_s_call_is_no_call(client: Client, charlie: User, call: Call) -> None:
    client.force_login(charlie)

    assert want(client, "mute").json()["code"] == "unknown_call"
    assert client.post("/v1/realtime/calls/rtc_1/hangup").status_code == 404


def test_a_key_of_staff_is_no_administrator(ada: User, call: Call) -> None:
    made = create_api_key(
        ada, name="k", scopes=["control"], days=1, allowed_networks=[], request_id="r", actor="user:1"
    )
    client = Client(headers={"Authorization": f"Bearer {made.value}"})

    assert want(client, "mute").json()["code"] == "unknown_call"


@pytest.mark.parametrize(("fields", "code"), [
    ({"state": "ended", "ended_at": START}, "call_not_live"), ({"monitoring": "unmonitored"}, "call_out_of_reach"),
    ({"monitoring": "not_yet"}, "call_out_of_reach"),
])  # fmt: skip
def test_a_call_that_nobody_can_steer_says_so(
    alices_client: Client, call: Call, fields: dict[str, Any], code: str
) -> None:
    Call.objects.filter(pk=call.pk).update(**fields)

    answer = want(alices_client, "mute")

    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert not CallCommand.objects.exists()


@pytest.mark.parametrize(("kind", "text"), [
    ("", ""), ("dance", ""), ("mute", "now"), ("say", ""), ("say", "  "), ("say", "x" * 16_001),
])  # fmt: skip
def test_a_wish_that_cannot_be_read_is_refused(client: Client, ada: User, call: Call, kind: str, text: str) -> None:
    client.force_login(ada)

    assert want(client, kind, text).json()["code"] == "invalid_request"


def test_an_agent_that_is_not_offered_is_refused(client: Client, ada: User, call: Call) -> None:
    client.force_login(ada)

    assert want(client, "agent", "nobody").json()["code"] == "unknown_agent"


def test_an_administrator_mutes_selected_calls_as_far_as_they_can_be_reached(
    client: Client, ada: User, alice: User, call: Call
) -> None:
    unseen = Call.objects.create(user=alice, upstream_id="rtc_2", request_id="r", state="live", requested_at=START)
    client.force_login(ada)

    for action in ("mute", "unmute"):
        chosen = {"action": action, "_selected_action": [call.pk, unseen.pk]}
        page = client.post("/admin/relay/call/", chosen, follow=True).content.decode()
        assert "1 of 2 calls were told." in page

    assert list(CallCommand.objects.values_list("call", "kind")) == [(call.pk, "mute"), (call.pk, "unmute")]
    assert set(AuditEvent.objects.filter(action="call.commanded").values_list("actor", flat=True)) == {f"user:{ada.pk}"}


# What the call's keeper does with a wish.


def told(watch: Watch, *commands: CallCommand, seconds: float = 2) -> list[dict[str, Any]]:
    """Let a watch find commands, and return what it sends."""
    watch.note_standing(Standing(True, 0, True, commands))
    return watch.obey(at(seconds)).upstream


def command(kind: str, pk: int = 1, **fields: Any) -> CallCommand:
    return CallCommand(pk=pk, kind=kind, requested_at=START, **fields)


@pytest.fixture
def watch() -> Watch:
    made = Watch(Call(pk=1, state="live", started_at=START), Past([], []), dict(GRANTED), START)
    made.note_joined(START)
    made.is_reachable = True
    turn_detection = {"type": "server_vad", "create_response": True, "interrupt_response": True}
    made.conversation.take(session("created", audio={"input": {"turn_detection": turn_detection}}), START)
    return made


def responding(watch: Watch, response_id: str, what: str = "created") -> None:
    watch.conversation.take({"type": f"response.{what}", "response": {"id": response_id, "usage": {}}}, at(3))


def test_muting_stops_what_is_said_and_what_would_be(watch: Watch) -> None:
    responding(watch, "resp_1")
    update, *stops = told(watch, command("mute"))

    assert update["session"]["audio"]["input"]["turn_detection"]["create_response"] is False
    assert [event["type"] for event in stops] == ["response.cancel", "output_audio_buffer.clear"]
    responding(watch, "resp_1", "done")
    responding(watch, "resp_2")
    assert [event["type"] for event in watch.follow_up().upstream] == ["response.cancel", "output_audio_buffer.clear"]
    assert watch.follow_up() == Reaction()


def test_a_command_is_carried_out_once_until_its_row_says_so(watch: Watch) -> None:
    assert told(watch, command("mute"))
    assert told(watch, command("mute")) == []
    assert watch.report().obeyed == {1: ""}
    told(watch)
    assert watch.report().obeyed == {}


def test_a_line_waits_for_the_assistant_to_stop_and_is_not_stopped_itself(watch: Watch) -> None:
    responding(watch, "resp_1")
    stops = told(watch, command("say", text='We "close" now.'))
    assert [event["type"] for event in stops] == ["response.cancel", "output_audio_buffer.clear"]
    responding(watch, "resp_1", "done")

    (line,) = watch.follow_up().upstream
    assert line["response"] == {
        "instructions": 'Say exactly this, word for word, and nothing else: "We \'close\' now."', "tools": [],
    }  # fmt: skip
    told(watch, command("mute", pk=2))
    responding(watch, "resp_2")
    assert watch.follow_up() == Reaction()
    responding(watch, "resp_2", "done")
    responding(watch, "resp_3")
    assert watch.follow_up().upstream


def begins(watch: Watch, response_id: str, conversation_id: str | None) -> list[dict[str, Any]]:
    response = {"id": response_id, "conversation_id": conversation_id}
    return watch.take({"type": "response.created", "response": response}, at(3)).upstream


def test_a_response_apart_from_the_conversation_is_stopped_too(watch: Watch) -> None:
    """A client asks for it with `"conversation": "none"`; the upstream stops it by its name alone."""
    begins(watch, "resp_1", "conv_1")
    begins(watch, "resp_2", None)
    stops = [event for event in told(watch, command("mute")) if event["type"] == "response.cancel"]
    assert [event["response_id"] for event in stops] == ["resp_1", "resp_2"]
    responding(watch, "resp_1", "done")
    responding(watch, "resp_2", "done")

    assert {"type": "response.cancel", "response_id": "resp_3"} in begins(watch, "resp_3", None)


def test_a_response_apart_from_the_conversation_is_no_line_of_ours(watch: Watch) -> None:
    begins(watch, "resp_1", "conv_1")
    responding(watch, "resp_1", "done")
    told(watch, command("say", text="We close now."))
    begins(watch, "resp_2", None)
    assert not watch.is_own_line("resp_2")
    begins(watch, "resp_3", "conv_1")

    assert watch.is_own_line("resp_3")


@pytest.mark.parametrize("event_id", [LINE_ID, ANSWER_ID])
def test_an_error_of_a_client_s_event_that_has_our_id_is_none_of_ours(watch: Watch, event_id: str) -> None:
    told(watch, command("say", text="We close now."))
    begins(watch, "resp_1", "conv_1")
    watch.take({"type": "response.done", "response": {"id": "resp_1", "usage": {}}}, at(4))
    error = {"type": "invalid_request_error", "code": BUSY, "event_id": event_id}

    assert watch.take({"type": "error", "error": error}, at(4)).upstream == []
    assert watch.take({"type": "response.done", "response": {"id": "resp_2", "usage": {}}}, at(4)).upstream == []


def test_changed_instructions_are_no_drift(watch: Watch) -> None:
    (update,) = told(watch, command("instructions", session={"instructions": "Be long."}))
    assert update == {"type": "session.update", "session": {"type": "realtime", "instructions": "Be long."}}

    watch.conversation.take(session(instructions="Be long."), at(3))
    assert (watch.repair(at(3)), watch.verdict(at(60))) == (None, None)


def test_without_a_sideband_a_command_waits_and_then_fails(watch: Watch) -> None:
    watch.is_reachable = False
    assert told(watch, command("mute")) == []
    assert watch.report().obeyed == {}
    late = COMMAND_LIFE + timedelta(seconds=1)
    told(watch, command("mute"), seconds=late.total_seconds())

    assert watch.report().obeyed == {1: "call_out_of_reach"}


def answers_by_itself(watch: Watch) -> object:
    return (watch.conversation.session or {})["audio"]["input"]["turn_detection"]["create_response"]


def test_who_may_speak_again_answers_as_before(watch: Watch) -> None:
    told(watch, command("mute"))
    assert answers_by_itself(watch) is False
    told(watch, command("unmute", pk=2))

    assert answers_by_itself(watch) is True


def test_a_rule_that_holds_words_back_outlasts_a_mute(watch: Watch) -> None:
    watch.settle(watch.hold_back(True))
    assert answers_by_itself(watch) is False
    told(watch, command("mute"))
    assert told(watch, command("unmute", pk=2)) == []
    watch.settle(watch.hold_back(False))

    assert answers_by_itself(watch) is True


def test_a_mute_outlasts_a_rule_that_held_words_back(watch: Watch) -> None:
    watch.settle(watch.hold_back(True))
    told(watch, command("mute"))
    assert watch.settle(watch.hold_back(False)).upstream == []
    told(watch, command("unmute", pk=2))

    assert answers_by_itself(watch) is True


def test_a_client_that_asks_for_its_answers_itself_goes_on_doing_so(watch: Watch) -> None:
    turns = {"type": "server_vad", "create_response": False}
    watch.take(session(audio={"input": {"turn_detection": turns}}), at(1))
    told(watch, command("mute"))
    told(watch, command("unmute", pk=2))

    assert answers_by_itself(watch) is False


def test_a_client_cannot_have_a_muted_assistant_answer(watch: Watch) -> None:
    told(watch, command("mute"))
    turns = {"type": "semantic_vad", "create_response": True}
    (update,) = watch.take(session(audio={"input": {"turn_detection": turns}}), at(3)).upstream

    assert update["session"]["audio"]["input"]["turn_detection"] == turns | {"create_response": False}


def test_who_takes_a_muted_call_over_lets_it_answer_again(watch: Watch) -> None:
    call = Call(pk=1, state="live", started_at=START, muted=True, monitoring="joined")
    taken = Watch(call, Past([], []), None, START, is_reachable=True)
    taken.take(session("created", audio={"input": {"turn_detection": {"create_response": False}}}), at(1))
    told(taken, command("unmute"))

    assert answers_by_itself(taken) is True


def test_two_wishes_of_one_round_are_both_sent(watch: Watch, assistant: Agent) -> None:
    """A mute and another agent change different fields of the same part of the session."""
    wishes = command("mute"), command("agent", pk=2, agent_version=assistant.published)
    updates = [event["session"] for event in told(watch, *wishes) if event["type"] == "session.update"]

    heard = updates[0]["audio"]["input"]
    assert (heard["turn_detection"]["create_response"], "transcription" in heard) == (False, True)


async def test_a_supervisor_carries_wishes_out_in_a_live_call(
    caller: Caller, quick: None, supervisor: Supervisor, alice: User, assistant: Agent
) -> None:
    await caller.dial({"output_modalities": ["text"]})
    now = timezone.now()
    call = await Call.objects.acreate(
        upstream_id=caller.call_id, user=alice, request_id="r", state="live", requested_at=now, started_at=now
    )
    async with looked_after(supervisor):
        await until_call(monitoring="joined")
        await CallCommand.objects.acreate(call=call, kind="say", text="We close in ten minutes.", requested_at=now)
        said = await caller.wait_for("response.done")
        await CallCommand.objects.acreate(call=call, kind="mute", requested_at=now)
        await until(lambda: not CallCommand.objects.filter(done_at=None).exists())
        await caller.wait_for("session.updated")
        caller.send("response.create")
        stopped = await caller.wait_for(
            "response.done", 0, lambda event: event["response"]["id"] != said["response"]["id"]
        )

    assert said["response"]["output"][0]["content"][0]["text"] == "We close in ten minutes."
    assert stopped["response"]["status"] in ("cancelled", "completed")
    assert [command.error_code async for command in CallCommand.objects.all()] == ["", ""]
