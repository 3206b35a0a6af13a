"""Many calls from one process: sound encoded beforehand goes out, arriving packets are only looked at."""

import asyncio
import os
import random
import time
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, Protocol

import numpy as np
from aiortc import RTCRtpReceiver
from aiortc.mediastreams import MediaStreamTrack
from av.packet import Packet
from av.stream import Stream

from bench.processes import API_KEY
from bench.speech_of_caller import Speaker
from engine.audio import FRAME_SAMPLES, SPEAK_RATE_HZ, OpusEncoder, Samples, resample
from engine.ice import offer_addresses
from engine.out_track import SILENCE
from engine.protocol_json import Json
from engine.receive_buffer import ReceivedPacket
from tests.engine.caller import MIC_RATE_HZ, WAIT_S, Caller, Microphone

CORE = 1
FRAME_S = 0.02
CLOCK_HZ = 48_000
# Each caller speaks once in so many seconds, in no step with the others.
TURN_EVERY_S = 10.0
QUESTIONS = (
    "What time is it right now?",
    "Please tell me the date.",
    "How are you doing today?",
    "What is two plus three?",
    "Can you count to five?",
)
LONG_QUESTION = "I would like to book a table for four people tomorrow evening."
SILENCE_MS = 500


@dataclass(frozen=True)
class Load:
    """silent: nobody speaks. listen: callers speak on and on. speak: the engine tells stories. talk: turns."""

    what: Literal["silent", "listen", "speak", "talk"]
    calls: int
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """Times from the end of a question to the first packet of its answer."""

    waits_ms: list[float] = field(default_factory=list)


class Signal(Protocol):
    """A multiprocessing event."""

    def set(self) -> None: ...


class Answers(Protocol):
    """A multiprocessing queue."""

    def put(self, outcome: Outcome) -> None: ...


def make_calls(engine_url: str, load: Load, begun: Signal, over: Signal, outcomes: Answers) -> None:
    """Run a load in this process; `begun` is set when all calls stand, `over` when the time is up."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {CORE})
    outcomes.put(asyncio.run(_make_calls(engine_url, load, begun, over)))


async def _make_calls(engine_url: str, load: Load, begun: Signal, over: Signal) -> Outcome:
    offer_addresses()
    random.seed(load.calls)
    speaker = Speaker()
    questions = [_packets(speaker.say_exactly(text).samples) for text in QUESTIONS]
    on_and_on = _packets(speaker.say_exactly(LONG_QUESTION).samples)
    callers = [await LightCaller(engine_url, API_KEY).begin(load.what) for _ in range(load.calls)]
    begun.set()
    until = time.monotonic() + load.seconds
    waits = await asyncio.gather(*(_act(caller, load, questions, on_and_on, until) for caller in callers))
    over.set()
    await asyncio.gather(*(caller.close() for caller in callers))
    return Outcome([wait for some in waits for wait in some])


async def _act(
    caller: "LightCaller", load: Load, questions: list[list[bytes]], on_and_on: list[bytes], until: float
) -> list[float]:
    if load.what == "talk":
        return await caller.talk(questions, until)
    if load.what == "listen":
        caller.voice.say(on_and_on * (int(load.seconds / (len(on_and_on) * FRAME_S)) + 1))
    if load.what == "speak":
        caller.say_text("Tell me a story")
        caller.send("response.create")
    await asyncio.sleep(max(0.0, until - time.monotonic()))
    return []


class EncodedVoice(MediaStreamTrack):
    """A track of packets made beforehand, and of silence between them."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._packets: list[bytes] = []
        self._sent = 0
        self._start = 0.0
        self.ended_at = 0.0

    def say(self, packets: list[bytes]) -> None:
        self._packets = packets[::-1]
        self.ended_at = 0.0

    async def recv(self) -> "Packet[Stream]":
        self._start = self._start or time.monotonic()
        await asyncio.sleep(max(0.0, self._start + self._sent * FRAME_S - time.monotonic()))
        packet = Packet(self._packets.pop() if self._packets else SILENCE)
        if not self._packets and not self.ended_at:
            self.ended_at = time.monotonic()
        packet.pts = self._sent * CLOCK_HZ // 50
        packet.time_base = Fraction(1, CLOCK_HZ)
        self._sent += 1
        return packet


class SoundWatch:
    """Stands in for a receiver's buffer: notes when sound arrives and hands nothing on to be decoded."""

    def __init__(self) -> None:
        self.last_sound_at = 0.0
        self.first_sound_after_silence_at = 0.0
        self._was_silent = True

    def add(self, packet: ReceivedPacket) -> tuple[bool, None]:
        is_silent = packet._data == SILENCE
        if not is_silent:
            self.last_sound_at = time.monotonic()
            if self._was_silent:
                self.first_sound_after_silence_at = self.last_sound_at
        self._was_silent = is_silent
        return False, None


class LightCaller(Caller):
    """A call that costs its own process little."""

    async def begin(self, what: str) -> "LightCaller":
        self.voice = EncodedVoice()
        self.watch = SoundWatch()
        self.mic: Microphone = self.voice  # type: ignore[assignment]  # both are audio tracks, which is all that dial needs
        turns: Json = {"type": "server_vad", "silence_duration_ms": SILENCE_MS, "create_response": what != "listen"}
        await self.dial({"audio": {"input": {"turn_detection": turns}}})
        for receiver in self.connection.getReceivers():
            _watch(receiver, self.watch)
        return self

    async def talk(self, questions: list[list[bytes]], until: float) -> list[float]:
        """Ask a question every TURN_EVERY_S on average; return how long each answer took, WAIT_S if it never came."""
        waits = []
        await asyncio.sleep(random.uniform(0, min(TURN_EVERY_S, (until - time.monotonic()) / 2)))
        while time.monotonic() < until:
            next_at = time.monotonic() + random.uniform(0.7, 1.3) * TURN_EVERY_S
            waits.append(await self._ask(random.choice(questions)))
            await asyncio.sleep(max(0.0, min(next_at, until) - time.monotonic()))
        return waits

    async def _ask(self, question: list[bytes]) -> float:
        before = len(self.events)
        self.voice.say(question)
        try:
            await self.wait_for("output_audio_buffer.started", before)
        except TimeoutError:
            return WAIT_S * 1000
        # An event for each sound would cost more than this look now and then.
        while self.watch.first_sound_after_silence_at < self.voice.ended_at:  # noqa: ASYNC110
            await asyncio.sleep(FRAME_S)
        return (self.watch.first_sound_after_silence_at - self.voice.ended_at) * 1000


def _watch(receiver: RTCRtpReceiver, watch: SoundWatch) -> None:
    setattr(receiver, "_RTCRtpReceiver__jitter_buffer", watch)  # noqa: B010  (a private name of another class)


def _packets(samples: Samples) -> list[bytes]:
    spoken = resample(samples, MIC_RATE_HZ, SPEAK_RATE_HZ)
    padded = np.pad(spoken, (0, -len(spoken) % FRAME_SAMPLES)).reshape(-1, FRAME_SAMPLES)
    encoder = OpusEncoder()
    return [encoder.encode(frame) for frame in padded]
