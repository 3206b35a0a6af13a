"""Relaying an offer, and ending calls. Every call has one outcome and at most one end."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from audit.actions import Action
from audit.records import Fact
from audit.services import durable_record, record_event
from realtime_api import upstream as realtime_upstream
from realtime_api.client_secrets import has_form
from realtime_api.errors import CodedError, UpstreamError, UpstreamUnreachable
from realtime_api.sdp import check_offer
from realtime_api.upstream import CreatedCall
from relay import exceptions
from relay.charges import settle
from relay.constants import (
    HANG_UP_LONGEST_WAIT_S,
    HANG_UPS_A_SWEEP,
    HEARTBEAT_TIMEOUT_S,
    REQUEST_TIMEOUT_S,
)
from relay.limits import rules_of
from relay.models import Call
from tokens.limits import check_rate
from tokens.models import Issuance, Kind
from tokens.policy import Allowance, allowance_of
from tokens.quotas import reserve_call
from tokens.refusals import RefusalCounter
from tokens.requester import Requester
from tokens.services import secret_digest
from voiceagent.log_lines import storable
from voiceagent.upstream import configured_upstream, safety_identifier, upstream_http

logger = logging.getLogger(__name__)


async def relay_offer(
    *, unverified_secret: str, raw_offer: bytes, requester: Requester, asked_model: str = ""
) -> CreatedCall:
    """Make a call upstream for the holder of a client secret. asked_model: what the address names, if anything.

    1. Check the offer's size and grammar. 2. Claim the secret, check what binds it, and write the intent, in
    one durable transaction. 3. Post the offer with the server's key. 4. Write the outcome. Only then answer.
    Raises InvalidSdp, RelayError, IssueError and UpstreamError subclasses; each leaves one event with its code.
    """
    call: Call | None = None
    try:
        offer_sdp = check_offer(raw_offer)  # (1)
        call = await sync_to_async(claim)(unverified_secret, requester, asked_model)  # (2)
        created = await _create_upstream(call, offer_sdp, unverified_secret)  # (3)
    except CodedError as exc:
        if isinstance(exc, UpstreamError) and exc.call_id:
            await _hang_up_unrecorded(exc.call_id)
        if call is None:
            await sync_to_async(record_refusal)(requester, error=exc)
        else:
            await sync_to_async(record_failure)(call, error=exc)
        raise
    try:
        await sync_to_async(record_created)(call, created)  # (4)
    except Exception:
        await _hang_up_unrecorded(created.call_id)
        raise
    logger.info(
        "call relayed call_id=%s request_id=%s offer_bytes=%d answer_bytes=%d",
        created.call_id, call.request_id, len(raw_offer), len(created.answer_sdp),
    )  # fmt: skip
    return created


async def _hang_up_unrecorded(call_id: str) -> None:
    """End a call that was made but whose outcome is not on record, so that nobody talks on it unseen."""
    logger.error("call is not on record and is ended call_id=%s", call_id)
    try:
        await realtime_upstream.hang_up(upstream_http(), configured_upstream(), call_id)
    except UpstreamError as exc:
        logger.error("hang-up failed call_id=%s code=%s", call_id, exc.code)


async def relay_to_the_end(
    *, unverified_secret: str, raw_offer: bytes, requester: Requester, asked_model: str = ""
) -> CreatedCall:
    """Do as `relay_offer`, and when the client leaves meanwhile, finish the record and end the half-made call."""
    work = asyncio.create_task(
        relay_offer(
            unverified_secret=unverified_secret, raw_offer=raw_offer, requester=requester, asked_model=asked_model
        )
    )
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await _end_abandoned(work)
        raise


async def _end_abandoned(work: "asyncio.Task[CreatedCall]") -> None:
    try:
        created = await work
    except CodedError:
        return  # recorded already, and there is nobody left to tell
    call = await Call.objects.aget(upstream_id=created.call_id)
    await sync_to_async(end_call)(call, reason=Call.EndReason.CLIENT_GONE, actor="server")


def claim(unverified_secret: str, requester: Requester, asked_model: str = "") -> Call:
    """Use up the client secret and write the call's intent, both or neither.

    A caller over the limit of calls at once, without an allowance left, or who asks for another model, keeps the
    secret. The call may last as long as what it could reserve. Raises EphemeralKeyExpired, ClientSecretUsed,
    OtherModel, TooManyCalls, QuotaExceeded, RateLimited.
    """
    check_rate("relay", key=requester.address_key, rate=settings.RELAY_RATE)
    if not has_form(unverified_secret):
        raise exceptions.EphemeralKeyExpired()
    now = timezone.now()
    with durable_record():
        issuance = _claim_issuance(secret_digest(unverified_secret), requester, asked_model, now)
        assert issuance.user is not None  # a secret without a user is not bound to anybody
        allowance = allowance_of(issuance.user, issuance.api_key)
        allowance.check_origin(requester.origin)
        make_room(issuance.user, allowance, now)
        reservation = reserve_call(issuance.user, allowance, now, model=issuance.model)
        call = Call.objects.create(
            issuance=issuance,
            user=issuance.user,
            username=issuance.username,
            agent_version=issuance.agent_version,
            agent=issuance.agent,
            model=issuance.model,
            request_id=requester.request_id,
            state=Call.State.REQUESTED,
            requested_at=now,
            deadline_at=now + timedelta(seconds=reservation.call_max_s),
            charged_seconds=reservation.seconds,
            charged_microdollars=reservation.microdollars,
            **rules_of(allowance),
        )
        _record(Action.CALL_REQUESTED, call, person=requester.person, issuance=issuance.pk)
    return call


def _claim_issuance(digest: str, requester: Requester, asked_model: str, now: datetime) -> Issuance:
    issuance = find_granted(digest, requester, asked_model, now)
    use_secret(issuance, now)
    return issuance


def find_granted(digest: str, requester: Requester, asked_model: str, now: datetime) -> Issuance:
    """Return the issuance of a secret that is this caller's to use. Raises EphemeralKeyExpired, OtherModel."""
    issuance = (
        Issuance.objects.select_related("user", "api_key", "agent_version__agent").filter(secret_digest=digest).first()
    )
    if issuance is None or not _is_bound_to(issuance, requester) or not _is_still_granted(issuance, now):
        raise exceptions.EphemeralKeyExpired()
    if asked_model and asked_model != issuance.model:
        raise exceptions.OtherModel()
    return issuance


