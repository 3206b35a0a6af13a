"""The worker: every job runs each round, and one that fails stops none of the others."""

import logging
import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.utils import timezone

from audit.models import AuditEvent
from relay import services
from relay.constants import HANG_UPS_A_SWEEP
from relay.management.commands import worker
from relay.models import Call
from relay.services import sweep_calls
from tests.migrated import write_migrated
from tokens.models import Issuance, QuotaCounter
from tokens.services import close_orphans

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.django_db(transaction=True)
def test_an_intent_whose_process_died_is_closed_once() -> None:
    now = timezone.now()
    old = now - timedelta(minutes=5)
    Issuance.objects.create(request_id="req_old", status="requested", requested_at=old)
    Issuance.objects.create(request_id="req_new", status="requested", requested_at=now)

    assert (close_orphans(now), close_orphans(now)) == (1, 0)
    assert dict(Issuance.objects.values_list("request_id", "status")) == {"req_old": "unknown", "req_new": "requested"}
    assert AuditEvent.objects.get().action == "client_secret.unknown"


@pytest.mark.django_db(transaction=True)
def test_a_request_for_a_call_whose_process_died_is_closed(alice: User) -> None:
    now = timezone.now()
    Call.objects.create(user=alice, request_id="req_old", state="requested", requested_at=now - timedelta(minutes=5))
    sweep_calls(now)

    call = Call.objects.get()
    assert (call.state, call.ended_at) == ("unknown", now)
    assert AuditEvent.objects.get().code == "outcome_unknown"


@pytest.mark.django_db(transaction=True)
def test_a_call_over_its_time_is_ended(alice: User) -> None:
    now = timezone.now()
    common = {"user": alice, "state": "live", "requested_at": now}
    Call.objects.create(request_id="req_long", deadline_at=now - timedelta(seconds=1), **common)
    Call.objects.create(request_id="req_short", deadline_at=now + timedelta(seconds=1), **common)

    assert sweep_calls(now) == 1
    assert dict(Call.objects.values_list("request_id", "end_reason")) == {"req_long": "time_limit", "req_short": ""}


def ended_call(user: User, name: str, ended_at: datetime) -> Call:
    return Call.objects.create(
        user=user, upstream_id=name, request_id="req", state="ended", requested_at=ended_at, ended_at=ended_at
    )


@pytest.mark.django_db(transaction=True)
def test_a_hang_up_that_fails_is_repeated_ever_more_rarely_until_it_is_too_late(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = timezone.now()
    ended_call(alice, "rtc_1", end)
    tries: list[int] = []
    for second in range(0, 1200, 2):
        monkeypatch.setattr(services, "hang_up_upstream", lambda call, at=second: tries.append(at))
        sweep_calls(end + timedelta(seconds=second))

    waits = [later - earlier for earlier, later in pairwise(tries)]
    assert tries[0] <= 4
    assert waits == sorted(waits)
    assert max(waits) <= 122
    assert len(tries) <= 12
    assert tries[-1] < 600


@pytest.mark.django_db(transaction=True)
def test_a_hang_up_that_another_worker_is_trying_is_left_to_it(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    ended_call(alice, "rtc_1", now - timedelta(seconds=10))
    asked: list[str | None] = []

    def ask_while_another_sweeps(call: Call) -> None:
        asked.append(call.upstream_id)
        if len(asked) == 1:
            sweep_calls(now)

    monkeypatch.setattr(services, "hang_up_upstream", ask_while_another_sweeps)
    sweep_calls(now)

    assert asked == ["rtc_1"]


@pytest.mark.django_db(transaction=True)
def test_one_sweep_tries_so_many_hang_ups_and_no_more(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    for number in range(HANG_UPS_A_SWEEP + 5):
        ended_call(alice, f"rtc_{number}", now - timedelta(seconds=10))
    asked: list[str | None] = []
    monkeypatch.setattr(services, "hang_up_upstream", lambda call: asked.append(call.upstream_id))
    sweep_calls(now)
    assert len(asked) == HANG_UPS_A_SWEEP
    sweep_calls(now)
    assert len(set(asked)) == HANG_UPS_A_SWEEP + 5


@pytest.mark.django_db(transaction=True)
def test_what_is_past_its_time_is_removed() -> None:
    then = timezone.now() - timedelta(days=100)
    QuotaCounter.objects.create(subject="user:1", metric="secrets_a_day", period_start=then)
    Session.objects.create(session_key="old", expire_date=then)
    worker.run_once()

    assert not QuotaCounter.objects.exists()
    assert not Session.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_job_that_fails_stops_none_of_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[object] = []

    def broken(now: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(worker, "JOBS", (broken, done.append))
    with caplog.at_level(logging.ERROR):
        worker.run_once()

    assert len(done) == 1
    assert "worker job failed job=broken" in caplog.text


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_told(tmp_path: Path, signal_number: signal.Signals) -> None:
    environment = os.environ | {"DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}", "REDIS_URL": ""}
    write_migrated(tmp_path / "db.sqlite3")
    process = subprocess.Popen(
        [sys.executable, "manage.py", "worker"], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert "worker started" in process.stderr.readline()
    process.send_signal(signal_number)
    _, said = process.communicate(timeout=20)

    assert process.returncode == 0
    assert "worker stopped" in said
    assert "Traceback" not in said
