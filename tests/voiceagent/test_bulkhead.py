"""Many requests at once share a bounded number of places: none fails, and those that cannot wait are told so."""

import asyncio
import threading

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User

from agents.models import Agent
from tests.conftest import close_this_loop_s
from tests.voiceagent.test_direct_mount import Answer, ask
from tokens.key_services import create_api_key
from voiceagent import asgi, bulkhead
from voiceagent.body_limit import App, Message, Receive, Scope, Send
from voiceagent.bulkhead import Bulkhead

SLOW = "/slow"


class Application:
    """Answers when it is let, and counts what it works on; a stream then goes on until its end is let, too."""

    def __init__(self) -> None:
        self.at_once, self.most_at_once = 0, 0
        self.may_answer, self.may_end = asyncio.Event(), asyncio.Event()
        self.may_end.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.may_answer.wait()
        self.at_once -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await self.may_end.wait()
        await send({"type": "http.response.body", "body": b""})


def ask_all(app: App, count: int, path: str = "/api/x") -> "list[asyncio.Task[Answer]]":
    return [asyncio.create_task(ask(app, b"", path=path)) for _ in range(count)]


async def turns() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_so_many_are_let_through_and_the_others_follow() -> None:
    application = Application()
    asked = ask_all(Bulkhead(application, slow_paths=(), at_once=3), 10)
    await turns()
    assert application.at_once == 3
    application.may_answer.set()

    assert [answer.status for answer in await asyncio.gather(*asked)] == [200] * 10
    assert application.most_at_once == 3


async def test_what_waits_for_the_upstream_holds_up_nothing_else() -> None:
    application = Application()
    bounded = Bulkhead(application, slow_paths=(SLOW,), at_once=3)
    slow = ask_all(bounded, 10, SLOW)
    await turns()
    others = ask_all(bounded, 3)
    await turns()
    assert application.at_once == 6
    application.may_answer.set()
    await asyncio.gather(*slow, *others)


async def test_an_answer_that_takes_long_to_read_holds_no_place() -> None:
    application = Application()
    application.may_answer.set()
    application.may_end.clear()
    asked = ask_all(Bulkhead(application, slow_paths=(), at_once=3), 10)
    await turns()
    assert application.most_at_once == 1
    application.may_end.set()

    assert [answer.status for answer in await asyncio.gather(*asked)] == [200] * 10


async def test_a_body_that_takes_long_to_come_holds_no_place() -> None:
    application = Application()
    application.may_answer.set()
    bounded = Bulkhead(application, slow_paths=(), at_once=1)

    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def no_answer(message: Message) -> None:
        raise AssertionError

    slow = asyncio.create_task(bounded({"type": "http", "path": "/api/x"}, never, no_answer))
    await turns()

    assert (await ask(bounded, b"", path="/api/x")).status == 200
    slow.cancel()


@pytest.mark.parametrize(("path", "form"), [("/api/x", "application/json"), ("/x/", "text/html; charset=utf-8")])
async def test_who_waits_too_long_is_told_when_to_come_back(
    monkeypatch: pytest.MonkeyPatch, path: str, form: str
) -> None:
    monkeypatch.setattr(bulkhead, "LONGEST_WAIT_S", 0.01)
    application = Application()
    bounded = Bulkhead(application, slow_paths=(), at_once=1)
    first = ask_all(bounded, 1)
    await turns()
    answer = await ask(bounded, b"", path=path)
    application.may_answer.set()
    await asyncio.gather(*first)

    assert (answer.status, answer.headers["retry-after"], answer.headers["content-type"]) == (503, "1", form)
    assert answer.headers["x-request-id"].encode() in answer.body or b"busy" in answer.body


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/api/whoami", "/api/issuances", "/api/usage", "/v1/models"])
async def test_of_200_at_once_at_a_synchronous_route_all_are_answered(alice: User, assistant: Agent, path: str) -> None:
    made = await sync_to_async(create_api_key)(
        alice, name="k", scopes=["read", "mint"], days=9, allowed_networks=[], request_id="r", actor="tests"
    )
    threads_before = threading.active_count()  # that of the first call is among them
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, threading.active_count())
            await asyncio.sleep(0.005)

    watching = asyncio.create_task(watch())
    bounded = Bulkhead(asgi.django_application, slow_paths=asgi.SLOW_PATHS)
    answers = await asyncio.gather(
        *(ask(bounded, b"", path=path, method="GET", authorization=f"Bearer {made.value}") for _ in range(200))
    )
    watching.cancel()
    await close_this_loop_s()

    assert {answer.status for answer in answers} == {200}
    assert most <= threads_before + 2 * bulkhead.AT_ONCE
