"""The calls in progress, by id."""

import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

from engine.conversation import Conversation
from engine.faults import Faults
from engine.mcp_client import McpClient
from engine.peer import Peer
from engine.protocol_json import Json
from engine.reply import Responder
from engine.session.session import SESSION_LIFE_S, Session
from engine.socket_call import SocketCall
from engine.socket_link import SocketLink
from engine.speech import Speech

CALL_ID_BYTES = 12
EVENT_ID_BYTES = 8
CLOSE_ALL_TIMEOUT_S = 3.0


class TooManyCalls(Exception):
    """No room for one more call."""


class CallRegistry:
    """Starts, finds and ends calls over WebRTC, and counts those over WebSockets; at most `max_calls` at a time."""

    def __init__(
        self,
        speech: Speech,
        responder: Responder,
        max_calls: int,
        session_life_s: int = SESSION_LIFE_S,
        faults: Faults | None = None,
        mcp: McpClient | None = None,
    ) -> None:
        self._speech = speech
        self._responder = responder
        self._max_calls = max_calls
        self._session_life_s = session_life_s
        self._faults = faults or Faults()
        self._mcp = mcp or McpClient()
        self._peers: dict[str, Peer] = {}
        self._socket_calls: set[SocketCall] = set()

    def __len__(self) -> int:
        return len(self._peers) + len(self._socket_calls)

    async def start(self, session_config: Json, offer_sdp: str) -> tuple[str, str]:
        """Start a call and return its id and the SDP answer; raises TooManyCalls or BadOffer."""
        self._require_room()
        call_id = f"rtc_{secrets.token_hex(CALL_ID_BYTES)}"
        session = self._session(session_config, is_paced=True)
        peer = Peer(session, self._speech, self._responder, self._mcp, lambda: self._forget(call_id))
        self._peers[call_id] = peer
        answer_sdp = await peer.accept(offer_sdp)
        if self._faults.call_cut_ms:
            asyncio.get_running_loop().call_later(self._faults.call_cut_ms / 1000, peer.close_soon, "cut")
        return call_id, answer_sdp

    @contextmanager
    def socket_call(self, session_config: Json, link: SocketLink) -> Iterator[SocketCall]:
        """Count a call over a WebSocket while it runs; raises TooManyCalls."""
        self._require_room()
        session = self._session(session_config, is_paced=False)
        call = SocketCall(session, self._speech, self._responder, self._mcp, link)
        self._socket_calls.add(call)
        try:
            yield call
        finally:
            self._socket_calls.discard(call)

    def conversation_of(self, call_id: str) -> Conversation | None:
        """Return the conversation of a live WebRTC call, None when there is none of that id."""
        peer = self._peers.get(call_id)
        return peer.conversation if peer is not None else None

    async def hang_up(self, call_id: str) -> bool:
        """End a call; False when there is none of that id."""
        peer = self._peers.get(call_id)
        if peer is None:
            return False
        await peer.close()
        return True

    async def close_all(self) -> None:
        """End every call, in bounded time."""
        for call in list(self._socket_calls):
            call.close_soon("going_away")
        closing = [asyncio.ensure_future(peer.close()) for peer in list(self._peers.values())]
        if closing:
            await asyncio.wait(closing, timeout=CLOSE_ALL_TIMEOUT_S)

    def _require_room(self) -> None:
        if len(self) >= self._max_calls:
            raise TooManyCalls

    def _session(self, config: Json, *, is_paced: bool) -> Session:
        return Session(
            config,
            new_id,
            time.time(),
            is_paced=is_paced,
            may_speculate=self._responder.speculative,
            life_s=self._session_life_s,
            refused_field=lambda: self._faults.refused_field,
        )

    def _forget(self, call_id: str) -> None:
        self._peers.pop(call_id, None)


def new_id(prefix: str) -> str:
    """Make an id such as `item_0f…`."""
    return f"{prefix}_{secrets.token_hex(EVENT_ID_BYTES)}"
