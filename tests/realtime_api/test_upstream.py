"""What an answer of the upstream that is no success becomes."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from aiohttp import web

from realtime_api import errors
from realtime_api.session import build_session_config
from realtime_api.upstream import (
    MAX_ANSWER_BYTES,
    Upstream,
    create_call,
    create_client_secret,
    failure,
    hang_up,
    hang_up_sync,
    open_http,
)

SESSION = build_session_config(
    model="gpt-realtime-2.1",
    instructions="Be brief.",
    voice="marin",
    transcription_model="gpt-transcribe",
    language="en",
    turn_detection={"type": "server_vad", "create_response": True, "interrupt_response": True},
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def envelope(message: str, code: str = "invalid_value") -> bytes:
    return json.dumps({"error": {"message": message, "type": "x", "code": code, "param": None}}).encode()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, errors.UpstreamRefusedRequest),
        (404, errors.UpstreamRefusedRequest),
        (409, errors.UpstreamRefusedRequest),
        (413, errors.UpstreamRefusedRequest),
        (422, errors.UpstreamRefusedRequest),
        (401, errors.UpstreamAuthFailed),
        (403, errors.UpstreamAuthFailed),
        (429, errors.UpstreamRateLimited),
        (500, errors.UpstreamBroken),
        (503, errors.UpstreamBroken),
        (200, errors.UpstreamBadAnswer),
        (302, errors.UpstreamBadAnswer),
        (402, errors.UpstreamUnknown),
        (418, errors.UpstreamUnknown),
    ],
)
def test_a_status_becomes_an_error(status: int, error: type[errors.UpstreamError]) -> None:
    assert type(failure(status, {}, envelope("No."))) is error


def test_the_server_s_own_key_trouble_says_nothing_of_the_key() -> None:
    error = failure(401, {}, envelope("Incorrect API key provided: sk-proj-abc123"))

    assert "sk-" not in error.message
    assert error.status == 502


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abc_DEF-123456",
        "ek_0123456789abcdef",
        "org-AbCdEf123456",
        "sk-1234***89",
        "sk-ant-api03-AbC_123",
        "vak_0123456789",
        "gsk_AbCdEf0123456789",
        "xai-AbCdEf0123456789",
        "hf_AbCdEf0123456789",
        "AIzaSyA0123456789abcdefghijklmnopqrstuv",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_0123456789abcdef",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        "0123456789abcdef0123456789ABCDEF",
    ],
)
def test_secrets_and_account_names_are_taken_out_of_the_message(secret: str) -> None:
    error = failure(400, {}, envelope(f"Bad value {secret} here."))

    assert error.message == "Bad value [removed] here."


def test_what_follows_bearer_is_taken_out_whatever_it_is() -> None:
    assert failure(400, {}, envelope("Got 'Bearer hunter2hunter2'.")).message == "Got 'Bearer [removed]'."


@pytest.mark.parametrize(
    "words", ["invalid_value in session.audio", "sess_0123456789abcdef0123456789abcdef", "task-12"]
)
def test_plain_words_and_ids_stay(words: str) -> None:
    assert failure(400, {}, envelope(words)).message == words


@pytest.mark.parametrize(("code", "kept"), [("invalid_value", "invalid_value"), ("sk-proj-1234", ""), ("a b", "")])
def test_the_upstream_s_code_is_kept_if_it_is_one(code: str, kept: str) -> None:
    error = failure(400, {}, envelope("No.", code))

    assert isinstance(error, errors.UpstreamRefusedRequest)
    assert error.upstream_code == kept
    assert error.context == ({"upstreamCode": kept} if kept else {})


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": null}', b'{"error": "x"}', b"[" * 100_000])
def test_a_body_that_is_not_the_envelope_is_no_trouble(body: bytes) -> None:
    assert failure(400, {}, body).message == errors.UpstreamRefusedRequest.default_message


@pytest.mark.parametrize(
    ("header", "waits_ms"),
    [
        ("7", 7_000),
        ("0", 1_000),
        ("99999", 120_000),
        ("9" * 400, 120_000),
        ("1e9", 1_000),
        ("soon", 1_000),
        ("", 1_000),
        ("-5", 1_000),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 1_000),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 120_000),
        ("Wed, 99 Oct 2099 07:28:00 GMT", 1_000),
    ],
)
def test_the_time_to_wait_is_kept_within_reason(header: str, waits_ms: int) -> None:
    assert failure(429, {"Retry-After": header}, b"").retry_after_ms == waits_ms


def test_a_date_to_wait_for_is_understood() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)

    assert 25_000 <= (failure(429, {"Retry-After": date}, b"").retry_after_ms or 0) <= 30_000


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    session = open_http()
    yield session
    await session.close()


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Handler], Awaitable[Upstream]]]:
    runners = []

    async def start(handler: Handler) -> Upstream:
        app = web.Application()
        app.router.add_post("/{rest:.*}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return Upstream(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", "sk-server", deadline_s=0.5)

    yield start
    for runner in runners:
        await runner.cleanup()


Serve = Callable[[Handler], Awaitable[Upstream]]


async def make_call(http: aiohttp.ClientSession, upstream: Upstream) -> None:
    await create_call(http, upstream, offer_sdp="v=0\r\n", session=SESSION, safety_identifier="h")


async def test_one_multipart_request_holds_offer_session_and_key(http: aiohttp.ClientSession, serve: Serve) -> None:
    seen: dict[str, str] = {}

    async def take(request: web.Request) -> web.Response:
        form = await request.post()
        seen.update({name: part.decode() for name, part in form.items() if isinstance(part, bytearray)})
        seen.update(request.headers)
        return web.Response(
            status=201,
            text="v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n",
            headers={"Location": "/v1/realtime/calls/rtc_u1_9"},
        )

    created = await create_call(http, await serve(take), offer_sdp="v=0\r\n", session=SESSION, safety_identifier="h")

    assert created.call_id == "rtc_u1_9"
    assert seen["sdp"] == "v=0\r\n"
    assert json.loads(seen["session"]) == SESSION
    assert seen["Authorization"] == "Bearer sk-server"
    assert seen["OpenAI-Safety-Identifier"] == "h"
    assert "Cookie" not in seen


async def test_a_drip_of_bytes_does_not_stretch_the_deadline(http: aiohttp.ClientSession, serve: Serve) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=201)
        await response.prepare(request)
        while True:
            await response.write(b"v")
            await asyncio.sleep(0.05)

    upstream = await serve(drip)
    async with asyncio.timeout(2):
        with pytest.raises(errors.UpstreamTimeout):
            await make_call(http, upstream)


def raw_server(answer: Callable[[socket.socket], None]) -> tuple[socket.socket, threading.Thread]:
    """Start a server for one connection on loopback that reads the request's beginning and answers as it likes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve_one() -> None:
        connected, _ = listener.accept()
        with connected, contextlib.suppress(OSError):
            connected.recv(65_536)
            answer(connected)

    thread = threading.Thread(target=serve_one)
    thread.start()
    return listener, thread


