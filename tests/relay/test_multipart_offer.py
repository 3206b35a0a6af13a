"""POST /v1/realtime/calls with an API key: one multipart request is a secret issued and a call made."""

import json
from collections.abc import Callable

import openai
import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from audit.models import AuditEvent
from relay.models import Call
from tests.conftest import FakeUpstream, session_of
from tests.relay.conftest import serving
from tests.relay.test_relay_offer import URL, Answer, code
from tests.tokens.conftest import MakeKey
from tests.tokens.conftest import make_key as make_key
from tokens.models import Issuance, Policy

pytestmark = pytest.mark.django_db(transaction=True)
KIND = "multipart/form-data; boundary=x"
SESSION = {"type": "realtime", "audio": {"output": {"voice": "cedar"}}}
Parts = list[tuple[str, str]]


def multipart(parts: Parts) -> bytes:
    each = [f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in parts]
    return "".join([*each, "--x--\r\n"]).encode()


@pytest.fixture
def program(alices_page: AsyncClient) -> AsyncClient:
    """A client without cookies, whose loop is tidied up after the test."""
    return AsyncClient()


@pytest.fixture
def key(make_key: MakeKey) -> str:
    return make_key().value


async def call(program: AsyncClient, key: str, body: bytes, **headers: str) -> Answer:
    return await program.post(URL, body, content_type=KIND, headers={"authorization": f"Bearer {key}"} | headers)


async def test_it_is_a_secret_issued_and_used(
    program: AsyncClient, key: str, upstream: FakeUpstream, offer_sdp: str, answer_sdp: str
) -> None:
    response = await call(program, key, multipart([("sdp", offer_sdp), ("session", json.dumps(SESSION))]))

    assert (response.status_code, response.content.decode()) == (201, answer_sdp)
    assert response["Location"] == "/v1/realtime/calls/rtc_1"
    issuance, made = await Issuance.objects.aget(), await Call.objects.aget()
    assert (issuance.status, issuance.kind, issuance.voice) == ("issued", "relayed", "cedar")
    assert issuance.first_used_at is not None
    assert (made.state, made.issuance_id) == ("live", issuance.pk)
    events = AuditEvent.objects.exclude(action__startswith="api_key").order_by("pk")
    assert [event.action async for event in events] == [
        "client_secret.requested", "client_secret.issued", "call.requested", "call.created",
    ]  # fmt: skip


async def test_the_upstream_gets_the_agent_s_session_with_what_policy_lets_a_caller_name(
    program: AsyncClient, key: str, upstream: FakeUpstream, offer_sdp: str
) -> None:
    await call(program, key, multipart([("sdp", offer_sdp), ("session", json.dumps(SESSION))]))

    asked = upstream.requests[0]
    assert asked["authorization"] == "Bearer sk-tests-engine"
    session = session_of(asked)
    assert session["instructions"]
    assert session["audio"]["output"]["voice"] == "cedar"  # type: ignore[index]  # as the protocol says


async def test_without_a_session_it_is_the_agent_s(
    program: AsyncClient, key: str, upstream: FakeUpstream, offer_sdp: str
) -> None:
    assert (await call(program, key, multipart([("sdp", offer_sdp)]))).status_code == 201


