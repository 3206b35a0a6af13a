"""POST /v1/moderations: the service's shape, and a few telling words."""

import pytest
from aiohttp import ClientSession
from openai.types import ModerationCreateResponse

from engine.protocol_json import Json
from realtime_api.errors import UpstreamError
from realtime_api.moderation import flagged_categories
from realtime_api.upstream import Upstream, open_http

KEY = {"Authorization": "Bearer sk-test"}


async def ask(base_url: str, body: object, headers: dict[str, str] = KEY) -> tuple[int, Json]:
    async with ClientSession() as http, http.post(f"{base_url}/v1/moderations", json=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_what_is_flagged_reaches_who_asks(base_url: str) -> None:
    async with open_http() as http:
        upstream = Upstream(f"{base_url}/v1", "sk-test", 5)
        assert await flagged_categories(http, upstream, "They are vermin.") == {"hate"}
        assert await flagged_categories(http, upstream, "A fine day.") == set()


async def test_the_answer_has_the_official_shape(base_url: str) -> None:
    _, body = await ask(base_url, {"model": "omni-moderation-latest", "input": "I want to hurt myself."})
    parsed = ModerationCreateResponse.model_construct(**body)

    assert (parsed.results[0].flagged, parsed.results[0].categories.self_harm) == (True, True)


@pytest.mark.parametrize(("body", "headers", "status"), [
    ({"input": "x"}, {}, 401), ({}, KEY, 400), ({"input": 7}, KEY, 400), ({"input": "x", "more": 1}, KEY, 400),
])  # fmt: skip
async def test_what_cannot_be_read_is_refused(
    base_url: str, body: object, headers: dict[str, str], status: int
) -> None:
    assert (await ask(base_url, body, headers))[0] == status


async def test_a_refusal_is_an_upstream_s_error(base_url: str) -> None:
    async with open_http() as http:
        with pytest.raises(UpstreamError):
            await flagged_categories(http, Upstream(f"{base_url}/v1", "sk-wrong", 5), "x")
