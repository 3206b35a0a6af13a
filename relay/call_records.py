"""What is written of a call that a socket carries, as works for a group commit: intent, outcome, end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from audit.actions import Action
from audit.group_commit import Group
from audit.records import Fact
from realtime_api.client_secrets import has_form
from realtime_api.errors import CodedError, UpstreamError
from relay import exceptions, services
from relay.charges import settle
from relay.limits import rules_of
from relay.models import Call
from tokens.limits import RequestRates
from tokens.models import Issuance
from tokens.policy import Allowance, allowance_of
from tokens.quotas import reserve_call, subject
from tokens.requester import Requester
from tokens.services import secret_digest
from voiceagent.log_lines import storable


@dataclass(frozen=True)
class Claimed:
    """A call whose intent is on record, with what its holder may do."""

    call: Call
    issuance: Issuance
    allowance: Allowance
    requester: Requester


def claim(
    group: Group, *, read: Callable[[], Requester], secret: str, asked_model: str, transport: str, rates: RequestRates
) -> Claimed | CodedError:
    """Use up a client secret and write a call's intent, both or neither; or record why not, and return that.

    read: says who asks. What only shows while the user's row is locked is raised by the group, and nothing is written.
    """
    requester = read()
    try:
        return _claim(group, requester, secret, asked_model, transport, rates)
    except CodedError as exc:
        services.write_refusal(requester, error=exc)
        return exc


def _claim(
    group: Group, requester: Requester, secret: str, asked_model: str, transport: str, rates: RequestRates
) -> Claimed:
    rates.check("relay", key=requester.address_key, rate=settings.RELAY_RATE)
    if not has_form(secret):
        raise exceptions.EphemeralKeyExpired()
    now = timezone.now()
    issuance = services.find_granted(secret_digest(secret), requester, asked_model, now)
    if issuance.first_used_at:
        raise exceptions.ClientSecretUsed()
    user = issuance.user
    assert user is not None  # a secret without a user is not bound to anybody
    allowance = allowance_of(user, issuance.api_key)
    allowance.check_origin(requester.origin)
    call = Call(
        issuance_id=issuance.pk,
        user_id=user.pk,
        username=issuance.username,
        agent_version_id=issuance.agent_version_id,
        agent=issuance.agent,
        model=issuance.model,
        transport=transport,
        request_id=requester.request_id,
        state=Call.State.REQUESTED.value,
        requested_at=now,
        **rules_of(allowance),
    )
    group.lock(subject(user), lambda: _take(call, issuance, user, allowance, now))
    group.insert(call)
    _record(group, Action.CALL_REQUESTED, call, person=requester.person, facts={"issuance": issuance.pk})
    return Claimed(call, issuance, allowance, requester)


def _take(call: Call, issuance: Issuance, user: User, allowance: Allowance, now: datetime) -> None:
    """Take what only one may have: a place among the user's calls, of their allowances, and the secret itself."""
    services.make_room(user, allowance, now)
    reservation = reserve_call(user, allowance, now, model=issuance.model)
    call.deadline_at = now + timedelta(seconds=reservation.call_max_s)
    call.charged_seconds, call.charged_microdollars = reservation.seconds, reservation.microdollars
    services.use_secret(issuance, now)


def created(group: Group, *, call: Call, call_id: str) -> None:
    """Write that the upstream made the call. A socket's call counts as seen from the first moment."""
    now = timezone.now()
    call.upstream_id, call.state, call.started_at, call.last_seen_at = call_id, Call.State.LIVE.value, now, now
    group.update(call, ("upstream_id", "state", "started_at", "last_seen_at"))
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


def ended(group: Group, *, call: Call, reason: Call.EndReason, counts: Mapping[str, Fact]) -> None:
    """End a call once: nothing is written when its row ended before, for another reason."""

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
