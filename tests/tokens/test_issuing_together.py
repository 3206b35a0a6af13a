"""Requests that share a commit: one that fails costs the others nothing, though the work of all runs again."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import IntegrityError
from pytest_django import Settings

from agents.models import Agent
from audit import group_commit
from audit.models import AuditEvent
from audit.rows import insert_rows
from tests.conftest import close_this_loop_s
from tokens.constants import REFUSALS_KEPT_APART
from tokens.exceptions import QuotaExceeded
from tokens.models import Issuance, Policy, QuotaCounter
from tokens.refusals import RefusalCounter
from tokens.requester import Requester
from tokens.services import Asked, IssuedSecret, issue_client_secret
from tokens.wishes import Wish

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
async def stopped(transactional_db: None) -> AsyncIterator[None]:
    yield
    await close_this_loop_s()


@pytest.fixture
async def bob(transactional_db: None) -> User:
    """Somebody whose allowance is used up, which shows only while the group's locks are taken."""
    bob = await User.objects.acreate(username="bob")
    await sync_to_async(Policy.objects.create)(user=bob, secrets_a_day=0)
    return bob


async def issue_together(*users: User) -> list[IssuedSecret | BaseException]:
    """Issue to all of them in one group, by letting the writer wait until all are there."""
    is_busy, all_there = threading.Event(), threading.Event()

    def hold(group: group_commit.Group) -> None:
        is_busy.set()
        all_there.wait(10)

    gate = asyncio.create_task(group_commit.commit(hold))
    assert await asyncio.to_thread(is_busy.wait, 10)
    readers = [
        lambda user=user: Asked(Requester(user, None, "request-1", "127.0.0.1", "", ""), Wish(kind="relayed"))
        for user in users
    ]
    tasks = [asyncio.create_task(issue_client_secret(read)) for read in readers]
    for _ in range(5):  # each task starts another
        await asyncio.sleep(0)
    assert group_commit._writer._jobs.qsize() == len(users)
    all_there.set()
    await gate
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_allowance_that_is_used_up_counts_nobody_s_rate_twice(
    alice: User, bob: User, assistant: Agent, settings: Settings
) -> None:
    settings.ISSUE_RATE = "20/m"

    issued, refused = await issue_together(alice, bob)

    assert isinstance(refused, QuotaExceeded)
    assert isinstance(issued, IssuedSecret)
    assert issued.rate.remaining == 19
    assert await Issuance.objects.filter(status="issued").acount() == 1


async def test_many_that_are_over_their_allowance_cost_the_others_no_second_round(
    alice: User, bob: User, assistant: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    real = group_commit._write

    def counted(groups: list[group_commit.Group]) -> None:
        tried.append(len(groups))
        real(groups)

    monkeypatch.setattr(group_commit, "_write", counted)

    outcomes = await issue_together(*[bob] * 6, alice, *[bob] * 6)

    assert tried == [1, 13]  # one that held them up, then all at once, with the refusals
    assert [type(outcome) for outcome in outcomes].count(QuotaExceeded) == 12
    assert isinstance(outcomes[6], IssuedSecret)
    assert await Issuance.objects.filter(status="issued").acount() == 1
    assert await Issuance.objects.filter(status="denied").acount() == 12
    assert await AuditEvent.objects.filter(action="client_secret.denied").acount() == 12
    assert not await AuditEvent.objects.filter(action="client_secret.requested", actor=f"user:{bob.pk}").aexists()


async def test_a_refusal_counts_once_though_its_work_runs_again(
    alice: User, bob: User, assistant: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = insert_rows, iter([True])

    def fail_once(*arguments: Any) -> None:
        if next(tries, False):
            raise IntegrityError("somebody was quicker")
        real(*arguments)

    monkeypatch.setattr(group_commit, "insert_rows", fail_once)

    _, refused = await issue_together(alice, bob)

    assert isinstance(refused, QuotaExceeded)
    counter = RefusalCounter(f"quota_exceeded:user:{bob.pk}")
    assert [counter._count() for _ in range(REFUSALS_KEPT_APART)][-1] == 1  # the one above, and those here


async def test_what_one_allowance_counted_before_another_refused_is_given_back(
    alice: User, assistant: Agent, transactional_db: None
) -> None:
    await sync_to_async(Policy.objects.create)(user=alice, secrets_a_day=5, secrets_a_month=1)

    await issue_together(alice, alice, alice)

    used = [(counter.metric, counter.used) async for counter in QuotaCounter.objects.order_by("metric")]
    assert used == [("secrets_a_day", 1), ("secrets_a_month", 1)]


async def test_the_last_request_that_a_rate_allows_is_not_refused_for_another_s_failure(
    alice: User, bob: User, assistant: Agent, settings: Settings
) -> None:
    settings.ISSUE_RATE = "1/m"

    issued, _ = await issue_together(alice, bob)

    assert isinstance(issued, IssuedSecret)
