"""The vendor's own clients work against us with nothing changed but address and key."""

import asyncio
import json
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import openai
import pytest
import uvicorn
from aiohttp import web
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from tests.conftest import FakeUpstream
from tests.tokens.conftest import MakeKey
from tokens.models import Issuance, Policy
from voiceagent.asgi import application
from voiceagent.sdk_build import find_node

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def vendor_client(live_server: LiveServer, make_key: MakeKey) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{live_server.url}/v1", api_key=make_key().value, max_retries=0) as client:
        yield client


def test_it_mints(vendor_client: openai.OpenAI, settings: Settings) -> None:
    settings.CLIENT_SECRET_KINDS = ["relayed"]
    made = vendor_client.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 60},
        session={"type": "realtime", "audio": {"output": {"voice": "cedar"}}},
    )

    assert made.value.startswith("ek_")
    assert made.session.type == "realtime"
    assert made.session.audio is not None
    assert made.session.audio.output is not None
    assert made.session.audio.output.voice == "cedar"
    row = Issuance.objects.get()
    assert (row.status, row.voice, row.username) == ("issued", "cedar", "alice")
    assert row.expires_at is not None
    assert int(row.expires_at.timestamp()) == made.expires_at


def test_it_lists_models(vendor_client: openai.OpenAI) -> None:
    assert [model.id for model in vendor_client.models.list()] == ["gpt-realtime-2.1"]


def test_a_wrong_key_is_its_authentication_error(live_server: LiveServer) -> None:
    with (
        openai.OpenAI(base_url=f"{live_server.url}/v1", api_key="vak_wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.realtime.client_secrets.create()
    assert caught.value.code == "invalid_api_key"


def test_a_bad_request_is_its_bad_request_error(vendor_client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        vendor_client.realtime.client_secrets.create(extra_body={"model": "gpt-realtime-2.1"})
    assert caught.value.code == "invalid_session_config"
    assert "inside `session`" in caught.value.message


def test_what_policy_denies_is_its_permission_error(vendor_client: openai.OpenAI) -> None:
    with pytest.raises(openai.PermissionDeniedError) as caught:
        vendor_client.realtime.client_secrets.create(session={"type": "realtime", "instructions": "Be rude."})
    assert caught.value.code == "policy_denied"


def test_too_many_requests_are_its_rate_limit_error(vendor_client: openai.OpenAI, alice: User) -> None:
    Policy.objects.create(user=alice, issue_rate="1/d", allowed_kinds=["relayed"])
    vendor_client.realtime.client_secrets.create()

    with pytest.raises(openai.RateLimitError) as caught:
        vendor_client.realtime.client_secrets.create()
    assert int(caught.value.response.headers["Retry-After"]) > 0
    assert caught.value.request_id == caught.value.response.headers["X-Request-ID"]


def test_the_javascript_client_mints_lists_and_understands_errors(
    live_server: LiveServer, make_key: MakeKey, settings: Settings
) -> None:
    settings.CLIENT_SECRET_KINDS = ["relayed"]
    done = subprocess.run(
        [find_node().program, Path(__file__).with_name("official_client.mjs")],
        env=os.environ | {"VOICEAGENT_URL": live_server.url, "VOICEAGENT_KEY": make_key().value},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said.pop("value").startswith("ek_")
    assert said == {
        "voice": "cedar",
        "models": ["gpt-realtime-2.1"],
        "wrongKey": "AuthenticationError 401 invalid_api_key",
        "unknownField": "BadRequestError 400 invalid_session_config",
    }


@pytest.fixture
async def asgi_url(upstream: FakeUpstream) -> AsyncIterator[str]:
    """The application in its own server on this test's event loop, where the upstream is asked in earnest."""
    server = uvicorn.Server(uvicorn.Config(application, host="127.0.0.1", port=0, log_level="warning"))
    listening = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve([listening]))
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    server.should_exit = True
    await serving


async def test_the_upstream_s_trouble_is_its_server_error(
    asgi_url: str, make_key: MakeKey, upstream: FakeUpstream
) -> None:
    upstream.mint_answer = web.Response(status=401)
    key = await sync_to_async(make_key)()
    client = openai.AsyncOpenAI(base_url=asgi_url, api_key=key.value, max_retries=0)

    with pytest.raises(openai.InternalServerError) as caught:
        await client.realtime.client_secrets.create()
    assert caught.value.status_code == 502
    assert caught.value.code == "upstream_auth_failed"
    await client.close()
