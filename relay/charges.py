"""What a call takes from its user's allowances: reserved at its start, settled at its end, each once."""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F

from relay.constants import LONGEST_SESSION_S
from relay.models import Call
from tokens import quotas
from tokens.policy import Allowance
from usage.cost import Cost, estimated_rate


@dataclass(frozen=True)
class Charge:
    """What a call is to cost. microdollars counts against allowances; cost is None where it is not known."""

    metering: Call.Metering
    seconds: int
    microdollars: int
    cost: int | None


def settle(call: Call) -> bool:
    """Put what an ended call used in the place of what it reserved; False when that was done before.

    Nobody has counted its tokens, so that it is charged an estimate by its length. To be called in the transaction
    that ends the call. Refreshes `call`.
    """
    call.refresh_from_db()
    return call.metering == Call.Metering.OPEN and _charge(call, _by_length(call))


def charge_counted(call: Call, cost: Cost, *, complete: bool) -> bool:
    """Put what was counted in the place of an ended call's estimate; False when the charge has changed meanwhile.

    cost: of the whole call. Incomplete counts never lower what the estimate put on the allowances.
    """
    known = cost.microdollars
    counted = call.charged_microdollars if known is None else known
    charge = Charge(
        metering=Call.Metering.SETTLED if complete else Call.Metering.PARTIAL,
        seconds=call.charged_seconds,
        microdollars=counted if complete else max(counted, call.charged_microdollars),
        cost=known,
    )
    return _charge(call, charge)


def reserve_spent(call: Call, allowance: Allowance, spent_microdollars: int) -> bool:
    """Reserve what a running call spent past its reservation; False when its user's allowance has no more."""
    if call.user is None or not call.charged_microdollars or spent_microdollars <= call.charged_microdollars:
        return True
    more = spent_microdollars - call.charged_microdollars
    try:
        with transaction.atomic():
            if not quotas.reserve_more(call.user, allowance, call.requested_at, more):
                raise _NothingLeft
            Call.objects.filter(pk=call.pk).update(charged_microdollars=F("charged_microdollars") + more)
    except _NothingLeft:
        return False
    call.charged_microdollars += more
    return True


class _NothingLeft(Exception):
    """Roll back what was taken from one allowance because another had nothing left."""


def _by_length(call: Call) -> Charge:
    seconds = _length_s(call)
    if settings.UPSTREAM_IS_LOCAL:
        return Charge(Call.Metering.FREE, seconds, 0, cost=0)
    if call.state == Call.State.FAILED:
        return Charge(Call.Metering.SETTLED, 0, 0, cost=0)  # surely nothing was made
    rate = estimated_rate(call.model, call.requested_at)
    estimate = rate.microdollars(seconds)
    return Charge(Call.Metering.UNMETERED, seconds, estimate, cost=estimate if rate.is_priced else None)


def _length_s(call: Call) -> int:
    if call.started_at is None or call.ended_at is None:
        return 0
    length_s = -((call.started_at - call.ended_at) // timedelta(seconds=1))  # rounded up
    if call.transport == Call.Transport.WEBSOCKET:
        return max(0, length_s)  # one session follows another, and who carries it keeps to its deadline
    return max(0, min(length_s, LONGEST_SESSION_S))


def _charge(call: Call, charge: Charge) -> bool:
    """Change what a call is charged, and its user's counters by the difference; False if it is not charged as read."""
    as_read = Call.objects.filter(
        pk=call.pk, metering=call.metering,
        charged_seconds=call.charged_seconds, charged_microdollars=call.charged_microdollars,
    )  # fmt: skip
    with transaction.atomic():
        if not as_read.update(
            metering=charge.metering,
            charged_seconds=charge.seconds,
            charged_microdollars=charge.microdollars,
            cost_microdollars=charge.cost,
            unpriced=charge.cost is None,
        ):
            return False
        if call.user is not None:
            quotas.correct(
                call.user,
                call.requested_at,
                seconds=charge.seconds - call.charged_seconds,
                microdollars=charge.microdollars - call.charged_microdollars,
            )
    call.refresh_from_db()
    return True
