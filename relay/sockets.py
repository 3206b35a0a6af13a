"""`WS /v1/realtime`: a Realtime session over WebSocket, relayed. An ASGI application of its own: a consumer, which
takes each event through a queue and a task, costs more than all of the work here."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final

from django.core.handlers.asgi import ASGIRequest
from django.utils import timezone

from audit import group_commit
from audit.exceptions import AuditUnavailable
from audit.records import Fact
from realtime_api.errors import CodedError
from relay import call_records
from relay.close_codes import MAX_REASON_BYTES, End, error_event, refusal_code
from relay.constants import SOCKET_ALIVE_S, SOCKET_LAST_WORDS_S
from relay.joint import Joint
from relay.live_call import LiveCall
from relay.models import Call
from relay.open_sockets import OpenSocket, open_sockets
from relay.recorder import close_books
from relay.socket_calls import Opened, join_call, open_call
from relay.socket_wish import SUBPROTOCOL, handshake_request, read_wish
from relay.succession import Succession
from relay.watch import Watch
from tokens.requester import requester_of
from voiceagent.body_limit import Receive, Scope, Send
from voiceagent.errors import error_response
from voiceagent.middleware import coded

logger = logging.getLogger(__name__)
HTTP_REFUSAL: Final = "websocket.http.response"
ALIVE: Final = {"type": "relay.alive"}


async def realtime(scope: Scope, receive: Receive, send: Send) -> None:
    """Carry one socket from its handshake to its end."""
    await receive()  # the handshake
    request = handshake_request(scope)
    door = _Door(request, scope, receive, send)
    sockets = open_sockets()
    try:
        opened = await _opened(request, scope)
    except Exception as exc:
        error = coded(exc)
        if error is None:
            logger.exception("a socket could not be opened")
        return await door.refuse(error or CodedError())
    try:
        await _carry(opened, door)
    finally:
        sockets.give_place_back()
    return None


async def _opened(request: ASGIRequest, scope: Scope) -> Opened:
    """Take a place and open what is asked for; without that the place is given back."""
    sockets = open_sockets()
    try:
        wish = read_wish(request, scope["subprotocols"])
        sockets.take_place()
    except CodedError as exc:
        await call_records.refuse(lambda: requester_of(request, None), exc)
        raise
    try:
        opened = await (join_call if wish.call_id else open_call)(request, wish)
        return replace(opened, keepalive=bool(wish.keepalive))
    except BaseException:
        sockets.give_place_back()
        raise


async def _carry(opened: Opened, door: "_Door") -> None:
    """Let the client in, join the two sockets, and put the end on record."""
    live = LiveCall(opened.watch) if opened.watch is not None else None
    joint = Joint(door.receive, door.send, opened.upstream, opened.rights, live)
    end = End(Call.EndReason.CLIENT_GONE, 0)
    try:
        await door.let_in()
        if opened.first_event is not None:
            await door.tell(json.dumps(opened.first_event))
        end = await _joined(opened, joint, live)
    except OSError:
        pass  # the client left while its call was set up
    finally:
        if live is not None:
            await live.close()
        await asyncio.shield(_part(opened, joint, end, door))


async def _joined(opened: Opened, joint: Joint, live: LiveCall | None) -> End:
    sockets, loop = open_sockets(), asyncio.get_running_loop()
    deadline_at = opened.call.deadline_at
    left_s = (deadline_at - timezone.now()).total_seconds() if deadline_at else None
    socket = OpenSocket(joint, opened.standing, None if left_s is None else loop.time() + left_s, live)
    sockets.add(socket)
    beside = [asyncio.create_task(work) for work in (_succession(opened, joint, live), _keep_alive(opened, joint))]
    try:
        if live is not None:
            await live.reach(joint.send, joint.tell)
        return await joint.run()
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        sockets.remove(socket)


async def _succession(opened: Opened, joint: Joint, live: LiveCall | None) -> None:
    """Let sessions of the voice service follow each other while the call goes on; a sideband's call is another's."""
    if live is not None and opened.begin_session is not None:
        await Succession(joint, live, opened.begin_session).run()


async def _keep_alive(opened: Opened, joint: Joint) -> None:
    """Tell a client that wishes so, again and again: a page sees no ping, and silence may be a lost network."""
    with suppress(OSError):  # the client is gone, of which the joint hears
        while opened.keepalive:
            await asyncio.sleep(SOCKET_ALIVE_S)
            await joint.tell(ALIVE)


async def _part(opened: Opened, joint: Joint, end: End, door: "_Door") -> None:
    """End the call's row, then both sockets: whatever fails on the way, the next is done."""
    counts: dict[str, Fact] = {"client_events": joint.from_client, "server_events": joint.from_upstream}
    counts |= {"refused_events": joint.refused, "fields_left_out": joint.left_out}
    logger.info("socket ended reason=%s %s", end.reason.value, " ".join(f"{n}={count}" for n, count in counts.items()))
    if opened.watch is not None:
        await _close_books(opened.watch, end, counts)
    await asyncio.gather(joint.upstream.close(), door.close(end))


