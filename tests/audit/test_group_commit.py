"""One commit for many requests: all or each for itself, never half of one."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from functools import partial

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connection
from django.utils import timezone

from audit import group_commit
from audit.actions import Action
from audit.exceptions import AuditUnavailable
from audit.group_commit import Group
from audit.models import AuditEvent
from realtime_api.errors import CodedError
from tests.conftest import close_this_loop_s
from tokens.models import Issuance, QuotaCounter

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
async def writer(transactional_db: None) -> AsyncIterator[None]:
    yield
    await close_this_loop_s()


def new_row(request_id: str) -> Issuance:
    return Issuance(request_id=request_id, status=Issuance.Status.REQUESTED, requested_at=timezone.now())


def void(row: object) -> None:
    """Take what a step returns where none is expected."""


def insert(request_id: str, group: Group) -> Issuance:
    row = new_row(request_id)
    group.insert(row)
    group.record(Action.CLIENT_SECRET_REQUESTED, about=row, request_id=request_id, agent="assistant")
    return row


async def commit_together(*works: group_commit.Work[object]) -> list[object]:
    """Commit works in one group, by letting the writer wait until all are there."""
    all_there = threading.Event()
    gate = asyncio.create_task(group_commit.commit(lambda group: all_there.wait(10)))
    await asyncio.sleep(0)  # the gate is in the queue, before the works
    tasks = [asyncio.create_task(group_commit.commit(work)) for work in works]
    await asyncio.sleep(0)
    all_there.set()
    await gate
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_rows_and_events_of_many_requests_are_written_with_their_ids() -> None:
    rows = await commit_together(*(lambda group, n=n: insert(f"request-{n}", group) for n in range(20)))

    assert len({row.pk for row in rows if isinstance(row, Issuance)}) == 20
    for row in rows:
        assert isinstance(row, Issuance)
        event = await AuditEvent.objects.aget(request_id=row.request_id)
        assert event.target == f"issuance:{row.pk}"
        assert event.facts == {"agent": "assistant"}
        assert (await Issuance.objects.aget(pk=row.pk)).request_id == row.request_id


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many works each transaction was tried with."""
    sizes: list[int] = []
    real = group_commit._commit

    def counted(works: list[group_commit.Work[object]]) -> object:
        sizes.append(len(works))
        return real(works)

    monkeypatch.setattr(group_commit, "_commit", counted)
    return sizes


async def test_many_requests_share_one_transaction(sizes: list[int]) -> None:
    await commit_together(*(lambda group, n=n: insert(f"request-{n}", group) for n in range(20)))

    assert max(sizes) >= 20


async def test_one_that_fails_takes_none_of_the_others_along() -> None:
    def refuse(group: Group) -> None:
        insert("refused", group)
        raise ValueError("refused")

    found = await commit_together(lambda g: insert("first", g), refuse, lambda g: insert("last", g))

    assert isinstance(found[1], ValueError)
    assert [row.request_id async for row in Issuance.objects.order_by("request_id")] == ["first", "last"]
    assert await AuditEvent.objects.acount() == 2


async def test_a_lock_that_refuses_undoes_only_its_own_request() -> None:
    def use_up(group: Group) -> None:
        insert("refused", group)

        def step() -> None:
            QuotaCounter.objects.create(subject="user:1", metric="m", period_start=timezone.now(), used=1)
            raise ValueError("used up")

        group.lock("user:1", step)

    found = await commit_together(lambda g: insert("first", g), use_up)

    assert isinstance(found[1], ValueError)
    assert not await QuotaCounter.objects.aexists()
    assert [row.request_id async for row in Issuance.objects.all()] == ["first"]


async def test_one_that_a_lock_refuses_is_left_out_at_no_cost_for_the_others(sizes: list[int]) -> None:
    def refused(group: Group) -> None:
        insert("intent", group)
        group.when_refused(lambda error: void(insert("refusal", group)))

        def step() -> None:
            raise CodedError("used up")

        group.lock("user:1", step)

    found = await commit_together(lambda g: insert("first", g), refused, lambda g: insert("last", g))

    assert sum(sizes) == 4  # with the one that held them up each once
    assert (type(found[1]), str(found[1])) == (CodedError, "used up")
    assert [row.request_id async for row in Issuance.objects.order_by("pk")] == ["first", "refusal", "last"]
    assert [event.request_id async for event in AuditEvent.objects.order_by("pk")] == ["first", "refusal", "last"]


