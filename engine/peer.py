"""One WebRTC peer: aiortc on one side, a conversation on the other. Knows no HTTP."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame

from engine.audio import ChunkSplitter, Samples
from engine.conversation import Conversation
from engine.mcp_client import McpClient
from engine.offer import BadOffer, prepare_offer
from engine.out_track import OutTrack
from engine.protocol_json import Json
from engine.receive_buffer import WINDOW_BYTES, listen_without_delay, unread_bytes
from engine.reply import Responder
from engine.session.session import Session
from engine.speech import Speech

logger = logging.getLogger(__name__)

CHANNEL_LABEL = "oai-events"
ANSWER_TIMEOUT_S = 5.0
CHANNEL_TIMEOUT_S = 30.0
# Neither audio nor an event for this long means that nobody is there; ICE consent usually notices first.
IDLE_TIMEOUT_S = 60.0
WATCH_S = 1.0
CLOSE_TIMEOUT_S = 2.0
FLUSH_TIMEOUT_S = 0.3
FLUSH_STEP_S = 0.02
MAX_MESSAGE_CHARS = 262_144
MAX_UNSENT_BYTES = 4 * 1024 * 1024


class Peer:
    """A call in progress. `on_closed` is called once, from the event loop, when the call is over."""

    def __init__(
        self,
        session: Session,
        speech: Speech,
        responder: Responder,
        mcp: McpClient,
        on_closed: Callable[[], None],
    ) -> None:
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.conversation = Conversation(session, self, speech, responder, mcp)
        self._out_track = OutTrack(self.conversation)
        self._on_closed = on_closed
        self._channel: RTCDataChannel | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        self._born_at = self._active_at = time.monotonic()
        self._connection.on("track", self._on_track)
        self._connection.on("datachannel", self._on_channel)
        self._connection.on("connectionstatechange", self._on_connection_state)

    async def accept(self, offer_sdp: str) -> str:
        """Return the SDP answer to a checked offer; raises BadOffer and leaves nothing behind."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer_sdp = await self._negotiate(offer_sdp)
        except Exception as exc:
            # aiortc raises all kinds of errors on offers that it cannot use.
            logger.info("An offer was refused: %s", type(exc).__name__)
            await self.close()
            raise BadOffer from exc
        self._keep(self._watch())
        return answer_sdp

    async def _negotiate(self, offer_sdp: str) -> str:
        sender = self._connection.addTrack(self._out_track)
        transceiver = next(each for each in self._connection.getTransceivers() if each.sender is sender)
        codecs = RTCRtpSender.getCapabilities("audio").codecs
        transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType.lower() == "audio/opus"])
        await self._connection.setRemoteDescription(RTCSessionDescription(prepare_offer(offer_sdp), "offer"))
        for receiver in self._connection.getReceivers():
            listen_without_delay(receiver)
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        return str(self._connection.localDescription.sdp)

    # What the connection reports.

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            self._keep(self._listen(track))

    async def _listen(self, track: MediaStreamTrack) -> None:
        splitter = ChunkSplitter()
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            self._active_at = time.monotonic()
            if self._channel is None or not isinstance(frame, AudioFrame):
                continue
            for chunk in splitter.push_frame(frame):
                self.conversation.hear(chunk)

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != CHANNEL_LABEL or self._channel is not None:
            channel.close()
            return
        self._channel = channel
        channel.on("message", self._on_message)
        channel.on("close", lambda: self.close_soon("channel_closed"))
        self.conversation.open()

    def _on_message(self, message: str | bytes) -> None:
        self._active_at = time.monotonic()
        text = message if isinstance(message, str) else ""
        self.conversation.receive(text if len(text) <= MAX_MESSAGE_CHARS else "")

    def _on_connection_state(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            self.close_soon("connection_lost")

    async def _watch(self) -> None:
        """End the call when the client never opened its channel, has gone quiet or sends a message without end."""
        while True:
            await asyncio.sleep(WATCH_S)
            now = time.monotonic()
            if self._channel is None and now - self._born_at > CHANNEL_TIMEOUT_S:
                return self.close_soon("never_opened")
            if now - self._active_at > IDLE_TIMEOUT_S:
                return self.close_soon("idle")
            if self._connection.sctp and unread_bytes(self._connection.sctp) > WINDOW_BYTES:
                return self.close_soon("endless_message")

    # What the conversation asks for.

    def send_event(self, event: Json) -> None:
        """Send a server event; a client that does not read any more loses the call."""
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return
        if channel.bufferedAmount > MAX_UNSENT_BYTES:
            self.close_soon("slow_client")
            return
        channel.send(json.dumps(event))

    def play(self, response_id: str, samples: Samples) -> None:
        """Queue speech."""
        self._out_track.play(response_id, samples)

    def end_of_speech(self, response_id: str) -> None:
        """Mark the end of a response's speech."""
        self._out_track.end_of_speech(response_id)

    def clear_playback(self) -> None:
        """Fall silent with the next packet."""
        self._out_track.clear()

    def hold_playback(self, is_held: bool) -> None:
        """Fall silent with the next packet, or go on with what is queued."""
        self._out_track.is_held = is_held

    def close_soon(self, reason: str) -> None:
        """End the call from inside a callback."""
        if self._closing is None:
            logger.info("A call ends: %s", reason)
            self._closing = asyncio.ensure_future(self._close())

    async def close(self) -> None:
        """End the call and wait until it is gone; may be called more than once."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        current = asyncio.current_task()
        await self.conversation.close()
        for task in self._tasks - {current}:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._flush()
        self._out_track.stop()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._connection.close()
        except Exception:
            logger.exception("A peer connection did not close cleanly")
        self._on_closed()

    async def _flush(self) -> None:
        """Give the last events a moment to leave."""
        deadline = time.monotonic() + FLUSH_TIMEOUT_S
        channel = self._channel
        # The channel has no event for "all sent".
        while channel and channel.readyState == "open" and channel.bufferedAmount and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(FLUSH_STEP_S)

    # Any: what a task's coroutine yields and takes concerns only the event loop.
    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
