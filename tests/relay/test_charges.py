"""What calls take from allowances: none starts without, each is cut to what is left and paid for once."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from pytest_django import Settings

from agents.models import Agent
from audit import group_commit
from audit.group_commit import commit_now
from audit.models import AuditEvent
from realtime_api.errors import CodedError, UpstreamBroken, UpstreamUnreachable
from relay import call_records
from relay.charges import charge_counted, settle
from relay.claims import CallWish
from relay.exceptions import ClientSecretUsed, TooManyCalls
from relay.models import Call
from relay.services import end_call, sweep_calls
from tokens import quotas
from tokens.exceptions import IssueError, ModelUnpriced, QuotaExceeded
from tokens.limits import RequestRates
from tokens.models import Issuance, Policy, QuotaCounter
from tokens.policy import allowance_of
from tokens.requester import Requester
from tokens.services import secret_digest
from usage.cost import Cost
from usage.models import Meter, Price

MODEL = "gpt-realtime-2.1"
A_SECOND = 1_600  # micro-dollars, while both speak: 10 tokens at $32 and 20 at $64 a million
DAY, MONTH = "seconds_a_day", "seconds_a_month"
MONEY_DAY, MONEY_MONTH = "microdollars_a_day", "microdollars_a_month"
NOW = datetime.now(UTC)
REQUESTER = Requester(user=None, api_key=None, request_id="req_tests", ip=None, user_agent="", origin="")

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("prices")]


def secret_of(user: User, assistant: Agent, number: int = 0, model: str = MODEL) -> str:
    """Return the value of a client secret that was issued to a user."""
    value = f"ek_{number:032x}"
    Issuance.objects.create(
        request_id="req_tests", user=user, username=user.username, agent_version=assistant.published,
        agent="assistant", model=model, status="issued", secret_digest=secret_digest(value),
        requested_at=NOW, expires_at=NOW + timedelta(hours=1),
    )  # fmt: skip
    return value


def claim(secret: str, requester: Requester) -> Call:
    """Claim a call as the relay does, in the caller's thread."""
    work = partial(
        call_records.write_claim, read=lambda: requester, wish=CallWish(secret, Call.Transport.WEBRTC),
        rates=RequestRates(),
    )  # fmt: skip
    claimed = commit_now(work)
    if isinstance(claimed, CodedError):
        raise claimed
    return claimed.call


def record_failure(call: Call, error: CodedError) -> None:
    commit_now(partial(call_records.failed, call=call, error=error))


def start(user: User, assistant: Agent, number: int = 0, model: str = MODEL) -> Call:
    """Return a live call of a user."""
    call = claim(secret_of(user, assistant, number, model), REQUESTER)
    Call.objects.filter(pk=call.pk).update(state="live", started_at=call.requested_at)
    call.refresh_from_db()
    return call


def end_after(call: Call, seconds: float) -> Call:
    """End a call as if it had lasted so long."""
    with transaction.atomic():
        ended_at = call.requested_at + timedelta(seconds=seconds)
        Call.objects.filter(pk=call.pk).update(state="ended", ended_at=ended_at, started_at=call.requested_at)
        assert settle(call)
    return call


def used() -> dict[str, int]:
    return dict(QuotaCounter.objects.values_list("metric", "used"))


def length_s(call: Call) -> float:
    assert call.deadline_at is not None
    return (call.deadline_at - call.requested_at).total_seconds()


def at_once(number: int, act: Callable[[int], Any]) -> list[Any]:
    """Do something in so many threads at the same moment; return what each returned, or the class that it raised."""
    barrier, results = threading.Barrier(number), []

    def run(index: int) -> None:
        barrier.wait()
        try:
            results.append(act(index))
        except IssueError as exc:
            results.append(type(exc))
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_call_without_limits_reserves_nothing_and_is_counted_all_the_same(alice: User, assistant: Agent) -> None:
    call = start(alice, assistant)
    assert (length_s(call), used()) == (3600, {})
    end_after(call, 60)

    assert (call.metering, call.cost_microdollars, call.unpriced) == ("unmetered", 60 * A_SECOND, False)
    assert used() == {DAY: 60, MONTH: 60, MONEY_DAY: 60 * A_SECOND, MONEY_MONTH: 60 * A_SECOND}


