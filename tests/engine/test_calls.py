"""POST /v1/realtime/calls in both forms, hang-up, models, health."""

import asyncio
import gzip
import json

import pytest
from aiohttp import ClientResponse, ClientSession, FormData

from engine.offer import without_mdns
from engine.protocol_json import Json
from tests.engine.caller import Caller
from tests.engine.conftest import MAX_CALLS
from tests.engine.offers import make_offer

KEY = {"Authorization": "Bearer sk-test"}
SDP = {"Content-Type": "application/sdp"}


async def post(
    base_url: str, path: str, data: object = None, headers: dict[str, str] = KEY
) -> tuple[ClientResponse, str]:
    async with ClientSession() as http, http.post(base_url + path, data=data, headers=headers) as answer:
        return answer, await answer.text()


def code_of(text: str) -> str:
    return str(json.loads(text)["error"]["code"])


def form(sdp: str, session: Json | str | None = None, **more: str) -> FormData:
    made = FormData(default_to_multipart=True)
    made.add_field("sdp", sdp, content_type="application/sdp")
    if session is not None:
        text = session if isinstance(session, str) else json.dumps(session)
        made.add_field("session", text, content_type="application/json")
    for name, value in more.items():
        made.add_field(name, value)
    return made


async def test_an_offer_with_the_standard_key_and_a_session_is_answered(base_url: str) -> None:
    answer, sdp = await post(base_url, "/v1/realtime/calls", form(await make_offer(), {"type": "realtime"}))

    assert answer.status == 201
    assert answer.content_type == "application/sdp"
    assert answer.headers["Location"].startswith("/v1/realtime/calls/rtc_")
    assert sdp.startswith("v=0")


async def test_the_answer_is_one_that_the_browser_sdk_can_play(base_url: str) -> None:
    _answer, sdp = await post(base_url, "/v1/realtime/calls", await make_offer(), KEY | SDP)

    lines = sdp.splitlines()
    streams = [line.removeprefix("a=msid:").split() for line in lines if line.startswith("a=msid:")]
    assert len(streams[0]) == 2
    assert streams[0][0] != "-"
    assert "a=setup:active" in lines
    assert any("opus/48000" in line for line in lines)


async def test_the_answer_offers_the_loopback_address_only(base_url: str) -> None:
    _answer, sdp = await post(base_url, "/v1/realtime/calls", await make_offer(), KEY | SDP)

    addresses = {line.split()[4] for line in sdp.splitlines() if line.startswith("a=candidate:")}
    assert addresses == {"127.0.0.1"}


async def test_names_of_the_local_network_are_not_looked_up() -> None:
    host, mdns = "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n", "a=candidate:1 1 udp 1 0f-1.local 9 typ host\r\n"

    assert without_mdns(f"v=0\r\n{mdns}{host}") == f"v=0\r\n{host}"


async def test_an_unknown_client_secret_is_refused(base_url: str) -> None:
    headers = {"Authorization": "Bearer ek_unknown", **SDP}

    answer, text = await post(base_url, "/v1/realtime/calls", await make_offer(), headers)

    assert (answer.status, code_of(text)) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    "offer", ["", "v=0", "not sdp", '{"type":"offer"}', "v=0\r\no=-\r\ns=-\r\nt=0 0\r\nm=audio\r\n"]
)
async def test_what_is_no_offer_is_refused(base_url: str, offer: str) -> None:
    answer, text = await post(base_url, "/v1/realtime/calls", offer, KEY | SDP)

    assert (answer.status, code_of(text)) == (400, "invalid_offer")


async def test_a_refused_offer_leaves_no_call(base_url: str) -> None:
    sdp = (await make_offer()).replace("a=fingerprint:sha-256", "a=fingerprint:sha-512")

    answer, _text = await post(base_url, "/v1/realtime/calls", sdp.replace("opus", "opux"), KEY | SDP)

    async with ClientSession() as http, http.get(f"{base_url}/healthz") as health:
        assert (answer.status, (await health.json())["calls"]) == (400, 0)


@pytest.mark.parametrize(
    ("session", "more", "code"),
    [
        ({"model": "x"}, {}, "missing_required_parameter"),
        ({"type": "realtime", "x": 1}, {}, "unknown_parameter"),
        ("{", {}, "invalid_json"),
        ({"type": "realtime"}, {"model": "x"}, "unknown_parameter"),
    ],
)
async def test_a_wrong_form_is_refused(base_url: str, session: Json | str, more: dict[str, str], code: str) -> None:
    answer, text = await post(base_url, "/v1/realtime/calls", form("v=0", session, **more))

    assert (answer.status, code_of(text)) == (400, code)


async def test_a_form_without_an_offer_is_refused(base_url: str) -> None:
    made = FormData(default_to_multipart=True)
    made.add_field("session", "{}", content_type="application/json")

    answer, text = await post(base_url, "/v1/realtime/calls", made)

    assert (answer.status, code_of(text)) == (400, "missing_required_parameter")


