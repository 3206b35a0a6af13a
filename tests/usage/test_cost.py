"""What usage costs: the contract's own example, dates, gaps in the table, and estimates by time."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django import Settings

from usage.cost import Rate, cost_of, estimated_rate, read_usage
from usage.exceptions import UnreadableUsage
from usage.models import Meter, Price

MODEL = "gpt-realtime-2.1"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
# The voice trace of the protocol notes: it costs (142-64)x4 + 64x0.40 + 42x32 + 22x24 + 74x64 millionths of a dollar.
VOICE_TURN: dict[str, Any] = {
    "total_tokens": 280,
    "input_tokens": 184,
    "output_tokens": 96,
    "input_token_details": {
        "text_tokens": 142,
        "audio_tokens": 42,
        "image_tokens": 0,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 22, "audio_tokens": 74},
}
pytestmark = pytest.mark.usefixtures("prices")


def changed(**changes: Any) -> dict[str, Any]:
    """Return the voice turn with fields of its input replaced."""
    usage = copy.deepcopy(VOICE_TURN)
    usage["input_token_details"] |= changes
    return usage


def test_the_worked_example_costs_what_it_says() -> None:
    cost = cost_of(read_usage(VOICE_TURN), MODEL, NOW)

    assert cost.picodollars == 6_945_600_000
    assert cost.microdollars == 6_946


def test_cached_sound_is_cheap() -> None:
    cached = changed(cached_tokens_details={"text_tokens": 0, "audio_tokens": 42, "image_tokens": 0})

    assert cost_of(read_usage(cached), MODEL, NOW).picodollars == (142 * 4 + 22 * 24 + 74 * 64) * 10**6 + 42 * 400_000


def test_an_unknown_model_costs_an_unknown_sum_and_never_nothing() -> None:
    assert cost_of(read_usage(VOICE_TURN), "gpt-realtime-9", NOW).microdollars is None
    assert cost_of({}, "gpt-realtime-9", NOW).microdollars is None


def test_what_has_no_price_is_named() -> None:
    Price.objects.filter(model=MODEL, meter=Meter.AUDIO_OUTPUT).delete()
    cost = cost_of(read_usage(VOICE_TURN), MODEL, NOW)

    assert (cost.unpriced, cost.microdollars) == ((Meter.AUDIO_OUTPUT,), None)


def test_a_price_holds_until_the_next_one_begins() -> None:
    tomorrow = NOW + timedelta(days=1)
    Price.objects.create(model=MODEL, meter=Meter.TEXT_OUTPUT, microdollars=30_000_000, valid_from=tomorrow)
    million = {Meter.TEXT_OUTPUT: 1_000_000}

    assert cost_of(million, MODEL, NOW).microdollars == 24_000_000
    assert cost_of(million, MODEL, tomorrow).microdollars == 30_000_000
    assert cost_of(million, MODEL, datetime(2020, 1, 1, tzinfo=UTC)).microdollars is None


def test_transcription_is_paid_by_the_minute_or_by_tokens() -> None:
    assert cost_of(read_usage({"type": "duration", "seconds": 59.2}), "gpt-transcribe", NOW).microdollars == 4_500
    assert cost_of(read_usage({"type": "duration", "seconds": 3}), "gpt-live-transcribe", NOW).microdollars == 851
    assert read_usage({"type": "tokens", "input_tokens": 9, "output_tokens": 2})[Meter.AUDIO_INPUT] == 9


def test_tokens_without_a_modality_count_as_the_dearest() -> None:
    bare = read_usage({"input_tokens": 100, "output_tokens": 50, "input_token_details": {"text_tokens": 60}})

    assert (bare[Meter.TEXT_INPUT], bare[Meter.AUDIO_INPUT], bare[Meter.AUDIO_OUTPUT]) == (60, 40, 50)


@pytest.mark.parametrize(
    "usage",
    [
        changed(text_tokens=-1),
        changed(text_tokens=True),
        changed(text_tokens="142"),
        changed(text_tokens=1.5),
        changed(cached_tokens_details={"text_tokens": 143}),
        changed(cached_tokens_details=[64]),
        {"type": "duration"},
        {"type": "duration", "seconds": -1},
        {"type": "duration", "seconds": float("nan")},
        {"type": "duration", "seconds": "60"},
    ],
)
def test_usage_that_does_not_add_up_is_refused(usage: dict[str, Any]) -> None:
    with pytest.raises(UnreadableUsage):
        read_usage(usage)


def test_a_second_is_taken_to_cost_as_if_both_spoke() -> None:
    rate = estimated_rate(MODEL, NOW)

    assert rate == Rate(10 * 32_000_000 + 20 * 64_000_000, is_priced=True)
    assert rate.microdollars(60) == 96_000
    assert rate.seconds_for(96_000) == 60
    assert rate.seconds_for(95_999) == 59


def test_of_an_unknown_model_the_dearest_price_stands_in() -> None:
    dear = [
        Price(model="dear", meter=meter, microdollars=100_000_000, valid_from=NOW)
        for meter in (Meter.AUDIO_INPUT, Meter.AUDIO_OUTPUT)
    ]
    Price.objects.bulk_create(dear)

    assert estimated_rate("gpt-realtime-9", NOW) == Rate(30 * 100_000_000, is_priced=False)
    Price.objects.all().delete()
    assert estimated_rate("gpt-realtime-9", NOW) == Rate(0, is_priced=False)


def test_the_local_engine_is_free(settings: Settings) -> None:
    settings.UPSTREAM_IS_LOCAL = True

    assert estimated_rate("gpt-realtime-9", NOW) == Rate(0, is_priced=True)
    assert estimated_rate(MODEL, NOW).seconds_for(0) is None
