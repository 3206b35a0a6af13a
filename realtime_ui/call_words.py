"""How a call is put into words for its owner: result, length, cost, what it used."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from realtime_ui.usage_page import length, money
from relay.models import Call
from usage.cost import PICODOLLARS
from usage.models import Meter, UsageRecord
from usage.money import dollars

END_WORDS: Final[Mapping[str, str | Promise]] = {
    Call.EndReason.USER: gettext_lazy("You ended it"),
    Call.EndReason.PAGE_CLOSED: gettext_lazy("Page closed"),
    Call.EndReason.BUDGET: gettext_lazy("Money used up"),
    Call.EndReason.IDLE: gettext_lazy("Nobody spoke"),
    Call.EndReason.POLICY_DRIFT: gettext_lazy("Settings were changed"),
    Call.EndReason.SESSION_EXPIRED: gettext_lazy("Longest time reached"),
    Call.EndReason.TIME_LIMIT: gettext_lazy("Longest time reached"),
    Call.EndReason.UPSTREAM_ENDED: gettext_lazy("Ended by the voice service"),
    Call.EndReason.UNMONITORED: gettext_lazy("Could not be looked after"),
    Call.EndReason.RENEWED: gettext_lazy("Went on in another call"),
    Call.EndReason.PAGE_LOST: gettext_lazy("Page lost"),
    Call.EndReason.CONNECTION_LOST: gettext_lazy("Connection lost"),
    Call.EndReason.CLIENT_GONE: gettext_lazy("Left while connecting"),
    Call.EndReason.HUNG_UP: gettext_lazy("You hung up elsewhere"),
    Call.EndReason.REPLACED: gettext_lazy("Gave way to a newer call"),
    Call.EndReason.ADMINISTRATOR: gettext_lazy("Ended by an administrator"),
    Call.EndReason.ACCESS_ENDED: gettext_lazy("Signed out"),
    Call.EndReason.SLOW_CLIENT: gettext_lazy("Connection too slow"),
    Call.EndReason.BAD_CLIENT: gettext_lazy("Stopped: not understood"),
    Call.EndReason.UPSTREAM_FAILED: gettext_lazy("The voice service failed"),
    Call.EndReason.SERVER_RESTART: gettext_lazy("The server was restarted"),
    Call.EndReason.SERVER_LOST: gettext_lazy("The server failed"),
}
STATE_WORDS: Final[Mapping[str, str | Promise]] = {
    Call.State.REQUESTED: gettext_lazy("Connecting"),
    Call.State.LIVE: gettext_lazy("Live"),
    Call.State.ENDED: gettext_lazy("Ended"),
    Call.State.FAILED: gettext_lazy("Could not connect"),
    Call.State.UNKNOWN: gettext_lazy("Outcome unknown"),
}
METER_WORDS: Final[Mapping[str, str | Promise]] = {
    Meter.TEXT_INPUT: gettext_lazy("text in"),
    Meter.TEXT_CACHED_INPUT: gettext_lazy("text in again"),
    Meter.TEXT_OUTPUT: gettext_lazy("text out"),
    Meter.AUDIO_INPUT: gettext_lazy("sound in"),
    Meter.AUDIO_CACHED_INPUT: gettext_lazy("sound in again"),
    Meter.AUDIO_OUTPUT: gettext_lazy("sound out"),
    Meter.IMAGE_INPUT: gettext_lazy("images in"),
    Meter.IMAGE_CACHED_INPUT: gettext_lazy("images in again"),
    Meter.SECONDS: gettext_lazy("seconds"),
}
PART_WORDS: Final[Mapping[str, str | Promise]] = {
    UsageRecord.Kind.RESPONSE: gettext_lazy("Replies"),
    UsageRecord.Kind.TRANSCRIPTION: gettext_lazy("Writing down what you said"),
}


@dataclass(frozen=True)
class CostPart:
    """What one part of a call used: counts of its meters in words."""

    name: str
    model: str
    times: int
    used: str
    cost: str


def result_words(call: Call) -> str:
    return str(END_WORDS.get(call.end_reason) or STATE_WORDS[call.state])


def length_words(call: Call) -> str:
    """Return how long a call lasted; nothing while it goes on, or where it never began."""
    if not (call.started_at and call.ended_at):
        return ""
    return length(max(0, round((call.ended_at - call.started_at) / timedelta(seconds=1))))


def cost_words(call: Call) -> str:
    """Return what a call cost, or costs so far, and how sure that is."""
    if call.metering == Call.Metering.FREE:
        return _("Free")
    known = call.known_microdollars
    if known is None:
        return "" if call.metering == Call.Metering.OPEN else _("Not known")
    forms = {
        Call.Metering.OPEN.value: _("%(cost)s so far"),
        Call.Metering.UNMETERED.value: _("about %(cost)s"),
        Call.Metering.PARTIAL.value: _("at least %(cost)s"),
    }
    return forms.get(call.metering, "%(cost)s") % {"cost": money(known)}


def cost_parts(call: Call) -> list[CostPart]:
    """Return what a call used: its replies and what was written down, by model."""
    by_part: dict[tuple[str, str], list[UsageRecord]] = {}
    for record in UsageRecord.objects.filter(call_number=call.pk):
        by_part.setdefault((record.kind, record.model), []).append(record)
    return [_cost_part(str(PART_WORDS[kind]), model, records) for (kind, model), records in by_part.items()]


def _cost_part(name: str, model: str, records: list[UsageRecord]) -> CostPart:
    used: Counter[Meter] = Counter()
    for record in records:
        used.update(record.by_meter)
    is_unpriced = any(record.unpriced for record in records)
    microdollars = -(-sum(record.picodollars for record in records) // PICODOLLARS)
    return CostPart(
        name, model, len(records),
        used=", ".join(f"{count} {METER_WORDS[meter]}" for meter, count in used.items()),
        cost=_("no price") if is_unpriced else f"${dollars(microdollars)}",
    )  # fmt: skip
