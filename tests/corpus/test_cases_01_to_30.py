"""Cases 1 to 30: what is wrong with a request for a client secret, what it is answered, and what is left of it."""

import asyncio
import gzip
import json
import logging
import re
import threading
import time

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connection
from django.test import AsyncClient, Client
from django.utils import timezone
from pytest_django import Settings

from agents.models import Agent
from audit.models import AuditEvent
from realtime_api import client_secrets
from tests.conftest import close_this_loop_s
from tests.corpus.asking import UPSTREAM_URL, URL, at_the_door, code, kept, post, recorded
from tests.tokens.conftest import MakeKey
from tokens.models import ApiKey, Issuance, Policy, QuotaCounter
from voiceagent import body_limit

DENIED = "client_secret.denied"


@pytest.fixture
def nothing_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_secrets, "make_value", lambda: pytest.fail("a secret was made"))


def test_case_01_nobody_known(client: Client, db: None, nothing_is_made: None) -> None:
    response = post(client, "{}")

    assert code(response) == (401, "not_authenticated")
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert (kept(), recorded()) == ([("denied", "not_authenticated")], [DENIED])
    for _ in range(30):
        post(client, "{}")
    assert len(kept()) == 20
    assert Issuance.objects.order_by("-id")[0].repeats >= 8


def test_case_02_a_session_without_its_csrf_token(alice: User, nothing_is_made: None) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    response = post(browser, "{}")

    assert code(response) == (403, "csrf_failed")
    assert response["Content-Type"] == "application/json"
    assert (kept(), recorded()) == ([("denied", "csrf_failed")], [DENIED])


@pytest.mark.parametrize("method", ["GET", "PUT", "TRACE", "DELETE", "PATCH"])
def test_case_03_another_method(alices_client: Client, method: str) -> None:
    response = alices_client.generic(method, URL)

    assert code(response) == (405, "method_not_allowed")
    assert response["Allow"] == "POST"
    assert kept() == []


def test_case_04_an_empty_body_asks_for_the_defaults(alices_client: Client) -> None:
    assert post(alices_client, b"").status_code == 200
    assert kept() == [("issued", "")]


BAD_JSON = {
    "05 null": b"null",
    "05 list": b"[]",
    "05 text": b'"x"',
    "05 number": b"5",
    "08 no utf-8": b'{"agent": "\xff"}',
    "08 byte order mark": b"\xef\xbb\xbf{}",
    "08 utf-16": '{"agent": "assistant"}'.encode("utf-16"),
    "09 twice": b'{"agent": "assistant", "agent": "assistant"}',
    "11 deep": b"[" * 10_000,
    "11 deep and closed": b'{"agent":' * 8_000,
    "12 NaN": b'{"expiresAfter": NaN}',
    "12 infinite": b'{"expiresAfter": 1e400}',
    "12 minus infinite": b'{"expiresAfter": -Infinity}',
    "13 5000 digits": b'{"expiresAfter": ' + b"7" * 5_000 + b"}",
    "14 true": b'{"expiresAfter": true}',
    "14 text": b'{"expiresAfter": "600"}',
    "14 fraction": b'{"expiresAfter": 600.0}',
    "14 Arabic digits": '{"expiresAfter": "\u0666\u0660\u0660"}'.encode(),
    "14 null": b'{"expiresAfter": null}',
    "16 NUL": b'{"sessionId": "a\\u0000b"}',
    "16 raw NUL": b'{"sessionId": "a\x00b"}',
    "16 surrogate": b'{"sessionId": "\\ud800"}',
    "16 surrogate in a name": b'{"\\udfff": 1}',
    "17 newline": b'{"sessionId": "a\\nINFO forged line"}',
    "17 escape": b'{"sessionId": "\\u001b[31mred"}',
    "17 right to left": b'{"sessionId": "\\u202eelif"}',
    "17 10,000 characters": b'{"sessionId": "' + b"x" * 10_000 + b'"}',
}


def numbered(number: str) -> list[object]:
    return [pytest.param(body, id=name[3:]) for name, body in BAD_JSON.items() if name.startswith(number)]


def assert_refused_as_unreadable(client: Client, raw_body: bytes) -> None:
    assert code(post(client, raw_body)) == (400, "invalid_request")
    assert (kept(), recorded()) == ([("denied", "invalid_request")], [DENIED])


@pytest.mark.parametrize("raw_body", numbered("05"))
def test_case_05_json_that_is_no_object(alices_client: Client, nothing_is_made: None, raw_body: bytes) -> None:
    assert_refused_as_unreadable(alices_client, raw_body)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_case_06_json_under_another_name(alices_client: Client, nothing_is_made: None, content_type: str) -> None:
    assert code(post(alices_client, "{}", content_type=content_type)) == (415, "unsupported_media_type")
    assert kept() == [("denied", "unsupported_media_type")]


