"""Six secrets are planted, everything that can go wrong goes wrong, and none of them may turn up anywhere."""

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import AsyncClient
from pytest_django import Settings

from agents.models import Agent
from relay.models import Call
from tests.conftest import ORIGIN, FakeUpstream, close_this_loop_s
from tests.tokens.conftest import MakeKey
from tokens.models import Issuance

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.crash_is_owed]
SERVER_KEY = "sk-canary-server-key-0123456789"
DATABASE_PASSWORD = "canary database password"
URL = "/api/client-secret"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the project's own handler writes meanwhile, at the most talkative."""
    lines, root = io.StringIO(), logging.getLogger()
    (handler,) = (one for one in root.handlers if one.get_name() == "stderr")
    assert isinstance(handler, logging.StreamHandler)
    before, level = handler.setStream(lines), root.level
    root.setLevel(logging.DEBUG)
    yield lines
    root.setLevel(level)
    handler.setStream(before)


@pytest.fixture
def planted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.UPSTREAM_API_KEY = SERVER_KEY
    monkeypatch.setitem(settings.DATABASES["default"], "PASSWORD", DATABASE_PASSWORD)


class Browser:
    """A signed-in browser that keeps every answer, and what it may hold by right is taken out before the search."""

    def __init__(self, client: AsyncClient) -> None:
        self.client = client
        self.answers: list[str] = []

    async def ask(self, method: str, path: str, body: object = "", *, own: str = "", **headers: str) -> Any:
        sent = {"origin": ORIGIN, "x-csrftoken": self.cookie("csrf")} | headers
        kind = "application/sdp" if path.startswith("/v1/realtime/calls") else "application/json"
        with_body = {} if method == "get" else {"data": body, "content_type": kind}
        response = await getattr(self.client, method)(path, headers=sent, **with_body)
        if response.streaming:
            text = b"".join([part async for part in response.streaming_content]).decode()
        else:
            text = response.content.decode()
        self.answers.append(f"{method} {path}\n{response.headers}\n{text.replace(own, '') if own else text}")
        return response

    def cookie(self, name: str) -> str:
        found = self.client.cookies.get(name)
        return found.value if found else ""


