"""Durable writes of many requests in one transaction, by one thread of each process.

A commit costs a wait for the disk whatever it holds. Requests that come while one is under way share the next, so that
full durability costs little under load. Where several come at once, a commit waits up to GATHER_STEPS * GATHER_STEP_S
(1.6 ms) for the rest of them; one that comes alone never waits.
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, Final, TypeVar

from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, connection, models, transaction
from django.utils import timezone

from audit.actions import Action
from audit.exceptions import AuditUnavailable
from audit.models import AuditEvent, AuditPersonal
from audit.records import Fact, Personal, personal, signed_values
from audit.rows import insert_rows, insert_values, update_rows
from realtime_api.errors import CodedError

logger = logging.getLogger(__name__)
T = TypeVar("T")
K = TypeVar("K")
MAX_GROUP: Final = 64
DEADLOCK: Final = "40P01"  # PostgreSQL's codes
LOCK_NOT_AVAILABLE: Final = "55P03"
LOCK_TIMEOUT_MS: Final = 1000  # others of this process wait with the one whose row somebody holds
STUCK_S: Final = 5.0  # in which nobody waits for that row again
MOST_STUCK: Final = 4  # rows that somebody holds at the same time; beyond that the database is not to be used
GATHER_STEP_S: Final = 0.0004
GATHER_STEPS: Final = 4


class Group:
    """What one request writes in a transaction that others share, written at its end: locks, rows, events."""

    def __init__(self) -> None:
        self.refusal: CodedError | None = None
        self._locking: list[tuple[str, Callable[[], object]]] = []
        self._when_refused: Callable[[CodedError], None] | None = None
        self._begin()

    def _begin(self) -> None:
        self.steps_afterwards: list[Callable[[], None]] = []
        self.inserts: dict[type[models.Model], list[models.Model]] = {}
        self.updates: dict[tuple[type[models.Model], tuple[str, ...]], list[models.Model]] = {}
        self.events: list[Recorded] = []

    def lock(self, name: str, step: Callable[[], object]) -> None:
        """Add a step that locks what has this name, such as `user:7`.

        A step that raises a CodedError has written nothing, or has undone it: its own request is left out then, and
        costs the others nothing. After anything else that it raises the whole transaction begins anew. Every
        transaction takes its locks in the order of their names, so that no two processes wait for each other.
        """
        self._locking.append((name, step))

    def take_locking(self) -> list[tuple[str, Callable[[], object]]]:
        """Return the locking steps that were added since it was asked last."""
        steps, self._locking = self._locking, []
        return steps

    def when_refused(self, write: Callable[[CodedError], None]) -> None:
        """Say what is collected in the place of all else when a locking step refuses the request."""
        self._when_refused = write

    def refuse(self, error: CodedError, *, quietly: bool = False) -> None:
        """Leave out what was collected; without `quietly` the refusal is written instead."""
        self._begin()
        self.refusal = error
        if self._when_refused is not None and not quietly:
            self._when_refused(error)

    def afterwards(self, step: Callable[[], None]) -> None:
        """Add a step that follows the commit, in the same thread; it must not fail."""
        self.steps_afterwards.append(step)

    def insert(self, row: models.Model) -> None:
        """Insert a row, which gets its `pk` with the others'. Fields that fill themselves in are not filled."""
        self.inserts.setdefault(type(row), []).append(row)

    def update(self, row: models.Model, fields: tuple[str, ...]) -> None:
        """Write some fields (by their attribute's name) of a saved row."""
        self.updates.setdefault((type(row), fields), []).append(row)

    def record(
        self,
        action: Action,
        *,
        about: models.Model,
        request_id: str,
        actor: str = "",
        code: str = "",
        person: Mapping[str, Fact] | None = None,
        **facts: Fact,
    ) -> "Recorded":
        """Append one event to the record, as `record_event` does; its target is `about`, such as `issuance:12`."""
        event = Recorded(action, about, request_id, actor, code, facts, personal(person or {}))
        self.events.append(event)
        return event


def _write(groups: Sequence[Group]) -> None:
    """Write what was collected, alike with alike. Raises DatabaseError, _Stuck, and what a locking step raised."""
    _take_locks(groups)
    _take_locks([group for group in groups if group.refusal])  # those of the refusals
    for model, rows in _together(group.inserts for group in groups).items():
        insert_rows(model, rows)
    for (model, fields), rows in _together(group.updates for group in groups).items():
        update_rows(model, fields, rows)
    if events := [event for group in groups for event in group.events]:
        _write_events(events)


def _take_locks(groups: Sequence[Group]) -> None:
    steps = [(name, group, group.refusal, step) for group in groups for name, step in group.take_locking()]
    for name, group, refused_before, step in sorted(steps, key=itemgetter(0)):
        if group.refusal is refused_before:
            _take_lock(name, group, step)


def _take_lock(name: str, group: Group, step: Callable[[], object]) -> None:
    if _stuck_until.get(name, 0) > time.monotonic():
        return group.refuse(AuditUnavailable(retry_after_ms=int(STUCK_S * 1000)), quietly=True)
    try:
        step()
    except CodedError as exc:
        group.refuse(exc)
    except OperationalError as exc:
        if _sqlstate(exc) != LOCK_NOT_AVAILABLE:
            raise
        _stuck_until[name] = time.monotonic() + STUCK_S
        raise _Stuck from exc
    return None