def test_a_call_s_length_is_cut_to_the_seconds_that_are_left(alice: User, assistant: Agent) -> None:
    Policy.objects.create(user=alice, seconds_a_day=100, seconds_a_month=90, call_max_s=60)
    first, second = start(alice, assistant, 1), start(alice, assistant, 2)

    assert (length_s(first), length_s(second)) == (60, 30)
    assert used() == {DAY: 90, MONTH: 90}
    end_after(first, 12.1)  # each begun second counts
    assert used() == {DAY: 43, MONTH: 43, MONEY_DAY: 13 * A_SECOND, MONEY_MONTH: 13 * A_SECOND}


def test_a_call_s_length_is_cut_to_what_the_money_pays_for(alice: User, assistant: Agent) -> None:
    Policy.objects.create(user=alice, microdollars_a_month=30 * A_SECOND + 1)
    call = start(alice, assistant)

    assert length_s(call) == 30
    assert used() == {MONEY_DAY: 30 * A_SECOND, MONEY_MONTH: 30 * A_SECOND}
    assert (call.charged_seconds, call.charged_microdollars) == (0, 30 * A_SECOND)


@pytest.mark.parametrize(
    ("limits", "metric"),
    [
        ({"seconds_a_day": 0}, DAY),
        ({"seconds_a_month": 9}, MONTH),
        ({"microdollars_a_day": 10 * A_SECOND - 1}, MONEY_DAY),
        ({"microdollars_a_month": 0}, MONEY_MONTH),
    ],
)
def test_who_has_too_little_left_gets_neither_secret_nor_call(
    alices_client: Client, alice: User, assistant: Agent, limits: dict[str, int], metric: str
) -> None:
    secret = secret_of(alice, assistant)
    Policy.objects.create(user=alice, **limits)
    refused = alices_client.post("/api/client-secret", {}, content_type="application/json")
    with pytest.raises(QuotaExceeded) as caught:
        claim(secret, REQUESTER)

    assert (refused.status_code, refused.json()["code"]) == (403, "quota_exceeded")
    assert refused.json()["context"] == caught.value.context
    assert caught.value.context["metric"] == metric
    assert caught.value.context["limit"] == next(iter(limits.values()))
    assert 0 < int(refused["Retry-After"]) <= 31 * 86_400
    assert not Call.objects.exists()
    assert Issuance.objects.get(status="issued").first_used_at is None
    assert Issuance.objects.get(status="denied").error_code == "quota_exceeded"


def test_the_relay_s_answer_says_when_to_come_back(alice: User, assistant: Agent, offer_sdp: str) -> None:
    Policy.objects.create(user=alice, seconds_a_day=5)
    answer = Client().post(
        "/v1/realtime/calls", offer_sdp, content_type="application/sdp",
        headers={"authorization": f"Bearer {secret_of(alice, assistant)}"},
    )  # fmt: skip

    assert (answer.status_code, json.loads(answer.content)["error"]["code"]) == (403, "quota_exceeded")
    assert 0 < int(answer["Retry-After"]) <= 86_400
    assert AuditEvent.objects.get(action="call.refused").code == "quota_exceeded"


def test_the_shortest_call_that_fits_is_let_through(alice: User, assistant: Agent) -> None:
    Policy.objects.create(user=alice, seconds_a_day=10)

    assert length_s(start(alice, assistant)) == 10


