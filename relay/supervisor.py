"""Looking after live WebRTC calls by their sidebands, many at a time: one task for each call, one round for all.

Each round claims calls, writes what was seen in one transaction, and ends the calls that have to end. Sockets belong to
the event loop, the database to one thread. A call whose row says that it is over is let go, whoever ended it.
"""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import Any, Final, TypeVar

from django.db import DatabaseError, close_old_connections, connections
from django.utils import timezone

from audit.exceptions import AuditUnavailable
from realtime_api import upstream as realtime_upstream
from realtime_api.errors import UpstreamError
from realtime_api.sideband import RETRY_DELAYS_S, SidebandFailed, join_call
from relay.leases import Claimed, claim_calls, close_left_books, release_calls
from relay.live_call import LiveCall
from relay.models import Call
from relay.recorder import close_books, write_reports
from relay.services import note_hung_up, record_end
from relay.watch import Watch
from voiceagent.upstream import close_upstream_http, configured_upstream, upstream_http

logger = logging.getLogger(__name__)
ROUND_S: Final = 1.0
CALLS_A_WORKER: Final = 500
RETRY_BLIND_S: Final = 30.0
LAST_EVENTS_S: Final = 2.0  # in which an ended call may still tell what it used
GONE: Final = 404
GONE_AFTER: Final = 3  # refusals of a call that was joined before; meanwhile its page may say why it ended
PAGE_SILENT: Final = timedelta(seconds=20)  # a page that goes on with its call is heard of every 15 s
SHORTEST_S: Final = 2.0  # a sideband that ends before has failed, too

T = TypeVar("T")


