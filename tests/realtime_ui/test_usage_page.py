"""The page of what one has left: words, meters, and when it starts anew."""

import re
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from realtime_ui.usage_page import length, line_of, money
from tokens import quotas
from tokens.models import Policy
from tokens.policy import allowance_of
from tokens.quotas import Standing

NOW = datetime.now(UTC)


def shown(client: Client) -> str:
    """Return the page's text and meters, blanks and other tags removed."""
    html = client.get("/usage/").content.decode()
    return " ".join(re.sub(r"<(?!progress)[^>]*>", " ", html[html.index("<main") :]).split())


def test_what_is_left_stands_in_words_and_on_a_meter(alices_client: Client, alice: User, settings: Settings) -> None:
    settings.UPSTREAM_IS_LOCAL = False
    Policy.objects.create(user=alice, seconds_a_day=600, microdollars_a_month=5_000_000, allowed_models=["m-1", "m-2"])
    quotas.correct(alice, NOW, seconds=90, microdollars=1_234_567)
    page = shown(alices_client)

    assert "Calls 8 min 30 s of 10 min left <progress" in page
    assert '<progress aria-label="Calls, Today: used" value="90" max="600">' in page
    assert "Calls 1 min 30 s used, no limit" in page  # of the month
    assert "Money $3.76 of $5.00 left" in page
    assert 'value="1234567" max="5000000"' in page
    assert "Client secrets" not in page  # without a limit nobody counts them
    assert "m-1, m-2" in page
    assert "estimated by its length" in page


def test_when_it_starts_anew_is_told(alices_client: Client) -> None:
    page = shown(alices_client)

    assert page.count("Starts anew on") == 2
    assert f"Starts anew on {quotas.period_end('seconds_a_month', NOW):%Y-%m-%d} 00:00 UTC." in page


def test_nothing_left_is_said_in_words(alices_client: Client, alice: User) -> None:
    Policy.objects.create(user=alice, secrets_a_day=1, seconds_a_day=0)
    quotas.use_quotas(alice, allowance_of(alice, None), NOW)
    page = shown(alices_client)

    assert "Client secrets All of 1 used" in page
    assert "Calls All of 0 seconds used" in page


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "1 min"),
        (750, "12 min 30 s"),
        (12_001, "3 h 20 min"),
    ],
)
def test_a_length_is_written_as_people_say_it(seconds: int, words: str) -> None:
    assert length(seconds) == words


def test_money_used_is_rounded_up_and_money_left_down() -> None:
    assert (money(1), money(9_999, down=True), money(2_500_000)) == ("$0.01", "$0.00", "$2.50")


def test_the_meter_ends_at_its_limit() -> None:
    line = line_of(Standing("seconds_a_day", limit=60, used=75, resets_at=NOW))

    assert (line.used, line.limit, line.is_used_up) == (60, 60, True)


def test_another_s_use_is_not_shown(alices_client: Client, charlie: User) -> None:
    quotas.correct(charlie, NOW, seconds=90, microdollars=0)

    assert "1 min 30 s" not in shown(alices_client)
