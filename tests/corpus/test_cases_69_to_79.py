"""Cases 69 to 79: what breaks on our own side while a client secret is minted, and what is left of it."""

import asyncio
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.checks import run_checks
from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.test import AsyncClient, Client
from django.utils import timezone
from pytest_django import Settings

from audit import group_commit
from audit.models import AuditEvent
from realtime_api import client_secrets
from tests.conftest import FakeUpstream
from tests.corpus.asking import URL, code, kept, post, recorded
from tests.e2e.site import start_processes
from tests.tokens.conftest import MakeKey
from tokens import services
from tokens.models import Issuance, Policy, QuotaCounter
from tokens.services import close_orphans
from voiceagent.asgi import application

ROOT = Path(__file__).resolve().parents[2]
DIRECT = '{"kind": "direct"}'
on_sqlite = pytest.mark.skipif(
    "postgres" in os.environ.get("DATABASE_URL", ""), reason="a fault that only SQLite has in this form"
)


@contextmanager
def every_connection(prepare: Callable[[BaseDatabaseWrapper], object]) -> Iterator[None]:
    """Open all connections to the database anew and prepare each of them, also that of the thread that commits."""

    def note(connection: BaseDatabaseWrapper, **_: object) -> None:
        prepare(connection)

    open_anew()
    connection_created.connect(note)
    try:
        yield
    finally:
        connection_created.disconnect(note)
        open_anew()


def open_anew() -> None:
    group_commit.stop_writer()
    connection.close()


def saying(sql: str) -> Callable[[BaseDatabaseWrapper], object]:
    def say(connection: BaseDatabaseWrapper) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql)

    return say


