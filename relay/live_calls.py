"""What changes of calls that go on, told to any number of streams by one look at the database.

One task of an event loop looks once a second, and at once after a hint, in a thread and by a connection that all its
streams share. What it finds is told as the whole of what a call is now, so that telling twice does no harm and a slow
stream only misses what was overtaken.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from channels.layers import get_channel_layer
from django.conf import settings
from django.contrib.auth.models import User
from django.db import DatabaseError, InterfaceError, close_old_connections, connections
from django.db.models import Q
from django.utils import timezone
from redis.exceptions import RedisError
from rest_framework.renderers import JSONRenderer

from relay import hints
from relay.models import Call, CallQuerySet
from relay.serializers import LiveCallSerializer, TranscriptSerializer
from relay.transcripts import ordered_transcript
from tokens.footing import Footing, find_lost

logger = logging.getLogger(__name__)
T = TypeVar("T")
LOOK_S: Final = 1.0
SPACING_S: Final = 0.2  # between two looks, however many hints come
FOOTING_S: Final = 2.0  # how often it is asked whether streams may stay open
ENDED_KEPT: Final = timedelta(seconds=60)  # what an ended call cost is settled meanwhile
JUST_BEGUN: Final = timedelta(seconds=5)  # a call that ends before it was looked at is told, too
WATCH_LIFE: Final = timedelta(seconds=10)
MOST_FIRST: Final = 500  # calls that a stream is told of at its start
MOST_LINES: Final = 100  # of a conversation that is watched, the newest
SLACK: Final = timedelta(seconds=5)  # of a moment from which a browser goes on: clocks, and commits that took long
EPOCH: Final = datetime.fromtimestamp(0, UTC)

Row = tuple[Any, ...]  # the values of FIELDS, the last one as whether the call is watched
FIELDS: Final = (
    "id", "upstream_id", "request_id", "state", "error_code", "agent", "model", "transport", "requested_at",
    "started_at", "ended_at", "end_reason", "monitoring", "responses", "metering", "cost_microdollars", "unpriced",
    "counted_picodollars", "username", "user_id", "muted", "end_detail", "active_at",
    "continues__upstream_id", "watched_until",
)  # fmt: skip
ENDED_AT, USER = FIELDS.index("ended_at"), FIELDS.index("user_id")
OPEN_STATES: Final = (Call.State.REQUESTED, Call.State.LIVE)


@dataclass(eq=False)
class Listener:
    """One stream. user_pk: whose calls it is told of; None for everybody's. words_of: a call whose words it reads.

    right: the permission without which it ends.
    What it has not yet taken waits, the newest for each call alone.
    """

    footing: Footing
    user_pk: int | None
    right: str = ""
    words_of: int | None = None
    words_told: str = ""
    is_over: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: dict[str, str] = field(default_factory=dict)

    def tell(self, name: str, text: str) -> None:
        """Leave a message for the stream, in the place of an older one with this name."""
        self._waiting.pop(name, None)
        self._waiting[name] = text
        self.news.set()

    def tell_first(self, name: str, text: str) -> None:
        """Leave a message unless a newer one is there already."""
        if name not in self._waiting:
            self.tell(name, text)

    def tell_words(self, words: Mapping[int, str]) -> None:
        """Leave the words of the call that it reads, when they changed."""
        text = words.get(self.words_of or 0, "")
        if text != self.words_told:
            self.words_told = text
            self.tell("words", text)

    def end(self) -> None:
        self.is_over = True
        self.news.set()

    def take(self) -> list[str]:
        """Return what waits."""
        taken, self._waiting = list(self._waiting.values()), {}
        self.news.clear()
        return taken

    def wants(self, owner_pk: int | None) -> bool:
        return self.user_pk is None or self.user_pk == owner_pk


@dataclass(frozen=True)
class Seen:
    """What one look found. words: of the calls that are watched, each as the text of its message."""

    at: datetime
    calls: Mapping[int, Row]
    words: Mapping[int, str]
    lost: Collection[Footing]


class LiveCalls:
    """All streams of one event loop. Looks at calls while there are any."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._told: dict[int, Row] = {}
        self._looking: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._footings_asked_at = 0.0
        self._database: ThreadPoolExecutor | None = None

    def count(self, user_pk: int) -> tuple[int, int]:
        """Return how many streams are open, and how many of them are one user's."""
        return len(self._listeners), sum(listener.footing.user_pk == user_pk for listener in self._listeners)

    async def add(self, listener: Listener, since: datetime | None) -> None:
        """Begin to tell a stream what changes, after what there is: calls that go on, and those ended since."""
        self._listeners.add(listener)
        if self._looking is None:
            self._database = ThreadPoolExecutor(1, "live-calls")
            self._looking = asyncio.create_task(self._look_on())
        now, rows = await self.in_database(partial(first_calls, listener.user_pk, since))
        for row in rows:
            listener.tell_first(f"call:{row[0]}", call_message(row, now))
        self._woken.set()

    def remove(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        self._woken.set()  # to see whether there are any left

    def end_all(self) -> None:
        """End every stream, since the server stops; their browsers come back to the next one."""
        for listener in self._listeners:
            listener.end()

    async def in_database(self, work: Callable[[], T]) -> T:
        """Run `work` in the one thread that all streams share."""

        def run() -> T:
            close_old_connections()
            return work()

        assert self._database is not None  # there are listeners
        return await asyncio.get_running_loop().run_in_executor(self._database, run)

    async def _look_on(self) -> None:
        loop = asyncio.get_running_loop()
        wake = partial(call_soon, loop, self._woken.set)
        hints.listen(wake)
        hearing = asyncio.create_task(self._hear()) if settings.REDIS_URL else None
        try:
            while self._listeners:
                await self._look(loop.time())
                await asyncio.sleep(SPACING_S)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), LOOK_S - SPACING_S)
                self._woken.clear()
        finally:
            hints.unlisten(wake)
            self._let_go()
            if hearing:
                hearing.cancel()
                await asyncio.gather(hearing, return_exceptions=True)

    def _let_go(self) -> None:
        """Give the thread and its connection back: nobody listens."""
        database, self._told, self._looking, self._database = self._database, {}, None, None
        if database:
            database.submit(connections.close_all)
            database.shutdown(wait=False)

    async def _hear(self) -> None:
        """Look at once when another process hints that calls changed."""
        layer = get_channel_layer()
        assert layer is not None
        while True:
            try:
                channel = await layer.new_channel()
                await layer.group_add(hints.GROUP, channel)
                while True:
                    await layer.receive(channel)
                    self._woken.set()
            except (RedisError, OSError) as exc:
                logger.warning("no hints from other processes: %s", exc)
                await asyncio.sleep(LOOK_S)
            finally:
                await layer.flush()

    async def _look(self, now: float) -> None:
        listeners = tuple(self._listeners)
        is_due = now - self._footings_asked_at >= FOOTING_S
        look = partial(
            see,
            users=_users_of(listeners),
            known=frozenset(self._told),
            watched=frozenset(listener.words_of for listener in listeners if listener.words_of is not None),
            asked=[listener for listener in listeners if is_due],
        )
        try:
            seen = await self.in_database(look)
        except (DatabaseError, InterfaceError):
            logger.exception("live calls could not be looked at")
            return
        if is_due:
            self._footings_asked_at = now
        self._tell(listeners, seen)

    def _tell(self, listeners: Collection[Listener], seen: Seen) -> None:
        for listener in listeners:
            if listener.footing in seen.lost:
                listener.tell("end", message("end", "{}"))
                listener.end()
        for pk, row in seen.calls.items():
            if self._told.get(pk) != row:
                text = call_message(row, seen.at)
                for listener in listeners:
                    if listener.wants(row[USER]):
                        listener.tell(f"call:{pk}", text)
        for listener in listeners:
            listener.tell_words(seen.words)
        self._told = {pk: row for pk, row in seen.calls.items() if not _is_long_over(row, seen.at)}