def drip_header(connected: socket.socket) -> None:
    connected.sendall(b"HTTP/1.1 200 OK\r\nX-Drip: ")
    for _ in range(200):
        connected.sendall(b"x")
        time.sleep(0.05)


def drip_body(connected: socket.socket) -> None:
    connected.sendall(b"HTTP/1.1 500 Oh\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(200):
        connected.sendall(b"x")
        time.sleep(0.05)


def say_nothing(connected: socket.socket) -> None:
    connected.recv(1)


@pytest.mark.parametrize("answer", [drip_header, drip_body, say_nothing])
@pytest.mark.parametrize("in_sync", [True, False])
async def test_no_drip_of_header_or_body_stretches_a_hang_up(
    http: aiohttp.ClientSession, answer: Callable[[socket.socket], None], in_sync: bool
) -> None:
    listener, thread = raw_server(answer)
    with listener:
        upstream = Upstream(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", "sk-server", deadline_s=0.5)
        began = time.monotonic()
        work = asyncio.to_thread(hang_up_sync, upstream, "rtc_1") if in_sync else hang_up(http, upstream, "rtc_1")
        with pytest.raises(errors.UpstreamTimeout):
            await work
        assert time.monotonic() - began < 3
        await asyncio.to_thread(thread.join, 5)
        assert not thread.is_alive(), "the connection is still open"


def test_a_tls_connection_that_drips_is_cut_too() -> None:
    listener, thread = raw_server(drip_header)  # no TLS: the handshake waits for the rest of a record
    with listener:
        upstream = Upstream(f"https://127.0.0.1:{listener.getsockname()[1]}/v1", "sk-server", deadline_s=0.5)
        with pytest.raises(errors.UpstreamError):
            hang_up_sync(upstream, "rtc_1")
        thread.join(5)


async def test_a_call_whose_answer_breaks_off_is_known_by_its_id(http: aiohttp.ClientSession, serve: Serve) -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=201, headers={"Location": "/v1/realtime/calls/rtc_7"})
        response.content_length = 1_000
        await response.prepare(request)
        await response.write(b"v=0")
        assert request.transport is not None
        request.transport.close()
        return response

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=201, headers={"Location": "/v1/realtime/calls/rtc_7"})
        await response.prepare(request)
        while True:
            await response.write(b"v")
            await asyncio.sleep(0.05)

    async def flood(request: web.Request) -> web.Response:
        headers = {"Location": "/v1/realtime/calls/rtc_7"}
        return web.Response(status=201, body=b"x" * (MAX_ANSWER_BYTES + 1), headers=headers)

    for handler, kind in (
        (break_off, errors.UpstreamBroken),
        (drip, errors.UpstreamTimeout),
        (flood, errors.UpstreamBadAnswer),
    ):
        with pytest.raises(kind) as caught:
            await make_call(http, await serve(handler))
        assert caught.value.call_id == "rtc_7"


