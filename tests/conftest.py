"""The cast (Alice owns, Charlie is a stranger, Ada administers), and an upstream that answers by the protocol."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web
from asgiref.sync import sync_to_async
from django.apps import apps
from django.contrib.auth.models import User
from django.contrib.contenttypes.management import create_contenttypes
from django.core.cache import cache
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import post_migrate
from django.dispatch import receiver
from django.test import AsyncClient, Client
from pytest_django import DjangoDbBlocker, Settings

from agents.models import Agent, AgentVersion, Configuration
from audit import group_commit
from audit.group_commit import Work
from audit.guards import create_guards, drop_guards
from relay import hang_ups
from tests.api_docs.conformance import check_answer
from tokens.cache_pause import ask_again
from usage.models import Price
from voiceagent.upstream import _sessions, _socket_sessions, close_upstream_http

T = TypeVar("T")
DATA = Path(__file__).parent / "data"
ORIGIN = "http://testserver"


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    tmp_path_factory: pytest.TempPathFactory, django_db_modify_db_settings_parallel_suffix: None
) -> None:
    """Put SQLite's test database into a file: in memory, threads meet other locks than in production.

    A test's database need not survive a power cut, so nothing waits for the disk. Each process of a parallel run has
    its own database (the fixture of pytest-django names it) and, by `tests/environment.py`, its own Redis number.
    """
    database = connections["default"]
    if database.vendor == "sqlite":
        database.settings_dict["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")
        database.settings_dict["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
    else:
        database.settings_dict["OPTIONS"]["options"] += " -c synchronous_commit=off"


# The tests' database is emptied between tests, which the record's guards refuse. `guards` brings them back for a test.
post_migrate.disconnect(dispatch_uid="audit.guards", sender=apps.get_app_config("audit"))


@pytest.fixture
def guards(transactional_db: None) -> Iterator[None]:
    """The triggers that guard the record, as a migrated database has them."""
    create_guards()
    yield
    drop_guards()


KINDS = {"django_content_type", "auth_permission"}


def sql_flush(_style: object, connection: BaseDatabaseWrapper, **_options: object) -> list[str]:
    """Empty all tables but those of content types and permissions; quicker than TRUNCATE where most are empty."""
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    return [f"DELETE FROM {connection.ops.quote_name(name)}" for name in names if name not in KINDS]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Keep content types and permissions when a test empties the database: to make them anew takes 0.3 s each time.

    In the end, end what sessions are left: asyncio keeps its threads, and they their connections, until the process
    ends.
    """
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")
    post_migrate.disconnect(create_contenttypes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.core.management.commands.flush.sql_flush", sql_flush)
        yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid != pg_backend_pid()"
            )


@pytest.fixture(autouse=True)
def quick_settings(settings: Settings) -> None:
    """Pages under test need no collected, hashed files (the end-to-end tests use those), and no slow passwords."""
    settings.SERVESTATIC_USE_STATIC_ROOT = False  # it looks at 900 files for each client
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }


@pytest.fixture(autouse=True)
def every_answer_is_as_described(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare whatever a test's clients are answered on the API's routes with the OpenAPI document."""
    ask, ask_async = Client.request, AsyncClient.request

    def request(self: Client, **environ: Any) -> Any:
        response = ask(self, **environ)
        check_answer(environ["REQUEST_METHOD"], environ["PATH_INFO"], response)
        return response

    async def request_async(self: AsyncClient, **scope: Any) -> Any:
        response = await ask_async(self, **scope)
        check_answer(scope["method"], scope["path"], response)
        return response

    monkeypatch.setattr(Client, "request", request)
    monkeypatch.setattr(AsyncClient, "request", request_async)


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    cache.clear()
    ask_again()


@pytest.fixture(autouse=True)
def nothing_is_left_open() -> Iterator[None]:
    """Fail the test itself that leaves an HTTP session to the upstream open: the warning would come in a later one."""
    yield
    left = [session for session in (*_sessions.values(), *_socket_sessions.values()) if not session.closed]
    _sessions.clear()
    _socket_sessions.clear()
    assert not left, "close_this_loop_s() is owed, by the loop that asked the upstream"


def make_user(name: str, *, is_staff: bool = False) -> User:
    return User.objects.create_user(name, password="a-long-password", is_staff=is_staff, is_superuser=is_staff)


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def charlie(db: None) -> User:
    return make_user("charlie")


@pytest.fixture
def ada(db: None) -> User:
    return make_user("ada", is_staff=True)


@receiver(post_migrate, sender=apps.get_app_config("agents"))
def keep_the_mark(**_of_signal: object) -> None:
    """Write the configuration's mark again when a test on real transactions has emptied the database."""
    if not Configuration.objects.exists():
        Configuration.note_change()


@pytest.fixture
def assistant(db: None) -> Agent:
    """The agent of the first migration, made again where a test on real transactions has emptied the database."""
    agent, created = Agent.objects.get_or_create(slug="assistant", defaults={"name": "Assistant"})
    if created:
        agent.published = AgentVersion.objects.create(agent=agent, instructions="Be brief.")
        agent.save()
    return agent


@pytest.fixture
def prices(db: None, settings: Settings) -> None:
    """The shipped prices, also where a test has emptied the database; and an upstream that is not the free engine."""
    settings.UPSTREAM_IS_LOCAL = False
    Price.objects.all().delete()
    import_module("usage.migrations.0002_first_prices").add_prices(apps, None)


@pytest.fixture
def alices_client(alice: User, assistant: Agent) -> Client:
    client = Client()
    client.force_login(alice)
    return client


@pytest.fixture
def adas_client(ada: User) -> Client:
    """Ada at work in the administration."""
    client = Client()
    client.force_login(ada)
    return client


@pytest.fixture
def offer_sdp() -> str:
    """The offer of a Chromium page with one audio section and one data channel."""
    return (DATA / "chromium_offer.sdp").read_text().replace("\n", "\r\n")


@pytest.fixture
def answer_sdp() -> str:
    return (DATA / "engine_answer.sdp").read_text().replace("\n", "\r\n")


@dataclass
class FakeUpstream:
    """What the upstream was asked, and what it is to answer next."""

    answer: web.Response | None = None
    requests: list[dict[str, str]] = field(default_factory=list)
    mint_answer: web.Response | None = None
    minted: list[dict[str, object]] = field(default_factory=list)
    hung_up: list[str] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)  # a call was asked for
    held: asyncio.Event = field(default_factory=asyncio.Event)  # once cleared, answers wait until it is set