async def test_no_planted_secret_is_found_anywhere(
    alice: User,
    ada: User,
    assistant: Agent,
    make_key: MakeKey,
    upstream: FakeUpstream,
    offer_sdp: str,
    planted: None,
    log: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = Browser(AsyncClient(enforce_csrf_checks=True, raise_request_exception=False))
    await page.client.aforce_login(alice)
    await page.ask("get", "/keys/")  # sets the CSRF cookie
    api_key = (await sync_to_async(make_key)()).value
    program = {"authorization": f"Bearer {api_key}"}
    client_secrets = []

    # (1) Issuing, in every shape and by both credentials.
    for kind, headers in (("relayed", {}), ("direct", {}), ("relayed", program), ("direct", program)):
        issued = await page.client.post(
            URL, {"kind": kind}, content_type="application/json", headers={"x-csrftoken": page.cookie("csrf")} | headers
        )
        client_secrets.append(issued.json()["value"])
        page.answers.append(f"{issued.headers} {issued.content.decode().replace(client_secrets[-1], '')}")
    secrets = {
        "server key": SERVER_KEY,
        "API key": api_key,
        "session cookie": page.cookie("session"),
        "CSRF token": page.cookie("csrf"),
        "database password": DATABASE_PASSWORD,
    } | {f"client secret {number}": value for number, value in enumerate(client_secrets)}
    assert all(len(value) > 20 for value in secrets.values())

    # (2) Refusals: secrets in places where they do not belong, and an upstream that repeats what it was shown.
    for value in secrets.values():
        quoted = value.replace('"', "")
        await page.ask("post", URL, {"agent": quoted})
        await page.ask("post", URL, {quoted: 1})
        await page.ask("post", URL, {"sessionId": f"{quoted} "})
        if value not in (page.cookie("session"), page.cookie("csrf")):  # to us two words like any other
            await page.ask("post", URL, {"sessionId": quoted})
        await page.ask("post", "/v1/realtime/client_secrets", {"session": {"type": "realtime", "model": f"{quoted} "}})
        await page.ask("get", "/api/whoami", authorization=f"Basic {quoted}")
        await page.ask("post", "/api/keys", {"name": "x", "scopes": [quoted]})
        await page.ask("post", "/v1/realtime/calls", f"v=0\r\n{quoted}", authorization=f"Bearer {quoted}")
        await page.ask("post", "/v1/realtime/calls/rtc_0/hangup", "", authorization=f"Bearer {quoted}")
    for status in (400, 401, 403, 404, 422, 429, 500, 302):
        words = f"You sent {SERVER_KEY} and {client_secrets[1]}, known as {api_key}"
        body = {"error": {"message": words, "code": SERVER_KEY, "type": words}}
        upstream.mint_answer = web.json_response(
            body, status=status, headers={"x-request-id": "req_1", "Location": words}
        )
        await page.ask("post", URL, {"kind": "direct"})
    upstream.mint_answer = web.json_response({"value": SERVER_KEY, "expires_at": 4_000_000_000, "session": {}})
    await page.ask("post", URL, {"kind": "direct"})
    upstream.mint_answer = None

    # (3) Relaying, and every way in which it fails.
    bearer = [{"authorization": f"Bearer {value}"} for value in client_secrets]
    assert (await page.ask("post", "/v1/realtime/calls", offer_sdp, **bearer[0])).status_code == 201
    await page.ask("post", "/v1/realtime/calls", offer_sdp, **bearer[0])
    upstream.answer = web.json_response({"error": {"message": f"bad {client_secrets[1]} {SERVER_KEY}"}}, status=400)
    await page.ask("post", "/v1/realtime/calls", offer_sdp, **bearer[1])
    upstream.answer = web.Response(status=201, text=f"<html>{SERVER_KEY}")
    await page.ask("post", "/v1/realtime/calls", offer_sdp, **bearer[2])
    await page.ask("post", "/v1/realtime/calls/rtc_1/hangup", "")

    # (4) The database fails with words of its own, and code fails with whatever it had at hand.
    def lose(*args: object, **facts: object) -> None:
        raise OperationalError(f"FATAL: authentication failed, password={DATABASE_PASSWORD} for {api_key}")

    def crash(*args: object, **facts: object) -> None:
        raise RuntimeError(f"{SERVER_KEY} {api_key} {client_secrets[0]} {DATABASE_PASSWORD}")

    for fault in (lose, crash):
        for place in ("audit.group_commit.insert_rows", "tokens.services._fill_in", "relay.services.record_event"):
            with monkeypatch.context() as patch:
                patch.setattr(place, fault)
                await page.ask("post", URL, {})
                await page.ask("post", "/v1/realtime/calls", offer_sdp, **bearer[3])
        with monkeypatch.context() as patch:
            patch.setattr("tokens.rest.allowance_of", fault)
            patch.setattr("realtime_ui.key_pages.create_api_key", fault)
            await page.ask("get", "/api/usage")
            await page.ask("get", "/api/usage", **program)
            form = {"form_token": "0123456789abcdefghij_-", "name": "x", "scopes": ["mint"], "days": "30"}
            headers = {"x-csrftoken": page.cookie("csrf")}
            crashed = await page.client.post("/keys/", form, headers=headers)
            page.answers.append(crashed.content.decode())
            assert crashed.status_code in (500, 503)

    # (5) Everything that can be read afterwards: own history, the admin with its export, metrics.
    for path in ("/api/issuances", "/api/keys", "/api/whoami", "/metrics", "/keys/", "/"):
        await page.ask("get", path)
    admin = Browser(AsyncClient(raise_request_exception=False))
    await admin.client.aforce_login(ada)
    every = [pk async for pk in Issuance.objects.values_list("pk", flat=True)]
    for action in ("export_csv", "export_jsonl"):
        response: Any = await admin.client.post(
            "/admin/tokens/issuance/", {"action": action, "_selected_action": every}
        )
        admin.answers.append(b"".join([part async for part in response.streaming_content]).decode())
        assert admin.answers[-1].count("alice") >= 4
    call = await Call.objects.afirst()
    assert call is not None
    for path in (
        "/admin/tokens/issuance/",
        f"/admin/tokens/issuance/{every[0]}/change/",
        "/admin/tokens/apikey/",
        "/admin/audit/auditevent/",
        f"/admin/relay/call/{call.pk}/change/",
    ):
        assert (await admin.ask("get", path)).status_code == 200

    places = {"answers": "\n".join(page.answers + admin.answers), "log": log.getvalue(), "rows": await rows()}
    assert "RuntimeError" in places["log"]
    assert "[removed]" in places["log"]
    found = [
        f"{name} in {place}: …{text[max(0, text.index(value) - 300) : text.index(value) + 40]}"
        for name, value in secrets.items()
        for place, text in places.items()
        if value in text
    ]
    await close_this_loop_s()
    assert not found, "\n\n".join(found)


@sync_to_async
def rows() -> str:
    """Return every row of every table as text, but Django's sessions, whose key is the cookie by design."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            if table != "django_session":
                cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
                found += [f"{table} {row}" for row in cursor.fetchall()]
    assert len(found) > 50
    return "\n".join(found)
