"""The sockets that this process carries, and the one task that watches over them.

Once a second each socket is looked at, and the database is asked, for all of them at once, whether what each stands on
still holds: its call, its user, its key, its session. The rows are the truth, and no message can be missed.
"""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from weakref import WeakKeyDictionary

from django.conf import settings
from django.utils import timezone

from audit import group_commit
from audit.exceptions import AuditUnavailable
from audit.group_commit import Group
from relay import exceptions
from relay.close_codes import INTERNAL_ERROR, TRY_AGAIN_LATER, End, Reason, end_for, refusal_code
from relay.constants import (
    EVENTS_A_SECOND,
    EVENTS_AT_ONCE,
    HEARTBEAT_TIMEOUT_S,
    SIDEBANDS_A_CALL,
    SOCKET_SEEN_S,
    SOCKET_STALL_S,
    SOCKET_TICK_S,
)
from relay.joint import Joint
from relay.live_call import LiveCall
from relay.models import Call
from relay.recorder import Standing as CallStanding
from relay.recorder import write_reports
from relay.watch import Watch
from tokens.footing import Footing, find_lost

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Standing:
    """What a socket stands on: a call, and what its holder does."""

    call_pk: int
    footing: Footing
    is_sideband: bool = False


@dataclass(eq=False)
class OpenSocket:
    """A joint with what it stands on. deadline: by the event loop's clock, None for none.

    live: the call itself, where nobody else looks after it.
    """

    joint: Joint
    standing: Standing
    deadline: float | None = None
    live: LiveCall | None = None
    _counts: tuple[int, int] = (0, 0)
    _down_since: float | None = None
    _up_since: float | None = None
    _credit: int = EVENTS_AT_ONCE

    @property
    def watch(self) -> Watch | None:
        return self.live.watch if self.live is not None else None

    def look(self, now: float) -> None:
        """End the joint when a limit is passed. Called about once a second."""
        joint = self.joint
        before, self._counts = self._counts, (joint.from_client, joint.from_upstream)
        came_up, came_down = self._counts[0] - before[0], self._counts[1] - before[1]
        self._credit = min(EVENTS_AT_ONCE, self._credit + EVENTS_A_SECOND - came_up)
        self._down_since = _since(self._down_since, now, joint.is_writing_down and not came_down)
        self._up_since = _since(self._up_since, now, joint.is_writing_up and not came_up)
        if self.deadline is not None and now >= self.deadline:
            joint.end(end_for(Reason.TIME_LIMIT))
        elif self._credit < 0:
            error = exceptions.TooManyEvents()
            joint.end(End(Reason.BAD_CLIENT, refusal_code(error), error))
        elif _is_past(self._down_since, now, SOCKET_STALL_S):
            joint.end(end_for(Reason.SLOW_CLIENT))
        elif _is_past(self._up_since, now, SOCKET_STALL_S):
            joint.end(End(Reason.UPSTREAM_FAILED, INTERNAL_ERROR))


def _since(before: float | None, now: float, goes_on: bool) -> float | None:
    if not goes_on:
        return None
    return now if before is None else before


def _is_past(since: float | None, now: float, limit_s: float) -> bool:
    return since is not None and now - since >= limit_s


