"""The calls in progress, by id."""

import asyncio
import secrets
import time

from engine.peer import Peer
from engine.protocol_json import Json
from engine.reply import Responder
from engine.session.session import Session
from engine.speech import Speech

CALL_ID_BYTES = 12
EVENT_ID_BYTES = 8
CLOSE_ALL_TIMEOUT_S = 3.0


class TooManyCalls(Exception):
    """No room for one more call."""


class CallRegistry:
    """Starts, finds and ends calls; at most `max_calls` at a time."""

    def __init__(self, speech: Speech, responder: Responder, max_calls: int) -> None:
        self._speech = speech
        self._responder = responder
        self._max_calls = max_calls
        self._peers: dict[str, Peer] = {}

    def __len__(self) -> int:
        return len(self._peers)

    async def start(self, session_config: Json, offer_sdp: str) -> tuple[str, str]:
        """Start a call and return its id and the SDP answer; raises TooManyCalls or BadOffer."""
        if len(self._peers) >= self._max_calls:
            raise TooManyCalls
        call_id = f"rtc_{secrets.token_hex(CALL_ID_BYTES)}"
        session = Session(session_config, new_id, time.time(), may_speculate=self._responder.speculative)
        peer = Peer(session, self._speech, self._responder, lambda: self._forget(call_id))
        self._peers[call_id] = peer
        return call_id, await peer.accept(offer_sdp)

    async def hang_up(self, call_id: str) -> bool:
        """End a call; False when there is none of that id."""
        peer = self._peers.get(call_id)
        if peer is None:
            return False
        await peer.close()
        return True

    async def close_all(self) -> None:
        """End every call, in bounded time."""
        closing = [asyncio.ensure_future(peer.close()) for peer in list(self._peers.values())]
        if closing:
            await asyncio.wait(closing, timeout=CLOSE_ALL_TIMEOUT_S)

    def _forget(self, call_id: str) -> None:
        self._peers.pop(call_id, None)


def new_id(prefix: str) -> str:
    """Make an id such as `item_0f…`."""
    return f"{prefix}_{secrets.token_hex(EVENT_ID_BYTES)}"
