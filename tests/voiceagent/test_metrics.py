"""What a monitoring system is told: who may read it, that it is well formed, true, and names nobody."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from audit.sealer import Sealer
from realtime_api import timings
from realtime_api.errors import UpstreamTimeout
from realtime_api.upstream import logged
from relay.models import Call
from tests.audit.conftest import sealer, write_events
from voiceagent import metrics

__all__ = ["sealer"]
pytestmark = pytest.mark.django_db(transaction=True)
TOKEN = "a-token-of-the-monitoring"
LINE = re.compile(r'[a-z_]+(\{([a-z]+="([^"\\\n]|\\.)*",?)+\})? [0-9.e+-]+')


@pytest.fixture(autouse=True)
def fresh(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.METRICS_TOKEN = TOKEN
    monkeypatch.setattr(metrics, "_of_database", metrics._OfDatabase())
    monkeypatch.setattr(timings, "_timings", {})


def read() -> dict[str, float]:
    """Read the metrics as a monitoring system does: each line's name with its labels, and its value."""
    metrics._of_database.forget()
    response = Client(headers={"authorization": f"Bearer {TOKEN}"}).get("/metrics")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in response.content.decode().splitlines() if not line.startswith("#")]
    assert all(LINE.fullmatch(line) for line in lines), lines
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def live_call(user: User, transport: str) -> None:
    now = timezone.now()
    Call.objects.create(user=user, transport=transport, state="live", request_id="r", requested_at=now)


def test_only_the_token_and_staff_who_may_see_the_record_are_answered(
    client: Client, alices_client: Client, adas_client: Client, settings: Settings
) -> None:
    def status(**headers: str) -> int:
        return client.get("/metrics", headers=headers).status_code

    assert [status(authorization=f"Bearer {value}") for value in (TOKEN, TOKEN[:-1], "")] == [200, 401, 401]
    assert [each.get("/metrics").status_code for each in (client, alices_client, adas_client)] == [401, 401, 200]
    settings.METRICS_TOKEN = ""
    assert [status(authorization="Bearer "), status(authorization=f"Bearer {TOKEN}")] == [401, 401]


def test_events_count_once_they_are_sealed(sealer: Sealer) -> None:
    write_events(3)
    sealer.seal()
    write_events(2)
    found = read()
    sealer.seal()
    after = read()

    assert found['voiceagent_events_total{action="call.ended"}'] == 3
    assert (found["voiceagent_record_unsealed"], after["voiceagent_record_unsealed"]) == (2, 0)
    assert found["voiceagent_record_lag_seconds"] > 0
    assert after['voiceagent_events_total{action="call.ended"}'] == 5


def test_calls_that_go_on_are_counted_by_transport(alice: User) -> None:
    for transport in ("webrtc", "webrtc", "websocket"):
        live_call(alice, transport)

    found = read()

    assert found['voiceagent_calls_live{transport="webrtc"}'] == 2
    assert found['voiceagent_calls_live{transport="websocket"}'] == 1


def test_what_the_upstream_took_is_a_histogram() -> None:
    timings.observe("mint", "ok", 0.3)
    timings.observe("mint", "ok", 20.0)
    with pytest.raises(UpstreamTimeout), logged("mint"):
        raise UpstreamTimeout

    found = read()

    name = 'voiceagent_upstream_seconds_%s{attempt="mint",outcome="ok"%s}'
    buckets = [found[name % ("bucket", f',le="{bound}"')] for bound in ("0.25", "0.5", "10.0", "+Inf")]
    assert buckets == [0, 1, 1, 2]
    assert (found[name % ("count", "")], found[name % ("sum", "")]) == (2, 20.3)
    timed_out = [name for name in found if UpstreamTimeout.code in name and name.startswith("voiceagent_upstream")]
    assert len(timed_out) == len(timings.BOUNDS_S) + 3


def test_the_database_is_not_asked_for_each(alice: User) -> None:
    read()
    live_call(alice, "webrtc")
    answer = Client(headers={"authorization": f"Bearer {TOKEN}"}).get("/metrics").content.decode()

    assert 'voiceagent_calls_live{transport="webrtc"} 0' in answer


def test_the_record_s_state_and_exports_are_told(sealer: Sealer) -> None:
    write_events(1)
    sealer.seal()
    found = read()

    states = {name: value for name, value in found.items() if name.startswith("voiceagent_record_state")}
    assert sum(states.values()) == 1
    assert found["voiceagent_record_orphans"] == 0
    assert found["process_resident_memory_bytes"] > 1_000_000
