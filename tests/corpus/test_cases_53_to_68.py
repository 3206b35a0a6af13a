"""Cases 53 to 68: what the upstream does wrong while a client secret is minted, and what is left of it."""

import asyncio
import gzip
import json
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.contrib.auth.models import User
from django.test import AsyncClient
from pytest_django import Settings

from audit.models import AuditEvent
from realtime_api import upstream as realtime_upstream
from realtime_api.errors import UpstreamTlsFailed
from realtime_api.upstream import Upstream, hang_up, hang_up_sync
from relay.models import Call
from tests.conftest import ORIGIN, FakeUpstream
from tests.corpus.asking import URL, code
from tests.corpus.raw_upstream import Talk, answering, http, raw_upstream, read_request
from tokens.models import Issuance, Policy, QuotaCounter
from voiceagent.upstream import close_upstream_http, upstream_http

pytestmark = pytest.mark.django_db(transaction=True)
DIRECT = {"kind": "direct"}


async def mint(alices_page: AsyncClient, **headers: str) -> Any:
    return await alices_page.post(URL, DIRECT, content_type="application/json", headers=headers)


async def assert_left(status: str, error_code: str) -> None:
    """Check what is left: one row with its outcome, and intent and outcome on record, once."""
    row = await Issuance.objects.aget()
    assert (row.status, row.error_code, row.secret_digest) == (status, error_code, None)
    actions = [event.action async for event in AuditEvent.objects.order_by("id")]
    assert actions == ["client_secret.requested", f"client_secret.{status}"]


async def assert_mint(alices_page: AsyncClient, expected: tuple[int, str], status: str) -> Any:
    response = await mint(alices_page)
    assert code(response) == expected
    assert b"sk-tests-engine" not in response.content
    await assert_left(status, expected[1])
    return response


async def assert_mint_from(
    alices_page: AsyncClient, settings: Settings, talk: Talk, expected: tuple[int, str], status: str
) -> None:
    async with raw_upstream(talk) as upstream:
        settings.UPSTREAM_BASE_URL = upstream.url
        await assert_mint(alices_page, expected, status)
        assert len(upstream.heads) == 1, "a mint is never repeated"
        await close_upstream_http()


