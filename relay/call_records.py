"""What is written of a call that is made, as works for a group commit: intent, refusal, outcome, end."""

import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from audit import group_commit
from audit.actions import Action
from audit.group_commit import Group
from audit.records import Fact
from audit.rows import insert_rows
from audit.services import record_event
from realtime_api.client_secrets import has_form
from realtime_api.errors import CodedError, UpstreamError
from realtime_api.session import SessionConfig
from relay import claims, exceptions, services
from relay.charges import settle
from relay.claims import CallWish
from relay.hints import tell_changed
from relay.limits import rules_of
from relay.models import Call
from relay.recorder import LEASE_S, Report, write_reports
from tokens.limits import RequestRates
from tokens.models import Issuance
from tokens.policy import Allowance, allowance_of
from tokens.quotas import correct, reserve_call, subject
from tokens.requester import Requester
from tokens.services import secret_digest
from voiceagent.log_lines import storable

logger = logging.getLogger(__name__)
CREATED_FIELDS = (
    "upstream_id", "upstream_request_id", "state", "started_at", "last_seen_at", "lease_owner", "lease_until",
)  # fmt: skip


@dataclass(frozen=True)
class Claimed:
    """A call whose intent is on record, with what its holder may do."""

    call: Call
    issuance: Issuance
    allowance: Allowance
    requester: Requester

    def session(self) -> SessionConfig:
        """Return the session as it was granted."""
        assert self.issuance.agent_version is not None  # filled in when the secret was found
        own: SessionConfig | None = self.issuance.session
        return own or self.issuance.agent_version.session_config()


async def claim(*, read: Callable[[], Requester], wish: CallWish) -> Claimed:
    """Use up a client secret and write a call's intent, both or neither.

    read: says who asks. A caller over the limit of calls at once, without an allowance left, or who asks for another
    model, keeps the secret. The call may last as long as what it could reserve, and with the one whose conversation it
    goes on with no longer than that one might have. Raises EphemeralKeyExpired, ClientSecretUsed, OtherModel,
    UnknownCall, TooManyCalls, QuotaExceeded, RateLimited, each recorded.
    """
    rates = RequestRates()
    decision = await group_commit.commit(partial(write_claim, read=read, wish=wish, rates=rates))
    if isinstance(decision, CodedError):
        raise decision
    return decision


def write_claim(
    group: Group, *, read: Callable[[], Requester], wish: CallWish, rates: RequestRates
) -> Claimed | CodedError:
    """Do as `claim` within a group. What shows at once is returned; the rest refuses the group. Both are recorded."""
    requester = read()
    refuse = partial(write_refusal, requester, rates)
    group.when_refused(refuse)
    try:
        return _claim(group, requester, wish, rates)
    except CodedError as exc:
        refuse(exc)
        return exc


def _claim(group: Group, requester: Requester, wish: CallWish, rates: RequestRates) -> Claimed:
    rates.check("relay", key=requester.address_key, rate=settings.RELAY_RATE)
    if not has_form(wish.secret):
        raise exceptions.EphemeralKeyExpired()
    now = timezone.now()
    issuance, user, mark = claims.find_granted(secret_digest(wish.secret), requester, wish.model, now)
    allowance = allowance_of(user, issuance.api_key, mark)
    allowance.check_origin(requester.origin)
    call = Call(
        issuance_id=issuance.pk,
        user_id=user.pk,
        username=issuance.username,
        agent_version_id=issuance.agent_version_id,
        agent=issuance.agent,
        model=issuance.model,
        continues=claims.find_earlier(user, wish.continues),
        transport=wish.transport.value,
        request_id=requester.request_id,
        state=Call.State.REQUESTED.value,
        metering=Call.Metering.OPEN.value,
        requested_at=now,
        **rules_of(allowance),
    )
    claimed = Claimed(call, issuance, allowance, requester)
    group.lock(subject(user), partial(_take, group, claimed, user, now))
    return claimed