BAD: dict[str, tuple[Callable[[str], bytes], tuple[int, str]]] = {
    "no boundary's worth": (lambda sdp: b"junk", (400, "invalid_sdp")),
    "no offer": (lambda sdp: multipart([("session", "{}")]), (400, "invalid_sdp")),
    "an offer that is none": (lambda sdp: multipart([("sdp", "v=1")]), (400, "invalid_sdp")),
    "two offers": (lambda sdp: multipart([("sdp", sdp), ("sdp", sdp)]), (400, "invalid_request")),
    "another part": (lambda sdp: multipart([("sdp", sdp), ("model", "x")]), (400, "unknown_field")),
    "no JSON": (lambda sdp: multipart([("sdp", sdp), ("session", "{")]), (400, "invalid_request")),
    "no object": (lambda sdp: multipart([("sdp", sdp), ("session", "[]")]), (400, "invalid_request")),
    "instructions": (
        lambda sdp: multipart([("sdp", sdp), ("session", '{"type":"realtime","instructions":"x"}')]),
        (403, "policy_denied"),
    ),
    "many parts": (lambda sdp: multipart([("sdp", "v=0")] * 1_100), (400, "invalid_request")),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_one_is_refused_with_its_code_and_makes_nothing(
    program: AsyncClient, key: str, upstream: FakeUpstream, offer_sdp: str, name: str
) -> None:
    body, expected = BAD[name]
    response = await call(program, key, body(offer_sdp))

    assert code(response) == expected
    row = await Issuance.objects.aget()
    assert (row.status, row.error_code, row.username) == ("denied", expected[1], "alice")
    assert (upstream.requests, await Call.objects.acount()) == ([], 0)


async def test_a_part_of_any_bytes_is_never_a_fault_of_ours(
    program: AsyncClient, key: str, upstream: FakeUpstream, offer_sdp: str
) -> None:
    odd = [b"\xff\xfe", b"+2AA-", b"\x00", "\ud7ff".encode()]
    bodies = [multipart([("sdp", offer_sdp)]).replace(b"v=0", part) for part in odd]
    kinds = [f"multipart/form-data; boundary={mark}" for mark in ("x; charset=utf-7", '""', "x" * 300)]
    answers = [await call(program, key, body) for body in bodies]
    sent = {"authorization": f"Bearer {key}"}
    answers += [await program.post(URL, bodies[1], content_type=kind, headers=sent) for kind in kinds]

    assert {answer.status_code for answer in answers} == {400}


async def test_a_key_without_its_scope_is_refused(
    program: AsyncClient, make_key: MakeKey, upstream: FakeUpstream, offer_sdp: str
) -> None:
    reading = await sync_to_async(make_key)(scopes=["read"])
    response = await call(program, reading.value, multipart([("sdp", offer_sdp)]))

    assert code(response) == (403, "missing_scope")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"authorization": "Bearer vak_wrong"}, (401, "invalid_api_key")),
        ({"authorization": "Bearer ek_" + "0" * 32}, (415, "unsupported_media_type")),
        ({"origin": "https://evil.example"}, (403, "origin_not_allowed")),
    ],
)
async def test_another_credential_or_place_gets_no_call(
    program: AsyncClient,
    key: str,
    upstream: FakeUpstream,
    offer_sdp: str,
    headers: dict[str, str],
    expected: tuple[int, str],
) -> None:
    response = await call(program, key, multipart([("sdp", offer_sdp)]), **headers)

    assert code(response) == expected
    assert await Call.objects.acount() == 0


async def test_a_cookie_alone_makes_no_call(alices_page: AsyncClient, upstream: FakeUpstream, offer_sdp: str) -> None:
    response = await alices_page.post(URL, multipart([("sdp", offer_sdp)]), content_type=KIND)

    assert code(response) == (401, "not_authenticated")


async def test_an_allowance_that_is_used_up_holds(
    program: AsyncClient, key: str, upstream: FakeUpstream, offer_sdp: str
) -> None:
    await Policy.objects.acreate(secrets_a_day=1)
    first = await call(program, key, multipart([("sdp", offer_sdp)]))
    second = await call(program, key, multipart([("sdp", offer_sdp)]))

    assert first.status_code == 201
    assert second.status_code == 429 or second.status_code == 403
    assert len(upstream.requests) == 1


async def test_the_vendor_s_client_makes_a_call_unchanged(
    key: str, upstream: FakeUpstream, offer_sdp: str, answer_sdp: str
) -> None:
    async with serving() as address, openai.AsyncOpenAI(base_url=f"http://{address}/v1", api_key=key) as client:
        answer = await client.realtime.calls.create(
            sdp=offer_sdp, session={"type": "realtime", "audio": {"output": {"voice": "cedar"}}}
        )

    assert answer.text == answer_sdp
    assert answer.response.headers["Location"] == "/v1/realtime/calls/rtc_1"
    assert (await Issuance.objects.aget()).voice == "cedar"
