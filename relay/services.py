"""Ending calls, by whoever does. Every call has at most one end."""

import hashlib
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from audit.actions import Action
from audit.records import Fact
from audit.services import durable_record, record_event
from realtime_api import upstream as realtime_upstream
from realtime_api.errors import UpstreamError
from relay import hang_ups
from relay.charges import settle
from relay.constants import (
    HANG_UP_LONGEST_WAIT_S,
    HANG_UPS_A_SWEEP,
    HEARTBEAT_TIMEOUT_S,
    REQUEST_TIMEOUT_S,
)
from relay.hints import tell_changed
from relay.models import Call
from voiceagent.upstream import configured_upstream

logger = logging.getLogger(__name__)


def note_seen(call: Call) -> None:
    """Note that the call's page is alive."""
    Call.objects.filter(pk=call.pk, state=Call.State.LIVE).update(last_seen_at=timezone.now())


def end_call(
    call: Call, *, reason: Call.EndReason, actor: str, detail: str = "", person: Mapping[str, Fact] | None = None
) -> bool:
    """End a call once, and hang it up upstream. Returns False when it had ended before.

    The row is the truth and comes first. The upstream is told beside this; what fails is repeated by the worker.
    """
    if not record_end(call, reason=reason, actor=actor, detail=detail, person=person):
        return False
    hang_ups.soon(lambda: hang_up_upstream(call))
    return True


def record_end(
    call: Call, *, reason: Call.EndReason, actor: str, detail: str = "", person: Mapping[str, Fact] | None = None
) -> bool:
    """Write a call's end, once, and settle it. False when it had ended before; upstream it still goes on."""
    with durable_record():
        if not write_end(call, reason=reason, detail=detail):
            return False
        told = {"detail_sha256": hashlib.sha256(detail.encode()).hexdigest()} if detail else {}
        _record(Action.CALL_ENDED, call, actor=actor, code=reason, person=person, **told)
    return True


def write_end(call: Call, *, reason: Call.EndReason, detail: str = "") -> bool:
    """Write a call's end and settle it, within the caller's transaction. False when it had ended before."""
    ended = Call.objects.open().filter(pk=call.pk).update(
        state=Call.State.ENDED, ended_at=timezone.now(), end_reason=reason, end_detail=detail
    )  # fmt: skip
    if ended:
        settle(call)
        transaction.on_commit(tell_changed)
    return bool(ended)


def hang_up_upstream(call: Call) -> None:
    """Tell the upstream that a call is over; an unknown call counts as done, a failure is left to the worker.

    A socket's call ends with its socket, which whoever holds that closes as soon as it sees the row.
    """
    if call.upstream_id is None or call.transport == Call.Transport.WEBSOCKET:
        return
    try:
        realtime_upstream.hang_up_sync(configured_upstream(), call.upstream_id)
    except UpstreamError as exc:
        logger.warning("hang-up failed call_id=%s code=%s", call.upstream_id, exc.code)
        return
    note_hung_up(call)


def note_hung_up(call: Call) -> None:
    """Note that the upstream was told of a call's end."""
    Call.objects.filter(pk=call.pk).update(hung_up_at=timezone.now())


def sweep_calls(now: datetime) -> int:
    """End calls that are over their time or whose page went silent, close lost requests, repeat hang-ups.

    Returns how many calls were ended. Every step is one conditional UPDATE, so several workers may sweep.
    """
    ended = 0
    for call in Call.objects.silent_since(now - timedelta(seconds=HEARTBEAT_TIMEOUT_S)):
        is_socket = call.transport == Call.Transport.WEBSOCKET  # whose own process used to report, and died
        reason = Call.EndReason.SERVER_LOST if is_socket else Call.EndReason.PAGE_LOST
        ended += end_call(call, reason=reason, actor="worker")
    for call in Call.objects.filter(state=Call.State.LIVE, deadline_at__lt=now):
        ended += end_call(call, reason=Call.EndReason.TIME_LIMIT, actor="worker")
    due = Call.objects.to_hang_up(now).order_by("ended_at")
    for call in due[:HANG_UPS_A_SWEEP]:
        if due.filter(pk=call.pk).update(hang_up_again_at=_next_try(call, now)):  # else another worker does it
            hang_up_upstream(call)
    _close_lost_requests(now)
    return ended


def _next_try(call: Call, now: datetime) -> datetime:
    """Return when a hang-up that fails is tried again: each time as long as the call has been over, doubling so."""
    assert call.ended_at is not None  # an ended call has an end
    return now + min(now - call.ended_at, timedelta(seconds=HANG_UP_LONGEST_WAIT_S))


def _close_lost_requests(now: datetime) -> None:
    lost = Call.objects.filter(state=Call.State.REQUESTED, requested_at__lt=now - timedelta(seconds=REQUEST_TIMEOUT_S))
    for call in lost:
        with durable_record():
            if Call.objects.filter(pk=call.pk, state=Call.State.REQUESTED).update(
                state=Call.State.UNKNOWN, ended_at=now
            ):
                settle(call)
                _record(Action.CALL_FAILED, call, actor="worker", code="outcome_unknown")


def _record(
    action: Action,
    call: Call,
    *,
    actor: str = "",
    code: str = "",
    person: Mapping[str, Fact] | None = None,
    **facts: Fact,
) -> None:
    record_event(
        action,
        request_id=call.request_id,
        actor=actor or f"user:{call.user_id}",
        target=f"call:{call.pk}",
        code=code,
        person=person,
        **facts,
    )
