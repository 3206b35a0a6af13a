"""An agent's greeting: said first, once, and to nobody who spoke already."""

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User

from agents.models import Agent, AgentVersion
from relay.acts import Reaction
from relay.conversation import Event
from relay.greeting import Greeting
from relay.models import Call
from relay.recorder import Past
from relay.supervisor import Supervisor
from relay.watch import Watch
from tests.engine.caller import Caller
from tests.relay.events import user_item
from tests.relay.socket_client import Relay, secret_of
from tests.relay.socket_upstream import SocketUpstream
from tests.relay.test_supervisor import live_call, looked_after, quick, supervisor
from tests.relay.test_watch import START, at

__all__ = ["quick", "supervisor"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("prices")]
GREETING = "Good day, this is the desk."


def greet(watch: Watch) -> list[Event]:
    return Greeting(watch).begin(at(1)).upstream


def a_watch(greeting: str = GREETING, **fields: object) -> Watch:
    return Watch(Call(pk=1, **fields), Past([], []), None, START, version=AgentVersion(greeting=greeting))


@pytest.fixture
def greeter(assistant: Agent) -> Agent:
    assistant.published = AgentVersion.objects.create(agent=assistant, instructions="x", greeting=GREETING)
    assistant.save()
    return assistant


def test_it_is_said_in_a_call_that_begins_and_once() -> None:
    act = Greeting(a_watch())

    (said,) = act.begin(at(1)).upstream
    assert GREETING in said["response"]["instructions"]
    assert act.begin(at(2)) == Reaction()


def test_without_one_people_begin() -> None:
    assert greet(a_watch(greeting="")) == []


def test_a_call_that_was_taken_over_or_goes_on_is_not_greeted() -> None:
    assert greet(a_watch(monitoring=Call.Monitoring.JOINED)) == []
    assert greet(a_watch(continues_id=7)) == []


def test_nobody_is_interrupted_by_it() -> None:
    spoke, answered = a_watch(), a_watch()
    spoke.take(user_item("item_1", "Hello"), at(1))
    answered.take({"type": "response.created", "response": {"id": "resp_1"}}, at(1))

    assert greet(spoke) == greet(answered) == []


def test_a_greeting_that_comes_too_late_is_left_out() -> None:
    watch = a_watch()
    watch.acts, watch.is_reachable = [Greeting(watch)], True
    (said,) = watch.begin(at(1)).upstream
    busy = {"code": "conversation_already_has_active_response", "event_id": said["event_id"]}

    assert watch.take({"type": "error", "error": busy}, at(2)).upstream == []
    assert watch.take({"type": "response.done", "response": {"id": "resp_1", "usage": {}}}, at(3)).upstream == []


async def test_it_is_said_on_a_socket(
    relay: Relay, alice: User, greeter: Agent, socket_upstream: SocketUpstream
) -> None:
    await relay.open(await secret_of(alice, greeter))

    assert GREETING in (await socket_upstream.was_told("response.create"))["response"]["instructions"]


async def test_it_is_said_by_the_sideband(
    caller: Caller, quick: None, supervisor: Supervisor, alice: User, greeter: Agent
) -> None:
    session = await sync_to_async(lambda: greeter.published.session_config())()  # type: ignore[union-attr]  # it has one
    await live_call(caller, alice, greeter, session=dict(session) | {"output_modalities": ["text"]})
    async with looked_after(supervisor):
        said = await caller.wait_for("response.output_text.done")

    assert said["text"] == GREETING