def use_secret(issuance: Issuance, now: datetime) -> None:
    """Use up a secret, within the caller's transaction. Raises ClientSecretUsed and EphemeralKeyExpired."""
    if not Issuance.objects.claim(secret_digest=issuance.secret_digest or "", now=now):
        issuance.refresh_from_db(fields=["first_used_at"])  # somebody with the same secret was quicker
        raise exceptions.ClientSecretUsed() if issuance.first_used_at else exceptions.EphemeralKeyExpired()


def _is_bound_to(issuance: Issuance, requester: Requester) -> bool:
    """Tell whether the secret is this caller's: its user is active, and neither origin nor session is another's."""
    if issuance.user is None or not issuance.user.is_active:
        return False
    if issuance.origin and issuance.origin != requester.origin:
        return False
    return requester.user is None or requester.user.pk == issuance.user.pk


def _is_still_granted(issuance: Issuance, now: datetime) -> bool:
    """Tell whether what the secret was issued for still stands: the key that asked for it, and the agent."""
    key, version = issuance.api_key, issuance.agent_version
    is_key_good = key is None or (key.enabled and key.revoked_at is None and key.expires_at > now)
    return is_key_good and version is not None and version.agent.enabled


def make_room(user: User, allowance: Allowance, now: datetime) -> None:
    """Raise TooManyCalls when a user has as many calls as they may, unless one of them can give way.

    Not every client reports that its call is alive, or over. Of those that never did the oldest is ended for
    the new one; otherwise two calls by a plain client would lock its user out until they reach their limit.
    """
    User.objects.select_for_update().get(pk=user.pk)  # on PostgreSQL two claims would both count too few
    own = Call.objects.of(user).open()
    if own.count() < allowance.calls_at_once:
        return
    silent = own.filter(state=Call.State.LIVE, last_seen_at=None).order_by("id").first()
    if silent is None:
        raise exceptions.TooManyCalls()
    if own.filter(pk=silent.pk).update(state=Call.State.ENDED, ended_at=now, end_reason=Call.EndReason.REPLACED):
        settle(silent)
        _record(Action.CALL_ENDED, silent, code=Call.EndReason.REPLACED)  # the worker tells the upstream


