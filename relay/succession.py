"""The voice service ends a session after an hour. A call over WebSocket goes on past that.

A new session is prepared beside the old one, told the conversation, and takes over at a moment at which nobody speaks.
The client keeps its socket.
"""

import asyncio
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from aiohttp import ClientWebSocketResponse, WSMsgType

from audit import group_commit
from audit.actions import Action
from audit.group_commit import Group
from audit.records import Fact
from realtime_api.errors import CodedError, UpstreamBadAnswer, UpstreamBroken
from realtime_api.upstream_socket import update_session
from relay.constants import LONGEST_SESSION_S
from relay.conversation import Event
from relay.joint import Joint
from relay.live_call import LiveCall
from relay.memory import Memory

logger = logging.getLogger(__name__)
LEAD_S: Final = 120.0  # before the end of a session the next one is prepared
MARGIN_S: Final = 15.0  # before the end it takes over, whoever speaks
SHARES: Final = (4, 10)  # of a short session's life, these are the most of it
RETRY_S: Final = 10.0
QUIET_S: Final = 0.4  # without a word from the client: what it said last has had its effect by then
LOOK_S: Final = 0.05
SEED_TIMEOUT_S: Final = 10.0
CANCEL_TIMEOUT_S: Final = 1.0
# What a session keeps in the next one; the rest is the voice service's own.
KEPT: Final = (
    "output_modalities", "instructions", "audio", "tools", "tool_choice", "max_output_tokens", "truncation",
    "reasoning", "parallel_tool_calls", "include",
)  # fmt: skip

Failures = (CodedError, aiohttp.ClientError, OSError)  # the last: a socket that is gone, and what took too long
Session = dict[str, Any]  # Any: as the voice service told it
BeginSession = Callable[[Session], Awaitable[tuple[ClientWebSocketResponse, Event]]]


class Succession:
    """The sessions of one call, each after the other. begin: opens a session, and returns its `session.created`."""

    def __init__(self, joint: Joint, live: LiveCall, begin: BeginSession) -> None:
        self._joint, self._live, self._begin = joint, live, begin
        self._call = live.watch.call
        self._conversation = live.watch.conversation
        self._memory = Memory()
        live.watch.acts.append(self._memory)
        self._memory.take({"type": "session.created", "session": self._conversation.session}, live.watch.now)

    async def run(self) -> None:
        """Have a new session take over before each one's end, until the call's own end is nearer than that."""
        session = self._conversation.session or {}
        while True:
            life_s = _life_s(session)
            ends_at = asyncio.get_running_loop().time() + life_s
            if self._call.deadline_at is None or self._call.deadline_at.timestamp() <= time.time() + life_s:
                return
            await asyncio.sleep(max(0.0, life_s - min(LEAD_S, life_s / SHARES[0])))
            successor = await self._succeed(ends_at, ends_at - min(MARGIN_S, life_s / SHARES[1]))
            if successor is None:
                return
            session = successor

    async def _succeed(self, ends_at: float, force_at: float) -> Session | None:
        """Try until the session's end to have another take over; returns it. None: the call ends with its session."""
        while asyncio.get_running_loop().time() < ends_at:
            try:
                return await self._take_over(force_at)
            except Failures as exc:
                logger.warning("no session could follow call=%s code=%s", self._call.pk, _code_of(exc))
                await asyncio.sleep(min(RETRY_S, max(LOOK_S, (ends_at - asyncio.get_running_loop().time()) / 3)))
        return None

    async def _take_over(self, force_at: float) -> Session:
        """Put one session in the place of another: intent, upstream, outcome, each on record before the next step."""
        await self._record(Action.CALL_SESSION_REQUESTED)
        try:
            asked = self._session()
            upstream, created = await self._begin(asked)
            try:
                session = await self._hand_over(upstream, asked, force_at) or created["session"]
            except BaseException:
                await upstream.close()
                raise
        except Failures as exc:
            await self._record(Action.CALL_SESSION_RENEWED, code=_code_of(exc))
            raise
        await self._record(Action.CALL_SESSION_RENEWED, session_id=str(session["id"])[:128])
        updated = {"type": "session.updated", "event_id": f"event_{secrets.token_hex(8)}", "session": session}
        await self._live.take(updated)
        await self._joint.tell(updated)
        return session

    async def _hand_over(self, upstream: ClientWebSocketResponse, asked: Session, force_at: float) -> Session | None:
        """Tell a new session the conversation, what is new of it once more at a quiet moment, and let it take over.

        Returns the session as it is then, None for as it was asked for.
        """
        told, updated = await _seed(upstream, self._memory.seeds(), {}), None
        async with self._quiet_moment(force_at), asyncio.timeout(SEED_TIMEOUT_S):
            if self._session() != asked:
                updated = await update_session(upstream, self._session())
            await _seed(upstream, self._memory.seeds(), told)
            await self._joint.replace(upstream)
        return updated["session"] if updated else None

    @asynccontextmanager
    async def _quiet_moment(self, force_at: float) -> AsyncIterator[None]:
        """Hold back what the client says, once nobody is in the middle of anything; at `force_at` in any case."""
        while True:
            async with self._joint.held():
                is_late = asyncio.get_running_loop().time() >= force_at
                if is_late:
                    await self._stop()
                if is_late or self._is_quiet():
                    yield
                    return
            await asyncio.sleep(LOOK_S)

    def _is_quiet(self) -> bool:
        now = asyncio.get_running_loop().time()
        is_resting = now - self._joint.said_at > QUIET_S and (
            self._takes_turns() or now - self._joint.heard_at > QUIET_S
        )
        return is_resting and self._memory.is_settled and not self._conversation.responding

    def _takes_turns(self) -> bool:
        """Tell whether the voice service hears when a turn ends; else sound that comes is in the middle of one."""
        audio = (self._conversation.session or {}).get("audio") or {}
        return bool((audio.get("input") or {}).get("turn_detection"))

    async def _stop(self) -> None:
        """Cut off what the assistant says: its response would have no end for the client."""
        if not self._conversation.responding:
            return
        await self._joint.upstream.send_str(json.dumps({"type": "response.cancel"}))
        try:
            async with asyncio.timeout(CANCEL_TIMEOUT_S):
                while self._conversation.responding:  # noqa: ASYNC110  (the joint's own loop hears it)
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            logger.warning("a response did not end with its session call=%s", self._call.pk)

    def _session(self) -> Session:
        """Return what holds now, with whatever was changed since the call began."""
        live = self._conversation.session or {}
        kept = {name: live[name] for name in KEPT if live.get(name) is not None}
        return {"type": "realtime", "model": live.get("model") or self._call.model, **kept}

    async def _record(self, action: Action, *, code: str = "", **facts: Fact) -> None:
        call, told = self._call, dict(facts)

        def write(group: Group) -> None:
            group.record(action, about=call, request_id=call.request_id, actor="server", code=code, person=None, **told)

        await group_commit.commit(write)


