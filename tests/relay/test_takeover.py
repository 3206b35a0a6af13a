"""A worker that dies without a word: another looks after its calls within ten seconds, and nothing is counted twice."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Count
from pytest_django import Settings

from agents.models import Agent
from relay.models import Call, TranscriptItem
from relay.services import end_call
from tests.engine.caller import Caller
from tests.relay.test_supervisor import ask, live_call, until, until_call, until_closed
from usage.models import UsageDay, UsageRecord

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("prices"), pytest.mark.timeout(180)]
ROOT = Path(__file__).resolve().parents[2]
TAKEOVER_S = 10

Start = Callable[[], "subprocess.Popen[bytes]"]


def database_url() -> str:
    """Return where the test's own database is, for other processes."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{database['NAME']}"
    place = f"{database['HOST']}:{database['PORT']}/{database['NAME']}"
    return f"postgres://{database['USER']}:{database['PASSWORD']}@{place}"


@pytest.fixture
def start_worker(base_url: str, tmp_path: Path, settings: Settings) -> Iterator[Start]:
    settings.UPSTREAM_BASE_URL, settings.UPSTREAM_API_KEY = f"{base_url}/v1", "sk-test"
    environment = os.environ | {
        "DATABASE_URL": database_url(),
        "REDIS_URL": "",
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": f"{base_url}/v1",
    }
    started: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        with (tmp_path / f"worker{len(started)}.log").open("wb") as log:
            command = [sys.executable, "manage.py", "worker"]
            started.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log))
        return started[-1]

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            process.terminate()
    for process in started:
        process.wait(20)


async def test_another_worker_takes_over(caller: Caller, alice: User, assistant: Agent, start_worker: Start) -> None:
    call = await live_call(caller, alice, assistant)
    first = start_worker()
    await until_call(monitoring="joined")
    await ask(caller, "What is two plus three?")
    await until_call(responses=1)
    before = await Call.objects.aget()
    second = start_worker()
    await ask(caller, "What is two plus four?")
    await until_call(responses=2)
    assert (await Call.objects.aget()).lease_owner == before.lease_owner

    first.kill()
    killed_at = time.monotonic()
    await until(lambda: Call.objects.filter(gaps=before.gaps + 1).exists())
    taken_after_s = time.monotonic() - killed_at
    await ask(caller, "What is two plus five?")
    await until_call(responses=3)
    await sync_to_async(end_call)(call, reason=Call.EndReason.USER, actor="user:1")
    call = await until_closed()

    assert taken_after_s < TAKEOVER_S
    assert second.poll() is None
    assert call.metering == "partial"
    assert await UsageRecord.objects.acount() == 3
    assert await UsageDay.objects.values_list("responses", flat=True).aget() == 3
    twice = TranscriptItem.objects.values("text", "role").annotate(times=Count("pk")).filter(role="user", times__gt=1)
    assert await twice.acount() == 0
    assert await TranscriptItem.objects.filter(role="user").acount() == 3
