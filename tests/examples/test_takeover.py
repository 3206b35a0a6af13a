"""A worker that dies with a tool in hand: another tells the model so, and runs nothing."""

import json

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.management import call_command

from agents.models import Agent
from examples.booking.models import Booking
from tests.engine.caller import Caller
from tests.engine.conftest import base_url, caller, faults, speech
from tests.relay.test_supervisor import ask, until, until_call
from tests.relay.test_takeover import Start, start_worker
from tests.tools.test_sideband_tools import live_call
from tools.models import Tool, ToolCall

__all__ = ["base_url", "caller", "faults", "speech", "start_worker"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]


async def test_what_waited_in_a_killed_worker_is_not_done(caller: Caller, alice: User, start_worker: Start) -> None:
    await sync_to_async(call_command)("booking_agent")
    await Tool.objects.aupdate_or_create(name="create_booking", defaults={"approval": "person"})
    await live_call(caller, alice, await Agent.objects.select_related("published").aget(slug="booking"))
    first = start_worker()
    await until_call(monitoring="joined")
    await caller.wait_for("response.done")  # the greeting
    await ask(caller, "Book Monday at ten, my name is Ann, my number is 5551234")
    await ask(caller, "Yes.")
    await until(lambda: ToolCall.objects.filter(state="waiting").exists())

    first.kill()
    start_worker()
    told = await caller.wait_for(
        "conversation.item.added", 0, lambda event: event["item"]["type"] == "function_call_output"
    )

    assert json.loads(told["item"]["output"])["message"].endswith("it was not done.")
    row = await ToolCall.objects.aget()
    assert (row.state, row.name) == ("refused", "create_booking")
    assert not await Booking.objects.aexists()