@pytest.mark.parametrize("charset", ["utf-7", "bogus", "utf-16", "latin-1"])
def test_case_07_another_charset(alices_client: Client, nothing_is_made: None, charset: str) -> None:
    response = post(alices_client, "{}", content_type=f"application/json; charset={charset}")

    assert code(response) == (415, "unsupported_media_type")
    assert kept() == [("denied", "unsupported_media_type")]


@pytest.mark.parametrize("raw_body", numbered("08"))
def test_case_08_no_utf_8_or_a_byte_order_mark(alices_client: Client, nothing_is_made: None, raw_body: bytes) -> None:
    assert_refused_as_unreadable(alices_client, raw_body)


@pytest.mark.parametrize("raw_body", numbered("09"))
def test_case_09_a_name_twice(alices_client: Client, nothing_is_made: None, raw_body: bytes) -> None:
    assert_refused_as_unreadable(alices_client, raw_body)


UNKNOWN = {name: name for name in ("is_admin", "api_base", "url", "user", "ip", "kind_of")}
UNSHOWN = dict.fromkeys(("a" * 10_000, "\u202e", "vak_0123456789", "a b", "", "<b>", "0123456789abcdef" * 2), "…")


@pytest.mark.parametrize(("name", "shown"), (UNKNOWN | UNSHOWN).items())
def test_case_10_an_unknown_name(alices_client: Client, nothing_is_made: None, name: str, shown: str) -> None:
    response = post(alices_client, json.dumps({name: "https://evil.example"}))

    assert code(response) == (400, "unknown_field")
    assert response.json()["message"] == f"'{shown}' is not a field of this request."
    assert kept() == [("denied", "unknown_field")]


@pytest.mark.parametrize("name", ["model", "session", "instructions", "tools", "expires_after"])
def test_case_10_a_name_that_is_the_server_s(alices_client: Client, nothing_is_made: None, name: str) -> None:
    assert code(post(alices_client, json.dumps({name: {"model": "x"}}))) == (400, "invalid_session_config")
    assert kept() == [("denied", "invalid_session_config")]


def test_case_10_a_voice_that_is_no_name(alices_client: Client, nothing_is_made: None) -> None:
    assert code(post(alices_client, json.dumps({"voice": {"model": "x"}}))) == (400, "invalid_request")
    assert kept() == [("denied", "invalid_request")]


@pytest.mark.parametrize("name", ["api_base", "base_url", "tracing", "prompt", "voice", "url", "webhook", "metadata"])
def test_case_10_an_unknown_name_in_a_session(alices_client: Client, nothing_is_made: None, name: str) -> None:
    body = json.dumps({"session": {"type": "realtime", name: "https://evil.example"}})

    assert code(post(alices_client, body, url=UPSTREAM_URL)) == (400, "invalid_session_config")
    assert kept() == [("denied", "invalid_session_config")]


@pytest.mark.parametrize("raw_body", numbered("11"))
def test_case_11_nested_too_deeply(alices_client: Client, nothing_is_made: None, raw_body: bytes) -> None:
    if len(raw_body) > 16_384:
        assert code(post(alices_client, raw_body)) == (413, "too_large")
    else:
        assert_refused_as_unreadable(alices_client, raw_body)


@pytest.mark.parametrize("raw_body", numbered("12"))
def test_case_12_numbers_that_are_none(alices_client: Client, nothing_is_made: None, raw_body: bytes) -> None:
    assert_refused_as_unreadable(alices_client, raw_body)


@pytest.mark.parametrize("raw_body", numbered("13"))
def test_case_13_a_number_of_5000_digits(alices_client: Client, nothing_is_made: None, raw_body: bytes) -> None:
    assert_refused_as_unreadable(alices_client, raw_body)


@pytest.mark.parametrize("raw_body", numbered("14"))
def test_case_14_a_life_of_another_type(alices_client: Client, nothing_is_made: None, raw_body: bytes) -> None:
    assert_refused_as_unreadable(alices_client, raw_body)


@pytest.mark.parametrize("seconds", [9, 7201, -1, 0, 2**63, -(2**63)])
@pytest.mark.parametrize("url", [URL, UPSTREAM_URL])
def test_case_15_a_life_out_of_range(alices_client: Client, nothing_is_made: None, url: str, seconds: int) -> None:
    expiry = {"anchor": "created_at", "seconds": seconds}
    body = {"expiresAfter": seconds} if url == URL else {"expires_after": expiry}
    response = post(alices_client, json.dumps(body), url=url)

    assert code(response) == (400, "out_of_range")
    assert "from 10 to 7200 seconds" in response.content.decode()
    assert kept() == [("denied", "out_of_range")]


