"""The tools of one live call: run on the server when its model asks, and answered by it, over either transport."""

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from functools import partial
from typing import Any, Final

from realtime_api.client_events import RefusedClientEvent
from realtime_api.errors import CodedError
from relay.acts import Act, Reaction, Work
from relay.conversation import Event
from relay.handoffs import hand_over, handed_over, output_event
from relay.models import Handoff
from relay.watch import Watch
from tools import running, services
from tools.database import in_database
from tools.exceptions import ToolOutcomeUnknown
from tools.models import LONGEST_S, ToolCall
from tools.registry import find_tool
from tools.running import Outcome, failure
from tools.services import APPROVAL_S, MAX_A_CALL, Run, Wanted

IN_A_ROW: Final = 8  # without a word by the person: a model that asks for itself goes on for ever
DECIDED_EVERY_S: Final = 0.4
GRACE_S: Final = 30.0  # for the database
BY_PERSON: Final = frozenset({"input_audio_buffer.speech_stopped", "input_audio_buffer.committed"})

_beyond: set[asyncio.Task[Any]] = set()  # Any: of whatever they return


class LiveTools(Act):
    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._ours: set[str] = set()  # ids of the tools' calls that the server answers
        self._announced: set[str] = set()  # of those that will be, known to a socket's client before they are whole
        self._at_work = 0
        self._in_a_row = 0
        self._may_have_past = watch.is_taken_over

    def begin(self, now: datetime) -> Reaction:
        """Take over what a process that died had in hand. What this one has in hand goes on by itself."""
        if not self._may_have_past:
            return Reaction()
        self._may_have_past = False
        return Reaction(works=[Work(lambda: self._resume(now), GRACE_S)])

    def take(self, event: Event, now: datetime) -> Reaction:
        kind, item = event["type"], event.get("item") or {}
        if kind in BY_PERSON or (kind == "conversation.item.added" and item.get("role") == "user"):
            self._in_a_row = 0
        if kind == "conversation.item.added" and self._is_forged(item):
            return self._undo(item)
        if kind == "response.output_item.added" and item.get("type") == "function_call" and self._is_ours(item):
            self._announced.add(item["call_id"])
        is_call = kind == "response.output_item.done" and item.get("type") == "function_call"
        if not is_call or item.get("status") != "completed" or not self._is_ours(item):
            return Reaction()
        return self._run_it(item)

    def check_client(self, event: Event) -> None:
        item = event.get("item") or {}
        if self._is_answer_to_ours(item):
            message = "'item' answers a tool that the server runs."
            raise RefusedClientEvent("event_not_allowed", message, param="item.type", event_id=event.get("event_id"))

    def _is_forged(self, item: Event) -> bool:
        """Tell whether an item answers a tool in the server's place; over WebRTC nobody can refuse it."""
        return self._is_answer_to_ours(item) and not self._watch.adds_own_item

    def _is_answer_to_ours(self, item: Event) -> bool:
        return item.get("type") == "function_call_output" and item.get("call_id") in self._ours | self._announced

    def _undo(self, item: Event) -> Reaction:
        """Take a forged answer out of the model's memory, and put it on record."""
        record = partial(in_database, services.note_forged, self._watch.call.pk, item["call_id"])
        return Reaction([{"type": "conversation.item.delete", "item_id": item["id"]}], works=[Work(record, GRACE_S)])

    def _is_ours(self, item: Event) -> bool:
        """Tell whether the server answers: its own tools, and names that nobody has. The rest is others'."""
        name, live = item["name"], self._watch.conversation.session or {}
        if find_tool(name) is not None:
            return True
        of_client = {tool.get("name") for tool in live.get("tools") or ()}
        return name not in self._watch.tools and name not in of_client

    def _run_it(self, item: Event) -> Reaction:
        if item["call_id"] in self._ours:
            return Reaction()
        self._ours.add(item["call_id"])
        self._in_a_row += 1
        self._at_work += 1
        wanted = Wanted(
            self._watch.call.pk, item["call_id"], item["name"], str(item["arguments"]),
            is_allowed=item["name"] in self._watch.tools,
            is_too_often=self._in_a_row > IN_A_ROW or len(self._ours) > MAX_A_CALL,
        )  # fmt: skip
        return Reaction(works=[Work(lambda: _to_its_end(self._do(wanted)), LONGEST_S + APPROVAL_S + GRACE_S)])

    async def _do(self, wanted: Wanted) -> Reaction | None:
        try:
            run = await in_database(services.begin, wanted)
            if run is None:
                return None
            outcome = run.refusal or await self._outcome_of(run)
        finally:
            self._at_work -= 1
        if not outcome.hand_over_to:
            return self._told(wanted.tool_call_id, outcome, is_last=wanted.is_too_often)
        return await self._handed_over(wanted.tool_call_id, outcome)

    async def _handed_over(self, tool_call_id: str, outcome: Outcome) -> Reaction:
        """Give the call to another agent, as a tool wants; where that cannot be, it stays, and its model is told."""
        try:
            version = await in_database(hand_over, self._watch.call.pk, outcome.hand_over_to, by=Handoff.By.CODE)
        except CodedError as exc:
            return self._told(tool_call_id, running.not_handed_over(outcome, exc))
        told = self._told(tool_call_id, outcome)
        told.add(handed_over(version))
        return told

    async def _outcome_of(self, run: Run) -> Outcome:
        assert run.tool is not None
        assert run.context is not None
        while run.row.state == ToolCall.State.WAITING:
            if refused := await in_database(services.verdict, run.row):
                await in_database(services.end, run.row, refused)
                return refused
            if run.row.state == ToolCall.State.WAITING:
                await asyncio.sleep(DECIDED_EVERY_S)
        outcome = await running.run(run.tool, run.context, dict(run.arguments or {}), run.timeout_s)
        is_first = await in_database(services.end, run.row, outcome)
        return outcome if is_first else failure(ToolOutcomeUnknown())

    async def _resume(self, before: datetime) -> Reaction:
        rows = await in_database(services.take_over, self._watch.call.pk, before)
        told = Reaction()
        for row, outcome in rows:
            self._ours.add(row.tool_call_id)
            told.add(self._told(row.tool_call_id, outcome))
        return told

    def _told(self, tool_call_id: str, outcome: Outcome, *, is_last: bool = False) -> Reaction:
        """Return what tells the model. It answers when the last of its tools is done; after too many, without any."""
        return Reaction([output_event(tool_call_id, outcome.output)], answer=not self._at_work, without_tools=is_last)


async def _to_its_end(work: Coroutine[Any, Any, Reaction | None]) -> Reaction | None:  # Any: the event loop's own
    """Let a tool come to its end, and onto the record, even if its call ends meanwhile."""
    task = asyncio.create_task(work)
    _beyond.add(task)
    task.add_done_callback(_beyond.discard)
    return await asyncio.shield(task)
