"""Live changes of calls as server-sent events: `GET /api/calls/stream` for one's own, and staff's in the control room.

The views are short: a stream holds neither a thread nor a connection to the database while it is open.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from functools import partial
from typing import Final

from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from audit import group_commit
from audit.actions import Action
from audit.group_commit import Group
from audit.models import AuditEvent
from realtime_api.errors import CodedError
from relay.exceptions import TooManyStreams, UnknownCall
from relay.live_calls import WATCH_LIFE, Listener, live_calls, moment_of
from relay.models import Call
from tokens.authentication import check_access, identify
from tokens.exceptions import MissingScope, NotAuthenticated
from tokens.footing import footing_of
from tokens.key_services import refuse_key_use
from tokens.models import Scope
from tokens.requester import Requester, requester_of
from voiceagent.errors import PermissionDenied, allow_methods

RETRY_MS: Final = 2_000
HEARTBEAT_S: Final = 15.0
LONGEST_S: Final = 900.0  # then the browser comes back, and who it is is asked anew
STREAMS_AT_ONCE: Final = 500  # of a process
STREAMS_A_USER: Final = 10
WATCHED_ANEW: Final = timedelta(minutes=1)  # a stream that was interrupted for less is still the same look
MAY_SEE: Final = "relay.view_call"
MAY_WATCH: Final = "relay.watch_call"


@allow_methods("GET")
@never_cache
async def own_calls(request: HttpRequest) -> HttpResponseBase:
    """Tell of one's own calls: `GET /api/calls/stream`, by session or by a key with the scope `read`."""
    asker = await _asker(request, lambda group, requester: check_access(request, requester, Scope.READ, csrf=False))
    user = _user_of(asker)
    return _stream(request, Listener(footing_of(request, user, asker.api_key), user.pk))


@allow_methods("GET")
@never_cache
async def all_calls(request: HttpRequest) -> HttpResponseBase:
    """Tell staff of everybody's calls: `GET /admin/live/stream`; with `?words=ID` also what is said in one of them."""
    raw_pk = request.GET.get("words", "")
    call_pk = int(raw_pk) if raw_pk.isascii() and raw_pk.isdigit() and len(raw_pk) < 19 else None
    asker = await _asker(request, partial(_admit_staff, request, call_pk))
    user = _user_of(asker)
    right = MAY_SEE if call_pk is None else MAY_WATCH
    return _stream(request, Listener(footing_of(request, user, None), None, right=right, words_of=call_pk))


async def _asker(request: HttpRequest, admit: Callable[[Group, Requester], None]) -> Requester:
    """Return who asks, whom `admit` lets in. A key that is refused leaves an event, as on every other route."""

    def find(group: Group) -> Requester:
        requester = identify(request)
        if requester.user is None:
            raise NotAuthenticated()
        admit(group, requester)
        return requester

    try:
        return await group_commit.commit(find)
    except CodedError as exc:
        if "HTTP_AUTHORIZATION" in request.META:
            await sync_to_async(refuse_key_use)(requester_of(request, None), error=exc)
        raise


def _admit_staff(request: HttpRequest, call_pk: int | None, group: Group, requester: Requester) -> None:
    """Let in staff with the right to see calls; to read a live call's words takes a right of its own, and is on record.

    Raises MissingScope for a key, which may be a program's, PermissionDenied, UnknownCall.
    """
    if requester.api_key is not None:
        raise MissingScope("The control room is for a signed-in person, not for a key.")
    user = _user_of(requester)
    if not (user.is_staff and user.has_perm(MAY_SEE)):
        raise PermissionDenied()
    if call_pk is not None:
        _begin_watch(group, requester, call_pk)


def _begin_watch(group: Group, requester: Requester, call_pk: int) -> None:
    if not _user_of(requester).has_perm(MAY_WATCH):
        raise PermissionDenied()
    call = Call.objects.filter(pk=call_pk).first()
    if call is None:
        raise UnknownCall()
    now = timezone.now()
    Call.objects.filter(pk=call_pk, state=Call.State.LIVE).update(watched_until=now + WATCH_LIFE)
    looks = AuditEvent.objects.filter(target=f"call:{call_pk}", action=Action.CALL_WATCHED, actor=requester.actor)
    if not looks.filter(recorded_at__gt=now - WATCHED_ANEW).exists():
        group.record(
            Action.CALL_WATCHED, about=call, request_id=requester.request_id, actor=requester.actor,
            person=requester.person,
        )  # fmt: skip


def _user_of(requester: Requester) -> User:
    assert requester.user is not None  # nobody else gets this far
    return requester.user


def _stream(request: HttpRequest, listener: Listener) -> StreamingHttpResponse:
    """Return the answer. Raises TooManyStreams."""
    in_all, of_user = live_calls().count(listener.footing.user_pk)
    if in_all >= STREAMS_AT_ONCE or of_user >= STREAMS_A_USER:
        raise TooManyStreams(retry_after_ms=RETRY_MS)
    last_id = request.headers.get("Last-Event-ID") or request.GET.get("last", "")
    return StreamingHttpResponse(
        _parts(listener, last_id),
        content_type="text/event-stream; charset=utf-8",
        headers={"X-Accel-Buffering": "no"},  # a proxy is to pass on what comes as it comes
    )


async def _parts(listener: Listener, last_id: str) -> AsyncIterator[str]:
    """Yield the stream's messages as they come, a comment when there are none, and end after LONGEST_S."""
    calls, loop = live_calls(), asyncio.get_running_loop()
    ends_at = loop.time() + LONGEST_S
    yield f"retry: {RETRY_MS}\n\n"
    try:
        await calls.add(listener, moment_of(last_id))
        while loop.time() < ends_at:
            for text in listener.take():
                yield text
            if listener.is_over:
                return
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await listener.news.wait()
            except TimeoutError:
                yield ": still here\n\n"
    finally:
        calls.remove(listener)
