"""Requests that share a commit: one that fails costs the others nothing, though the work of all runs again."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from pytest_django import Settings

from agents.models import Agent
from audit import group_commit
from tests.conftest import close_this_loop_s
from tokens.exceptions import QuotaExceeded
from tokens.models import Issuance, Policy
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


async def test_the_last_request_that_a_rate_allows_is_not_refused_for_another_s_failure(
    alice: User, bob: User, assistant: Agent, settings: Settings
) -> None:
    settings.ISSUE_RATE = "1/m"

    issued, _ = await issue_together(alice, bob)

    assert isinstance(issued, IssuedSecret)
