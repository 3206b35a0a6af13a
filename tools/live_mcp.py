"""The MCP servers of one live call: what is asked of them goes on record, and is approved by whom policy names.

The voice service asks the servers itself. Who may be asked at all is checked with the session.
"""

import asyncio
import secrets
from collections.abc import Callable
from datetime import datetime

from relay.acts import Act, Reaction, Work
from relay.conversation import Event
from relay.models import Call
from relay.watch import Watch
from tools import mcp_services, services
from tools.database import in_database
from tools.live_tools import DECIDED_EVERY_S, GRACE_S
from tools.models import ToolCall
from tools.services import APPROVAL_S


class LiveMcp(Act):
    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._answers: set[str] = set()  # ids of the items by which the server decided
        self._in_turn = asyncio.Lock()  # what is said of a call is written in its order
        self._may_have_past = watch.call.monitoring != Call.Monitoring.NOT_YET

    def begin(self, now: datetime) -> Reaction:
        """Go on asking for what a process that died had in hand. What this one has in hand goes on by itself."""
        if not self._may_have_past:
            return Reaction()
        self._may_have_past = False
        return Reaction(works=[Work(self._resume, APPROVAL_S + GRACE_S)])

    def take(self, event: Event, now: datetime) -> Reaction:
        item = event.get("item")
        if event["type"] != "conversation.item.done" or not isinstance(item, dict):
            return Reaction()
        kind = item.get("type")
        if kind == "mcp_approval_request":
            return Reaction(works=[Work(lambda: self._ask(item), APPROVAL_S + GRACE_S)])
        if kind == "mcp_approval_response" and item.get("id") not in self._answers:
            return Reaction(works=[Work(lambda: self._note(mcp_services.note_decision, item), GRACE_S)])
        if kind == "mcp_call" and (item.get("output") is not None or item.get("error") is not None):
            return Reaction(works=[Work(lambda: self._note(mcp_services.note_result, item), GRACE_S)])
        return Reaction()

    async def _note(self, write: Callable[[int, Event], None], item: Event) -> None:
        async with self._in_turn:
            await in_database(write, self._watch.call.pk, item)

    async def _ask(self, item: Event) -> Reaction | None:
        async with self._in_turn:
            row = await in_database(mcp_services.ask, self._watch.call.pk, item)
        return await self._decided(row) if row is not None else None

    async def _resume(self) -> Reaction:
        rows = await in_database(mcp_services.waiting, self._watch.call.pk)
        told = Reaction()
        for reaction in await asyncio.gather(*[self._decided(row) for row in rows]):
            told.add(reaction)
        return told

    async def _decided(self, row: ToolCall) -> Reaction:
        """Wait for somebody's word, and pass it on."""
        while row.state == ToolCall.State.WAITING:
            if refused := await in_database(services.verdict, row):
                is_first = await in_database(services.end, row, refused)
                return self._answer(row, approve=False) if is_first else Reaction()
            if row.state == ToolCall.State.WAITING:
                await asyncio.sleep(DECIDED_EVERY_S)
        return self._answer(row, approve=True)

    def _answer(self, row: ToolCall, *, approve: bool) -> Reaction:
        item_id = f"mcpa_{secrets.token_hex(12)}"  # by which it is told from a client's
        self._answers.add(item_id)
        decision = {"approval_request_id": row.tool_call_id, "approve": approve}
        item = {"id": item_id, "type": "mcp_approval_response", **decision}
        return Reaction([{"type": "conversation.item.create", "item": item}])
