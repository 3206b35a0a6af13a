"""Handoffs of one live call: what its model asks for is checked and carried out on the server, on either transport."""

import json
from datetime import datetime
from typing import Any, Final

from channels.db import database_sync_to_async

from agents.handoffs import PREFIX
from realtime_api.client_events import RefusedClientEvent
from realtime_api.errors import CodedError
from relay.acts import Act, Reaction, Work
from relay.conversation import Event
from relay.handoffs import By, hand_over, handoff_session, output_event, output_of
from relay.watch import Watch

IN_A_ROW: Final = 3  # without a word by the person
DEADLINE_S: Final = 10.0
BY_PERSON: Final = frozenset({"input_audio_buffer.speech_stopped", "input_audio_buffer.committed"})


class Handoffs(Act):
    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._asked: set[str] = set()
        self._announced: set[str] = set()  # known to a socket's client before they are whole
        self._in_a_row = 0
        self._is_taken_over = watch.is_taken_over

    def begin(self, now: datetime) -> Reaction:
        """Say once more what the agent brought along: the process before may have died between the row and that."""
        version, is_taken_over = self._watch.version, self._is_taken_over
        self._is_taken_over = False
        if not is_taken_over or version is None or version.pk == self._watch.call.agent_version_id:
            return Reaction()
        return Reaction(session=handoff_session(version))

    def take(self, event: Event, now: datetime) -> Reaction:
        kind, item = event["type"], event.get("item") or {}
        if kind in BY_PERSON or (kind == "conversation.item.added" and item.get("role") == "user"):
            self._in_a_row = 0
        if kind == "response.output_item.added" and self._is_handoff(item):
            self._announced.add(item["call_id"])
        if kind != "response.output_item.done" or not self._is_asked_for(item):
            return Reaction()
        self._asked.add(item["call_id"])
        self._in_a_row += 1
        slug, is_too_often = item["name"].removeprefix(PREFIX), self._in_a_row > IN_A_ROW
        return Reaction(works=[Work(lambda: self._hand_over(item["call_id"], slug, is_too_often), DEADLINE_S)])

    def check_client(self, event: Event) -> None:
        item = event.get("item") or {}
        if item.get("type") == "function_call_output" and item.get("call_id") in self._asked | self._announced:
            message = "'item' answers what the server does."
            raise RefusedClientEvent("event_not_allowed", message, param="item.type", event_id=event.get("event_id"))

    def _is_asked_for(self, item: dict[str, Any]) -> bool:  # Any: an item as it came
        return self._is_handoff(item) and item.get("status") == "completed" and item["call_id"] not in self._asked

    def _is_handoff(self, item: dict[str, Any]) -> bool:  # Any: an item as it came
        name = str(item.get("name"))
        return item.get("type") == "function_call" and name.startswith(PREFIX) and name in self._watch.tools

    async def _hand_over(self, tool_call_id: str, slug: str, is_too_often: bool) -> Reaction:
        try:
            version = await database_sync_to_async(hand_over)(
                self._watch.call.pk, slug, by=By.MODEL, is_too_often=is_too_often
            )
        except CodedError as exc:
            refusal = json.dumps({"error": True, "message": exc.message, "status": exc.status})
            return Reaction([output_event(tool_call_id, refusal)], answer=not is_too_often)
        told = [output_event(tool_call_id, output_of(version))]
        return Reaction(told, session=handoff_session(version), version=version, answer=True)
