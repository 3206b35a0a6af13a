"""A body that is too large is refused while it arrives, declared or not."""

import asyncio
import json

import pytest
from pytest_django import Settings

from voiceagent import body_limit
from voiceagent.body_limit import BodyLimit, Message, Receive, Scope, Send

LIMIT = 1_000


@pytest.fixture(autouse=True)
def small_limit(settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = LIMIT


class Application:
    """Reads the whole body, as Django does, and answers 200."""

    def __init__(self) -> None:
        self.bytes_read = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            self.bytes_read += len(message.get("body", b""))
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def post(application: Application, chunks: list[bytes], *, declared: int | None = None) -> list[Message]:
    sent: list[Message] = []
    waiting = list(chunks)

    async def receive() -> Message:
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [] if declared is None else [(b"content-length", str(declared).encode())]
    await BodyLimit(application)({"type": "http", "path": "/api/x", "headers": headers}, receive, send)
    return sent


async def test_a_body_at_the_limit_passes() -> None:
    application = Application()
    sent = await post(application, [b"x" * LIMIT], declared=LIMIT)

    assert sent[0]["status"] == 200
    assert application.bytes_read == LIMIT


async def test_a_declared_length_over_the_limit_is_refused_unread() -> None:
    application = Application()
    sent = await post(application, [b"x" * (LIMIT + 1)], declared=LIMIT + 1)

    assert sent[0]["status"] == 413
    answer = json.loads(sent[1]["body"])
    assert answer["code"] == "too_large"
    assert (b"x-request-id", answer["requestId"].encode()) in sent[0]["headers"]
    assert application.bytes_read == 0


async def test_an_endless_chunked_body_is_refused_at_the_limit() -> None:
    application = Application()
    sent = await post(application, [b"x" * 400] * 1_000)

    assert [message["status"] for message in sent if "status" in message] == [413]
    assert application.bytes_read <= LIMIT


async def test_a_small_declared_length_does_not_hide_a_large_body() -> None:
    sent = await post(Application(), [b"x" * 400] * 10, declared=10)

    assert sent[0]["status"] == 413


async def test_a_body_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "BODY_DEADLINE_S", 0.1)
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    async with asyncio.timeout(5):
        await BodyLimit(Application())({"type": "http", "path": "/api/x", "headers": []}, receive, send)

    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["code"] == "request_timeout"


async def test_who_waits_for_a_client_to_leave_may_wait_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "BODY_DEADLINE_S", 0.05)
    heard: list[str] = []

    async def receive() -> Message:
        if heard:
            await asyncio.sleep(0.2)
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"", "more_body": False}

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(2):
            heard.append((await receive())["type"])

    async def send(message: Message) -> None:
        pytest.fail("it was answered")

    await BodyLimit(application)({"type": "http", "path": "/api/x", "headers": []}, receive, send)

    assert heard == ["http.request", "http.disconnect"]
