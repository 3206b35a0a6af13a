"""Sidebands: `WS /v1/realtime?call_id=…` joins a live call."""

from aiohttp import ClientSession

from engine.faults import Faults
from tests.engine.caller import Caller
from tests.engine.official_events import validate
from tests.engine.socket_client import SocketClients, refused_with


async def test_a_sideband_is_greeted_with_the_session_as_it_is(caller: Caller, sockets: SocketClients) -> None:
    await caller.dial()
    caller.send("session.update", session={"type": "realtime", "instructions": "Be brief."})
    await caller.wait_for("session.updated")

    sideband = await sockets.connect(f"call_id={caller.call_id}")

    session = (await sideband.wait_for("session.created"))["session"]
    assert (session["instructions"], session["id"]) == ("Be brief.", caller.events[0]["session"]["id"])
    assert caller.types().count("session.created") == 1


async def test_both_sides_see_what_either_asks_for(caller: Caller, sockets: SocketClients) -> None:
    await caller.dial()
    sideband = await sockets.connect(f"call_id={caller.call_id}")
    await sideband.wait_for("session.created")

    await sideband.say_text("What is two plus three?")
    await sideband.send("response.create")
    await caller.wait_for("response.done")
    await sideband.wait_for("response.done")
    caller.say_text("And what time is it?")
    for side in (caller, sideband):
        await side.wait_for("conversation.item.done", where=lambda event: "time" in str(event["item"]))

    for event in sideband.events:
        validate(event)
    seen, theirs = ([event["event_id"] for event in side.events[1:]] for side in (sideband, caller))
    count = min(len(seen), len(theirs))
    assert seen[:count] == theirs[:count]
    assert "response.output_audio.delta" not in sideband.types()


async def test_a_sideband_can_silence_the_assistant(caller: Caller, sockets: SocketClients) -> None:
    await caller.dial()
    sideband = await sockets.connect(f"call_id={caller.call_id}")
    caller.say_text("Tell me a story")
    caller.send("response.create")
    await caller.wait_for("output_audio_buffer.started")

    await sideband.send("response.cancel")
    await sideband.send("output_audio_buffer.clear")

    done = await caller.wait_for("response.done")
    assert done["response"]["status_details"]["reason"] == "client_cancelled"


async def test_what_is_wrong_with_an_event_is_told_to_its_sender_only(caller: Caller, sockets: SocketClients) -> None:
    await caller.dial()
    sideband = await sockets.connect(f"call_id={caller.call_id}")

    await sideband.send("response.cancel", event_id="mine")
    error = await sideband.wait_for("error")
    caller.send("no.such.event", event_id="theirs")
    caller.send("session.update", session={"type": "realtime"})
    for side in (caller, sideband):
        await side.wait_for("session.updated")

    assert error["error"]["event_id"] == "mine"
    told = [[event["error"]["event_id"] for event in side.events if event["type"] == "error"]
            for side in (caller, sideband)]  # fmt: skip
    assert told == [["theirs"], ["mine"]]


async def test_a_sideband_ends_with_its_call_and_the_call_goes_on_without_it(
    caller: Caller, sockets: SocketClients
) -> None:
    await caller.dial()
    first = await sockets.connect(f"call_id={caller.call_id}")
    await first.wait_for("session.created")
    await first.socket.close()
    second = await sockets.connect(f"call_id={caller.call_id}")
    await second.wait_for("session.created")

    await hang_up(caller)

    assert await second.wait_closed() == 1000


async def test_a_sideband_needs_the_standard_key_and_a_live_call(caller: Caller, sockets: SocketClients) -> None:
    await caller.dial()
    secret = await caller._mint(sockets._http, None)

    for key, call_id, status in (
        (secret, caller.call_id, 404), ("sk-test", "rtc_unknown", 404), ("sk-wrong", caller.call_id, 401),
    ):  # fmt: skip
        with refused_with(status):
            await sockets.connect(f"call_id={call_id}", key=key)


async def test_a_sideband_can_be_refused_for_a_while_on_purpose(
    caller: Caller, sockets: SocketClients, faults: Faults
) -> None:
    await caller.dial()
    faults.set({"sideband_status": 404, "sideband_refusals": 2})

    for _ in range(2):
        with refused_with(404):
            await sockets.connect(f"call_id={caller.call_id}")

    assert await (await sockets.connect(f"call_id={caller.call_id}")).wait_for("session.created")


async def test_a_sideband_can_be_cut_on_purpose(caller: Caller, sockets: SocketClients, faults: Faults) -> None:
    await caller.dial()
    faults.sideband_cut_ms = 50

    sideband = await sockets.connect(f"call_id={caller.call_id}")

    assert await sideband.wait_closed() == 1006
    assert caller.channel.readyState == "open"


async def test_a_sideband_can_say_nothing_on_purpose(caller: Caller, sockets: SocketClients, faults: Faults) -> None:
    await caller.dial()
    faults.sideband_mute = True
    sideband = await sockets.connect(f"call_id={caller.call_id}")

    await hang_up(caller)

    assert (await sideband.wait_closed(), sideband.events) == (1000, [])


async def test_a_sideband_can_outlive_its_call_on_purpose(
    caller: Caller, sockets: SocketClients, faults: Faults
) -> None:
    await caller.dial()
    faults.sideband_outlives = True
    sideband = await sockets.connect(f"call_id={caller.call_id}")
    await sideband.wait_for("session.created")

    await hang_up(caller)
    await sideband.say_text("Hello")

    assert sideband.close_code is None
    assert "conversation.item.added" not in sideband.types()


async def hang_up(caller: Caller) -> None:
    url = f"{caller.base_url}/v1/realtime/calls/{caller.call_id}/hangup"
    async with ClientSession(headers={"Authorization": "Bearer sk-test"}) as http, http.post(url) as answer:
        assert answer.status == 200