class OpenSockets:
    """All of one event loop's. Watches while there are any."""

    def __init__(self) -> None:
        self.owner = f"web-{socket.gethostname()[:30]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._open: set[OpenSocket] = set()
        self._watch: asyncio.Task[None] | None = None
        self._seen_at = self._asked_at = 0.0
        self._places = 0

    @property
    def has_place(self) -> bool:
        return self._places < int(settings.SOCKETS_AT_ONCE)

    def take_place(self) -> None:
        """Take one of the places that this process has. Raises TooManySockets; whoever got one gives it back."""
        if not self.has_place:
            raise exceptions.TooManySockets(retry_after_ms=1000)
        self._places += 1

    def give_place_back(self) -> None:
        self._places -= 1

    def check_sideband(self, call_pk: int) -> None:
        """Raise TooManySockets for a call that enough sidebands are joined to."""
        joined = sum(socket.standing.is_sideband and socket.standing.call_pk == call_pk for socket in self._open)
        if joined >= SIDEBANDS_A_CALL:
            raise exceptions.TooManySockets("Enough sidebands are joined to this call.", retry_after_ms=1000)

    def add(self, socket: OpenSocket) -> None:
        self._open.add(socket)
        if self._watch is None:
            self._asked_at = asyncio.get_running_loop().time()
            self._watch = asyncio.create_task(self._watch_all())

    def remove(self, socket: OpenSocket) -> None:
        self._open.discard(socket)

    async def _watch_all(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._open:
                await asyncio.sleep(SOCKET_TICK_S)
                for each in tuple(self._open):
                    each.look(loop.time())
                try:
                    await self._ask_database(loop.time())
                except Exception:  # the sockets must not stay open without anybody who watches over them
                    logger.exception("%d sockets could not be looked after", len(self._open))
        finally:
            self._watch = None

    async def _ask_database(self, now: float) -> None:
        asked = tuple(self._open)
        if not asked:
            return
        is_due = now - self._seen_at >= SOCKET_SEEN_S
        reports = {each.watch.call.pk: each.watch.report() for each in asked if each.watch is not None}
        ask = partial(_find_over, standings=[each.standing for each in asked], note_seen=is_due)
        try:
            told, over = await group_commit.commit(
                lambda group: (write_reports(self.owner, list(reports.values()), timezone.now()), ask(group))
            )
        except Exception as exc:
            for each in asked:
                if each.watch is not None:
                    each.watch.take_back(reports[each.watch.call.pk])
            self._end_over(asked, {}, {})
            self._end_unasked(asked, now)
            if not isinstance(exc, AuditUnavailable):
                raise
            logger.warning("whether %d sockets may stay open could not be asked", len(asked))
            return
        self._asked_at = now
        if is_due:
            self._seen_at = now
        self._end_over(asked, told, over)

    def _end_over(
        self,
        asked: Collection[OpenSocket],
        told: Mapping[int, CallStanding],
        over: Mapping[Standing, Call.EndReason],
    ) -> None:
        """End what has reached a limit, by what the database told, or told last; let the rest follow its commands."""
        for each in asked:
            try:
                reason = over.get(each.standing) or _verdict(each.watch, told)
                if reason is not None:
                    each.joint.end(end_for(reason))
                elif each.live is not None:
                    each.live.obey()
            except Exception:  # one call's trouble must not leave the others without limits
                logger.exception("a socket could not be looked after call=%s", each.standing.call_pk)

    def _end_unasked(self, asked: Collection[OpenSocket], now: float) -> None:
        """End all after a time in which nobody could be asked: the worker misses them by then, and closes their calls.

        That its user was disabled, or its money is used up, would be learnt by nobody either.
        """
        if now - self._asked_at >= HEARTBEAT_TIMEOUT_S:
            for each in asked:
                each.joint.end(End(Reason.SERVER_LOST, TRY_AGAIN_LATER, AuditUnavailable()))


def _verdict(watch: Watch | None, told: Mapping[int, CallStanding]) -> Call.EndReason | None:
    """Return which of its limits a call has reached, if any."""
    if watch is None:
        return None
    if standing := told.get(watch.call.pk):
        watch.note_standing(standing)
    return watch.verdict(timezone.now())


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, OpenSockets] = WeakKeyDictionary()


def open_sockets() -> OpenSockets:
    """Return the running event loop's."""
    return _of_loop.setdefault(asyncio.get_running_loop(), OpenSockets())


def _find_over(group: Group, *, standings: list[Standing], note_seen: bool) -> dict[Standing, Call.EndReason]:
    """Return those that no longer stand, with the reason; and note of the calls that their sockets are open."""
    calls = Call.objects.filter(pk__in={standing.call_pk for standing in standings})
    reasons = {
        pk: Reason(reason) if state == Call.State.ENDED else None
        for pk, state, reason in calls.filter(issuance__revoked_at=None).values_list("pk", "state", "end_reason")
    }
    lost = find_lost({standing.footing for standing in standings})
    if note_seen:
        own = [standing.call_pk for standing in standings if not standing.is_sideband]
        Call.objects.filter(pk__in=own, state=Call.State.LIVE).update(last_seen_at=timezone.now())
    over = {}
    for standing in standings:
        if (reason := reasons.get(standing.call_pk, Reason.ACCESS_ENDED)) is not None:
            over[standing] = reason
        elif standing.footing in lost:
            over[standing] = Reason.ACCESS_ENDED
    return over