@pytest.mark.parametrize("raw_body", numbered("16"))
def test_case_16_text_that_cannot_be_stored(alices_client: Client, nothing_is_made: None, raw_body: bytes) -> None:
    assert_refused_as_unreadable(alices_client, raw_body)


@pytest.mark.parametrize("raw_body", numbered("17"))
def test_case_17_text_that_could_forge_a_line(alices_client: Client, nothing_is_made: None, raw_body: bytes) -> None:
    assert_refused_as_unreadable(alices_client, raw_body)


@pytest.mark.parametrize("agent", ["Mozilla\x1b[31m", "a\u202eb", "a\x85INFO forged", "a\u2028b", "x" * 10_000])
def test_case_17_a_header_that_could_forge_a_line(
    alices_client: Client, caplog: pytest.LogCaptureFixture, agent: str
) -> None:
    with caplog.at_level(logging.INFO):
        assert post(alices_client, "{}", user_agent=agent).status_code == 200

    row = Issuance.objects.get()
    assert row.user_agent.isprintable()
    assert len(row.user_agent) <= 300
    assert all(record.getMessage().isprintable() for record in caplog.records)


@pytest.mark.django_db(transaction=True)
async def test_case_18_20_mb_with_their_length() -> None:
    answer = await at_the_door([b"x" * 65_536] * 320, [(b"content-length", b"20971520")])

    assert (answer.status, answer.body["code"], answer.bytes_taken) == (413, "too_large", 0)
    assert answer.headers["content-type"] == "application/json"
    assert not await Issuance.objects.aexists()
    await close_this_loop_s()


@pytest.mark.django_db(transaction=True)
async def test_case_19_300_mb_in_chunks_without_a_length() -> None:
    answer = await at_the_door((b"x" * 65_536 for _ in range(4_800)), [(b"transfer-encoding", b"chunked")])

    assert (answer.status, answer.body["code"]) == (413, "too_large")
    assert answer.bytes_taken <= 262_144 + 65_536
    assert answer.headers["connection"] == "close"
    assert not await Issuance.objects.aexists()
    await close_this_loop_s()


@pytest.mark.django_db(transaction=True)
async def test_case_20_a_body_that_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "BODY_DEADLINE_S", 0.3)
    began = time.monotonic()
    answer = await at_the_door((b" " for _ in range(1_000)), pause_s=0.02)

    assert (answer.status, answer.body["code"]) == (408, "request_timeout")
    assert answer.headers["connection"] == "close"
    assert time.monotonic() - began < 3
    assert not await Issuance.objects.aexists()
    await close_this_loop_s()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "x"])
def test_case_21_a_compressed_body(alices_client: Client, nothing_is_made: None, encoding: str) -> None:
    response = post(alices_client, gzip.compress(b"{}"), content_encoding=encoding)

    assert code(response) == (415, "unsupported_media_type")
    assert kept() == [("denied", "unsupported_media_type")]


def test_case_22_an_agent_that_is_not_there_or_not_for_one(
    alices_client: Client, alice: User, nothing_is_made: None
) -> None:
    Policy.objects.create(user=alice, allowed_agents=["other"])
    answers = [post(alices_client, json.dumps({"agent": name})) for name in ("assistant", "nobody", "../etc")]

    assert [code(answer) for answer in answers] == [(404, "unknown_agent")] * 3
    bodies = [{name: value for name, value in answer.json().items() if name != "requestId"} for answer in answers]
    assert bodies[0] == bodies[1] == bodies[2]
    assert kept() == [("denied", "unknown_agent")] * 3


def test_case_23_an_agent_switched_off_meanwhile(alices_client: Client, nothing_is_made: None) -> None:
    Agent.objects.update(enabled=False)

    assert code(post(alices_client, '{"agent": "assistant"}')) == (409, "agent_disabled")
    assert kept() == [("denied", "agent_disabled")]


def test_case_24_over_the_rate(alices_client: Client, settings: Settings) -> None:
    settings.ISSUE_RATE = "1/h"
    assert post(alices_client, "{}").status_code == 200
    answers = [post(alices_client, "{}") for _ in range(30)]

    assert {code(answer) for answer in answers} == {(429, "rate_limited")}
    assert 1 <= int(answers[0]["Retry-After"]) <= 3_601
    assert answers[0]["RateLimit-Policy"] == '"issue";q=1;w=3600'
    assert answers[0]["RateLimit"].startswith('"issue";r=0;t=')
    assert kept() == [("issued", "")] + [("denied", "rate_limited")] * 20


