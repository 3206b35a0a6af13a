"""Carries out what a session asks for: recognition, replies, speech. Knows no WebRTC; the transport does."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable
from typing import Protocol

from engine.allowance import Allowance
from engine.audio import CHUNK_MS, SAMPLE_BYTES, SPEAK_RATE_HZ, ChunkSplitter, Samples, duration_ms, level_of
from engine.mcp import McpFailure, McpServer
from engine.mcp_client import McpClient
from engine.protocol_json import Json
from engine.reply import ReplyPart, ReplyRequest, Responder, Sentence, ToolCall, in_breaths
from engine.session.active_response import SpokenPiece
from engine.session.effects import (
    CallMcpTool,
    ClearPlayback,
    Close,
    DropGeneration,
    DropRecognition,
    Effect,
    EndOfSpeech,
    Generate,
    HoldPlayback,
    ListenTo,
    ListMcpTools,
    Play,
    Recognise,
    ResumePlayback,
    Send,
)
from engine.session.session import Session
from engine.speech import Speech
from engine.vad import VoiceDetector

logger = logging.getLogger(__name__)

TICK_S = 1.0
REPLY_TIMEOUT_S = 90.0
# One call must not take the event loop from the others. Clients send a few events a second and restore a
# conversation of hundreds of items at once; audio comes as it is spoken, or a prepared stretch at once.
EVENTS_PER_S, EVENTS_BURST = 100.0, 1000.0
AUDIO_MS_PER_S, AUDIO_BURST_MS = 2000.0, 30_000.0


class Listener(Protocol):
    """Somebody who is sent a conversation's events and may send some: its own transport, or a sideband."""

    def send_event(self, event: Json) -> None: ...

    def close_soon(self, reason: str) -> None: ...


class Transport(Listener, Protocol):
    """What carries a conversation and its sound: a WebRTC peer or a WebSocket."""

    def play(self, response_id: str, samples: Samples) -> None:
        """Queue 24 kHz speech."""
        ...

    def end_of_speech(self, response_id: str) -> None: ...

    def clear_playback(self) -> None: ...

    def hold_playback(self, is_held: bool) -> None: ...


