"""Parts that act on a live call: what they want is done over both transports, and one that fails harms no call."""

from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from agents.models import Agent
from realtime_api.client_events import RefusedClientEvent
from relay import acts
from relay.acts import Act, Reaction, Work
from relay.conversation import Event
from relay.models import Call, CallCommand
from relay.recorder import Past
from relay.supervisor import Supervisor
from relay.watch import ANSWER_ID, Watch
from tests.engine.caller import Caller
from tests.relay.socket_client import Relay, Socket, secret_of
from tests.relay.socket_upstream import SocketUpstream
from tests.relay.test_control import responding, told, watch
from tests.relay.test_supervisor import live_call, looked_after, quick, supervisor, until, until_call
from tests.relay.test_watch import START, at

__all__ = ["quick", "supervisor", "watch"]
pytestmark = pytest.mark.django_db(transaction=True)
BUSY = {"code": "conversation_already_has_active_response", "event_id": ANSWER_ID}
OUTPUT: Event = {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "call_1"}}


class Probe(Act):
    """Answers `ask` events late, hides `hide` events and sound after `hush`, and fails at `fail` events."""

    def __init__(self, watch: Watch) -> None:
        self.is_hushed = False

    def begin(self, now: datetime) -> Reaction:
        return Reaction([{"type": "input_audio_buffer.clear", "event_id": "begun"}])

    def take(self, event: Event, now: datetime) -> Reaction:
        kind = event["type"]
        if kind == "test.fail":
            raise LookupError(kind)
        self.is_hushed |= kind == "test.hush"
        return Reaction(
            withheld=kind == "test.hide",
            client=[{"type": "test.instead"}] if kind == "test.hide" else [],
            works=[Work(self._look_up, 5)] if _asks(event) else [],
        )

    async def _look_up(self) -> Reaction:
        return Reaction([OUTPUT], answer=True)

    def lets_sound_through(self, text: str) -> bool:
        return not self.is_hushed

    def check_client(self, event: Event) -> None:
        if event["type"] == "response.cancel":
            raise RefusedClientEvent("event_not_allowed", "Not now.", param="type", event_id=event.get("event_id"))


def _asks(event: Event) -> bool:
    is_typed = event["type"] == "conversation.item.done" and event["item"].get("role") == "user"
    return bool(event["type"] == "test.ask" or is_typed)


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acts, "_makers", [Probe])


@pytest.fixture
async def socket(probe: None, relay: Relay, alice: User, assistant: Agent) -> Socket:
    opened = await relay.open(await secret_of(alice, assistant))
    await opened.read("session.created")
    return opened


async def test_slow_work_is_sent_up_a_socket_and_answered(socket: Socket, socket_upstream: SocketUpstream) -> None:
    await socket_upstream.say({"type": "test.ask"})

    assert await socket_upstream.was_told("response.create") == {"type": "response.create", "event_id": ANSWER_ID}
    assert socket_upstream.told[1:] == [
        {"type": "input_audio_buffer.clear", "event_id": "begun"}, OUTPUT, socket_upstream.told[-1],
    ]  # fmt: skip


async def test_an_event_and_sound_are_kept_from_the_client(socket: Socket, socket_upstream: SocketUpstream) -> None:
    for kind in ("test.hide", "test.hush", "response.output_audio.delta", "test.end"):
        await socket_upstream.say({"type": kind})

    kinds = [(await socket.ws.receive_json())["type"] for _ in range(3)]
    assert kinds == ["test.instead", "test.hush", "test.end"]


async def test_what_a_part_refuses_does_not_reach_the_upstream(socket: Socket, socket_upstream: SocketUpstream) -> None:
    await socket.say(type="response.cancel", event_id="mine")

    error = (await socket.read("error"))["error"]
    assert (error["code"], error["event_id"]) == ("event_not_allowed", "mine")
    await socket.say(type="response.create")
    await socket_upstream.was_told("response.create")
    assert "response.cancel" not in socket_upstream.kinds()


