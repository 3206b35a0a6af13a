"""Server events put into a live call as if the upstream had sent them, so that what follows on the page is exact."""

import itertools
from typing import Any

from playwright.sync_api import Page

_numbers = itertools.count(1)
Event = dict[str, Any]  # Any: an event of the protocol


def receive(voice: Page, *events: Event) -> None:
    """Have the page's newest data channel deliver events, in order."""
    voice.evaluate(
        "(events) => events.forEach((event) => spiedChannels.at(-1)"
        ".dispatchEvent(new MessageEvent('message', { data: JSON.stringify(event) })))",
        [{"event_id": f"event_scripted_{next(_numbers)}", **event} for event in events],
    )


def typed(item_id: str, previous: str | None, text: str) -> Event:
    """Return the event that adds a typed turn of the person's."""
    content = [{"type": "input_text", "text": text}]
    return added(
        {"id": item_id, "type": "message", "role": "user", "status": "completed", "content": content}, previous
    )


def answered(item_id: str, previous: str | None, text: str) -> Event:
    """Return the event that adds a finished turn of the assistant's."""
    content = [{"type": "output_audio", "transcript": text}]
    item = {"id": item_id, "type": "message", "role": "assistant", "status": "completed", "content": content}
    return added(item, previous)


def added(item: dict[str, Any], previous: str | None) -> Event:
    return {"type": "conversation.item.added", "previous_item_id": previous, "item": item}


def exchanges(count: int, *, words: str = "Words that take some room") -> list[Event]:
    """Return a conversation of so many turns, question and answer in turn."""
    events: list[Event] = []
    for number in range(count):
        previous = f"item_{number - 1}" if number else None
        make = answered if number % 2 else typed
        events.append(make(f"item_{number}", previous, f"{words} {number}"))
    return events