@pytest.mark.parametrize("limits", [{"seconds_a_day": 100}, {"microdollars_a_day": 100 * A_SECOND}])
def test_of_32_calls_at_once_exactly_as_many_start_as_are_paid_for(
    alice: User, assistant: Agent, limits: dict[str, int]
) -> None:
    Policy.objects.create(user=alice, call_max_s=10, calls_at_once=100, **limits)
    secrets = [secret_of(alice, assistant, number) for number in range(32)]
    results = at_once(32, lambda number: claim(secrets[number], REQUESTER))

    assert sum(isinstance(result, Call) for result in results) == 10
    assert results.count(QuotaExceeded) == 22
    assert used()[next(iter(limits))] == next(iter(limits.values()))
    assert Call.objects.count() == 10


def test_the_counter_alone_lets_exactly_as_many_through(alice: User) -> None:
    """Without the lock on the user's row that the relay takes besides."""
    Policy.objects.create(user=alice, call_max_s=10, seconds_a_day=100)
    allowance = allowance_of(alice, None)

    def reserve(_number: int) -> quotas.Reservation:
        with transaction.atomic():
            return quotas.reserve_call(alice, allowance, NOW, model=MODEL)

    results = at_once(32, reserve)

    assert results.count(quotas.Reservation(10, 10, 0)) == 10
    assert results.count(QuotaExceeded) == 22
    assert used() == {DAY: 100, MONTH: 100}


def test_two_limits_are_used_up_both_or_neither(alice: User) -> None:
    Policy.objects.create(user=alice, seconds_a_day=100, seconds_a_month=200)
    QuotaCounter.objects.create(
        subject=quotas.subject(alice), metric=MONTH, period_start=quotas.period_start(MONTH, NOW), used=195
    )
    with pytest.raises(QuotaExceeded), transaction.atomic():
        quotas.reserve_call(alice, allowance_of(alice, None), NOW, model=MODEL)

    assert used() == {MONTH: 195}


def test_a_call_is_settled_once_by_however_many_workers(alice: User, assistant: Agent) -> None:
    Policy.objects.create(user=alice, seconds_a_day=1000)
    call = start(alice, assistant)
    Call.objects.filter(pk=call.pk).update(started_at=call.requested_at - timedelta(seconds=50))
    ended = at_once(8, lambda _: end_call(Call.objects.get(), reason=Call.EndReason.HUNG_UP, actor="tests"))

    assert sorted(ended) == [False] * 7 + [True]
    call.refresh_from_db()
    assert 50 <= call.charged_seconds < 60
    assert used()[DAY] == used()[MONTH] == call.charged_seconds
    assert not settle(call)


def test_settling_itself_happens_once(alice: User, assistant: Agent) -> None:
    call = start(alice, assistant)
    Call.objects.filter(pk=call.pk).update(state="ended", ended_at=call.requested_at + timedelta(seconds=20))

    def settle_it(_number: int) -> bool:
        with transaction.atomic():
            return settle(Call.objects.get())

    assert sorted(at_once(32, settle_it)) == [False] * 31 + [True]
    assert used()[DAY] == 20


def test_what_came_to_nothing_costs_nothing(alice: User, assistant: Agent) -> None:
    Policy.objects.create(user=alice, seconds_a_day=60, microdollars_a_day=10**9)
    failed = claim(secret_of(alice, assistant, 1), REQUESTER)
    assert used()[DAY] == 60
    record_failure(failed, error=UpstreamUnreachable())
    unknown = claim(secret_of(alice, assistant, 2), REQUESTER)
    record_failure(unknown, error=UpstreamBroken())
    lost = claim(secret_of(alice, assistant, 3), REQUESTER)
    sweep_calls(lost.requested_at + timedelta(minutes=5))

    assert set(used().values()) == {0}
    lost.refresh_from_db()
    assert [call.metering for call in (failed, unknown, lost)] == ["settled", "unmetered", "unmetered"]