async def test_a_part_that_fails_does_not_end_the_call(
    socket: Socket, socket_upstream: SocketUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    await socket_upstream.say({"type": "test.fail"})

    assert await socket.read("test.fail")
    assert "part=Probe" in caplog.text


async def test_commands_are_carried_out_on_a_socket(
    relay: Relay, alice: User, assistant: Agent, socket_upstream: SocketUpstream
) -> None:
    socket = await relay.open(await secret_of(alice, assistant))
    await socket.read("session.created")
    await socket_upstream.say({"type": "response.created", "response": {"id": "resp_9"}})
    call = await until_call(monitoring="joined")
    for kind, text, session in (("say", "We close.", {}), ("instructions", "x", {"instructions": "Be long."})):
        await CallCommand.objects.acreate(call=call, kind=kind, text=text, session=session, requested_at=timezone.now())

    cleared = await socket.read("output_audio_buffer.cleared")
    await socket_upstream.was_told("response.cancel")
    assert cleared["response_id"] == "resp_9"
    await socket_upstream.say({"type": "response.done", "response": {"id": "resp_9", "usage": {}}})
    line = await socket_upstream.was_told("response.create")
    assert "We close." in line["response"]["instructions"]
    assert socket_upstream.told[1]["session"] == {"type": "realtime", "instructions": "Be long."}
    await until(lambda: not CallCommand.objects.filter(done_at=None).exists())


async def test_slow_work_reaches_a_call_by_its_sideband(
    probe: None, caller: Caller, quick: None, supervisor: Supervisor, alice: User, assistant: Agent
) -> None:
    await live_call(caller, alice, assistant)
    async with looked_after(supervisor):
        await until_call(monitoring="joined")
        caller.say_text("Hello")
        answered = await caller.wait_for("response.done")

    assert answered["response"]["status"] == "completed"


# When an answer, or a line, is due.


def due(watch: Watch, **wishes: Any) -> list[Event]:
    return watch.settle(Reaction(**wishes)).upstream


def test_an_answer_waits_until_nothing_else_is_said_and_is_asked_for_once(watch: Watch) -> None:
    responding(watch, "resp_1")
    assert due(watch, answer=True) == due(watch, answer=True) == []

    over = watch.take({"type": "response.done", "response": {"id": "resp_1", "usage": {}}}, at(4))
    assert over.upstream == [{"type": "response.create", "event_id": ANSWER_ID}]
    assert watch.follow_up() == Reaction()


def test_an_answer_that_came_too_late_is_asked_for_after_the_other(watch: Watch) -> None:
    assert due(watch, answer=True)

    assert watch.take({"type": "error", "error": BUSY}, at(4)).upstream == []
    over = watch.take({"type": "response.done", "response": {"id": "resp_unseen", "usage": {}}}, at(5))
    assert [event["event_id"] for event in over.upstream] == [ANSWER_ID]


def test_a_line_that_came_too_late_stops_the_other_and_is_said_then(watch: Watch) -> None:
    (line,) = due(watch, say=["We close."])

    stops = watch.take({"type": "error", "error": BUSY | {"event_id": line["event_id"]}}, at(4)).upstream
    assert [event["type"] for event in stops] == ["response.cancel", "output_audio_buffer.clear"]
    over = watch.take({"type": "response.done", "response": {"id": "resp_unseen", "usage": {}}}, at(5))
    assert over.upstream == [line]


def test_a_muted_assistant_answers_when_it_may_speak_again(watch: Watch) -> None:
    told(watch, CallCommand(pk=1, kind="mute", requested_at=START))
    assert due(watch, answer=True) == []

    assert told(watch, CallCommand(pk=2, kind="unmute", requested_at=START))[-1]["type"] == "response.create"


def test_what_a_part_changes_of_the_session_is_no_drift(watch: Watch) -> None:
    tool = {"type": "function", "name": "find_book"}
    (update,) = due(watch, session={"tools": [tool]})

    assert update == {"type": "session.update", "session": {"type": "realtime", "tools": [tool]}}
    assert watch.repair(at(3)) is None
    assert watch.tools == {"find_book"}


def test_what_is_said_is_stopped_as_its_transport_has_it() -> None:
    for transport, upstream, client in (
        (Call.Transport.WEBRTC, ["response.cancel", "output_audio_buffer.clear"], []),
        (Call.Transport.WEBSOCKET, ["response.cancel"], ["output_audio_buffer.cleared"]),
    ):
        watch = Watch(Call(pk=1, transport=transport, started_at=START), Past([], []), None, START)
        responding(watch, "resp_1")
        reaction = watch.settle(Reaction(stop=True))
        assert [event["type"] for event in reaction.upstream] == upstream
        assert [event["type"] for event in reaction.client] == client