def _take(group: Group, claimed: Claimed, user: User, now: datetime) -> None:
    """Take what only one may have: a place among the user's calls, of their allowances, and the secret itself.

    The call is written here, so that the next one of the same group finds it. Whatever refuses leaves nothing taken.
    """
    call, issuance, allowance = claimed.call, claimed.issuance, claimed.allowance
    giving_way = claims.find_room(user, allowance)
    with transaction.atomic() if giving_way else nullcontext():  # the one that ended goes on if this one is refused
        if giving_way is not None:
            claims.replace(group, giving_way, user, now)
        reservation = reserve_call(user, allowance, now, model=issuance.model)
        try:
            claims.use_secret(issuance, now)
        except CodedError:
            correct(user, now, seconds=-reservation.seconds, microdollars=-reservation.microdollars)
            raise
    call.deadline_at = now + timedelta(seconds=reservation.call_max_s)
    if call.continues is not None and call.continues.deadline_at is not None:
        call.deadline_at = min(call.deadline_at, call.continues.deadline_at)
    call.charged_seconds, call.charged_microdollars = reservation.seconds, reservation.microdollars
    insert_rows(Call, [call])
    person = claimed.requester.person
    _record(group, Action.CALL_REQUESTED, call, person=person, facts={"issuance": issuance.pk})
    if call.continues is not None:
        _record(group, Action.CALL_CONTINUED, call, facts={"continues": call.continues.pk})


async def refuse(read: Callable[[], Requester], error: CodedError) -> None:
    """Record that somebody was refused before there was a call."""

    rates = RequestRates()
    await group_commit.commit(lambda group: write_refusal(read(), rates, error))


def write_refusal(requester: Requester, rates: RequestRates, error: CodedError) -> None:
    """Write one event for a refusal, within the caller's transaction.

    Refusals need neither secret nor account, so they must not be a way to fill the disk: past the first few alike
    from one address in a minute only the log tells.
    """
    if rates.refusals(f"call:{error.code}:{requester.address_key}").count():
        logger.info("call refused code=%s", error.code)
        return
    record_event(
        Action.CALL_REFUSED,
        request_id=requester.request_id,
        actor=requester.actor,
        code=error.code,
        person=requester.person,
    )


def created(group: Group, *, call: Call, call_id: str, request_id: str = "", owner: str = "") -> None:
    """Write that the upstream made the call. owner: the process of its socket, which looks after it itself."""
    now = timezone.now()
    call.upstream_id, call.upstream_request_id = call_id, request_id
    call.state, call.started_at = Call.State.LIVE.value, now
    call.last_seen_at, call.lease_until = (now, now + timedelta(seconds=LEASE_S)) if owner else (None, None)
    call.lease_owner = owner
    group.update(call, CREATED_FIELDS)
    transaction.on_commit(tell_changed)
    _record(group, Action.CALL_CREATED, call, facts={"call_id": call_id})


def failed(group: Group, *, call: Call, error: CodedError) -> None:
    """Write that a call came to nothing after its intent stood."""
    is_unknown = isinstance(error, UpstreamError) and error.fate_unknown
    call.state = Call.State.UNKNOWN.value if is_unknown else Call.State.FAILED.value
    call.error_code, call.ended_at = error.code, timezone.now()
    if isinstance(error, UpstreamError):
        call.upstream_data = storable(error.upstream_data)

    def write() -> None:
        call.save(update_fields=["state", "error_code", "upstream_data", "ended_at"])
        settle(call)

    group.lock(_locked(call), write)
    _record(group, Action.CALL_FAILED, call, code=error.code, facts={"upstream_status": error.upstream_status})


def ended(
    group: Group, *, call: Call, reason: Call.EndReason, counts: Mapping[str, Fact], owner: str, report: Report
) -> None:
    """Write what was seen of a call at last, and its end, once: another reason that was there first stays."""
    write_reports(owner, [report], timezone.now())

    def write() -> None:
        if services.write_end(call, reason=reason):
            _record(group, Action.CALL_ENDED, call, code=reason, facts=counts)

    group.lock(_locked(call), write)


def _locked(call: Call) -> str:
    return f"user:{call.user_id}" if call.user_id else f"call:{call.pk}"


def _record(
    group: Group,
    action: Action,
    call: Call,
    *,
    code: str = "",
    person: Mapping[str, Fact] | None = None,
    facts: Mapping[str, Fact] | None = None,
) -> None:
    actor, told = f"user:{call.user_id}", dict(facts or {})
    group.record(action, about=call, request_id=call.request_id, actor=actor, code=code, person=person, **told)
