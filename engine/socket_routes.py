"""`WS /v1/realtime`: a session of its own (`?model=`), or a sideband to a live call (`?call_id=`)."""

import asyncio
from http import HTTPStatus

from aiohttp import web

from engine.calls import CallRegistry, TooManyCalls, new_id
from engine.conversation import Conversation
from engine.credentials import BETA_SUBPROTOCOL, SUBPROTOCOL, Credentials, offered_protocols
from engine.faults import Faults
from engine.http_errors import HttpError
from engine.protocol_json import Json
from engine.session import events
from engine.session.errors import ProtocolError
from engine.session.update import default_session, merge_session, read_session
from engine.socket_link import SocketLink

BETA_CLOSE = 4000
BETA_HEADER = "OpenAI-Beta"


class SocketRoutes:
    """Take WebSockets and join them with sessions."""

    def __init__(self, credentials: Credentials, calls: CallRegistry, faults: Faults) -> None:
        self._credentials = credentials
        self._calls = calls
        self._faults = faults

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Check who connects and to what, then carry the WebSocket to its end."""
        session = self._credentials.session_of_socket(request)
        protocols = offered_protocols(request)
        link = SocketLink(request, (SUBPROTOCOL,) if SUBPROTOCOL in protocols else ())
        if BETA_SUBPROTOCOL in protocols or BETA_HEADER in request.headers:
            return await _refuse_beta(link)
        if "call_id" in request.query:
            return await self._join(request.query["call_id"], session is not None, link)
        return await self._begin(_session_for(request) if session is None else session, link)

    async def _begin(self, session: Json, link: SocketLink) -> web.StreamResponse:
        self._faults.refuse_call()
        await asyncio.sleep(self._faults.call_delay_ms / 1000)
        try:
            with self._calls.socket_call(session, link) as call:
                response = await link.open()
                link.break_off_after(self._faults.call_cut_ms)
                await call.run()
        except TooManyCalls as exc:
            message = "The engine carries as many calls as it may. Try again when one has ended."
            raise HttpError(HTTPStatus.SERVICE_UNAVAILABLE, "too_many_calls", message) from exc
        return response

    async def _join(self, call_id: str, has_client_secret: bool, link: SocketLink) -> web.StreamResponse:
        await asyncio.sleep(self._faults.sideband_delay_ms / 1000)
        self._faults.refuse_sideband()
        # For holders of client secrets no call exists, as with the protocol's own service.
        conversation = None if has_client_secret else self._calls.conversation_of(call_id)
        if conversation is None:
            raise HttpError(
                HTTPStatus.NOT_FOUND, "call_id_not_found", "No session found for the provided call_id.", "call_id"
            )
        response = await link.open()
        link.break_off_after(self._faults.sideband_cut_ms)
        await self._listen(conversation, link)
        return response

    async def _listen(self, conversation: Conversation, link: SocketLink) -> None:
        sideband = _Sideband(link, self._faults)
        conversation.attach(sideband)
        try:
            await link.run(lambda text: conversation.receive(text, sideband))
        finally:
            conversation.detach(sideband)


class _Sideband:
    """One more listener of a call."""

    def __init__(self, link: SocketLink, faults: Faults) -> None:
        self._link = link
        self._faults = faults

    def send_event(self, event: Json) -> None:
        if not self._faults.sideband_mute:
            self._link.send_event(event)

    def close_soon(self, reason: str) -> None:
        if not self._faults.sideband_outlives:
            self._link.close_soon(reason)


def _session_for(request: web.Request) -> Json:
    model = request.query.get("model")
    if model is None:
        raise HttpError(
            HTTPStatus.BAD_REQUEST, "missing_required_parameter", "Missing required parameter: 'model'.", "model"
        )
    asked = read_session({"type": "realtime", "model": model})
    return merge_session(default_session(new_id("sess"), expires_at=0), asked)


async def _refuse_beta(link: SocketLink) -> web.StreamResponse:
    """Tell a client of the protocol's first form that it is gone, as its service does."""
    response = await link.open()
    problem = ProtocolError("beta_api_shape_disabled", "The Realtime Beta API is no longer supported.")
    link.send_event({"event_id": new_id("event"), **events.error(problem.as_json(), None)})
    link.close_soon("beta_api_shape_disabled", BETA_CLOSE)
    await link.run(lambda text: None)
    return response