async def test_a_refusal_may_lock_too_and_what_was_still_to_be_locked_is_not() -> None:
    taken: list[str] = []

    def refused(group: Group) -> None:
        group.when_refused(lambda error: group.lock("issuance:1", lambda: taken.append("issuance:1")))

        def step() -> None:
            raise CodedError

        group.lock("user:1", step)
        group.lock("user:2", lambda: taken.append("user:2"))

    await commit_together(refused, lambda g: g.lock("user:3", lambda: taken.append("user:3")))

    assert taken == ["user:3", "issuance:1"]


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "_stuck_until", {})
    monkeypatch.setattr(group_commit, "LOCK_TIMEOUT_MS", 300)


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has but one lock")
@pytest.mark.usefixtures("stuck")
async def test_a_row_that_somebody_holds_stops_nobody_else() -> None:
    await QuotaCounter.objects.acreate(subject="user:1", metric="m", period_start=timezone.now())

    def count(name: str, group: Group) -> None:
        insert(name, group)
        if name.startswith("held"):
            counters = QuotaCounter.objects.select_for_update().filter(subject="user:1")
            group.lock("user:1", lambda: list(counters))

    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT * FROM tokens_quotacounter FOR UPDATE")
        async with asyncio.timeout(5):
            works = [partial(count, name) for name in ("first", "held", "last")]
            found = await commit_together(*works)
            began = time.monotonic()
            again = await commit_together(partial(count, "held again"), partial(count, "another"))
            took_s = time.monotonic() - began

    assert isinstance(found[1], AuditUnavailable)
    assert isinstance(again[0], AuditUnavailable)
    assert took_s < 0.3  # nobody waited for that row again
    written = [row.request_id async for row in Issuance.objects.order_by("pk")]
    assert written == ["first", "last", "another"]


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has but one lock")
@pytest.mark.usefixtures("stuck")
async def test_one_that_comes_alone_to_a_row_that_somebody_holds_is_told_in_time() -> None:
    await QuotaCounter.objects.acreate(subject="user:1", metric="m", period_start=timezone.now())
    counters = QuotaCounter.objects.select_for_update()

    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT * FROM tokens_quotacounter FOR UPDATE")
        async with asyncio.timeout(3):
            with pytest.raises(AuditUnavailable):
                await group_commit.commit(lambda group: group.lock("user:1", lambda: list(counters)))


async def test_locks_are_taken_in_the_order_of_their_names() -> None:
    taken: list[str] = []

    def locking(name: str, group: Group) -> None:
        group.lock(name, lambda: taken.append(name))

    await commit_together(*(lambda g, name=name: locking(name, g) for name in ("user:3", "user:1", "user:2")))

    assert taken == ["user:1", "user:2", "user:3"]


async def test_of_two_equal_rows_the_second_is_told() -> None:
    def unique(group: Group) -> None:
        if Issuance.objects.filter(secret_digest="d").exists():
            raise ValueError("there is one already")
        row = new_row("r")
        row.secret_digest = "d"
        group.insert(row)

    found = await commit_together(unique, unique)

    assert found[0] is None
    assert isinstance(found[1], ValueError)
    assert await Issuance.objects.acount() == 1


async def test_a_database_that_fails_is_told_as_such_and_works_again_after(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise OperationalError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(group_commit, "insert_rows", fail)
        with pytest.raises(AuditUnavailable):
            await group_commit.commit(lambda group: insert("lost", group))

    await group_commit.commit(lambda group: insert("kept", group))
    assert [row.request_id async for row in Issuance.objects.all()] == ["kept"]


def terminate(pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no server that could restart")
async def test_a_connection_that_died_meanwhile_is_replaced() -> None:
    await group_commit.commit(lambda group: insert("before", group))

    def own_pid(group: Group) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])

    pid = await group_commit.commit(own_pid)
    await sync_to_async(terminate)(pid)
    await group_commit.commit(lambda group: insert("after", group))

    assert await Issuance.objects.acount() == 2


async def test_a_commit_that_fails_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = 0

    def work(group: Group) -> None:
        nonlocal runs
        runs += 1
        insert("r", group)

    await group_commit.commit(lambda group: None)  # the writer's connection is open

    def broken_commit(*args: object) -> None:
        raise OperationalError("the server went away")

    monkeypatch.setattr("django.db.backends.base.base.BaseDatabaseWrapper.commit", broken_commit)
    with pytest.raises(AuditUnavailable):
        await group_commit.commit(work)

    assert runs == 1