def test_case_25_over_the_allowance(alices_client: Client, alice: User) -> None:
    Policy.objects.create(user=alice, secrets_a_day=1)
    post(alices_client, "{}")
    response = post(alices_client, "{}")

    assert code(response) == (403, "quota_exceeded")
    assert response.json()["context"]["resetsAt"] > timezone.now().timestamp()
    assert kept() == [("issued", ""), ("denied", "quota_exceeded")]
    assert QuotaCounter.objects.get(metric="secrets_a_day").used == 1


@pytest.mark.django_db(transaction=True)
def test_case_26_32_at_once_for_the_last_one(alice: User, assistant: Agent) -> None:
    Policy.objects.create(user=alice, secrets_a_day=1)
    signed_in = Client()
    signed_in.force_login(alice)
    start, codes = threading.Barrier(32), []

    def ask() -> None:
        one = Client()
        one.cookies = signed_in.cookies
        start.wait()
        codes.append(code(post(one, "{}")))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(codes) == [(200, "")] + [(403, "quota_exceeded")] * 31
    assert recorded().count("client_secret.requested") == recorded().count("client_secret.issued") == 1
    assert QuotaCounter.objects.get(metric="secrets_a_day").used == 1


def test_case_27_the_same_again(alices_client: Client) -> None:
    assert post(alices_client, "{}", idempotency_key="k").status_code == 200
    response = post(alices_client, "{}", idempotency_key="k")

    assert code(response) == (409, "already_minted")
    assert response.json()["context"] == {"issuance": Issuance.objects.get(status="issued").pk}
    assert recorded() == ["client_secret.requested", "client_secret.issued", DENIED]


@pytest.mark.django_db(transaction=True)
async def test_case_27_the_same_at_once(alices_page: AsyncClient) -> None:
    async def ask() -> int:
        headers = {"idempotency-key": "k"}
        status: int = (await alices_page.post(URL, {}, content_type="application/json", headers=headers)).status_code
        return status

    statuses = await asyncio.gather(*(ask() for _ in range(8)))

    assert sorted(statuses) == [200] + [409] * 7
    assert await Issuance.objects.filter(status="issued").acount() == 1


def test_case_28_the_same_key_for_something_else(alices_client: Client) -> None:
    post(alices_client, "{}", idempotency_key="k")

    assert code(post(alices_client, '{"kind": "relayed"}', idempotency_key="k")) == (422, "idempotency_mismatch")
    assert kept() == [("issued", ""), ("denied", "idempotency_mismatch")]


@pytest.mark.parametrize(
    "value", ["' OR '1'='1", "vak_' OR '1'='1", "vak_" + "x" * 10_240, "vak_\u00e9\u20ac", "", "x y", "vak_" + "0" * 49]
)
@pytest.mark.parametrize("scheme", ["Bearer", "Basic", "bearer ", ""])
def test_case_29_what_is_no_key(
    alices_client: Client, make_key: MakeKey, nothing_is_made: None, scheme: str, value: str
) -> None:
    make_key()
    response = post(alices_client, "{}", authorization=f"{scheme} {value}")

    assert code(response) == (401, "invalid_api_key")
    assert response.json()["message"] == "The API key is not valid."
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert value == "" or value not in response.content.decode()
    assert kept() == [("denied", "invalid_api_key")]


@pytest.mark.django_db(transaction=True)
async def test_case_29_two_authorization_headers(make_key: MakeKey) -> None:
    good = (await sync_to_async(make_key)()).value.encode()
    both = [(b"authorization", b"Bearer " + good), (b"authorization", b"Bearer " + good)]
    answer = await at_the_door(headers=both)

    assert (answer.status, answer.body["code"]) == (401, "invalid_api_key")
    assert await Issuance.objects.filter(status="denied", error_code="invalid_api_key").acount() == 1
    await close_this_loop_s()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"expires_at": "2020-01-01T00:00Z"}, "key_expired"),
        ({"revoked_at": "2020-01-01T00:00Z"}, "invalid_api_key"),
        ({"enabled": False}, "invalid_api_key"),
    ],
)
def test_case_30_a_key_that_is_over(
    client: Client, make_key: MakeKey, nothing_is_made: None, change: dict[str, object], expected: str
) -> None:
    value = make_key().value
    ApiKey.objects.update(**change)
    response = post(client, "{}", authorization=f"Bearer {value}")

    assert code(response) == (401, expected)
    assert not re.search(r"vak_\w+", response.content.decode())
    assert kept() == [("denied", expected)]
    assert AuditEvent.objects.get(action=DENIED).code == expected