@pytest.fixture
async def upstream(settings: Settings, answer_sdp: str) -> AsyncIterator[FakeUpstream]:
    """A server on loopback that takes calls and hang-ups as the protocol says, and keeps what it was asked."""
    fake = FakeUpstream()
    fake.held.set()

    async def create_call(request: web.Request) -> web.StreamResponse:
        form = await request.post() if request.content_type.startswith("multipart/") else {"sdp": await request.text()}
        asked = {name: _text(part) for name, part in form.items()}
        fake.requests.append(asked | {"authorization": request.headers["Authorization"], "path": request.path_qs})
        fake.asked.set()
        await fake.held.wait()
        location = {"Location": f"/v1/realtime/calls/rtc_{len(fake.requests)}"}
        return fake.answer or web.Response(
            status=201, text=answer_sdp, content_type="application/sdp", headers=location
        )

    async def mint(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        fake.minted.append(body | {"authorization": request.headers["Authorization"]})
        session = body["session"] | {"id": f"sess_{len(fake.minted)}", "object": "realtime.session", "expires_at": 0}
        expires_at = int(time.time()) + body["expires_after"]["seconds"]
        value = f"ek_{len(fake.minted):032x}"
        return fake.mint_answer or web.json_response({"value": value, "expires_at": expires_at, "session": session})

    async def hang_up(request: web.Request) -> web.Response:
        await fake.held.wait()
        fake.hung_up.append(request.match_info["id"])
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/realtime/client_secrets", mint)
    app.router.add_post("/v1/realtime/calls", create_call)
    app.router.add_post("/v1/realtime/calls/{id}/hangup", hang_up)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    settings.UPSTREAM_BASE_URL = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield fake
    await runner.cleanup()
    await close_this_loop_s()


async def close_this_loop_s() -> None:
    """Close what a test's event loop opened: its HTTP session, and its thread's database connection.

    An open one would keep PostgreSQL from dropping the test database.
    """
    await close_upstream_http()
    await sync_to_async(connections.close_all)()
    group_commit.stop_writer()


def _text(part: object) -> str:
    return part if isinstance(part, str) else bytes(part).decode()  # type: ignore[call-overload]


def session_of(asked: dict[str, str]) -> dict[str, object]:
    value: dict[str, object] = json.loads(asked["session"])
    return value


@pytest.fixture
async def alices_page(alice: User, assistant: Agent) -> AsyncIterator[AsyncClient]:
    """Alice's browser, as far as HTTP goes."""
    client = AsyncClient()
    await client.aforce_login(alice)
    yield client
    await close_this_loop_s()


@pytest.fixture(autouse=True)
def one_connection(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a test's database is one transaction that is rolled back, let everything happen on its connection."""
    marker = request.node.get_closest_marker("django_db")
    if "transactional_db" in request.fixturenames or (marker and marker.kwargs.get("transaction")):
        return

    async def commit(work: Work[T]) -> T:
        return await sync_to_async(group_commit.commit_now)(work)

    monkeypatch.setattr(group_commit, "commit", commit)


@pytest.fixture(autouse=True)
def hang_ups_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the upstream be told of a call's end before `end_call` returns; test_hang_ups.py has the real thing."""
    monkeypatch.setattr(hang_ups, "soon", lambda hang_up: hang_up())
