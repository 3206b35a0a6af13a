"""What the worker removes: counters and sessions past their time, some at a time, and nothing else."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session

from tokens import quotas, sweeps
from tokens.models import QuotaCounter
from voiceagent import session_sweep

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.django_db
def test_counters_of_this_month_and_the_last_are_kept(alice: User) -> None:
    for days in (0, 31, 61, 100, 400):
        quotas.correct(alice, NOW - timedelta(days=days), seconds=days + 1, microdollars=0)
    kept = QuotaCounter.objects.filter(period_start__gte=NOW - timedelta(days=62))
    before = set(kept.values_list("pk", flat=True))

    assert sweeps.prune_counters(NOW) == 10 - len(before)
    assert sweeps.prune_counters(NOW) == 0
    assert set(QuotaCounter.objects.values_list("pk", flat=True)) == before
    assert {1, 32} <= set(kept.filter(metric="seconds_a_month").values_list("used", flat=True))


@pytest.mark.django_db
def test_counters_go_some_at_a_time(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "ROWS_A_SWEEP", 3)
    for days in range(100, 105):
        quotas.correct(alice, NOW - timedelta(days=days), seconds=1, microdollars=0)
    counts = [sweeps.prune_counters(NOW) for _ in range(4)]

    assert counts[0] == 3
    assert counts[-1] == 0
    assert not QuotaCounter.objects.exists()


@pytest.mark.django_db
def test_sessions_that_are_over_go_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_sweep, "ROWS_A_SWEEP", 2)
    for number, minutes in enumerate((-3, -2, -1, 1)):
        Session.objects.create(session_key=str(number), expire_date=NOW + timedelta(minutes=minutes))

    assert [session_sweep.prune_sessions(NOW) for _ in range(3)] == [2, 1, 0]
    assert Session.objects.get().pk == "3"