def fail_to_write(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    """Let no statement through that writes, as a database that is gone does."""
    if sql.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE")):
        raise OperationalError("could not connect to server: password=hunter2")
    return execute(sql, params, many, context)


@pytest.mark.django_db(transaction=True)
def test_case_69_the_database_is_gone_before_the_intent(alices_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "create_client_secret", lambda *_, **__: pytest.fail("the upstream was asked"))
    began = time.monotonic()
    with every_connection(lambda connection: connection.execute_wrappers.append(fail_to_write)):
        responses = [post(alices_client, body) for body in ("{}", DIRECT)]

    assert [code(response) for response in responses] == [(503, "audit_unavailable")] * 2
    assert all(int(response["Retry-After"]) >= 1 for response in responses)
    assert not any(word in response.content for response in responses for word in (b"hunter2", b"ek_"))
    assert time.monotonic() - began < 2
    assert (kept(), recorded()) == ([], [])


@pytest.mark.django_db(transaction=True)
async def test_case_70_the_database_is_lost_between_intent_and_outcome(
    alices_page: AsyncClient, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*args: object, **facts: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(group_commit, "update_rows", lose)
    response = await alices_page.post(URL, {"kind": "direct"}, content_type="application/json")

    assert code(response) == (503, "audit_unavailable")
    assert b"ek_" not in response.content
    assert len(upstream.minted) == 1
    orphan = await Issuance.objects.aget()
    assert (orphan.status, orphan.secret_digest) == ("requested", None)
    later = timezone.now() + timedelta(seconds=60)
    assert await sync_to_async(close_orphans)(later) == 1
    actions = [event.action async for event in AuditEvent.objects.order_by("id")]
    assert actions == ["client_secret.requested", "client_secret.unknown"]


@pytest.mark.django_db(transaction=True)
def test_case_70_a_relayed_secret_has_intent_and_outcome_in_one_commit(
    alices_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "_fill_in", lose_halfway)
    response = post(alices_client, "{}")

    assert code(response) == (503, "audit_unavailable")
    assert (kept(), recorded()) == ([], [])


def lose_halfway(*args: object) -> None:
    raise OperationalError("server closed the connection unexpectedly")


def run_manage(settings: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


MAKE_KEY = """
from django.contrib.auth.models import User
from tokens.key_services import create_api_key
user = User.objects.create_user("alice")
key = create_api_key(user, name="x", scopes=["mint"], days=1, allowed_networks=[], request_id="r", actor="tests")
print(key.value)
"""
CLOSE = """
from datetime import timedelta
from django.utils import timezone
from tokens.services import close_orphans
print(close_orphans(timezone.now() + timedelta(seconds=60)))
"""


def test_case_71_kill_9_between_intent_and_outcome(tmp_path: Path) -> None:
    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        site = start_processes(tmp_path, ("web",), ENGINE_PORT=str(listener.getsockname()[1]))
        settings = {"DATABASE_URL": f"sqlite:///{site.database}", "REDIS_URL": "", "SECRET_KEY": "end-to-end"}
        key = run_manage(settings, "shell", "-v0", "-c", MAKE_KEY).strip()

        def hold() -> None:
            connected, _ = listener.accept()
            with connected:
                connected.recv(65_536)
                asked.set()
                connected.recv(1)  # until the other side is gone

        holding = threading.Thread(target=hold)
        holding.start()
        with socket.create_connection(("127.0.0.1", int(site.url.rpartition(":")[2]))) as caller:
            request = f"POST {URL} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
            caller.sendall(f"{request}Content-Length: 0\r\n\r\n".encode())
            assert asked.wait(30)
            site.kill("web")
        holding.join(20)

    def rows(sql: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(site.database)) as database:
            return database.execute(sql).fetchall()

    assert rows("SELECT status FROM tokens_issuance") == [("requested",)]
    assert run_manage(settings, "shell", "-v0", "-c", CLOSE).strip() == "1"
    assert rows("SELECT status FROM tokens_issuance") == [("unknown",)]
    actions = rows("SELECT action FROM audit_auditevent WHERE action LIKE 'client_secret.%' ORDER BY id")
    assert actions == [("client_secret.requested",), ("client_secret.unknown",)]


@pytest.mark.crash_is_owed
def test_case_72_atomic_requests_are_switched_on(
    alices_client: Client, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    monkeypatch.setitem(settings.DATABASES["default"], "ATOMIC_REQUESTS", True)
    monkeypatch.setattr(client_secrets, "make_value", lambda: pytest.fail("a secret was made"))
    alices_client.raise_request_exception = False

    assert "voiceagent.E003" in [message.id for message in run_checks(databases=["default"])]
    assert code(post(alices_client, "{}")) == (500, "internal_error")
    assert kept() == []


@on_sqlite
@pytest.mark.django_db(transaction=True)
def test_case_73_the_disk_is_full(alices_client: Client) -> None:
    with connection.cursor() as cursor:
        pages = cursor.execute("PRAGMA page_count").fetchone()[0]
    with every_connection(saying(f"PRAGMA max_page_count = {pages}")):
        codes = {code(post(alices_client, "{}")) for _ in range(200)}
        assert alices_client.get("/api/issuances").status_code == 200
    assert (503, "audit_unavailable") in codes
    assert codes <= {(503, "audit_unavailable"), (200, "")}
    before = len(kept())
    assert recorded().count("client_secret.requested") == recorded().count("client_secret.issued") == before

    assert post(alices_client, "{}").status_code == 200
    assert kept() == [("issued", "")] * (before + 1)


@on_sqlite
@pytest.mark.django_db(transaction=True)
def test_case_74_the_database_is_locked_by_somebody_else(alices_client: Client) -> None:
    assert connection.settings_dict["OPTIONS"]["timeout"] == 5
    locker = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    with closing(locker), every_connection(saying("PRAGMA busy_timeout = 200")):
        locker.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        response = post(alices_client, "{}")
        assert time.monotonic() - began < 3
        locker.execute("ROLLBACK")

    assert code(response) == (503, "audit_unavailable")
    assert response["Retry-After"] == "1"
    assert kept() == []
    assert post(alices_client, "{}").status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("credential", ["session", "key"])
def test_case_75_the_database_only_reads(alices_client: Client, make_key: MakeKey, credential: str) -> None:
    headers = {} if credential == "session" else {"authorization": f"Bearer {make_key().value}"}
    events = len(recorded())
    client = alices_client if credential == "session" else Client()
    only_read = "PRAGMA query_only = ON" if connection.vendor == "sqlite" else "SET default_transaction_read_only = on"
    with every_connection(saying(only_read)):
        responses = [post(client, body, **headers) for body in ("{}", '{"kind": "relayed"}', "junk")]
        listed = post(client, "", url="/api/keys", **headers)

    assert {code(response) for response in responses} == {(503, "audit_unavailable")}
    assert listed.status_code < 500 or code(listed) == (503, "audit_unavailable")
    assert (kept(), len(recorded())) == ([], events)


@pytest.mark.parametrize("fault", ["refuses", "is silent"])
@pytest.mark.django_db(transaction=True)
def test_case_76_the_cache_is_down(alices_client: Client, settings: Settings, fault: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1] if fault == "is silent" else 1
        settings.CACHES = {
            "default": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": f"redis://127.0.0.1:{port}/0",
                "OPTIONS": {"socket_timeout": 0.2, "socket_connect_timeout": 0.2},
            }
        }
        began = time.monotonic()
        response = post(alices_client, "{}")
        took_s = time.monotonic() - began
        pages = [alices_client.get(path).status_code for path in ("/", "/keys/", "/api/issuances")]

    assert code(response) == (503, "limits_unavailable")
    assert int(response["Retry-After"]) >= 1
    assert took_s < 4
    assert pages == [200, 200, 200]
    assert kept() == [("failed", "limits_unavailable")]


def test_case_77_the_cache_is_flushed(alices_client: Client, alice: User, settings: Settings) -> None:
    Policy.objects.create(user=alice, secrets_a_day=2, issue_rate="1/h")
    statuses = []
    for _ in range(3):
        statuses += [code(post(alices_client, "{}")), code(post(alices_client, "{}"))]
        cache.clear()

    assert statuses[:4] == [(200, ""), (429, "rate_limited")] * 2
    assert statuses[4] == (403, "quota_exceeded")
    assert QuotaCounter.objects.get(metric="secrets_a_day").used == 2


async def test_case_78_a_socket_is_refused_while_no_route_takes_any() -> None:
    scope = {"type": "websocket", "path": "/v1/realtime", "query_string": b"call_id=rtc_1", "headers": []}
    said: list[str] = []
    heard = iter([{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": "1006"}])

    async def receive() -> dict[str, str]:
        return next(heard)

    async def send(message: dict[str, str]) -> None:
        said.append(message["type"])

    async with asyncio.timeout(5):
        await application(scope, receive, send)

    assert said == ["websocket.close"]


def test_case_78_the_channel_layer_is_down(alices_client: Client, settings: Settings) -> None:
    layer = {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": ["redis://127.0.0.1:1/0"]}}
    settings.CHANNEL_LAYERS = {"default": layer}

    assert post(alices_client, "{}").status_code == 200


@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.django_db(transaction=True)
async def test_case_79_the_clock_jumps(
    alices_page: AsyncClient, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    sent = {"kind": "direct", "expiresAfter": 60}
    before = (await alices_page.post(URL, sent, content_type="application/json")).json()
    now = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(hours=hours))
    after = (await alices_page.post(URL, sent, content_type="application/json")).json()

    assert abs(after["expires_at"] - before["expires_at"]) <= 5  # the upstream's clock decides
    rows = [row async for row in Issuance.objects.order_by("id")]
    assert [row.is_valid() for row in rows] == [hours < 0] * 2
    actions = [event.action async for event in AuditEvent.objects.order_by("id")]
    assert actions == ["client_secret.requested", "client_secret.issued"] * 2