class Supervisor:
    """Looks after calls until it is told to stop; then others may claim them at once."""

    def __init__(self, owner: str = "") -> None:
        self.owner = owner or f"{socket.gethostname()[:30]}-{os.getpid()}-{secrets.token_hex(4)}"
        self.watches: dict[int, Watch] = {}
        self._live: dict[int, LiveCall] = {}
        self._followers: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._joined: set[str] = set()  # the kinds of client secrets whose calls the upstream let us join
        self._database = ThreadPoolExecutor(1, "supervisor-database")

    async def run(self, stop: Event) -> None:
        """Do rounds until `stop` is set."""
        logger.info("supervisor started owner=%s", self.owner)
        try:
            while not stop.is_set():
                await self.round()
                await asyncio.sleep(ROUND_S)
        finally:
            await self._close()

    async def round(self) -> None:
        """Claim, write and decide once. What the database cannot take now is kept for the next round."""
        try:
            await self._claim()
            await self._write(list(self.watches.values()))
        except (DatabaseError, AuditUnavailable):
            logger.exception("the supervisor's round failed")
        now = timezone.now()
        for watch in list(self.watches.values()):
            if watch.is_ending:
                continue
            if not watch.is_open:
                self._begin_end(watch, self._let_go(watch))
            elif reason := watch.verdict(now):
                self._begin_end(watch, self._end(watch, reason))
            else:
                self._obey(watch)

    def _obey(self, watch: Watch) -> None:
        try:
            self._live[watch.call.pk].obey()
        except Exception:  # one call's trouble must not end the supervision of the others
            logger.exception("commands could not be carried out call=%s", watch.call.pk)

    async def _claim(self) -> None:
        now = timezone.now()
        for claimed in await self._in_database(claim_calls, self.owner, now, CALLS_A_WORKER - len(self.watches)):
            self._start(claimed)
        await self._in_database(close_left_books, self.owner, now)

    def _start(self, claimed: Claimed) -> None:
        watch = Watch(
            claimed.call, claimed.past, claimed.granted, timezone.now(), claimed.tools, claimed.version,
            claimed.check_tools,
        )  # fmt: skip
        self.watches[claimed.call.pk], self._live[claimed.call.pk] = watch, LiveCall(watch)
        self._followers[claimed.call.pk] = asyncio.create_task(self._follow(watch))

    async def _write(self, watches: list[Watch]) -> None:
        if not watches:
            return
        reports = {watch.call.pk: watch.report() for watch in watches}
        try:
            standings = await self._in_database(write_reports, self.owner, list(reports.values()), timezone.now())
        except BaseException:
            for watch in watches:
                watch.take_back(reports[watch.call.pk])
            raise
        for watch in watches:
            if standing := standings.get(watch.call.pk):
                watch.note_standing(standing)
            else:
                logger.warning("a call was taken over by another worker call=%s", watch.call.pk)
                self._forget(watch)

    # Following one call.

    async def _follow(self, watch: Watch) -> None:
        """Keep a sideband to a call for as long as the call is watched."""
        assert watch.call.upstream_id is not None  # claimed calls have one
        failures = 0
        clock = asyncio.get_running_loop().time
        while not (watch.is_gone or watch.is_ending):
            begun_at = clock()
            try:
                await self._listen(watch, watch.call.upstream_id)
                failures = 0 if clock() - begun_at > SHORTEST_S else failures + 1
            except SidebandFailed as exc:
                failures += 1
                watch.is_gone = exc.status == GONE and self._is_over(watch, failures)
                logger.info("no sideband call=%s status=%s failures=%s", watch.call.pk, exc.status, failures)
            except Exception:  # one call's trouble must not stay unnoticed, nor end its supervision
                logger.exception("a sideband failed call=%s", watch.call.pk)
                failures += 1
            if failures > len(RETRY_DELAYS_S) and not watch.is_gone:
                watch.note_blind()
            delays = (RETRY_DELAYS_S[0], *RETRY_DELAYS_S, RETRY_BLIND_S)
            await asyncio.sleep(delays[min(failures, len(delays) - 1)])

    def _is_over(self, watch: Watch, failures: int) -> bool:
        """Tell whether a call that the upstream does not know is over.

        One that was never joined may be too new, of an upstream or a key without sidebands, or out of sight while its
        page goes on: it is over when its likes could be joined, it had its time, and nothing is heard of its page.
        """
        if watch.was_joined:
            return failures >= GONE_AFTER
        has_had_its_time = failures > len(RETRY_DELAYS_S) and _kind_of(watch) in self._joined
        return has_had_its_time and not watch.was_heard_of(timezone.now() - PAGE_SILENT)

    async def _listen(self, watch: Watch, call_id: str) -> None:
        async with join_call(configured_upstream(), call_id) as sideband:
            watch.note_joined(timezone.now())
            self._joined.add(_kind_of(watch))
            live = self._live[watch.call.pk]
            try:
                await live.reach(sideband.send)
                async for event in sideband:
                    await live.take(event)
            finally:
                live.lose()

    # Ending one call.

    def _begin_end(self, watch: Watch, work: Coroutine[Any, Any, None]) -> None:  # Any: the event loop's own
        watch.is_ending = True
        self._keep(work)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:  # Any: the event loop's own
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self, watch: Watch, reason: Call.EndReason) -> None:
        """End a call: the row first, then upstream; a hang-up that fails is the sweep's to repeat."""
        try:
            is_ours = await self._in_database(lambda: record_end(watch.call, reason=reason, actor="worker"))
        except (DatabaseError, AuditUnavailable):
            logger.exception("a call's end could not be written call=%s", watch.call.pk)
            watch.is_ending = False  # the next round tries again
            return
        if is_ours and watch.call.upstream_id is not None:
            try:
                await realtime_upstream.hang_up(upstream_http(), configured_upstream(), watch.call.upstream_id)
                await self._in_database(note_hung_up, watch.call)
            except UpstreamError as exc:
                logger.warning("hang-up failed call_id=%s code=%s", watch.call.upstream_id, exc.code)
        await self._let_go(watch)

    async def _let_go(self, watch: Watch) -> None:
        """Take what an ended call still tells, write it, and charge what was counted."""
        follower = self._followers.get(watch.call.pk)
        if follower is not None:
            await asyncio.wait([follower], timeout=LAST_EVENTS_S)
        try:
            await self._write([watch])
            await self._in_database(lambda: close_books(watch.call, self.owner, complete=watch.is_complete))
        except (DatabaseError, AuditUnavailable):
            logger.exception("a call's books are left to another round call=%s", watch.call.pk)
        self._forget(watch)

    def _forget(self, watch: Watch) -> None:
        self.watches.pop(watch.call.pk, None)
        follower = self._followers.pop(watch.call.pk, None)
        if follower is not None:
            follower.cancel()
        if live := self._live.pop(watch.call.pk, None):
            self._keep(live.close())

    # The rest.

    async def _in_database(self, work: Callable[..., T], *arguments: Any) -> T:  # Any: whatever `work` takes
        def run() -> T:
            close_old_connections()
            return work(*arguments)

        return await asyncio.get_running_loop().run_in_executor(self._database, run)

    async def _close(self) -> None:
        try:
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._write(list(self.watches.values()))
            await self._in_database(release_calls, self.owner, timezone.now())
        except (DatabaseError, AuditUnavailable):
            logger.exception("the supervisor could not let go of its calls")
        for watch in list(self.watches.values()):
            self._forget(watch)
        await close_upstream_http()
        await self._in_database(connections.close_all)
        self._database.shutdown()


def _kind_of(watch: Watch) -> str:
    return watch.call.issuance.kind if watch.call.issuance else ""


def supervise(stop: Event) -> None:
    """Run a supervisor in this thread until `stop` is set; one that breaks is replaced."""
    while not stop.is_set():
        try:
            asyncio.run(Supervisor().run(stop))
        except Exception:  # supervision must survive whatever it meets
            logger.exception("the supervisor broke")
            stop.wait(ROUND_S)