async def test_a_garbled_form_is_refused(base_url: str) -> None:
    headers = {**KEY, "Content-Type": "multipart/form-data; boundary=x"}

    answer, _text = await post(base_url, "/v1/realtime/calls", b"--y\r\nno form at all", headers)

    assert answer.status == 400


@pytest.mark.parametrize(
    "part",
    [
        b'Content-Disposition: form-data; name="sdp"\r\nContent-Type: text/plain; charset=nope\r\n\r\nv=0\r\n--x--',
        b'Content-Disposition: form-data; name="sdp"\r\nContent-Transfer-Encoding: nope\r\n\r\nv=0\r\n--x--',
        b'Content-Disposition: form-data; name="sdp"\r\n\r\n\xff\xfe\r\n--x--',
        b"Content-Dis",
    ],
)
async def test_a_form_whose_part_cannot_be_read_is_refused(base_url: str, part: bytes) -> None:
    headers = {**KEY, "Content-Type": "multipart/form-data; boundary=x"}

    answer, text = await post(base_url, "/v1/realtime/calls", b"--x\r\n" + part, headers)

    assert (answer.status, code_of(text)) == (400, "invalid_multipart")


async def test_a_body_that_is_not_compressed_as_it_says_is_refused(base_url: str) -> None:
    headers = {**KEY, **SDP, "Content-Encoding": "gzip"}

    answer, text = await post(base_url, "/v1/realtime/calls", b"no gzip", headers)

    assert (answer.status, code_of(text)) == (400, "invalid_body")


async def test_a_small_body_that_unpacks_to_a_huge_one_is_refused(base_url: str) -> None:
    headers = {**KEY, **SDP, "Content-Encoding": "gzip"}

    answer, text = await post(base_url, "/v1/realtime/calls", gzip.compress(bytes(50_000_000)), headers)

    assert (answer.status, code_of(text)) == (413, "request_too_large")


async def test_one_call_too_many_is_told_to_come_back(base_url: str) -> None:
    offers = [await make_offer() for _ in range(MAX_CALLS + 1)]

    answers = [await post(base_url, "/v1/realtime/calls", offer, KEY | SDP) for offer in offers]

    assert [answer.status for answer, _text in answers] == [201] * MAX_CALLS + [503]
    assert (code_of(answers[-1][1]), answers[-1][0].headers["Retry-After"]) == ("too_many_calls", "5")


async def test_hanging_up_ends_the_call_at_the_caller(base_url: str, caller: Caller) -> None:
    await caller.dial()
    closed = asyncio.Event()
    caller.channel.on("close", closed.set)

    answer, text = await post(base_url, f"/v1/realtime/calls/{caller.call_id}/hangup")

    assert (answer.status, text) == (200, "")
    await asyncio.wait_for(closed.wait(), 5)


async def test_hanging_up_twice_finds_no_call(base_url: str, caller: Caller) -> None:
    await caller.dial()
    path = f"/v1/realtime/calls/{caller.call_id}/hangup"

    await post(base_url, path)
    answer, text = await post(base_url, path)

    assert (answer.status, code_of(text)) == (404, "call_id_not_found")


async def test_a_client_secret_cannot_hang_up(base_url: str) -> None:
    answer, _text = await post(base_url, "/v1/realtime/calls/rtc_1/hangup", None, {"Authorization": "Bearer ek_1"})

    assert answer.status == 401


async def test_a_caller_who_leaves_is_forgotten(base_url: str, caller: Caller) -> None:
    await caller.dial()
    await caller.connection.close()

    async with asyncio.timeout(5), ClientSession() as http:
        while True:
            async with http.get(f"{base_url}/healthz") as health:
                if (await health.json())["calls"] == 0:
                    return
            await asyncio.sleep(0.05)


async def test_pages_of_other_origins_may_call_and_read_the_call_id(base_url: str) -> None:
    async with ClientSession() as http, http.options(f"{base_url}/v1/realtime/calls") as answer:
        assert answer.status == 204
        assert "authorization" in answer.headers["Access-Control-Allow-Headers"]
        assert answer.headers["Access-Control-Expose-Headers"] == "Location"


async def test_the_models_are_listed_for_the_standard_key(base_url: str) -> None:
    async with ClientSession() as http, http.get(f"{base_url}/v1/models", headers=KEY) as answer:
        names = [model["id"] for model in (await answer.json())["data"]]

    assert "gpt-realtime-2.1" in names


async def test_health_names_the_speech_models(base_url: str) -> None:
    async with ClientSession() as http, http.get(f"{base_url}/healthz") as answer:
        body = await answer.json()

    assert (body["status"], set(body["speech"])) == ("ok", {"recognition", "synthesis", "vad"})


@pytest.mark.parametrize(("path", "status"), [("/v1/nothing", 404), ("/healthz", 405)])
async def test_what_does_not_exist_is_refused_in_the_envelope(base_url: str, path: str, status: int) -> None:
    answer, text = await post(base_url, path)

    assert (answer.status, code_of(text)) == (status, "invalid_url")
    assert answer.headers["x-request-id"].startswith("req_")