async def _close_books(watch: Watch, end: End, counts: dict[str, Fact]) -> None:
    """Write a call's last words and its end, then charge what was counted in the place of the estimate."""
    owner, call = open_sockets().owner, watch.call
    ended = partial(call_records.ended, call=call, reason=end.reason, counts=counts, owner=owner, report=watch.report())
    try:
        await group_commit.commit(ended)
        await group_commit.commit(lambda group: close_books(call, owner, complete=watch.is_complete))
    except AuditUnavailable:
        logger.error("the end of call %d is not on record; the worker closes it", call.pk)


class _Door:
    """The client's side of a handshake, an ending, and whatever is said between."""

    def __init__(self, request: ASGIRequest, scope: Scope, receive: Receive, send: Send) -> None:
        self.receive, self.send = receive, send
        self._request, self._scope = request, scope

    async def let_in(self) -> None:
        await self.send({"type": "websocket.accept", "subprotocol": self._subprotocol()})

    async def tell(self, text: str) -> None:
        await self.send({"type": "websocket.send", "text": text})

    async def refuse(self, error: CodedError) -> None:
        """Refuse by HTTP status. A page's script learns nothing of that: it is told on a socket that is closed again.

        Only a page of an origin that may talk to us is let in so far.
        """
        is_page = "HTTP_ORIGIN" in self._request.META and error.code != "origin_not_allowed"
        try:
            if is_page:
                await self.let_in()
                await self.tell(error_event(error))
                await self._send_close(refusal_code(error), error.code)
            elif HTTP_REFUSAL in self._scope.get("extensions", {}):
                await self._answer(error)
            else:
                await self._send_close(refusal_code(error), "")
        except OSError:
            pass  # nobody is there any more

    async def close(self, end: End) -> None:
        """Say why and close; a client that reads nothing is cut off."""
        if not end.code:
            return
        try:
            async with asyncio.timeout(SOCKET_LAST_WORDS_S):
                if end.error is not None:
                    await self.tell(error_event(end.error))
                await self._send_close(end.code, end.reason.value)
        except TimeoutError:
            _cut_off(self.send)
        except OSError:
            pass

    async def _send_close(self, code: int, reason: str) -> None:
        await self.send({"type": "websocket.close", "code": code, "reason": reason[:MAX_REASON_BYTES]})

    async def _answer(self, error: CodedError) -> None:
        response = error_response(self._request, error)
        response["X-Request-ID"] = self._request.request_id  # type: ignore[attr-defined]  # set with the handshake
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.items()]
        await self.send({"type": "websocket.http.response.start", "status": response.status_code, "headers": headers})
        await self.send({"type": "websocket.http.response.body", "body": response.content})
        with suppress(TimeoutError):
            async with asyncio.timeout(SOCKET_LAST_WORDS_S):
                # uvicorn says at once that this is over, then when the connection is; returning before that is an
                # error in its log.
                await self.receive()
                await self.receive()

    def _subprotocol(self) -> str | None:
        return SUBPROTOCOL if SUBPROTOCOL in self._scope["subprotocols"] else None


def _cut_off(send: Callable[[Any], Awaitable[None]]) -> None:
    """Drop a connection whose client reads nothing: ASGI has no word for it, and waits for the buffers to empty."""
    protocol = getattr(send, "__self__", None)
    transport = getattr(protocol, "transport", None)
    if transport is not None:
        transport.abort()
