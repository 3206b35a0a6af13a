"""Over the whole corpus, to every address that takes a body: no answer has the status 500."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import AsyncClient, Client
from pytest_django import Settings

from tests.conftest import close_this_loop_s
from tests.corpus.asking import ISSUING_URLS, UPSTREAM_URL, URL, at_the_door, post
from tests.corpus.test_cases_01_to_30 import BAD_JSON
from tests.tokens.conftest import MakeKey
from tokens.models import Issuance, Policy

ADDRESSES = (
    *ISSUING_URLS,
    "/api/keys",
    "/api/calls/rtc_1/events",
    "/v1/realtime/calls",
    "/v1/realtime/calls/rtc_1/hangup",
    "/api/realtime/handshake",
    "/api/issuances/1/revoke",
    "/api/issuances",
    "/api/usage",
    "/api/agents",
    "/api/whoami",
    "/v1/models",
)
JUNK: tuple[object, ...] = (
    None, True, 7, -1, 0.5, 10**30, "", "x", "\u202e", "\x1b[31m", "\n", "é" * 5_000, [], [[]], [None], {}, {"": ""},
    {"type": None}, {"type": []}, {"type": "server_vad"}, {"seconds": 10**30}, ["mint", "mint"], [{}], "127.0.0.0/8",
    "' OR 1=1 --", "{{7*7}}", "../../etc/passwd", "ek_0", "vak_0", "nan", "2^63", 2**63, [[[[[[[[[[1]]]]]]]]]],
)  # fmt: skip
OWN_FIELDS = ("agent", "sessionId", "capabilities", "kind", "expiresAfter", "name", "scopes", "days", "allowedNetworks")
SESSION_FIELDS = (
    "type", "model", "output_modalities", "instructions", "audio", "tools", "tool_choice", "max_output_tokens",
    "truncation", "reasoning", "parallel_tool_calls", "include", "tracing", "prompt", "",
)  # fmt: skip
SOUND_FIELDS = ("format", "noise_reduction", "transcription", "turn_detection", "voice", "speed", "type", "")
HEADERS = (
    {"idempotency-key": "\x00"}, {"idempotency-key": "é"}, {"x-request-id": "'\n"}, {"x-forwarded-for": "::::,%,"},
    {"origin": "https://[::1"}, {"origin": "null"}, {"origin": "https://host:99999"}, {"cookie": "session=\x00"},
    {"cookie": "csrf=é; session=''; =; ;"},
    {"user-agent": "\x00\ud7ff"}, {"content-type": "application/json; charset="}, {"content-length": "-5"},
    {"accept": "text/\x00"}, {"authorization": "\x00"}, {"authorization": "Bearer"}, {"host": "a\x00b"},
    {"accept-language": "x" * 5_000}, {"range": "bytes=9-1"}, {"content-encoding": "\x00"}, {"sec-fetch-site": "é"},
)  # fmt: skip


def bodies(url: str) -> Iterator[bytes]:
    """Return what to post to an address: whatever it reads, with junk in each of its places."""
    yield from BAD_JSON.values()
    yield from (json.dumps(junk).encode() for junk in JUNK)
    if url == URL or url.startswith(("/api/keys", "/api/calls")):
        yield from (json.dumps({name: junk}).encode() for name in OWN_FIELDS for junk in JUNK)
    if url == UPSTREAM_URL:
        yield from (json.dumps(body).encode() for body in upstream_bodies())


def upstream_bodies() -> Iterator[object]:
    for junk in JUNK:
        yield {"expires_after": junk, "session": junk}
        yield {"expires_after": {"anchor": junk, "seconds": junk}}
        yield from ({"session": {"type": "realtime", name: junk}} for name in SESSION_FIELDS)
        for side in ("input", "output"):
            sounds = [junk, *({name: junk} for name in SOUND_FIELDS)]
            yield from ({"session": {"type": "realtime", "audio": {side: sound}}} for sound in sounds)


@pytest.mark.parametrize("url", ADDRESSES)
def test_no_body_is_answered_500(alices_client: Client, alice: User, settings: Settings, url: str) -> None:
    settings.ISSUE_RATE = settings.ISSUE_BURST_RATE = settings.RELAY_RATE = "1000000/m"
    Policy.objects.create(user=alice, own_session=True, allowed_kinds=["relayed"], issue_rate="1000000/m")
    kind = "application/sdp" if url in ("/v1/realtime/calls", "/api/realtime/handshake") else "application/json"
    answered = [(body, post(alices_client, body, url=url, content_type=kind).status_code) for body in bodies(url)]

    assert len(answered) >= 60
    assert [body for body, status in answered if status >= 500] == []
    if url in ISSUING_URLS:
        issued = Issuance.objects.filter(status="issued").count()
        assert issued == sum(status == 200 for _, status in answered) > 0


@pytest.mark.parametrize("url", [*ADDRESSES, "/", "/keys/", "/nothing", "/healthz", "/accounts/login/"])
def test_no_header_is_answered_500(alices_client: Client, make_key: MakeKey, url: str) -> None:
    for method in ("GET", "POST"):
        for headers in HEADERS:
            response = alices_client.generic(method, url, b"{}", "application/json", headers=headers)
            assert response.status_code < 500, (method, headers)


QUERIES = ("model=%00", "model=" + "x" * 5_000, "model=é", "model=a&model=b", "model=%ff&;", "before=%00", "before=é")
METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "PATCH", "BREW", "x" * 99)


@pytest.mark.parametrize("url", [*ADDRESSES, "/", "/keys/", "/nothing", "/healthz", "/accounts/login/"])
def test_no_query_and_no_method_is_answered_500(alices_client: Client, url: str) -> None:
    asked = [(method, f"{url}?{query}") for method in ("GET", "POST") for query in QUERIES]
    asked += [(method, url) for method in METHODS]
    answered = [(alices_client.generic(*what, b"{}", "application/json").status_code, what) for what in asked]

    assert [what for status, what in answered if status >= 500] == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("url", [URL, UPSTREAM_URL])
async def test_the_short_way_to_the_hot_routes_answers_as_django_does(
    alices_page: AsyncClient, make_key: MakeKey, settings: Settings, url: str
) -> None:
    settings.ISSUE_RATE = settings.ISSUE_BURST_RATE = "1000000/m"
    settings.CLIENT_SECRET_KINDS = ["relayed"]
    bearer = f"Bearer {(await sync_to_async(make_key)()).value}"
    headers = [(b"authorization", bearer.encode()), (b"content-type", b"application/json")]
    for body in [*BAD_JSON.values(), *(json.dumps(junk).encode() for junk in JUNK)]:
        short = await at_the_door([body, b""], headers, path=url)
        sent = {"authorization": bearer}
        long = await alices_page.generic("POST", url, body, "application/json", headers=sent)
        assert short.status == long.status_code < 500, body
        if short.status != 200:
            told = json.loads(long.content)
            assert message_of(short.body) == message_of(told)
    await close_this_loop_s()


def message_of(body: dict[str, Any]) -> str:
    """Return what an error says, in either form; the request id differs from request to request."""
    error = body["error"]
    return str(error["message"] if isinstance(error, dict) else body["message"])
