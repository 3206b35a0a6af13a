"""A client of the relay's socket."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp
from aiohttp import WSMsgType
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.utils import timezone

from agents.models import Agent
from realtime_api import client_secrets
from relay.models import Call
from relay.open_sockets import open_sockets
from tokens.key_services import create_api_key
from tokens.models import ApiKey, Issuance, Kind
from tokens.services import secret_digest

TIMEOUT_S = 8.0


@dataclass
class Refused:
    """A handshake's refusal: its HTTP status and the error's code."""

    status: int
    code: str


@dataclass
class Socket:
    """An open socket; `read` skips to an event of a kind."""

    ws: aiohttp.ClientWebSocketResponse

    async def say(self, **event: Any) -> None:
        await self.ws.send_json(event)

    async def read(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                event: dict[str, Any] = await self.ws.receive_json()
                if event["type"] == kind:
                    return event

    async def closing(self) -> int:
        """Read until the server closes, and return its close code."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                message = await self.ws.receive()
                if message.type is WSMsgType.CLOSE:
                    return int(message.data)
                if message.type in (WSMsgType.CLOSED, WSMsgType.ERROR):
                    return self.ws.close_code or 0


@dataclass
class Relay:
    """Where the relay is, and how to ask it."""

    address: str
    http: aiohttp.ClientSession

    @property
    def origin(self) -> str:
        return f"http://{self.address}"

    async def open(self, credential: str = "", query: str = "", **options: Any) -> Socket:
        """Open a socket with a Bearer credential."""
        headers = dict(options.pop("headers", {}))
        if credential:
            headers["Authorization"] = f"Bearer {credential}"
        url = f"ws://{self.address}/v1/realtime{query}"
        return Socket(await self.http.ws_connect(url, headers=headers, **options))

    async def open_from_page(self, credential: str, query: str = "", *, origin: str = "", **options: Any) -> Socket:
        """Open a socket as the browser SDK does."""
        protocols = ("realtime", f"openai-insecure-api-key.{credential}", "openai-agents-sdk.0.20.0")
        url = f"ws://{self.address}/v1/realtime{query}"
        return Socket(await self.http.ws_connect(url, protocols=protocols, origin=origin or self.origin, **options))

    async def refusal(self, credential: str = "", query: str = "", **headers: str) -> Refused:
        """Ask for a socket by plain HTTP, and read why there is none."""
        handshake = {
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }  # fmt: skip
        if credential:
            handshake["Authorization"] = f"Bearer {credential}"
        url = f"http://{self.address}/v1/realtime{query}"
        async with self.http.get(url, headers=handshake | headers) as answer:
            with suppress(aiohttp.ContentTypeError):
                return Refused(answer.status, (await answer.json())["error"]["code"])
            return Refused(answer.status, "")


@sync_to_async
def secret_of(user: User, agent: Agent, **fields: Any) -> str:
    """Issue a relayed client secret, as a row."""
    value = client_secrets.make_value()
    now = timezone.now()
    facts = {
        "user": user, "username": user.username, "status": Issuance.Status.ISSUED, "kind": Kind.RELAYED,
        "agent_version": agent.published, "agent": agent.slug, "model": "gpt-realtime-2.1", "requested_at": now,
        "decided_at": now, "expires_at": now + timedelta(minutes=1), "secret_digest": secret_digest(value),
    }  # fmt: skip
    Issuance.objects.create(**(facts | fields))
    return value


@sync_to_async
def key_of(user: User, *scopes: str) -> tuple[str, ApiKey]:
    made = create_api_key(
        user, name="tests", scopes=list(scopes or ("mint",)), days=9, allowed_networks=[], request_id="t", actor="t"
    )
    return made.value, made.key


async def the_call() -> Call:
    return await Call.objects.aget()


async def place_given_back() -> None:
    """Wait until this process takes another socket: a moment after the end of the one before is on record."""
    async with asyncio.timeout(TIMEOUT_S):
        while not open_sockets().has_place:  # noqa: ASYNC110  (another task gives it back)
            await asyncio.sleep(0.02)


async def ended_call() -> Call:
    """Wait for the only call's end, and return it."""
    async with asyncio.timeout(TIMEOUT_S):
        while (call := await the_call()).ended_at is None:  # noqa: ASYNC110  (another task writes the row)
            await asyncio.sleep(0.02)
    return call