async def test_steps_afterwards_see_what_was_committed() -> None:
    seen: list[int] = []

    def work(group: Group) -> None:
        row = insert("r", group)
        group.afterwards(lambda: seen.extend([Issuance.objects.get(request_id="r").pk, row.pk]))

    await group_commit.commit(work)

    assert seen == [(await Issuance.objects.aget()).pk] * 2


async def test_it_can_be_stopped_and_starts_again() -> None:
    await group_commit.commit(lambda group: insert("first", group))
    await sync_to_async(group_commit.stop_writer)()

    await group_commit.commit(lambda group: insert("second", group))

    assert await Issuance.objects.acount() == 2


async def test_a_row_that_only_the_commit_refuses_takes_none_of_the_others_along() -> None:
    def about_nobody(group: Group) -> None:
        row = new_row("of nobody")
        row.user_id = 987_654_321  # foreign keys are checked at the commit
        group.insert(row)

    found = await commit_together(lambda g: insert("first", g), about_nobody, lambda g: insert("last", g))

    assert isinstance(found[1], AuditUnavailable)
    assert [row.request_id async for row in Issuance.objects.order_by("request_id")] == ["first", "last"]


async def test_a_failing_step_afterwards_repeats_nothing_that_was_committed() -> None:
    def fail() -> None:
        raise RuntimeError("the cache is odd")

    def work(group: Group) -> None:
        insert("careless", group)
        group.afterwards(fail)

    found = await commit_together(work, lambda g: insert("other", g))

    assert found[0] is None
    assert [row.request_id async for row in Issuance.objects.order_by("request_id")] == ["careless", "other"]


async def test_a_thread_that_cannot_start_is_tried_again_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as broken:
        broken.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            await group_commit.commit(lambda group: insert("lost", group))

    async with asyncio.timeout(5):
        await group_commit.commit(lambda group: insert("kept", group))


async def test_the_thread_outlives_a_fault_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("closing failed")

    with monkeypatch.context() as broken:
        broken.setattr(group_commit, "_carry_out", fail)
        async with asyncio.timeout(5):
            with pytest.raises(AuditUnavailable):
                await group_commit.commit(lambda group: insert("lost", group))

    async with asyncio.timeout(5):
        await group_commit.commit(lambda group: insert("kept", group))


async def test_jobs_that_come_while_it_is_stopped_are_carried_out() -> None:
    stopping = True

    def stop_again_and_again() -> None:
        while stopping:
            group_commit.stop_writer()

    stopper = threading.Thread(target=stop_again_and_again, daemon=True)
    stopper.start()
    try:
        async with asyncio.timeout(20):
            for _ in range(200):
                await group_commit.commit(lambda group: None)
    finally:
        stopping = False
    await asyncio.to_thread(stopper.join, 5)
    assert not stopper.is_alive()


async def test_an_error_that_no_future_takes_leaves_nobody_waiting() -> None:
    def end(group: Group) -> None:
        raise StopIteration

    async with asyncio.timeout(5):
        found = await commit_together(end, lambda g: insert("kept", g))

    assert isinstance(found[0], RuntimeError)
    assert [row.request_id async for row in Issuance.objects.all()] == ["kept"]


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
async def test_a_group_that_met_another_in_a_deadlock_is_carried_out_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, sizes = group_commit._write, list[int]()

    def deadlock_once(groups: list[Group]) -> None:
        sizes.append(1)
        if len(sizes) == 1:
            with connection.cursor() as cursor:
                cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$")
        real(groups)

    await group_commit.commit(lambda group: None)
    monkeypatch.setattr(group_commit, "_write", deadlock_once)

    await group_commit.commit(lambda group: insert("kept", group))

    assert await Issuance.objects.acount() == 1


async def test_what_a_group_reads_is_read_once() -> None:
    reads: list[str] = []

    def read(group: Group) -> int:
        return group_commit.read_once("mark", lambda: reads.append("read") or len(reads))  # type: ignore[func-returns-value]

    assert await commit_together(read, read, read) == [1, 1, 1]
    assert await commit_together(read, read) == [2, 2]  # the next group reads anew


async def test_what_failed_together_reads_anew_alone() -> None:
    reads: list[str] = []

    def read(group: Group) -> None:
        group_commit.read_once("mark", lambda: reads.append("read"))

    def fail(group: Group) -> None:
        raise ValueError

    await commit_together(read, fail)

    assert len(reads) == 2


def test_outside_of_a_group_everything_is_read_anew() -> None:
    reads: list[str] = []

    for _ in range(2):
        group_commit.read_once("mark", lambda: reads.append("read"))

    assert len(reads) == 2
