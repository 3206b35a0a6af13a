"""What usage costs by the price table: exact for counted usage, an estimate by time where none was seen.

Sums are made in pico-dollars, where a price for a million tokens is a whole number for each, and rounded up once.
A price that is missing is said so; it never counts as nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import ceil, isfinite
from typing import Any, Final

from django.conf import settings

from usage.exceptions import UnreadableUsage
from usage.models import Meter, Price

PICODOLLARS: Final = 1_000_000  # in a micro-dollar
# The upstream counts 1 token for 100 ms of the user's audio and 1 for 50 ms of the assistant's.
AUDIO_INPUT_TOKENS_A_SECOND: Final = 10
AUDIO_OUTPUT_TOKENS_A_SECOND: Final = 20
MODALITIES: Final = {
    "text": (Meter.TEXT_INPUT, Meter.TEXT_CACHED_INPUT),
    "audio": (Meter.AUDIO_INPUT, Meter.AUDIO_CACHED_INPUT),
    "image": (Meter.IMAGE_INPUT, Meter.IMAGE_CACHED_INPUT),
}

Counts = Mapping[Meter, int]  # tokens, or seconds; cached ones are not among the others


@dataclass(frozen=True)
class Cost:
    """picodollars covers what has a price; unpriced names what was used and has none."""

    picodollars: int
    unpriced: tuple[Meter, ...] = ()

    @property
    def microdollars(self) -> int | None:
        """Return the cost rounded up, or None when a part of it is not known."""
        return None if self.unpriced else _microdollars(self.picodollars)


@dataclass(frozen=True)
class Rate:
    """What a second of a call is taken to cost. Where its model has no price, the dearest one's stands in."""

    picodollars_a_second: int
    is_priced: bool

    def microdollars(self, seconds: int) -> int:
        return _microdollars(self.picodollars_a_second * seconds)

    def seconds_for(self, microdollars: int) -> int | None:
        """Return the whole seconds that an amount pays for; None: any number."""
        if not self.picodollars_a_second:
            return None
        return microdollars * PICODOLLARS // self.picodollars_a_second


def read_usage(raw_usage: Mapping[str, Any]) -> dict[Meter, int]:
    """Return the counts of a `usage` block of `response.done` or of a transcription.

    Cached tokens are a subset of the input in the block, and apart from it in what is returned. What a block
    counts in its totals but in no modality is taken as audio, the dearest. Seconds are rounded up.
    Raises UnreadableUsage for counts that contradict each other or are none.
    """
    if raw_usage.get("type") == "duration":
        return {Meter.SECONDS: _seconds(raw_usage.get("seconds"))}
    details = _block(raw_usage, "input_token_details")
    cached_details = _block(details, "cached_tokens_details")
    inputs = {name: _count(details, f"{name}_tokens") for name in MODALITIES}
    inputs["audio"] += max(0, _count(raw_usage, "input_tokens") - sum(inputs.values()))
    counts: dict[Meter, int] = {}
    for name, (fresh, from_cache) in MODALITIES.items():
        cached = _count(cached_details, f"{name}_tokens")
        if cached > inputs[name]:
            raise UnreadableUsage(f"{cached} cached {name} tokens of {inputs[name]}")
        counts |= {fresh: inputs[name] - cached, from_cache: cached}
    details = _block(raw_usage, "output_token_details")
    text, audio = _count(details, "text_tokens"), _count(details, "audio_tokens")
    audio += max(0, _count(raw_usage, "output_tokens") - text - audio)
    return counts | {Meter.TEXT_OUTPUT: text, Meter.AUDIO_OUTPUT: audio}


def cost_of(counts: Counts, model: str, at: datetime) -> Cost:
    """Return what counted usage of a model cost at a moment. An unknown model costs an unknown sum, never nothing."""
    return cost_by(prices_of(model, at), counts)


def prices_of(model: str, at: datetime) -> Mapping[Meter, int]:
    """Return what a model's meters cost at a moment, in pico-dollars for a token or second; {} for an unknown one."""
    return {Meter(price.meter): price.picodollars for price in Price.objects.at(at).filter(model=model)}


def cost_by(prices: Mapping[Meter, int], counts: Counts) -> Cost:
    """Return what counted usage costs by these prices."""
    if not prices:
        return Cost(0, unpriced=tuple(Meter))
    used = {meter: count for meter, count in counts.items() if count}
    return Cost(
        picodollars=sum(count * prices.get(meter, 0) for meter, count in used.items()),
        unpriced=tuple(sorted(meter for meter in used if meter not in prices)),
    )


def estimated_rate(model: str, at: datetime) -> Rate:
    """Return what a second of a call is taken to cost while nobody has counted: as if both sides spoke all the time.

    Nobody does; that pays for the earlier conversation, which each answer sends again from the cache. The local
    engine costs nothing. A rate of 0 that is not priced means that there are no prices at all.
    """
    if settings.UPSTREAM_IS_LOCAL:
        return Rate(0, is_priced=True)
    heard, spoken = (
        {price.model: price.picodollars for price in Price.objects.at(at).filter(meter=meter)}
        for meter in (Meter.AUDIO_INPUT, Meter.AUDIO_OUTPUT)
    )
    rates = {
        name: AUDIO_INPUT_TOKENS_A_SECOND * heard[name] + AUDIO_OUTPUT_TOKENS_A_SECOND * spoken[name]
        for name in heard.keys() & spoken.keys()
    }
    if model in rates:
        return Rate(rates[model], is_priced=True)
    return Rate(max(rates.values(), default=0), is_priced=False)


def _microdollars(picodollars: int) -> int:
    return -(-picodollars // PICODOLLARS)


def _block(raw_usage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    block = raw_usage.get(name) or {}
    if not isinstance(block, Mapping):
        raise UnreadableUsage(f"{name} is no object")
    return block


def _count(raw_usage: Mapping[str, Any], name: str) -> int:
    count = raw_usage.get(name) or 0
    if type(count) is not int or count < 0:
        raise UnreadableUsage(f"{name} is no count")
    return count


def _seconds(raw_seconds: Any) -> int:
    is_number = isinstance(raw_seconds, int | float) and not isinstance(raw_seconds, bool)
    if not (is_number and isfinite(raw_seconds) and raw_seconds >= 0):
        raise UnreadableUsage("seconds is no length of time")
    return ceil(float(raw_seconds))
