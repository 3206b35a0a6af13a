"""Asks a server on this machine over kept connections, with as little processor time of its own as Python allows."""

import asyncio
import random
import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.floor import HEAD_END, Exchange

END_WAIT_S = 30.0


@dataclass(frozen=True)
class Question:
    """One HTTP request, to be asked many times, and what a right answer contains. another: makes each one anew."""

    port: int
    message: bytes
    expected: bytes
    another: Callable[[], bytes] | None = None


@dataclass
class Answers:
    """How long answers took, in ms from when each was due, and how many were wrong or missing."""

    latencies_ms: list[float] = field(default_factory=list)
    errors: int = 0
    elapsed_s: float = 0.0

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    @property
    def p50_ms(self) -> float:
        return statistics.median(self.latencies_ms)


def question(port: int, path: str, body: bytes, headers: dict[str, str], *, expected: bytes) -> Question:
    fields = {
        "Host": f"127.0.0.1:{port}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
    } | headers
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return Question(port, f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body, expected)


class _Asker(Exchange):
    """One connection; tells `done` of each answer."""

    def __init__(self, asked: Question, answers: Answers, done: Callable[["_Asker"], None]) -> None:
        super().__init__()
        self._asked, self._answers, self._done = asked, answers, done
        self._due = 0.0
        self.is_lost = False

    def ask(self, due: float) -> None:
        self._due = due
        self.transport.write(self._asked.another() if self._asked.another else self._asked.message)

    def received(self, message: bytes) -> None:
        self._answers.latencies_ms.append((time.perf_counter() - self._due) * 1000)
        is_right = (
            message.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 201 "))
            and self._asked.expected in message.partition(HEAD_END)[2]
        )
        self._answers.errors += not is_right
        self._done(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True


async def ask_at_once(asked: Question, *, concurrency: int, seconds: float) -> Answers:
    """Keep so many requests under way for some seconds: each is followed by the next at once."""
    answers = Answers()
    began = time.perf_counter()
    end = began + seconds
    left = concurrency
    all_done = asyncio.Event()

    def next_one(asker: _Asker) -> None:
        nonlocal left
        now = time.perf_counter()
        if now < end:
            asker.ask(now)
            return
        left -= 1
        if not left:
            all_done.set()

    askers = await _connect(asked, answers, next_one, concurrency)
    for asker in askers:
        asker.ask(time.perf_counter())
    await _until(all_done, answers, lambda: left)
    answers.elapsed_s = time.perf_counter() - began
    for asker in askers:
        asker.transport.close()
    return answers


async def ask_at_rate(asked: Question, *, per_second: float, seconds: float) -> Answers:
    """Ask at random moments, so many a second, whether or not earlier ones are answered: as many people do."""
    answers = Answers()
    idle: deque[_Asker] = deque()
    askers = await _connect(asked, answers, idle.append, 1 + int(per_second * 2))
    idle.extend(askers)
    chance = random.Random(7)
    began = due = time.perf_counter()
    asked_for = 0
    while due < began + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        if idle:
            idle.popleft().ask(due)
        else:
            answers.errors += 1
        asked_for += 1
        due += chance.expovariate(per_second)
    async with asyncio.timeout(END_WAIT_S):
        while len(idle) < len(askers):  # noqa: ASYNC110  (the measured part is over)
            await asyncio.sleep(0.01)
    answers.elapsed_s = time.perf_counter() - began
    for asker in askers:
        asker.transport.close()
    return answers


async def _connect(asked: Question, answers: Answers, done: Callable[[_Asker], None], count: int) -> list[_Asker]:
    loop = asyncio.get_running_loop()
    return [
        (await loop.create_connection(lambda: _Asker(asked, answers, done), "127.0.0.1", asked.port))[1]
        for _ in range(count)
    ]


async def _until(all_done: asyncio.Event, answers: Answers, missing: Callable[[], int]) -> None:
    try:
        async with asyncio.timeout(END_WAIT_S * 2):
            await all_done.wait()
    except TimeoutError:
        answers.errors += missing()