def call_soon(loop: asyncio.AbstractEventLoop, step: Callable[[], None]) -> None:
    """Do something in an event loop from wherever this is called, as far as that loop still runs."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(step)


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, LiveCalls] = WeakKeyDictionary()


def live_calls() -> LiveCalls:
    """Return the running event loop's."""
    loop = asyncio.get_running_loop()
    if loop not in _of_loop:
        _of_loop[loop] = LiveCalls()
    return _of_loop[loop]


# In the database's thread.


def first_calls(user_pk: int | None, since: datetime | None) -> tuple[datetime, list[Row]]:
    """Return the calls that go on, and with `since` those that ended after it; the newest, up to MOST_FIRST."""
    now = timezone.now()
    wanted = Q(state__in=OPEN_STATES)
    if since is not None:
        wanted |= Q(ended_at__gt=since - SLACK)
    newest = _of_users(None if user_pk is None else {user_pk}).filter(wanted)
    return now, list(_rows(newest[:MOST_FIRST], now).values())


def see(
    *, users: Collection[int] | None, known: Collection[int], watched: Collection[int], asked: Collection[Listener]
) -> Seen:
    """Look once. users: whose calls matter, None for everybody's. known: calls that were told lately.

    watched: calls whose words are read, which is noted in their rows. asked: streams that may have to end.
    """
    now = timezone.now()
    _note_watched(watched, now)
    rows = _rows(_of_users(users).filter(Q(state__in=OPEN_STATES) | Q(requested_at__gt=now - JUST_BEGUN)), now)
    rows |= _rows(Call.objects.filter(pk__in=set(known) - rows.keys()), now)
    words = {pk: words_message(pk) for pk in watched}
    return Seen(now, rows, words, _find_over(asked))


