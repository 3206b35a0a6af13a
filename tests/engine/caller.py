"""A WebRTC caller for the tests: aiortc, speaking prepared samples in real time and writing down what comes back."""

import asyncio
import json
import math
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from aiohttp import ClientSession
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame

from engine.audio import Samples, level_of
from engine.protocol_json import Json

MIC_RATE_HZ = 48_000
MIC_FRAME = MIC_RATE_HZ // 50
FRAME_S = MIC_FRAME / MIC_RATE_HZ
WAIT_S = 45.0
AUDIBLE_LEVEL = 60.0


class Microphone(MediaStreamTrack):
    """A track that speaks queued 48 kHz samples, and silence otherwise.

    A frame leaves when it is full, so what it holds was said up to 20 ms before: `speech_started_at` and
    `speech_ended_at` are the times of the first and last queued sample, and 0 until then.
    """

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._queue: deque[Samples] = deque()
        self._padding_s = 0.0
        self._sent = 0
        self._start: float | None = None
        self.speech_ended_at = 0.0
        self.speech_started_at = 0.0

    def say(self, samples: Samples) -> None:
        padding = -len(samples) % MIC_FRAME
        self._padding_s = padding / MIC_RATE_HZ
        self._queue.extend(np.pad(samples, (0, padding)).reshape(-1, MIC_FRAME))
        self.speech_started_at = self.speech_ended_at = 0.0

    async def recv(self) -> AudioFrame:
        self._start = self._start or time.monotonic()
        due = self._start + self._sent * FRAME_S
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        if self._queue:
            samples = self._queue.popleft()
            self.speech_started_at = self.speech_started_at or time.monotonic() - FRAME_S
            if not self._queue:
                self.speech_ended_at = time.monotonic() - self._padding_s
        else:
            samples = np.zeros(MIC_FRAME, np.int16)
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = MIC_RATE_HZ
        frame.pts = self._sent * MIC_FRAME
        frame.time_base = Fraction(1, MIC_RATE_HZ)
        self._sent += 1
        return frame


@dataclass
class Caller:
    """One call, with every event and the level of every received frame."""

    base_url: str
    api_key: str = "sk-test"
    call_id: str = ""
    events: list[Json] = field(default_factory=list)
    levels: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mic = Microphone()
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channel = self.connection.createDataChannel("oai-events")
        self._news = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self.channel.on("message", self._on_message)
        self.connection.on("track", lambda track: self._keep(self._listen(track)))

    async def dial(self, session: Json | None = None) -> "Caller":
        self.connection.addTrack(self.mic)
        await self.connection.setLocalDescription(await self.connection.createOffer())
        async with ClientSession() as http:
            secret = await self._mint(http, session)
            headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/sdp"}
            offer = self.connection.localDescription.sdp
            async with http.post(f"{self.base_url}/v1/realtime/calls", data=offer, headers=headers) as answer:
                assert answer.status == 201, await answer.text()
                self.call_id = answer.headers["Location"].rsplit("/", 1)[-1]
                sdp = await answer.text()
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        await self.wait_for("session.created")
        return self

    async def _mint(self, http: ClientSession, session: Json | None) -> str:
        body = {"session": {"type": "realtime", **(session or {})}}
        headers = {"Authorization": f"Bearer {self.api_key}"}
        async with http.post(f"{self.base_url}/v1/realtime/client_secrets", json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return str((await answer.json())["value"])

    def send(self, event_type: str, **fields: object) -> None:
        self.channel.send(json.dumps({"type": event_type, **fields}))

    def say_text(self, text: str) -> None:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        self.send("conversation.item.create", item=item)

    async def wait_for(
        self, event_type: str, after: int = 0, where: Callable[[Json], bool] = lambda event: True
    ) -> Json:
        """Return the first such event from place `after` on."""

        def found() -> list[Json]:
            return [event for event in self.events[after:] if event["type"] == event_type and where(event)]

        async with asyncio.timeout(WAIT_S), self._news:
            await self._news.wait_for(lambda: bool(found()))
        return found()[0]

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S), self._news:
            await self._news.wait_for(condition)

    def types(self, after: int = 0) -> list[str]:
        return [event["type"] for event in self.events[after:]]

    def first_sound_after(self, moment: float) -> float:
        later = self.levels[bisect_right(self.levels, (moment, math.inf)) :]
        return next((at for at, level in later if level > AUDIBLE_LEVEL), 0.0)

    def last_sound_after(self, moment: float) -> float:
        return max((at for at, level in self.levels if at > moment and level > AUDIBLE_LEVEL), default=0.0)

    def _on_message(self, message: str) -> None:
        event = json.loads(message)
        event["_at"] = time.monotonic()
        self.events.append(event)
        self._keep(self._notify())

    async def _listen(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, AudioFrame)
            self.levels.append((time.monotonic(), level_of(frame.to_ndarray().reshape(-1).astype(np.int16))))
            await self._notify()

    async def _notify(self) -> None:
        async with self._news:
            self._news.notify_all()

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        await asyncio.wait_for(self.connection.close(), 5)
        for task in list(self._tasks):
            task.cancel()
