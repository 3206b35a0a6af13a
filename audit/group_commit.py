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
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
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

logger = logging.getLogger(__name__)
T = TypeVar("T")
MAX_GROUP: Final = 64
DEADLOCK: Final = "40P01"  # PostgreSQL's code
GATHER_STEP_S: Final = 0.0004
GATHER_STEPS: Final = 4


class Group:
    """One transaction's writes, collected and written together at its end: locks, rows, events."""

    def __init__(self) -> None:
        self._locking: list[tuple[str, Callable[[], object]]] = []
        self.steps_afterwards: list[Callable[[], None]] = []
        self._inserts: dict[type[models.Model], list[models.Model]] = {}
        self._updates: dict[tuple[type[models.Model], tuple[str, ...]], list[models.Model]] = {}
        self._events: list[_Event] = []

    def lock(self, name: str, step: Callable[[], object]) -> None:
        """Add a step that locks what has this name, such as `user:7`. A step that raises undoes its own request alone.

        Every group takes its locks in the order of their names, so that no two processes wait for each other.
        """
        self._locking.append((name, step))

    def afterwards(self, step: Callable[[], None]) -> None:
        """Add a step that follows the commit, in the same thread; it must not fail."""
        self.steps_afterwards.append(step)

    def insert(self, row: models.Model) -> None:
        """Insert a row, which gets its `pk` with the others'. Fields that fill themselves in are not filled."""
        self._inserts.setdefault(type(row), []).append(row)

    def update(self, row: models.Model, fields: tuple[str, ...]) -> None:
        """Write some fields (by their attribute's name) of a saved row."""
        self._updates.setdefault((type(row), fields), []).append(row)

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
    ) -> None:
        """Append one event to the record, as `record_event` does; its target is `about`, such as `issuance:12`."""
        self._events.append(_Event(action, about, request_id, actor, code, facts, personal(person or {})))

    def write(self) -> None:
        """Write what was collected. Raises DatabaseError, and what a locking step raised."""
        for _, step in sorted(self._locking, key=itemgetter(0)):
            step()
        for model, rows in self._inserts.items():
            insert_rows(model, rows)
        for (model, fields), rows in self._updates.items():
            update_rows(model, fields, rows)
        if self._events:
            self._write_events()

    def _write_events(self) -> None:
        now = timezone.now()
        numbers = insert_values(AuditEvent, [event.values(now) for event in self._events])
        people = [
            {"event_id": number, "salt": event.personal.salt, "data": event.personal.data}
            for number, event in zip(numbers, self._events, strict=True)
            if event.personal
        ]
        if people:
            insert_values(AuditPersonal, people)


@dataclass(frozen=True)
class _Event:
    action: Action
    about: models.Model
    request_id: str
    actor: str
    code: str
    facts: dict[str, Fact]
    personal: Personal | None

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
    Raises what `work` raised, with nothing written, and AuditUnavailable when the database cannot keep it.
    """
    loop = asyncio.get_running_loop()
    job = _Job(work, loop.create_future(), loop, copy_context())
    _writer.put(job)
    result: T = await job.future
    return result


def commit_now(work: Work[T]) -> T:
    """Do as `commit` in the thread of the caller, alone, for code that is synchronous."""
    try:
        return _commit([work])[0]  # type: ignore[no-any-return]
    except (DatabaseError, InterfaceError, _CommitFailed) as exc:
        logger.exception("the record could not be written")
        raise AuditUnavailable(retry_after_ms=1000) from exc


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


def _commit(works: Sequence[Work[Any]]) -> list[Any]:
    """Run works in one transaction. Raises what one of them raised, DatabaseError and _CommitFailed."""
    is_committing = False
    group = Group()
    try:
        with transaction.atomic(durable=True):
            with _reading_once():
                results = [work(group) for work in works]
            group.write()
            is_committing = True
    except Exception as exc:
        if is_committing and not isinstance(exc, IntegrityError):  # that one is the database's refusal of a row
            raise _CommitFailed from exc
        raise
    for step in group.steps_afterwards:
        try:
            step()
        except Exception:  # what is committed must not be carried out again
            logger.exception("a step after the commit failed")
    return results


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
    is_databases = isinstance(error, OperationalError | InterfaceError | _CommitFailed)
    if is_databases and not _is_deadlock(error):  # the database's fault, and so everybody's
        logger.error("the record could not be written, for %d requests", len(jobs), exc_info=error)
        for job in jobs:
            job.error = error
    elif error is not None:
        for job in jobs:
            job.error = _try([job])
            if isinstance(job.error, IntegrityError):  # somebody was quicker; now the work sees it and says so
                job.error = _try([job])
            if isinstance(job.error, DatabaseError):
                logger.error("the record could not be written", exc_info=job.error)


def _try(jobs: list[_Job]) -> BaseException | None:
    try:
        results = _commit([job.run for job in jobs])
    except BaseException as exc:
        return exc
    for job, result in zip(jobs, results, strict=True):
        job.result = result
    return None


def _is_deadlock(error: BaseException | None) -> bool:
    """Tell whether PostgreSQL undid a group because another process' waited for it; alone its works get through."""
    return getattr(error.__cause__ if error else None, "sqlstate", None) == DEADLOCK


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
        elif isinstance(job.error, DatabaseError | InterfaceError | _CommitFailed):
            job.future.set_exception(AuditUnavailable(retry_after_ms=1000))
        elif isinstance(job.error, StopIteration):  # no future takes this one, and the others wait for their turn
            job.future.set_exception(RuntimeError("StopIteration"))
        else:
            job.future.set_exception(job.error)


_writer = _Writer()
stop_writer = _writer.stop