def test_a_call_that_gives_way_is_settled(alice: User, assistant: Agent) -> None:
    Policy.objects.create(user=alice, calls_at_once=1, seconds_a_day=100, call_max_s=60)
    first = start(alice, assistant, 1)
    second = start(alice, assistant, 2)

    first.refresh_from_db()
    assert (first.end_reason, first.metering) == ("replaced", "unmetered")
    assert used()[DAY] == first.charged_seconds + 60
    assert length_s(second) == 60


def test_a_claim_that_comes_too_late_for_its_secret_leaves_all_as_it_was(
    alice: User, assistant: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    Policy.objects.create(user=alice, calls_at_once=1, seconds_a_day=100, call_max_s=60)
    first, late = start(alice, assistant, 1), secret_of(alice, assistant, 2)
    found = Issuance.objects.get(secret_digest=secret_digest(late))

    found.agent_version = assistant.published

    def used_meanwhile(*arguments: object) -> object:
        Issuance.objects.filter(pk=found.pk).update(first_used_at=NOW)
        return found, alice, None

    monkeypatch.setattr("relay.call_records.claims.find_granted", used_meanwhile)

    with pytest.raises(ClientSecretUsed):
        claim(late, REQUESTER)

    first.refresh_from_db()
    assert (first.state, used()[DAY]) == ("live", 60)
    assert list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))[-1] == "call.refused"


def test_two_claims_of_one_secret_in_one_commit_reserve_once(alice: User, assistant: Agent) -> None:
    Policy.objects.create(user=alice, calls_at_once=5, seconds_a_day=100, call_max_s=20)
    secret = secret_of(alice, assistant)
    work = partial(
        call_records.write_claim, read=lambda: REQUESTER, wish=CallWish(secret, Call.Transport.WEBRTC),
        rates=RequestRates(),
    )  # fmt: skip

    outcomes = group_commit._commit([work, work])

    assert [type(refusal) for _, refusal in outcomes] == [type(None), ClientSecretUsed]
    assert (used()[DAY], Call.objects.count()) == (20, 1)


def test_a_refusal_gives_back_what_it_had_reserved(alice: User, assistant: Agent) -> None:
    Policy.objects.create(user=alice, calls_at_once=1, seconds_a_day=100)
    call = start(alice, assistant, 1)
    Call.objects.filter(pk=call.pk).update(last_seen_at=NOW)
    with pytest.raises(TooManyCalls):
        claim(secret_of(alice, assistant, 2), REQUESTER)

    assert used()[DAY] == 100


def test_a_call_counts_for_the_day_and_the_month_in_which_it_began(alice: User, assistant: Agent) -> None:
    Policy.objects.create(user=alice, seconds_a_day=100)
    call = start(alice, assistant)
    before = call.requested_at.replace(year=2026, month=1, day=31, hour=23, minute=59)
    Call.objects.filter(pk=call.pk).update(requested_at=before)
    QuotaCounter.objects.filter(metric=DAY).update(period_start=quotas.period_start(DAY, before))
    QuotaCounter.objects.filter(metric=MONTH).update(period_start=quotas.period_start(MONTH, before))
    call.refresh_from_db()
    end_after(call, 90)

    assert QuotaCounter.objects.filter(metric__in=[DAY, MONTH], used=90).count() == 2
    assert set(QuotaCounter.objects.values_list("period_start", flat=True)) == {
        datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    }  # fmt: skip


def test_a_call_that_ended_while_no_worker_ran_is_no_longer_than_sessions_are(alice: User, assistant: Agent) -> None:
    assert end_after(start(alice, assistant), 86_400).charged_seconds == 3600


def test_the_local_engine_is_free_and_its_seconds_count(alice: User, assistant: Agent, settings: Settings) -> None:
    settings.UPSTREAM_IS_LOCAL = True
    Policy.objects.create(user=alice, microdollars_a_day=0)
    call = end_after(start(alice, assistant), 30)

    assert (call.metering, call.cost_microdollars, call.unpriced) == ("free", 0, False)
    assert used() == {DAY: 30, MONTH: 30}


