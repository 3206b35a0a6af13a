"""The short way to the hot routes answers as Django's own way does, and leaves to Django what is not plain."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from agents.models import Agent
from audit import group_commit
from realtime_api.errors import UpstreamUnreachable
from tests.conftest import close_this_loop_s
from tokens.key_services import create_api_key
from tokens.models import Issuance
from voiceagent import asgi
from voiceagent.body_limit import App, Message, Receive, Scope, Send
from voiceagent.direct_mount import DirectMount

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/client-secret"
OF_ONE_REQUEST = {"x-request-id", "x-audit-event", "ratelimit", "content-length"}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def lasting_headers(self) -> dict[str, str]:
        return {name: value for name, value in self.headers.items() if name not in OF_ONE_REQUEST}


async def ask(
    app: App, *parts: bytes, path: str = URL, method: str = "POST", query: bytes = b"", **headers: str
) -> Answer:
    """Send one request to an ASGI application, its body in parts."""
    sent: list[Message] = []
    waiting = [
        {"type": "http.request", "body": part, "more_body": number < len(parts)} for number, part in enumerate(parts, 1)
    ]
    all_headers = {"host": "testserver", "content-type": "application/json"} | headers
    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query, "root_path": "",
        "headers": [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in all_headers.items()],
        "client": ("127.0.0.1", 5000), "server": ("testserver", 80),
    }  # fmt: skip

    async def receive() -> Message:
        if not waiting:
            await asyncio.Event().wait()  # the client stays for the answer
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    headers_found = {name.decode().lower(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], headers_found, b"".join(message.get("body", b"") for message in sent[1:]))


MOUNTED = DirectMount(asgi.django_application, asgi.HOT_VIEWS)


async def both(*parts: bytes, **headers: Any) -> tuple[Answer, Answer]:
    return await ask(MOUNTED, *parts, **headers), await ask(asgi.django_application, *parts, **headers)


@pytest.fixture
async def key(transactional_db: None, alice: User, assistant: Agent) -> AsyncIterator[str]:
    made = await sync_to_async(create_api_key)(
        alice, name="program", scopes=["mint"], days=9, allowed_networks=[], request_id="r", actor="user:1"
    )
    yield made.value
    await close_this_loop_s()


@pytest.fixture(autouse=True)
async def stopped(transactional_db: None) -> AsyncIterator[None]:
    yield
    await close_this_loop_s()


BODIES = [b"", b"{}", b'{"kind": "relayed"}', b'{"kind": "other"}', b"{", b'{"agent": "nobody"}', b"\xff"]


@pytest.mark.parametrize("body", BODIES)
async def test_answers_and_their_fields_are_the_same_on_both_ways(key: str, body: bytes) -> None:
    direct, plain = await both(body, authorization=f"Bearer {key}")

    assert direct.status == plain.status
    assert direct.lasting_headers() == plain.lasting_headers()
    assert json.loads(direct.body).keys() == json.loads(plain.body).keys()
    assert json.loads(direct.body).get("code") == json.loads(plain.body).get("code")
    assert direct.headers["content-length"] == str(len(direct.body))


async def test_refusals_are_the_same_on_both_ways(key: str, settings: Settings) -> None:
    for headers in (
        {},
        {"authorization": "Bearer vak_wrong"},
        {"authorization": "Basic x"},
        {"origin": "https://e.example"},
    ):
        direct, plain = await both(b"{}", **headers)

        assert direct.status == plain.status >= 400
        assert json.loads(direct.body)["code"] == json.loads(plain.body)["code"]
        assert direct.lasting_headers() == plain.lasting_headers()


async def test_a_browser_s_session_counts_with_its_token_only(alice: User, assistant: Agent) -> None:
    client = Client()
    await sync_to_async(client.force_login)(alice)
    cookie = f"session={client.cookies['session'].value}; csrf={'a' * 32}"

    direct, plain = await both(b"{}", cookie=cookie, x_csrftoken="a" * 32)
    without, _ = await both(b"{}", cookie=cookie)

    assert (direct.status, plain.status, without.status) == (200, 200, 403)
    assert json.loads(without.body)["code"] == "csrf_failed"
    assert direct.lasting_headers() == plain.lasting_headers()


async def test_staff_without_the_second_factor_that_is_demanded_are_refused(
    ada: User, assistant: Agent, settings: Settings
) -> None:
    settings.STAFF_NEED_SECOND_FACTOR = True
    client = Client()
    await sync_to_async(client.force_login)(ada)
    cookie = f"session={client.cookies['session'].value}; csrf={'a' * 32}"
    for answer in await both(b"{}", cookie=cookie, x_csrftoken="a" * 32):
        assert (answer.status, json.loads(answer.body)["code"]) == (403, "second_factor_required")


async def test_a_session_of_an_old_password_is_refused(alice: User, assistant: Agent) -> None:
    client = Client()
    await sync_to_async(client.force_login)(alice)
    alice.set_password("another-long-password")
    await alice.asave()

    direct, plain = await both(b"{}", cookie=f"session={client.cookies['session'].value}", x_csrftoken="a")

    assert (direct.status, plain.status) == (401, 401)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"host": "evil.example"}, 400), ({"cookie": "a=\0"}, 400), ({"cookie": 'a="\\000"'}, 400)],
)
async def test_what_is_not_plain_is_left_to_django(key: str, headers: dict[str, str], status: int) -> None:
    direct, plain = await both(b"{}", authorization=f"Bearer {key}", **headers)

    assert (direct.status, plain.status) == (status, status)
    assert not await Issuance.objects.filter(status="issued").aexists()


async def test_a_query_that_is_no_text_is_left_to_django() -> None:
    left: list[bytes] = []

    async def django(scope: Scope, receive: Receive, send: Send) -> None:
        left.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 400, "headers": []})

    answer = await ask(DirectMount(django, asgi.HOT_VIEWS), b"{}", query=b"\xff")

    assert (answer.status, left) == (400, [b"{}"])


async def test_plain_http_is_left_to_django_where_https_is_asked_for(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    left: list[bytes] = []

    async def django(scope: Scope, receive: Receive, send: Send) -> None:
        left.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 301, "headers": []})

    direct = await ask(DirectMount(django, asgi.HOT_VIEWS), b"{}")

    assert (direct.status, left) == (301, [b"{}"])


async def test_other_methods_and_paths_are_left_to_django(key: str) -> None:
    other_method = await ask(MOUNTED, b"", method="PUT")
    other_path = await ask(MOUNTED, b"", path=URL + "/")

    assert (other_method.status, other_method.headers["allow"]) == (405, "POST")
    assert other_path.status == 404


async def test_a_body_in_parts_is_read_whole_on_both_ways(key: str) -> None:
    direct, plain = await both(b'{"kind":', b' "relayed"', b"}", authorization=f"Bearer {key}")
    left_to_django = await ask(MOUNTED, b'{"kind":', b' "relayed"}', host="evil.example")

    assert (direct.status, plain.status, left_to_django.status) == (200, 200, 400)


async def test_a_client_that_leaves_before_its_body_is_whole_gets_and_leaves_nothing(key: str) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        pytest.fail("nobody is there")

    await MOUNTED({"type": "http", "method": "POST", "path": URL}, receive, send)

    assert not await Issuance.objects.aexists()


async def test_a_failure_that_nobody_expected_is_an_answer_and_a_log_line(
    key: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("unexpected: vak_secret")

    monkeypatch.setattr("tokens.api.identify", fail)

    direct = await ask(MOUNTED, b"{}", authorization=f"Bearer {key}")

    assert (direct.status, json.loads(direct.body)["code"]) == (500, "internal_error")
    assert b"vak_" not in direct.body
    assert any(record.levelname == "ERROR" and URL in record.getMessage() for record in caplog.records)


async def test_an_upstream_that_is_away_leaves_a_line_as_on_django_s_way(
    key: str, caplog: pytest.LogCaptureFixture
) -> None:
    for answer in await both(b'{"kind": "direct"}', authorization=f"Bearer {key}"):
        assert answer.status == 503

    lines = [record.getMessage() for record in caplog.records if record.name == "django.request"]
    assert lines == [f"Service Unavailable: {URL}"] * 2


async def test_an_error_that_the_view_answers_itself_leaves_a_line_as_on_django_s_way(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, transactional_db: None
) -> None:
    async def fail(*args: object, **kwargs: object) -> None:
        raise UpstreamUnreachable

    monkeypatch.setattr("relay.api.relay_to_the_end", fail)
    url = "/v1/realtime/calls"

    answers = await both(b"v=0", path=url, **{"content-type": "application/sdp"})

    assert [answer.status for answer in answers] == [503, 503]
    lines = [record.getMessage() for record in caplog.records if record.name == "django.request"]
    assert lines == [f"Service Unavailable: {url}"] * 2


async def test_issuing_through_the_mount_commits_before_it_answers(key: str) -> None:
    direct = await ask(MOUNTED, b'{"kind": "relayed"}', authorization=f"Bearer {key}")
    group_commit.stop_writer()

    row = await Issuance.objects.aget()
    assert (direct.status, row.status, row.secret_hint) == (200, "issued", json.loads(direct.body)["value"][-4:])