def _together(parts: Iterable[Mapping[K, list[T]]]) -> dict[K, list[T]]:
    found: dict[K, list[T]] = {}
    for part in parts:
        for name, rows in part.items():
            found.setdefault(name, []).extend(rows)
    return found


def _write_events(events: Sequence["Recorded"]) -> None:
    now = timezone.now()
    numbers = insert_values(AuditEvent, [event.values(now) for event in events])
    for event, number in zip(events, numbers, strict=True):
        event.number = number
    people = [
        {"event_id": event.number, "salt": event.personal.salt, "data": event.personal.data}
        for event in events
        if event.personal
    ]
    if people:
        insert_values(AuditPersonal, people)


@dataclass
class Recorded:
    """An event of a group. number: by which it can be proved, once it is written."""

    action: Action
    about: models.Model
    request_id: str
    actor: str
    code: str
    facts: dict[str, Fact]
    personal: Personal | None
    number: int = 0

    def values(self, now: datetime) -> dict[str, Any]:
        return signed_values(
            self.action.value,
            recorded_at=now,
            request_id=self.request_id,
            actor=self.actor,
            target=f"{self.about._meta.model_name}:{self.about.pk}",
            code=self.code,
            facts=self.facts,
            personal=self.personal,
        )


Work = Callable[[Group], T]


@dataclass
class _Job:
    """Work of one request, and the future that its event loop waits for."""

    work: Work[Any]
    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop
    context: Context
    result: Any = None
    error: BaseException | None = None

    def run(self, group: Group) -> Any:
        return self.context.run(self.work, group)


async def commit(work: Work[T]) -> T:
    """Run `work` in a transaction that other requests share, and return what it returned, once that is durable.

    work: reads and decides, and leaves its writes to the group it is given. It must wait for nothing but the
    database and the cache. When a group fails, each of its works runs once more, alone: the first time had no effect.
    Raises what `work` or one of its locking steps raised, with nothing written, and AuditUnavailable when the database
    cannot keep it or somebody holds what it has to lock.
    """
    loop = asyncio.get_running_loop()
    job = _Job(work, loop.create_future(), loop, copy_context())
    _writer.put(job)
    result: T = await job.future
    return result


def commit_now(work: Work[T]) -> T:
    """Do as `commit` in the thread of the caller, alone, for code that is synchronous."""
    try:
        ((result, refusal),) = _commit([work])
    except (DatabaseError, InterfaceError, _CommitFailed, _Stuck) as exc:
        logger.exception("the record could not be written")
        raise AuditUnavailable(retry_after_ms=1000) from exc
    if refusal is not None:
        raise refusal
    return result  # type: ignore[no-any-return]


def read_once(name: Hashable, read: Callable[[], T]) -> T:
    """Return what `read` returns, read once for all works of the group that this thread runs.

    Each of them waited before the transaction began, so none gets what was out of date when it came. Outside of a
    group everything is read anew. Whatever is returned serves several requests and is not to be changed.
    """
    kept = _reads.kept
    if kept is None:
        return read()
    if name not in kept:
        kept[name] = read()
    value: T = kept[name]
    return value


class _Reads(threading.local):
    """What the works of the thread's present group have read."""

    kept: dict[Hashable, Any] | None = None


_reads = _Reads()


@contextmanager
def _reading_once() -> Iterator[None]:
    _reads.kept = {}
    try:
        yield
    finally:
        _reads.kept = None


class _CommitFailed(Exception):
    """The commit itself failed: it may have been carried out, so it is never repeated."""


class _Stuck(Exception):
    """Somebody holds what a request has to lock. Its name is noted: the next time that request is left out."""


def _commit(works: Sequence[Work[Any]]) -> list[tuple[Any, CodedError | None]]:
    """Run works in one transaction; returns what each returned, and why it was left out if it was.

    Raises what one of them raised, DatabaseError, _Stuck and _CommitFailed.
    """
    is_committing = False
    groups = [Group() for _ in works]
    try:
        with transaction.atomic(durable=True):
            with _reading_once():
                results = [work(group) for work, group in zip(works, groups, strict=True)]
            _write(groups)
            is_committing = True
    except Exception as exc:
        if is_committing and not isinstance(exc, IntegrityError):  # that one is the database's refusal of a row
            raise _CommitFailed from exc
        raise
    for step in [step for group in groups for step in group.steps_afterwards]:
        try:
            step()
        except Exception:  # what is committed must not be carried out again
            logger.exception("a step after the commit failed")
    return [(result, group.refusal) for result, group in zip(results, groups, strict=True)]


