"""How the corpus asks: as a program or a page by Django's client, and straight at the server's door (ASGI)."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.test import Client

from audit.models import AuditEvent
from tokens.models import Issuance
from voiceagent.asgi import application

JSON = "application/json"
URL = "/api/client-secret"
UPSTREAM_URL = "/v1/realtime/client_secrets"
ISSUING_URLS = (URL, "/api/realtime/client-secret", "/api/session", UPSTREAM_URL)


def post(
    client: Client,
    raw_body: bytes | str = b"",
    *,
    url: str = URL,
    content_type: str = "application/json",
    **headers: str,
) -> Any:
    """Post a body as it is; headers are named with underscores."""
    return client.generic("POST", url, raw_body, content_type, headers=headers)


def code(response: Any) -> tuple[int, str]:
    """Return the status and the code of an error in either form; the code of a success is empty."""
    body = json.loads(response.content)
    error = body.get("error")
    return response.status_code, error["code"] if isinstance(error, dict) else body.get("code", "")


def kept() -> list[tuple[str, str]]:
    """Return what the history holds: status and error code of each row, the oldest first."""
    return list(Issuance.objects.order_by("id").values_list("status", "error_code"))


def recorded() -> list[str]:
    """Return the actions on record, the oldest first."""
    return list(AuditEvent.objects.order_by("id").values_list("action", flat=True))


@dataclass
class AtTheDoor:
    """What the server's door answered, and how many bytes of the body it took before."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]
    bytes_taken: int


async def at_the_door(
    chunks: Iterable[bytes] = (b"",),
    headers: Iterable[tuple[bytes, bytes]] = (),
    *,
    path: str = URL,
    pause_s: float = 0,
) -> AtTheDoor:
    """Post a body in chunks to the ASGI application itself; after the last one the client waits for its answer."""
    waiting, sent, taken = iter(chunks), [], 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        await asyncio.sleep(pause_s)
        chunk = next(waiting, None)
        if chunk is None:
            await asyncio.Event().wait()  # the client stays
        taken += len(chunk or b"")
        return {"type": "http.request", "body": chunk, "more_body": chunk != b""}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"testserver"), *headers],
        "client": ("127.0.0.1", 50_000),
        "server": ("testserver", 80),
    }
    async with asyncio.timeout(30):
        await application(scope, receive, send)
    start, *rest = sent
    names = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    body = b"".join(message.get("body", b"") for message in rest)
    return AtTheDoor(start["status"], names, json.loads(body), taken)