def _of_users(users: Collection[int] | None) -> CallQuerySet:
    return Call.objects.all() if users is None else Call.objects.filter(user__in=users)


def _rows(calls: CallQuerySet, now: datetime) -> dict[int, Row]:
    return {
        values[0]: (*values[:-1], values[-1] is not None and values[-1] > now) for values in calls.values_list(*FIELDS)
    }


def _note_watched(watched: Collection[int], now: datetime) -> None:
    if watched:
        is_due = Q(watched_until=None) | Q(watched_until__lt=now + WATCH_LIFE / 2)
        Call.objects.filter(is_due, pk__in=watched, state=Call.State.LIVE).update(watched_until=now + WATCH_LIFE)


def _find_over(asked: Collection[Listener]) -> set[Footing]:
    """Return the footings that do not hold any more, those of staff also for want of their right."""
    if not asked:
        return set()
    lost = find_lost({listener.footing for listener in asked})
    rights = {(listener.footing, listener.right) for listener in asked if listener.right}
    staff = User.objects.filter(is_staff=True).in_bulk([footing.user_pk for footing, _ in rights])
    return lost | {
        footing for footing, right in rights
        if footing.user_pk not in staff or not staff[footing.user_pk].has_perm(right)
    }  # fmt: skip


def _users_of(listeners: Collection[Listener]) -> set[int] | None:
    """Return whose calls matter to some streams; None when one of them is told of everybody's."""
    users = {listener.user_pk for listener in listeners}
    return None if None in users else {user for user in users if user is not None}


def _is_long_over(row: Row, now: datetime) -> bool:
    return row[ENDED_AT] is not None and row[ENDED_AT] < now - ENDED_KEPT


# What is sent.


def call_message(row: Row, now: datetime) -> str:
    """Return what a call is now as a server-sent event; its id is the moment, from which a browser may go on."""
    *values, continued, is_watched = row
    earlier = None if continued is None else Call(upstream_id=continued)
    call = Call(**dict(zip(FIELDS[:-2], values, strict=True)), continues=earlier)
    body = LiveCallSerializer(call).data | {"isWatched": is_watched}
    return message("call", _json(body), event_id=event_id_of(now))


def words_message(call_pk: int) -> str:
    """Return what was said last in a call, all of it at once: it is short, and order and words still change."""
    lines = ordered_transcript(Call(pk=call_pk))[-MOST_LINES:]
    return message("words", _json({"id": call_pk, "lines": TranscriptSerializer(lines, many=True).data}))


def message(event: str, data: str, *, event_id: str = "") -> str:
    """Return a server-sent event. data: without line breaks."""
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {event}\ndata: {data}\n\n"


def _json(body: object) -> str:
    return JSONRenderer().render(body).decode()


def event_id_of(now: datetime) -> str:
    """Return the id of what is told at a moment, from which a page that is drawn then can go on."""
    return str((now - EPOCH) // timedelta(microseconds=1))


def moment_of(event_id: str) -> datetime | None:
    """Return the moment of an event's id; None for what is none."""
    if not (event_id.isascii() and event_id.isdigit() and len(event_id) < 18):
        return None
    return EPOCH + timedelta(microseconds=int(event_id))