def test_a_model_without_price_is_marked_and_counts_as_the_dearest(alice: User, assistant: Agent) -> None:
    Policy.objects.create(user=alice, microdollars_a_day=20 * A_SECOND)
    call = start(alice, assistant, model="gpt-realtime-9")
    assert length_s(call) == 20
    end_after(call, 15)

    assert (call.cost_microdollars, call.unpriced) == (None, True)
    assert used()[MONEY_DAY] == 15 * A_SECOND


def test_a_model_without_price_is_blocked_by_setting(
    alices_client: Client, alice: User, assistant: Agent, settings: Settings
) -> None:
    Price.objects.filter(model=MODEL, meter=Meter.AUDIO_OUTPUT).delete()
    assert alices_client.post("/api/client-secret", {}, content_type="application/json").status_code == 200
    settings.UNPRICED_MODELS = "block"
    refused = alices_client.post("/api/client-secret", {}, content_type="application/json")

    assert (refused.status_code, refused.json()["code"]) == (403, "model_unpriced")
    with pytest.raises(ModelUnpriced):
        claim(secret_of(alice, assistant), REQUESTER)


def test_no_limit_of_money_holds_without_any_price(alice: User, assistant: Agent) -> None:
    Price.objects.all().delete()
    Policy.objects.create(user=alice, microdollars_a_day=10**9)

    with pytest.raises(ModelUnpriced):
        claim(secret_of(alice, assistant), REQUESTER)


def test_what_is_counted_later_takes_the_estimate_s_place_once(alice: User, assistant: Agent) -> None:
    call = end_after(start(alice, assistant), 60)
    stale = Call.objects.get()

    assert charge_counted(call, Cost(picodollars=6_945_600_000), complete=True)
    assert not charge_counted(stale, Cost(picodollars=1), complete=True)
    assert (call.metering, call.cost_microdollars, call.charged_seconds) == ("settled", 6_946, 60)
    assert used() == {DAY: 60, MONTH: 60, MONEY_DAY: 6_946, MONEY_MONTH: 6_946}


def test_counts_in_part_do_not_lower_what_the_allowance_holds(alice: User, assistant: Agent) -> None:
    call = end_after(start(alice, assistant), 60)
    charge_counted(call, Cost(picodollars=6_945_600_000), complete=False)

    assert (call.metering, call.cost_microdollars) == ("partial", 6_946)
    assert used()[MONEY_DAY] == 60 * A_SECOND


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"metering": "open"}, ""),
        ({"metering": "free", "cost_microdollars": 0}, "free"),
        ({"metering": "unmetered", "unpriced": True}, "no price"),
        ({"metering": "unmetered", "cost_microdollars": 96_000}, "about $0.096"),
        ({"metering": "partial", "cost_microdollars": 2_000_000}, "at least $2.00"),
        ({"metering": "settled", "cost_microdollars": 6_946}, "$0.006946"),
    ],
)
def test_the_cost_says_how_sure_it_is(facts: dict[str, Any], words: str) -> None:
    assert Call(**facts).cost_words == words


def test_history_shows_the_cost(alice: User, ada: User, assistant: Agent, client: Client) -> None:
    end_after(start(alice, assistant), 60)
    client.force_login(ada)

    for page in ("/admin/relay/call/", "/admin/tokens/issuance/"):
        assert "about $0.096" in client.get(page).content.decode()
    shown = client.get(f"/admin/relay/call/{Call.objects.get().pk}/change/").content.decode()
    assert "60 seconds, $0.096" in shown
    assert "96000" not in shown


def test_limits_of_calls_leave_no_direct_secrets_unless_a_policy_names_them(alice: User) -> None:
    assert allowance_of(alice, None).kinds == ("relayed", "direct")
    policy = Policy.objects.create(user=alice, microdollars_a_month=0)
    assert allowance_of(alice, None).kinds == ("relayed",)
    policy.allowed_kinds = ["direct"]
    policy.save()

    assert allowance_of(alice, None).kinds == ("direct",)
