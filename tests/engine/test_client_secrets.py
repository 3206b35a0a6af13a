"""POST /v1/realtime/client_secrets, and the store behind it."""

import time

import pytest
from aiohttp import ClientSession
from openai.types.realtime import ClientSecretCreateResponse

from engine import minted_secrets
from engine.minted_secrets import SecretStore, TooManySecrets
from engine.protocol_json import Json

KEY = {"Authorization": "Bearer sk-test"}


async def mint(base_url: str, body: object = None, headers: dict[str, str] = KEY) -> tuple[int, Json]:
    url = f"{base_url}/v1/realtime/client_secrets"
    async with ClientSession() as http, http.post(url, json=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def mint_raw(base_url: str, data: bytes) -> tuple[int, str]:
    url = f"{base_url}/v1/realtime/client_secrets"
    async with ClientSession() as http, http.post(url, data=data, headers=KEY) as answer:
        return answer.status, (await answer.json())["error"]["code"]


async def test_an_empty_request_yields_a_secret_with_the_defaults(base_url: str) -> None:
    status, body = await mint(base_url, {})

    assert status == 200
    assert body["value"].startswith("ek_")
    assert len(body["value"]) == 35
    assert body["expires_at"] - time.time() == pytest.approx(600, abs=5)
    assert body["session"]["expires_at"] == 0


async def test_the_answer_has_the_official_shape(base_url: str) -> None:
    _status, body = await mint(base_url, {"session": {"type": "realtime", "model": "gpt-realtime-2.1"}})

    assert ClientSecretCreateResponse.model_validate(body, strict=True).session.id == body["session"]["id"]


async def test_the_session_comes_back_whole(base_url: str) -> None:
    vad = {"type": "semantic_vad", "eagerness": "low"}
    asked = {"type": "realtime", "instructions": "Be brief.", "audio": {"input": {"turn_detection": vad}}}

    _status, body = await mint(base_url, {"expires_after": {"anchor": "created_at", "seconds": 10}, "session": asked})

    session = body["session"]
    assert session["instructions"] == "Be brief."
    assert session["audio"]["input"]["turn_detection"]["eagerness"] == "low"
    assert session["audio"]["output"]["voice"] == "marin"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"model": "gpt-realtime-2.1"}, "unknown_parameter", "model"),
        ({"type": "realtime"}, "unknown_parameter", "type"),
        ({"session": {"model": "x"}}, "missing_required_parameter", "session.type"),
        ({"session": {"type": "realtime", "temperature": 1}}, "unknown_parameter", "session.temperature"),
        ({"session": {"type": "realtime", "audio": 7}}, "invalid_value", "session.audio"),
        ({"session": 7}, "invalid_value", "session"),
        ({"expires_after": {"seconds": 9}}, "invalid_value", "expires_after.seconds"),
        ({"expires_after": {"seconds": 7201}}, "invalid_value", "expires_after.seconds"),
        ({"expires_after": {"seconds": True}}, "invalid_value", "expires_after.seconds"),
        ({"expires_after": {"anchor": "x"}}, "invalid_value", "expires_after.anchor"),
        ([], "invalid_value", "body"),
    ],
)
async def test_a_wrong_request_is_refused_by_code_and_field(base_url: str, body: object, code: str, param: str) -> None:
    status, answer = await mint(base_url, body)

    assert (status, answer["error"]["code"], answer["error"]["param"]) == (400, code, param)


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer sk-wrong", "Basic sk-test", "Bearer ek_0123", "Bearer é"])
async def test_only_the_standard_key_mints(base_url: str, value: str) -> None:
    status, answer = await mint(base_url, {}, {"Authorization": value})

    assert (status, answer["error"]["code"]) == (401, "invalid_api_key")


async def test_a_body_that_is_no_json_is_refused(base_url: str) -> None:
    assert await mint_raw(base_url, b"{" * 5000) == (400, "invalid_json")


async def test_a_body_that_is_too_large_is_refused(base_url: str) -> None:
    assert await mint_raw(base_url, b" " * 600_000) == (413, "request_too_large")


def test_a_secret_is_good_until_it_expires_and_more_than_once() -> None:
    store = SecretStore()
    minted = store.mint({"id": "sess_1"}, 10, now_s=1000.0)

    found = [store.find(minted.value, now_s) for now_s in (1000.0, 1009.9, 1010.0)]

    assert found == [{"id": "sess_1"}, {"id": "sess_1"}, None]


def test_an_unknown_secret_finds_nothing() -> None:
    assert SecretStore().find("ek_unknown", 0.0) is None


def test_the_store_is_bounded_and_makes_room_when_secrets_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minted_secrets, "MAX_SECRETS", 2)
    store = SecretStore()
    store.mint({}, 10, now_s=0.0)
    store.mint({}, 100, now_s=0.0)

    with pytest.raises(TooManySecrets):
        store.mint({}, 10, now_s=5.0)

    assert store.mint({}, 10, now_s=50.0).expires_at == 60