def _code_of(failure: BaseException) -> str:
    return failure.code if isinstance(failure, CodedError) else UpstreamBroken.code


def _life_s(session: Session) -> float:
    """Return how long a session has to live, as far as it tells."""
    expires_at = session.get("expires_at")
    left_s = expires_at - time.time() if isinstance(expires_at, int) else 0.0
    return left_s if 0 < left_s <= LONGEST_SESSION_S else float(LONGEST_SESSION_S)


async def _seed(upstream: ClientWebSocketResponse, seeds: list[Event], told: dict[str, Event]) -> dict[str, Event]:
    """Tell a session the items that it was not told yet, and wait until it has them; returns all that it was told.

    An item that the session does not take is left out. Raises UpstreamBroken, UpstreamBadAnswer and TimeoutError.
    """
    now = {seed["id"]: seed for seed in seeds}
    for item_id in [item_id for item_id in told if now.get(item_id) != told[item_id]]:
        await upstream.send_str(json.dumps({"type": "conversation.item.delete", "item_id": item_id}))
    before = dict(zip(now, ["root", *now], strict=False))
    waiting = {item_id for item_id in now if now[item_id] != told.get(item_id)}
    for item_id in [item_id for item_id in now if item_id in waiting]:
        create = {"type": "conversation.item.create", "event_id": f"seed_{item_id}", "item": now[item_id]}
        await upstream.send_str(json.dumps(create | {"previous_item_id": before[item_id]}))
    async with asyncio.timeout(SEED_TIMEOUT_S):
        while waiting:
            waiting.discard(await _seeded(upstream))
    return now


async def _seeded(upstream: ClientWebSocketResponse) -> str:
    """Return the id of the item that the next event says is there, or cannot be; empty for any other event."""
    message = await upstream.receive()
    if message.type is not WSMsgType.TEXT:
        raise UpstreamBroken
    try:
        event = json.loads(message.data)
        if event["type"] == "conversation.item.done":
            return str(event["item"]["id"])
        if event["type"] == "error":
            return str(event["error"].get("event_id") or "").removeprefix("seed_")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise UpstreamBadAnswer from exc
    return ""
