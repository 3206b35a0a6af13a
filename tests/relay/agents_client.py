"""The official agents SDK for Python, over WebSocket through the relay. Knows nothing of this project.

`python agents_client.py SNIPPET…` in the environment .tools/clients. Runs the documentation's snippets as they stand,
then holds a conversation with the last one's agent: a tool call, and an answer that is spoken over. Prints one line of
JSON about it. `agents` is the SDK here, not our app, so this file is left out of the types' check.
"""

import asyncio
import json
import sys
from pathlib import Path

from agents.realtime import RealtimeRunner

from agents import set_tracing_disabled

TIMEOUT_S = 60
# Long enough to be cut short.
LONG = "Say: " + "The library is open from nine to five. " * 12
CHUNK_BYTES, SILENCE_BYTES = 4_800, 48_000  # 0.1 and 1 s of 24 kHz PCM16


def raw_event_of(event) -> dict:
    """Return the server event behind one of the session's, empty for the session's own."""
    is_raw = event.type == "raw_model_event" and event.data.type == "raw_server_event"
    return event.data.data if is_raw else {}


async def read_until(events, is_wanted, seen) -> None:
    """Read up to an event; keeps tools' outputs, errors, sound and interruptions on the way."""
    async with asyncio.timeout(TIMEOUT_S):
        async for event in events:
            if event.type == "tool_end":
                seen["tools"].append(event.output)
            elif event.type == "error":
                seen["errors"].append(str(event.error))
            elif event.type == "audio":
                seen["sound"] += event.audio.data
            elif event.type == "audio_interrupted":
                seen["interrupted"] += 1
            if is_wanted(event):
                return


def is_sound(event) -> bool:
    return event.type == "audio"


def is_told(event) -> bool:
    """Whether an answer was said to its end. One that only calls the tool says nothing."""
    raw = raw_event_of(event)
    if raw.get("type") != "response.done" or raw["response"]["status"] != "completed":
        return False
    return raw["response"]["output"][0]["type"] == "message"


def is_cut_short(event) -> bool:
    return raw_event_of(event).get("type") == "conversation.item.truncated"


async def converse(agent, place) -> dict:
    seen = {"tools": [], "errors": [], "interrupted": 0, "sound": b""}
    async with await RealtimeRunner(agent).run(model_config=place) as session:
        events = aiter(session)
        await session.send_message("Find the book Dune")
        await read_until(events, is_told, seen)
        speech = seen["sound"] + bytes(SILENCE_BYTES)  # what was heard is said back
        await session.send_message(LONG)
        await read_until(events, is_sound, seen)
        for at in range(0, len(speech), CHUNK_BYTES):
            await session.send_audio(speech[at : at + CHUNK_BYTES])
        await read_until(events, is_cut_short, seen)
        await read_until(events, is_told, seen)  # what answers the interruption
    return seen | {"sound": len(speech)}


def main() -> None:
    set_tracing_disabled(True)  # it would tell the vendor
    names: dict = {}
    for path in sys.argv[1:]:
        exec(compile(Path(path).read_text(), path, "exec"), names)  # holds a conversation and prints
    print(json.dumps(asyncio.run(converse(names["agent"], names["place"]))))


if __name__ == "__main__":
    main()
