"""The engine's voice on a call: Opus packets at a steady pace, silence in between. Knows no events."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.packet import Packet
from av.stream import Stream

from engine.audio import FRAME_MS, FRAME_SAMPLES, OpusEncoder, Samples

# One Opus frame of digital silence (RFC 6716: CELT, full band, 20 ms, mono).
SILENCE = b"\xf8\xff\xfe"
CLOCK_HZ = 48_000
TIME_BASE = Fraction(1, CLOCK_HZ)
FRAME_S = FRAME_MS / 1000
# A loop that fell behind further than this starts a new pace instead of sending a burst.
MAX_LAG_S = 0.2
MAX_QUEUED_FRAMES = 5 * 60 * 1000 // FRAME_MS


class PlaybackListener(Protocol):
    """Is told what leaves."""

    def playback_started(self, response_id: str) -> None: ...

    def played(self, response_id: str, played_ms: int) -> None: ...

    def playback_ended(self, response_id: str) -> None: ...


@dataclass(frozen=True)
class _Frame:
    response_id: str
    samples: Samples | None


class OutTrack(MediaStreamTrack):
    """An audio track that hands out encoded packets, which aiortc sends without encoding again.

    Speech is encoded when it is due, a frame at a time: encoding a sentence at once would delay its first
    sound, and what an interruption drops is never encoded.
    """

    kind = "audio"

    def __init__(self, listener: PlaybackListener) -> None:
        super().__init__()
        self._listener = listener
        self._queue: deque[_Frame] = deque()
        self._sent_frames = 0
        self._next_at: float | None = None
        self._encoder: OpusEncoder | None = None
        self._playing = ""
        self._played_ms = 0
        self.is_held = False

    def play(self, response_id: str, samples: Samples) -> None:
        """Queue 24 kHz speech of a response; beyond MAX_QUEUED_FRAMES the rest is dropped."""
        room = MAX_QUEUED_FRAMES - len(self._queue)
        starts = range(0, len(samples), FRAME_SAMPLES)[:room]
        self._queue.extend(_Frame(response_id, samples[start : start + FRAME_SAMPLES]) for start in starts)

    def end_of_speech(self, response_id: str) -> None:
        """Queue the mark after which a response counts as heard."""
        self._queue.append(_Frame(response_id, None))

    def clear(self) -> None:
        """Drop all that is queued: the next packet is silence."""
        self._queue.clear()
        self.is_held = False
        self._encoder = None

    def stop(self) -> None:
        """End the track and drop what it holds."""
        super().stop()
        self.clear()

    async def recv(self) -> "Packet[Stream]":
        """Return the next 20 ms when they are due."""
        if self.readyState != "live":
            raise MediaStreamError
        await self._wait_for_turn()
        packet = Packet(self._next_payload())
        packet.pts = self._sent_frames * CLOCK_HZ * FRAME_MS // 1000
        packet.time_base = TIME_BASE
        self._sent_frames += 1
        return packet

    async def _wait_for_turn(self) -> None:
        now = time.monotonic()
        due = now if self._next_at is None or now - self._next_at > MAX_LAG_S else self._next_at
        self._next_at = due + FRAME_S
        if due > now:
            await asyncio.sleep(due - now)

    def _next_payload(self) -> bytes:
        while self._queue and not self.is_held:
            frame = self._queue.popleft()
            if frame.samples is None:
                self._encoder = None
                self._listener.playback_ended(frame.response_id)
                continue
            self._note(frame.response_id)
            self._encoder = self._encoder or OpusEncoder()
            return self._encoder.encode(frame.samples)
        return SILENCE

    def _note(self, response_id: str) -> None:
        if self._playing != response_id:
            self._playing, self._played_ms = response_id, 0
            self._listener.playback_started(response_id)
        self._played_ms += FRAME_MS
        self._listener.played(response_id, self._played_ms)