async def test_case_53_no_such_host(
    alices_page: AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = socket.getaddrinfo

    def unknown(host: str, *args: Any, **kwargs: Any) -> Any:
        if host == "upstream.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return ask(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    settings.UPSTREAM_BASE_URL = "http://upstream.invalid/v1"
    await assert_mint(alices_page, (503, "openai_api_unavailable"), "failed")


async def test_case_54_nobody_listens(alices_page: AsyncClient, settings: Settings) -> None:
    settings.UPSTREAM_BASE_URL = "http://127.0.0.1:1/v1"
    await assert_mint(alices_page, (503, "openai_api_unavailable"), "failed")


def certificate(folder: Path, *, name: str, expired: bool = False) -> ssl.SSLContext:
    """Return a server's TLS with a certificate that it signed itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    ends = now - timedelta(days=1) if expired else now + timedelta(days=1)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    (folder / "cert.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


WORTHLESS = pytest.mark.parametrize(
    ("name", "expired", "is_trusted"),
    [("localhost", False, False), ("localhost", True, True), ("other.example", False, True)],
    ids=["unknown signer", "expired", "another host"],
)


@WORTHLESS
async def test_case_55_a_certificate_that_proves_nothing(
    alices_page: AsyncClient,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    expired: bool,
    is_trusted: bool,
) -> None:
    tls = certificate(tmp_path, name=name, expired=expired)
    trusting = ssl.create_default_context(cafile=str(tmp_path / "cert.pem") if is_trusted else None)
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)
    async with raw_upstream(answering(http(200)), tls=tls) as upstream:
        settings.UPSTREAM_BASE_URL = upstream.url.replace("127.0.0.1", "localhost")
        await assert_mint(alices_page, (502, "upstream_tls"), "failed")
        assert upstream.heads == [], "the key was shown to whoever that is"
        await close_upstream_http()


@WORTHLESS
async def test_case_55_the_same_in_synchronous_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, expired: bool, is_trusted: bool
) -> None:
    tls = certificate(tmp_path, name=name, expired=expired)
    if is_trusted:
        monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(tmp_path / "cert.pem"))
    async with raw_upstream(answering(http(200)), tls=tls) as upstream:
        configured = Upstream(upstream.url.replace("127.0.0.1", "localhost"), "sk-tests-engine", 5)
        with pytest.raises(UpstreamTlsFailed):
            await asyncio.to_thread(hang_up_sync, configured, "rtc_1")
        assert upstream.heads == []


async def test_case_55_a_good_certificate_is_taken_by_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = certificate(tmp_path, name="localhost")
    trusted = str(tmp_path / "cert.pem")
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", trusted)
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", ssl.create_default_context(cafile=trusted))
    async with raw_upstream(answering(http(200)), tls=tls) as upstream:
        configured = Upstream(upstream.url.replace("127.0.0.1", "localhost"), "sk-tests-engine", 5)
        assert await asyncio.to_thread(hang_up_sync, configured, "rtc_1")
        assert await hang_up(upstream_http(), configured, "rtc_1")
        await close_upstream_http()


async def test_case_56_no_connection_in_time(
    alices_page: AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(realtime_upstream, "CONNECT_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection, but never answers TLS's hello
        settings.UPSTREAM_BASE_URL = f"https://127.0.0.1:{silent.getsockname()[1]}/v1"
        await assert_mint(alices_page, (504, "upstream_timeout"), "failed")
        await close_upstream_http()


async def test_case_57_no_answer(alices_page: AsyncClient, settings: Settings) -> None:
    settings.UPSTREAM_DEADLINE_S = 0.3
    await assert_mint_from(alices_page, settings, answering(stays=True), (504, "upstream_timeout"), "unknown")


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
DRIPS = {
    "status line": answering(b"H", *[b"T"] * 200, pause_s=0.02),
    "header": answering(HEAD + b"X-Drip: ", *[b"x"] * 200, pause_s=0.02),
    "headers": answering(HEAD, *[b"X-Drip: x\r\n"] * 200, pause_s=0.02),
    "body": answering(HEAD + b"Content-Length: 1000\r\n\r\n", *[b"{"] * 200, pause_s=0.02),
    "chunks": answering(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[b"1\r\n{\r\n"] * 200, pause_s=0.02),
}


@pytest.mark.parametrize("talk", DRIPS.values(), ids=DRIPS.keys())
async def test_case_58_an_answer_that_drips(alices_page: AsyncClient, settings: Settings, talk: Talk) -> None:
    settings.UPSTREAM_DEADLINE_S = 0.4
    began = time.monotonic()
    async with raw_upstream(talk) as upstream:
        settings.UPSTREAM_BASE_URL = upstream.url
        response = await mint(alices_page)
        await close_upstream_http()

    assert time.monotonic() - began < 3
    assert code(response) in ((504, "upstream_timeout"), (502, "openai_api_unavailable"))  # HTTTT is no HTTP
    await assert_left("unknown", code(response)[1])


async def test_case_59_a_reset_after_the_request(alices_page: AsyncClient, settings: Settings) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    await assert_mint_from(alices_page, settings, reset, (502, "openai_api_unavailable"), "unknown")


@pytest.mark.parametrize("status", [401, 403])
async def test_case_60_the_server_s_key_is_refused(
    alices_page: AsyncClient, upstream: FakeUpstream, status: int
) -> None:
    message = "Incorrect API key provided: sk-tests-engine"
    upstream.mint_answer = web.json_response({"error": {"message": message}}, status=status)
    response = await assert_mint(alices_page, (502, "upstream_auth_failed"), "failed")

    assert response.json()["upstreamStatus"] == status
    assert "WWW-Authenticate" not in response
    assert (await Issuance.objects.aget()).upstream_status == status


FAR = format_datetime(datetime(2094, 11, 6, tzinfo=UTC), usegmt=True)


@pytest.mark.parametrize(
    ("header", "seconds"), [("5", 5), (FAR, 120), ("abc", 1), ("-1", 1), ("1000000000", 120), ("1e9", 1), ("", 1)]
)
async def test_case_61_the_upstream_is_busy(
    alices_page: AsyncClient, upstream: FakeUpstream, header: str, seconds: int
) -> None:
    upstream.mint_answer = web.Response(status=429, headers={"Retry-After": header})
    response = await assert_mint(alices_page, (429, "rate_limited"), "failed")

    assert response["Retry-After"] == str(seconds)
    assert response.json()["retryAfter"] == seconds * 1000


@pytest.mark.parametrize("status", [500, 502, 503, 529])
async def test_case_62_the_upstream_fails(
    alices_page: AsyncClient, alice: User, upstream: FakeUpstream, status: int
) -> None:
    await Policy.objects.acreate(user=alice, secrets_a_day=5)
    upstream.mint_answer = web.Response(status=status, text="private detail")
    response = await assert_mint(alices_page, (502, "openai_api_unavailable"), "unknown")

    assert b"private detail" not in response.content
    assert len(upstream.minted) == 1
    assert (await QuotaCounter.objects.aget(metric="secrets_a_day")).used == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_case_63_a_redirect_is_not_followed(
    alices_page: AsyncClient, upstream: FakeUpstream, status: int
) -> None:
    asked = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(writer)

    async with raw_upstream(note) as elsewhere:
        upstream.mint_answer = web.Response(status=status, headers={"Location": elsewhere.url})
        await assert_mint(alices_page, (502, "upstream_bad_response"), "unknown")

        assert elsewhere.heads == []
    assert len(upstream.minted) == 1


def minted(**changes: object) -> bytes:
    answer = {"value": "ek_0123456789", "expires_at": int(time.time()) + 60, "session": {"id": "sess_1"}} | changes
    return json.dumps({name: value for name, value in answer.items() if value is not ...}).encode()


GARBLED = {
    "HTML": b"<html><body>Welcome</body></html>",
    "nothing": b"",
    "empty object": b"{}",
    "a list": b"[]",
    "not UTF-8": b"\xff\xfe",
    "deep": b"[" * 50_000,
    "value null": minted(value=None),
    "value a number": minted(value=7),
    "value of another kind": minted(value="sk-1234567890"),
    "value of 1 MB": minted(value="ek_" + "x" * 1_000_000),
    "value of 1 KB": minted(value="ek_" + "x" * 1_000),
    "value with blanks": minted(value="ek_\u00e9"),
    "no end": minted(expires_at=...),
    "end in the past": minted(expires_at=1),
    "end a fraction": minted(expires_at=time.time() + 60),
    "end a text": minted(expires_at="2030-01-01"),
    "end true": minted(expires_at=True),
    "end beyond all time": minted(expires_at=10**30),
    "session a text": minted(session="x"),
}


@pytest.mark.parametrize("body", GARBLED.values(), ids=GARBLED.keys())
async def test_case_64_an_answer_that_holds_no_secret(
    alices_page: AsyncClient, upstream: FakeUpstream, body: bytes
) -> None:
    upstream.mint_answer = web.Response(body=body)
    too_large = len(body) > realtime_upstream.MAX_ANSWER_BYTES
    expected = (502, "upstream_bad_response") if too_large else (500, "token_generation_failed")

    response = await assert_mint(alices_page, expected, "unknown")
    assert "ek_" not in response.content.decode()


async def test_case_64_an_answer_that_breaks_off(alices_page: AsyncClient, settings: Settings) -> None:
    half = HEAD + b"Content-Length: 1000\r\n\r\n" + minted()[:20]
    await assert_mint_from(alices_page, settings, answering(half), (502, "openai_api_unavailable"), "unknown")


async def test_case_65_a_small_answer_that_unpacks_to_a_huge_one(
    alices_page: AsyncClient, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = gzip.compress(b"{" * 50_000_000)
    read: list[int] = []
    read_answer = realtime_upstream._read_minted_secret

    def measure(headers: Any, body: bytes) -> Any:
        read.append(len(body))
        return read_answer(headers, body)

    monkeypatch.setattr(realtime_upstream, "_read_minted_secret", measure)
    upstream.mint_answer = web.Response(body=bomb, headers={"Content-Encoding": "gzip"})
    await assert_mint(alices_page, (500, "token_generation_failed"), "unknown")

    assert read == [len(bomb)]
    assert len(bomb) < realtime_upstream.MAX_ANSWER_BYTES


async def test_case_66_a_cookie_of_the_upstream_goes_to_nobody(alices_page: AsyncClient, settings: Settings) -> None:
    answer = http(200, minted(), b"Set-Cookie: who=alice; Path=/", b"Connection: keep-alive")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        upstream.heads.append(await read_request(reader))
        writer.write(http(200, minted(value="ek_second")))
        await writer.drain()

    async with raw_upstream(talk) as upstream:
        settings.UPSTREAM_BASE_URL = upstream.url
        assert (await mint(alices_page)).status_code == 200
        assert (await mint(alices_page)).status_code == 200
        await close_upstream_http()
    assert len(upstream.heads) == 2
    assert not any(b"cookie" in head.lower() for head in upstream.heads)


async def make_call(alices_page: AsyncClient, offer_sdp: str) -> Any:
    issued = await alices_page.post(URL, {}, content_type="application/json", headers={"origin": ORIGIN})
    sent = {"origin": ORIGIN, "authorization": f"Bearer {issued.json()['value']}"}
    return await alices_page.post("/v1/realtime/calls", offer_sdp, content_type="application/sdp", headers=sent)


@pytest.mark.parametrize(
    "body",
    [b"v=0\r\n" + b"a=x\r\n" * 20_000_000, b"<html>", b"v=0\r\nm=audio 9 x\x00 1\r\n"],
    ids=["100 MB", "HTML", "NUL"],
)
async def test_case_67_an_answer_that_is_no_sdp(
    alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str, body: bytes
) -> None:
    upstream.answer = web.Response(status=201, body=body, headers={"Location": "/v1/realtime/calls/rtc_9"})
    response = await make_call(alices_page, offer_sdp)

    assert code(response) == (502, "upstream_bad_response")
    assert (await Call.objects.aget()).state == "unknown"
    assert upstream.hung_up == ["rtc_9"]


async def test_case_68_two_answers_at_once_on_one_connection(alices_page: AsyncClient, settings: Settings) -> None:
    first, foreign, own = (minted(value=f"ek_{name}") for name in ("first", "foreign", "own"))
    answers = iter([http(200, first) + http(200, foreign), http(200, own)])

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(next(answers))
        await writer.drain()
        await reader.read()

    async with raw_upstream(talk) as upstream:
        settings.UPSTREAM_BASE_URL = upstream.url
        values = [(await mint(alices_page)).json().get("value") for _ in range(2)]
        await close_upstream_http()

    assert values == ["ek_first", "ek_own"]
    assert await Issuance.objects.filter(status="issued").acount() == 2