async def _create_upstream(call: Call, offer_sdp: str, secret: str) -> CreatedCall:
    """Make the call: with the server's key for a relayed secret, as its holder for a direct one."""
    issuance = call.issuance
    assert issuance is not None  # checked, with its version, when the secret was claimed
    assert issuance.agent_version is not None
    try:
        if issuance.kind == Kind.DIRECT:
            return await realtime_upstream.create_call_with_secret(
                upstream_http(), configured_upstream(), offer_sdp=offer_sdp, value=secret
            )
        return await realtime_upstream.create_call(
            upstream_http(),
            configured_upstream(),
            offer_sdp=offer_sdp,
            session=issuance.session or issuance.agent_version.session_config(),
            safety_identifier=safety_identifier(call.user_id),
        )
    except UpstreamUnreachable as exc:
        hint: str = settings.UPSTREAM_UNAVAILABLE_HINT
        raise UpstreamUnreachable(f"{exc.default_message} {hint}", suggested_action=hint) from exc


def record_created(call: Call, created: CreatedCall) -> None:
    call.upstream_id, call.upstream_request_id = created.call_id, created.request_id
    call.state, call.started_at = Call.State.LIVE, timezone.now()
    with durable_record():
        call.save(update_fields=["upstream_id", "upstream_request_id", "state", "started_at"])
        _record(Action.CALL_CREATED, call, call_id=created.call_id)


def record_refusal(requester: Requester, *, error: CodedError) -> None:
    """Write one event for an offer that was refused before there was a call.

    Refusals need neither secret nor account, so they must not be a way to fill the disk: past the first few alike
    from one address in a minute only the log tells.
    """
    with durable_record():
        write_refusal(requester, error=error)


def write_refusal(requester: Requester, *, error: CodedError) -> None:
    """Do as `record_refusal` within the caller's transaction."""
    if RefusalCounter(f"call:{error.code}:{requester.address_key}").count():
        logger.info("call refused code=%s", error.code)
        return
    record_event(
        Action.CALL_REFUSED,
        request_id=requester.request_id,
        actor=requester.actor,
        code=error.code,
        person=requester.person,
    )


def record_failure(call: Call, *, error: CodedError) -> None:
    """Write the outcome of a call that came to nothing after its intent stood."""
    is_unknown = isinstance(error, UpstreamError) and error.fate_unknown
    call.state = Call.State.UNKNOWN if is_unknown else Call.State.FAILED
    call.error_code, call.ended_at = error.code, timezone.now()
    if isinstance(error, UpstreamError):
        call.upstream_data = storable(error.upstream_data)
    with durable_record():
        call.save(update_fields=["state", "error_code", "upstream_data", "ended_at"])
        settle(call)
        _record(Action.CALL_FAILED, call, code=error.code, upstream_status=error.upstream_status)


def note_seen(call: Call) -> None:
    """Note that the call's page is alive."""
    Call.objects.filter(pk=call.pk, state=Call.State.LIVE).update(last_seen_at=timezone.now())


def end_call(call: Call, *, reason: Call.EndReason, actor: str, detail: str = "") -> bool:
    """End a call once, and hang it up upstream. Returns False when it had ended before.

    The row is the truth and comes first; a hang-up that fails is repeated by the worker.
    """
    if not record_end(call, reason=reason, actor=actor, detail=detail):
        return False
    hang_up_upstream(call)
    return True


def record_end(call: Call, *, reason: Call.EndReason, actor: str, detail: str = "") -> bool:
    """Write a call's end, once, and settle it. False when it had ended before; upstream it still goes on."""
    with durable_record():
        if not write_end(call, reason=reason, detail=detail):
            return False
        _record(Action.CALL_ENDED, call, actor=actor, code=reason)
    return True


def write_end(call: Call, *, reason: Call.EndReason, detail: str = "") -> bool:
    """Write a call's end and settle it, within the caller's transaction. False when it had ended before."""
    ended = Call.objects.open().filter(pk=call.pk).update(
        state=Call.State.ENDED, ended_at=timezone.now(), end_reason=reason, end_detail=detail
    )  # fmt: skip
    if ended:
        settle(call)
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