class Conversation:
    """One live conversation: feeds the session and runs its effects. All methods belong to the event loop."""

    def __init__(
        self, session: Session, transport: Transport, speech: Speech, responder: Responder, mcp: McpClient
    ) -> None:
        self._session = session
        self._transport = transport
        self._speech = speech
        self._responder = responder
        self._mcp = mcp
        self._voice_detector = VoiceDetector()
        self._event_splitter = ChunkSplitter()
        self._events_left = Allowance(EVENTS_PER_S, EVENTS_BURST, time.monotonic())
        self._audio_left = Allowance(AUDIO_MS_PER_S, AUDIO_BURST_MS, time.monotonic())
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._splitter_rate_hz = 0
        self._listeners: list[Listener] = [transport]
        self._is_closed = False

    def open(self) -> None:
        """Begin: the client's channel is open."""
        self._greet(self._transport)
        self._run(self._session.begin())
        self._start("clock", self._keep_time())

    def attach(self, listener: Listener) -> None:
        """Let one more take part, from now on; it is greeted with the session as it is."""
        self._listeners.append(listener)
        self._greet(listener)

    def detach(self, listener: Listener) -> None:
        """Go on without a listener."""
        self._listeners.remove(listener)

    def _greet(self, listener: Listener) -> None:
        for effect in self._session.opened():
            if isinstance(effect, Send):
                listener.send_event(effect.event)

    def receive(self, message: str, sender: Listener | None = None) -> None:
        """Take a client event as text. sender: who alone is told what is wrong with it; else the transport."""
        sender = sender or self._transport
        if not self._events_left.take(1, time.monotonic()):
            self._run(self._session.receive_too_much(), sender)
            return
        try:
            event = json.loads(message)
        except (ValueError, RecursionError):
            self._run(self._session.receive_garbage(), sender)
            return
        try:
            self._run(self._session.receive(event), sender)
        except Exception:
            # A fault of ours must not leave the caller with a session that half works.
            logger.exception("A client event could not be handled")
            self._transport.close_soon("internal_error")

    def hear(self, chunk: Samples) -> None:
        """Take 16 kHz audio of CHUNK_SAMPLES; what comes far faster than it was spoken is dropped."""
        if self._audio_left.take(CHUNK_MS, time.monotonic()):
            self._hear(chunk)

    def _hear(self, chunk: Samples) -> None:
        level = level_of(chunk)
        self._run(self._session.hear(chunk, self._voice_detector.rate(chunk, level), level))

    def playback_started(self, response_id: str) -> None:
        """Pass on that a response can be heard."""
        self._run(self._session.playback_started(response_id))

    def played(self, response_id: str, played_ms: int) -> None:
        """Pass on how much of a response has been sent."""
        self._run(self._session.played(response_id, played_ms))

    def playback_ended(self, response_id: str) -> None:
        """Pass on that a response has been sent to its end."""
        self._run(self._session.playback_ended(response_id))

    async def close(self) -> None:
        """Stop every job; afterwards nothing is sent."""
        self._is_closed = True
        jobs = list(self._jobs.values())
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        for listener in self._listeners:
            if listener is not self._transport:
                listener.close_soon("call_ended")

    def _run(self, effects: list[Effect], sender: Listener | None = None) -> None:
        if self._is_closed:
            return
        for effect in effects:
            if isinstance(effect, Send):
                self._send(effect.event, sender)
            else:
                self._carry_out(effect)

    def _send(self, event: Json, sender: Listener | None) -> None:
        listeners = [sender] if sender and event["type"] == "error" else list(self._listeners)
        for listener in listeners:
            listener.send_event(event)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Play(response_id, samples):
                self._transport.play(response_id, samples)
            case EndOfSpeech(response_id):
                self._transport.end_of_speech(response_id)
            case ClearPlayback():
                self._transport.clear_playback()
            case HoldPlayback() | ResumePlayback():
                self._transport.hold_playback(isinstance(effect, HoldPlayback))
            case Recognise(recognition_id, samples):
                self._start(recognition_id, self._recognise(recognition_id, samples))
            case Generate(generation_id, request):
                self._start(generation_id, self._generate(generation_id, request))
            case DropRecognition(job_id) | DropGeneration(job_id):
                self._stop(job_id)
            case ListMcpTools(item_id, server):
                self._start(item_id, self._list_mcp_tools(item_id, server))
            case CallMcpTool():
                self._start(effect.item_id, self._call_mcp_tool(effect))
            case ListenTo(pcm, rate_hz):
                self._listen_to(pcm, rate_hz)
            case Close(reason):
                self._transport.close_soon(reason)

    def _listen_to(self, pcm: bytes, rate_hz: int) -> None:
        if not self._audio_left.take(duration_ms(len(pcm) // SAMPLE_BYTES, rate_hz), time.monotonic()):
            self._run(self._session.hear_too_much())
            return
        if rate_hz != self._splitter_rate_hz:  # its resampler is made for one rate
            self._event_splitter, self._splitter_rate_hz = ChunkSplitter(), rate_hz
        for chunk in self._event_splitter.push_pcm(pcm, rate_hz):
            self._hear(chunk)

    def _start(self, job_id: str, work: Awaitable[None]) -> None:
        job = asyncio.ensure_future(work)
        self._jobs[job_id] = job
        job.add_done_callback(lambda _done: self._jobs.pop(job_id, None))

    def _stop(self, job_id: str) -> None:
        job = self._jobs.pop(job_id, None)
        if job is not None:
            job.cancel()

    async def _recognise(self, recognition_id: str, samples: Samples) -> None:
        try:
            transcript = await self._speech.recognise(samples)
        except Exception:
            logger.exception("Recognition failed")
            self._run(self._session.recognition_failed(recognition_id, "The speech could not be recognised."))
            return
        self._run(self._session.recognised(recognition_id, transcript))

    async def _generate(self, generation_id: str, request: ReplyRequest) -> None:
        try:
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                async for part in self._responder.reply(request):
                    for piece in in_breaths(part):
                        self._run(self._session.reply_part(generation_id, await self._voiced(piece, request)))
        except Exception:
            logger.exception("The reply failed")
            self._run(self._session.reply_failed(generation_id, "The reply could not be made."))
            return
        self._run(self._session.reply_ended(generation_id))

    async def _voiced(self, part: ReplyPart, request: ReplyRequest) -> SpokenPiece | ToolCall:
        if not isinstance(part, Sentence):
            return part
        text = " ".join(part.text.split())
        if not request.spoken:
            return SpokenPiece(text)
        samples = await self._speech.speak(text, request.voice)
        if not len(samples):
            return SpokenPiece(text)
        return SpokenPiece(text, samples, duration_ms(len(samples), SPEAK_RATE_HZ))

    async def _list_mcp_tools(self, item_id: str, server: McpServer) -> None:
        try:
            tools = await self._mcp.list_tools(server)
        except McpFailure as exc:
            logger.warning("The tools of an MCP server could not be had: %s", exc.message)
            self._run(self._session.mcp_list_failed(item_id))
            return
        self._run(self._session.mcp_tools_listed(item_id, tools))

    async def _call_mcp_tool(self, asked: CallMcpTool) -> None:
        try:
            output = await self._mcp.call_tool(asked.server, asked.name, asked.arguments)
        except McpFailure as exc:
            self._run(self._session.mcp_call_failed(asked.item_id, exc))
            return
        self._run(self._session.mcp_tool_called(asked.item_id, output))

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._run(self._session.tick(time.time()))
