"""Many sessions that send sound at a steady pace and wait for its echo, each event timed from when it was due."""

import asyncio
import base64
import heapq
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from bench.frames import Frames
from bench.load import Answers

CHUNK_BYTES = 960  # 20 ms of 24 kHz PCM16
RATE = 50.0  # such chunks a second
CREATED = b"session.created"
OPEN_TIMEOUT_S = 20.0
END_WAIT_S = 3.0
EVENT = (
    b'{"type":"input_audio_buffer.append","audio":"' + base64.b64encode(random.Random(7).randbytes(CHUNK_BYTES)) + b'"}'
)


class Session(Frames):
    """One client. An echo belongs to the oldest event that waits for one: nothing overtakes in a socket."""

    masks = True

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self._answers = answers
        self.due: deque[float] = deque()
        self.ready = asyncio.get_running_loop().create_future()
        self.is_lost = False

    def received(self, payload: bytes) -> None:
        if b"response.output_audio.delta" in payload[:60]:
            self._answers.latencies_ms.append((time.perf_counter() - self.due.popleft()) * 1000)
        elif CREATED in payload[:60] and not self.ready.done():
            self.ready.set_result(None)

    def say(self, due: float) -> None:
        self.due.append(due)
        self.send(EVENT)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("the socket was refused"))


@dataclass
class Sessions:
    """Open sessions with a server, to be used for several rounds."""

    open: list[Session]
    answers: Answers

    def close(self) -> None:
        for session in self.open:
            session.transport.close()


async def open_sessions(port: int, count: int, headers_of: Callable[[], str]) -> Sessions:
    """Open so many, some at a time. headers_of: returns the next one's credential."""
    answers = Answers()
    loop = asyncio.get_running_loop()
    opened: list[Session] = []
    for _ in range(count):
        _, session = await loop.create_connection(lambda: Session(answers), "127.0.0.1", port)
        session.ask("/v1/realtime", headers_of())
        await asyncio.wait_for(session.ready, OPEN_TIMEOUT_S)
        opened.append(session)
    return Sessions(opened, answers)


async def talk(sessions: Sessions, *, seconds: float) -> Answers:
    """Let all sessions speak for some seconds, each at its own moment of the pace."""
    answers, loop = sessions.answers, asyncio.get_running_loop()
    answers.latencies_ms.clear()
    began = time.perf_counter()
    interval = 1 / RATE
    schedule = [(began + interval * place / len(sessions.open), place) for place in range(len(sessions.open))]
    heapq.heapify(schedule)
    done = loop.create_future()

    def tick() -> None:
        now = time.perf_counter()
        while schedule[0][0] <= now:
            due, place = schedule[0]
            if due >= began + seconds:
                return done.set_result(None)
            heapq.heapreplace(schedule, (due + interval, place))
            sessions.open[place].say(due)
        loop.call_later(max(0.0, schedule[0][0] - time.perf_counter()), tick)
        return None

    tick()
    await done
    answers.elapsed_s = time.perf_counter() - began
    deadline = time.perf_counter() + END_WAIT_S
    while any(session.due for session in sessions.open) and time.perf_counter() < deadline:  # noqa: ASYNC110  (over)
        await asyncio.sleep(0.01)
    answers.errors = sum(len(session.due) + session.is_lost for session in sessions.open)
    for session in sessions.open:
        session.due.clear()
    return answers