class _Writer:
    """The one thread that commits. It starts with the first job and is lost with the process, as a job may be."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._changing = threading.Lock()  # no job comes while the thread starts or ends
        self._last_size = 0

    def put(self, job: _Job) -> None:
        with self._changing:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
                thread.start()  # raises where the system gives no thread; then the next job tries again
                self._thread = thread
            self._jobs.put(job)

    def stop(self) -> None:
        """End the thread after the jobs that wait, and its connection."""
        with self._changing:
            if self._thread is not None:
                self._jobs.put(None)
                self._thread.join()
                self._thread = None

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            jobs, goes_on = self._gather(job)
            try:
                _carry_out(jobs)
            except BaseException as exc:  # a fault of ours; nobody may wait for ever, and the next jobs need the thread
                logger.exception("the record could not be written, for %d requests", len(jobs))
                for job in jobs:
                    job.error = _CommitFailed(exc)
            _answer(jobs)
            if not goes_on:
                break
        connection.close()

    def _gather(self, first: _Job) -> tuple[list[_Job], bool]:
        """Return the first job and those that wait with it, and whether to go on after them.

        The pauses let the event loop hand over what it holds, as long as more come: a commit for eight costs little
        more than one for two, and the two threads do not wrest the interpreter from each other meanwhile.
        """
        jobs: list[_Job] = [first]
        goes_on = self._take(jobs)
        if len(jobs) > 1 or self._last_size > 1:
            for _ in range(GATHER_STEPS):
                size = len(jobs)
                time.sleep(GATHER_STEP_S)
                goes_on = goes_on and self._take(jobs)
                if len(jobs) == size or not goes_on:
                    break
        self._last_size = len(jobs)
        return jobs, goes_on

    def _take(self, jobs: list[_Job]) -> bool:
        """Add the jobs that wait, up to a group's size; returns False when the thread is to end."""
        while len(jobs) < MAX_GROUP:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return True
            if job is None:
                return False
            jobs.append(job)
        return True


def _carry_out(jobs: list[_Job]) -> None:
    """Commit jobs together; if one of them cannot be, each for itself."""
    kept = connection.connection
    error = _try(jobs)
    if isinstance(error, OperationalError | InterfaceError) and kept is not None and _is_dead(kept):
        error = _try(jobs)  # it died while nobody used it; this is another
    for _ in range(MOST_STUCK):  # each round leaves out whoever the last one had to wait for
        if isinstance(error, _Stuck) and len(jobs) > 1:
            error = _try(jobs)
    is_databases = isinstance(error, OperationalError | InterfaceError | _CommitFailed | _Stuck)
    if is_databases and _sqlstate(error) not in (DEADLOCK, LOCK_NOT_AVAILABLE):  # its own fault, and so everybody's
        logger.error("the record could not be written, for %d requests", len(jobs), exc_info=error)
        for job in jobs:
            job.error = error
    elif error is not None:
        for job in jobs:
            error = _try([job])
            if isinstance(error, IntegrityError):  # somebody was quicker; now the work sees it and says so
                error = _try([job])
            if isinstance(error, DatabaseError):
                logger.error("the record could not be written", exc_info=error)
            job.error = error or job.error


def _try(jobs: list[_Job]) -> BaseException | None:
    """Commit jobs together, and note for each its result, or why it was left out; returns why none was committed."""
    try:
        _limit_waiting()
        outcomes = _commit([job.run for job in jobs])
    except BaseException as exc:
        return exc
    for job, (result, refusal) in zip(jobs, outcomes, strict=True):
        job.result, job.error = result, refusal
    return None


def _limit_waiting() -> None:
    """Have this thread's connection wait for no lock as long as others may: all requests of the process wait with it.

    PostgreSQL takes it for the session; SQLite has but one lock, for which everybody waits.
    """
    connection.ensure_connection()
    if connection.vendor == "postgresql" and _limited.connection is not connection.connection:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {LOCK_TIMEOUT_MS}")
        _limited.connection = connection.connection


class _Limited(threading.local):
    connection: object = None


_limited = _Limited()
_stuck_until: dict[str, float] = {}


def _sqlstate(error: BaseException | None) -> str | None:
    """Return PostgreSQL's code of an error. After a deadlock, or for want of a lock, works get through alone."""
    return getattr(error.__cause__ if error else None, "sqlstate", None)


def _is_dead(kept: object) -> bool:
    """Tell whether this thread's connection is lost, and close it if Django has not replaced it yet."""
    if connection.connection is kept and not connection.is_usable():
        connection.close()
    return connection.connection is not kept


def _answer(jobs: list[_Job]) -> None:
    """Wake each event loop once."""
    loops: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        loops.setdefault(job.loop, []).append(job)
    for loop, theirs in loops.items():
        try:
            loop.call_soon_threadsafe(_resolve, theirs)
        except RuntimeError:  # the loop is closed: the server has stopped
            logger.warning("nobody waits any more for %d writes", len(theirs))


def _resolve(jobs: Sequence[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        elif isinstance(job.error, DatabaseError | InterfaceError | _CommitFailed | _Stuck):
            job.future.set_exception(AuditUnavailable(retry_after_ms=1000))
        elif isinstance(job.error, StopIteration):  # no future takes this one, and the others wait for their turn
            job.future.set_exception(RuntimeError("StopIteration"))
        else:
            job.future.set_exception(job.error)


_writer = _Writer()
stop_writer = _writer.stop