async def test_an_endless_answer_is_given_up(http: aiohttp.ClientSession, serve: Serve) -> None:
    async def flood(request: web.Request) -> web.Response:
        return web.Response(status=201, body=b"x" * (MAX_ANSWER_BYTES + 1))

    with pytest.raises(errors.UpstreamBadAnswer, match="too large"):
        await make_call(http, await serve(flood))


async def test_a_redirect_is_not_followed_with_the_key(http: aiohttp.ClientSession, serve: Serve) -> None:
    asked = []

    async def redirect(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    with pytest.raises(errors.UpstreamBadAnswer):
        await make_call(http, await serve(redirect))
    assert asked == ["/v1/realtime/calls"]


async def test_a_broken_connection_leaves_the_fate_unknown_and_is_not_repeated(
    http: aiohttp.ClientSession, serve: Serve
) -> None:
    asked = []

    async def hang(request: web.Request) -> web.Response:
        asked.append(request.path)
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    with pytest.raises(errors.UpstreamBroken) as caught:
        await make_call(http, await serve(hang))
    assert caught.value.fate_unknown
    assert len(asked) == 1


async def test_nothing_was_sent_when_nobody_listens(http: aiohttp.ClientSession) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = Upstream(f"http://127.0.0.1:{free.getsockname()[1]}/v1", "sk-server", deadline_s=0.5)
        with pytest.raises(errors.UpstreamUnreachable) as caught:
            await make_call(http, nobody)
        with pytest.raises(errors.UpstreamUnreachable):
            await asyncio.to_thread(hang_up_sync, nobody, "rtc_1")
    assert not caught.value.fate_unknown


@pytest.mark.parametrize("location", ["", "/", "/v1/realtime/calls/", "/v1/realtime/calls/a b", "x" * 200])
async def test_an_answer_without_a_call_id_is_no_call(http: aiohttp.ClientSession, serve: Serve, location: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=201, text="v=0\r\nm=audio 9 x 1\r\n", headers={"Location": location})

    with pytest.raises(errors.UpstreamBadAnswer, match="call id"):
        await make_call(http, await serve(answer))


@pytest.mark.parametrize(("status", "was_known"), [(200, True), (204, True), (404, False)])
async def test_hanging_up_twice_is_fine(
    http: aiohttp.ClientSession, serve: Serve, status: int, was_known: bool
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status)

    upstream = await serve(answer)
    assert await hang_up(http, upstream, "rtc_1") is was_known
    assert await asyncio.to_thread(hang_up_sync, upstream, "rtc_1") is was_known


async def test_a_hang_up_that_fails_is_an_error_in_both_forms(http: aiohttp.ClientSession, serve: Serve) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=500)

    upstream = await serve(answer)
    with pytest.raises(errors.UpstreamBroken):
        await hang_up(http, upstream, "rtc_1")
    with pytest.raises(errors.UpstreamBroken):
        await asyncio.to_thread(hang_up_sync, upstream, "rtc_1")


def test_the_key_is_not_in_the_text_of_its_owner() -> None:
    assert "sk-server" not in repr(Upstream("https://a.example/v1", "sk-server", 10))


@pytest.mark.parametrize(("status", "code"), [(402, "unknown_openai_error"), (500, "openai_api_unavailable")])
async def test_a_failure_is_logged_with_what_was_said_and_what_to_do(
    http: aiohttp.ClientSession, serve: Serve, caplog: pytest.LogCaptureFixture, status: int, code: str
) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=status, text="Pay sk-proj-abc123 of org-AbCdEf123456 first.\nINFO forged line")

    with pytest.raises(errors.UpstreamError) as told:
        await create_client_secret(http, await serve(refuse), session=SESSION, ttl_s=60, safety_identifier="h")

    assert told.value.upstream_data == "Pay [removed] of [removed] first.\nINFO forged line"
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert f"mint failed upstream code={code} status={status} text={told.value.message!r}" in line
    assert "data='Pay [removed] of [removed] first.\\nINFO forged line'" in line
    assert f"reference=docs/errors.md#{code} action={told.value.suggested_action!r}" in line
