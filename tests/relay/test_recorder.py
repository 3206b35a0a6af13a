"""Writing down what was seen of calls: once, for whoever holds the lease, as far as policy lets it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.models import Agent
from audit.models import AuditEvent
from relay.conversation import Changes, Conversation, Line, ToolCalled
from relay.models import Call, TranscriptItem
from relay.recorder import LEASE_S, Report, Standing, close_books, read_past, write_reports
from relay.services import end_call
from tests.relay.events import TRACES, said
from tests.relay.test_charges import MONEY_DAY, start, used
from tokens.models import ApiKey, Issuance, Policy
from usage.models import Price, UsageDay, UsageRecord

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("prices")]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ME, OTHER = "worker-1", "worker-2"
SESSION: dict[str, Any] = {
    "type": "session.created",
    "session": {"model": "gpt-realtime-2.1", "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}}},
}


@pytest.fixture
def call(alice: User, assistant: Agent) -> Call:
    """A live call that this process looks after."""
    return leased(start(alice, assistant))


def leased(call: Call, owner: str = ME) -> Call:
    Call.objects.filter(pk=call.pk).update(lease_owner=owner)
    call.refresh_from_db()
    return call


def seen(*events: dict[str, Any], conversation: Conversation | None = None) -> Changes:
    """What events change."""
    conversation = conversation or Conversation(NOW)
    for second, event in enumerate(events):
        conversation.take(event, NOW + timedelta(seconds=second))
    return conversation.drain()


def write(call: Call, changes: Changes | None = None, owner: str = ME, **more: Any) -> Standing | None:
    return write_reports(owner, [Report(call.pk, changes or Changes(), **more)], NOW).get(call.pk)


def test_words_usage_and_the_lease_are_written_together(call: Call) -> None:
    standing = write(call, seen(SESSION, *TRACES["voice"]))

    call.refresh_from_db()
    assert standing == Standing(is_open=True, spent_microdollars=6946 + 150, has_allowance=True)
    assert call.lease_until == NOW + timedelta(seconds=LEASE_S)
    assert list(TranscriptItem.objects.values_list("role", "text", "status")) == [
        ("user", "When do you open?", "done"), ("assistant", "We open at nine.", "done"),
    ]  # fmt: skip
    assert sorted(UsageRecord.objects.values_list("kind", "source_id", "model")) == [
        ("response", "resp_1", "gpt-realtime-2.1"), ("transcription", "item_u1", "gpt-transcribe"),
    ]  # fmt: skip


def test_the_worked_example_costs_what_it_should(call: Call) -> None:
    write(call, seen(*TRACES["voice"]))

    assert UsageRecord.objects.get(kind="response").picodollars == 6_945_600_000
    call.refresh_from_db()
    assert call.counted_picodollars == 6_945_600_000  # whatever writes words down is not known, and marked
    assert UsageRecord.objects.get(kind="transcription").unpriced


def test_two_processes_that_saw_the_same_count_it_once(call: Call) -> None:
    write(call, seen(SESSION, *TRACES["voice"]))
    leased(call, OTHER)

    write(call, seen(SESSION, *TRACES["voice"]), owner=OTHER)

    call.refresh_from_db()
    assert (UsageRecord.objects.count(), call.responses) == (2, 1)
    day = UsageDay.objects.get(model="gpt-realtime-2.1")
    assert (day.responses, day.audio_output, day.picodollars) == (1, 74, 6_945_600_000)


def test_who_lost_the_lease_writes_nothing(call: Call) -> None:
    leased(call, OTHER)

    assert write(call, seen(*TRACES["voice"])) is None
    assert (TranscriptItem.objects.count(), UsageRecord.objects.count()) == (0, 0)


def test_words_that_go_on_change_their_line(call: Call) -> None:
    conversation = Conversation(NOW)
    write(call, seen(said("item_1", "We open "), conversation=conversation))
    write(call, seen(said("item_1", "at nine."), conversation=conversation))

    assert TranscriptItem.objects.get().text == "We open at nine."


def test_who_takes_over_knows_what_was_written(call: Call) -> None:
    write(call, seen(*TRACES["voice"]))
    past = read_past(call)
    conversation = Conversation(NOW, past.lines, past.counted)

    assert not seen(*TRACES["voice"], conversation=conversation)
    assert [line.text for line in conversation.lines()] == ["When do you open?", "We open at nine."]


@pytest.mark.parametrize(("policy", "kept"), [("full", "Call +44 20 7946 0958."), ("redacted", "Call +[number].")])
def test_policy_decides_what_is_kept_of_words(alice: User, assistant: Agent, policy: str, kept: str) -> None:
    Policy.objects.create(user=alice, transcripts=policy)
    call = leased(start(alice, assistant))

    write(call, seen(said("item_1", "Call +44 20 7946 0958.")))

    assert TranscriptItem.objects.get().text == kept


def test_policy_can_keep_every_word_out_and_usage_is_counted_all_the_same(alice: User, assistant: Agent) -> None:
    Policy.objects.create(user=alice, transcripts="off")
    call = leased(start(alice, assistant))

    write(call, seen(*TRACES["voice"]))

    assert (TranscriptItem.objects.count(), UsageRecord.objects.count()) == (0, 2)


def test_text_that_no_database_takes_is_made_fit(call: Call) -> None:
    write(call, seen(said("item_\ud800", "a\0b\ud800c")))

    line = TranscriptItem.objects.get()
    assert (line.item_id, line.text) == ("item_?", "ab?c")


def test_what_no_database_takes_keeps_nobody_else_from_being_written(alice: User, assistant: Agent) -> None:
    bad, good = (leased(start(alice, assistant, number)) for number in range(2))
    poison = Changes([Line("item_1", NOW, role="user", text="Hello", heard_ms=10**30)])

    standings = write_reports(ME, [Report(bad.pk, poison), Report(good.pk, seen(*TRACES["voice"]))], NOW)

    assert standings.keys() == {bad.pk, good.pk}
    assert set(TranscriptItem.objects.values_list("call", flat=True)) == {good.pk}
    bad.refresh_from_db()
    assert (bad.gaps, bad.lease_until) == (1, NOW + timedelta(seconds=LEASE_S))
    close_books(bad, ME, complete=True)
    assert Call.objects.get(pk=bad.pk).metering != "settled"


def test_who_lost_their_access_is_told(call: Call, alice: User) -> None:
    assert _has_access(call)
    User.objects.filter(pk=alice.pk).update(is_active=False)

    assert not _has_access(call)


@pytest.mark.parametrize("fields", [{"enabled": False}, {"revoked_at": NOW}])
def test_a_revoked_key_s_call_has_no_access(call: Call, alice: User, fields: dict[str, Any]) -> None:
    key = ApiKey.objects.create(
        user=alice, public_part="vak_1", digest="d", pepper_number=1, created_at=NOW, expires_at=NOW
    )
    Issuance.objects.filter(call=call).update(api_key=key)
    assert _has_access(call)
    ApiKey.objects.update(**fields)

    assert not _has_access(call)


def test_a_revoked_secret_s_call_has_no_access(call: Call) -> None:
    Issuance.objects.filter(call=call).update(revoked_at=NOW)

    assert not _has_access(call)


def _has_access(call: Call) -> bool:
    standing = write(call)
    assert standing is not None
    return standing.has_access


def test_tool_calls_drift_and_blindness_are_on_record(call: Call) -> None:
    tool = ToolCalled("call_1", "find_book", "{}", NOW)
    write(call, Changes(tools=[tool]), drift=("instructions", "tools"), monitoring="unmonitored", gaps=2)

    call.refresh_from_db()
    assert (call.drift, call.monitoring, call.gaps) == ("instructions, tools", "unmonitored", 2)
    actions = set(AuditEvent.objects.filter(target=f"call:{call.pk}").values_list("action", flat=True))
    assert actions >= {"call.tool_called", "call.drifted", "call.unmonitored"}


def test_an_unchanged_state_is_recorded_once(call: Call) -> None:
    for _ in range(3):
        write(call, monitoring="unmonitored")

    assert AuditEvent.objects.filter(action="call.unmonitored").count() == 1


def test_an_ended_call_is_told_to_be_over(call: Call) -> None:
    end_call(call, reason=Call.EndReason.USER, actor="user:1")

    standing = write(call, seen(*TRACES["voice"]))

    assert standing is not None
    assert not standing.is_open
    assert UsageRecord.objects.count() == 2


def ended(call: Call, *events: dict[str, Any], **fields: object) -> Call:
    """End a call of 60 seconds in which these events were seen."""
    Call.objects.filter(pk=call.pk).update(started_at=NOW - timedelta(seconds=60), **fields)
    call.refresh_from_db()
    end_call(call, reason=Call.EndReason.USER, actor="user:1")
    write(call, seen(SESSION, *events))
    return call


def test_a_call_that_was_seen_whole_costs_what_was_counted(call: Call) -> None:
    close_books(ended(call, *TRACES["voice"]), ME, complete=True)

    call.refresh_from_db()
    assert (call.metering, call.cost_microdollars, call.lease_owner) == ("settled", 7096, "")
    assert used()[MONEY_DAY] == 7096


def test_a_call_that_was_seen_in_part_costs_at_least_what_was_counted(call: Call) -> None:
    call = ended(call, *TRACES["voice"])
    estimate = used()[MONEY_DAY]
    close_books(call, ME, complete=False)

    call.refresh_from_db()
    assert (call.metering, call.cost_microdollars, used()[MONEY_DAY]) == ("partial", 7096, estimate)


def test_a_call_of_which_nothing_was_seen_stays_an_estimate(call: Call) -> None:
    close_books(ended(call), ME, complete=False)

    call.refresh_from_db()
    assert call.metering == "unmetered"
    assert call.cost_microdollars


def test_a_silent_call_that_was_seen_whole_costs_nothing(call: Call) -> None:
    close_books(ended(call), ME, complete=True)

    call.refresh_from_db()
    assert (call.metering, call.cost_microdollars, used()[MONEY_DAY]) == ("settled", 0, 0)


def test_usage_without_a_price_is_never_free(call: Call) -> None:
    Price.objects.filter(model="gpt-realtime-2.1").delete()
    close_books(ended(call, *TRACES["voice"]), ME, complete=True)

    call.refresh_from_db()
    assert (call.cost_microdollars, call.unpriced, call.metering) == (None, True, "settled")


def test_only_its_keeper_closes_a_call_s_books(call: Call) -> None:
    close_books(ended(call, *TRACES["voice"]), OTHER, complete=True)

    call.refresh_from_db()
    assert (call.metering, call.lease_owner) == ("unmetered", ME)


def test_what_is_spent_past_the_reservation_is_reserved_or_refused(alice: User, assistant: Agent) -> None:
    Policy.objects.create(user=alice, microdollars_a_day=40_000, call_max_s=10)
    call = leased(start(alice, assistant))
    Call.objects.filter(pk=call.pk).update(charged_microdollars=5_000)
    assert used()[MONEY_DAY] == 16_000

    standing = write(call, seen(SESSION, *TRACES["voice"]))
    assert standing is not None
    assert standing.has_allowance
    assert used()[MONEY_DAY] == 16_000 + 2_096
    Policy.objects.filter(user=alice).update(microdollars_a_day=18_100)
    more = {"type": "response.done", "response": {"id": "resp_2", "status": "completed", "output": [],
                                                  "usage": {"output_tokens": 100}}}  # fmt: skip
    standing = write(call, seen(SESSION, more))

    assert standing is not None
    assert not standing.has_allowance
    assert used()[MONEY_DAY] == 18_096


def test_many_calls_are_written_in_few_statements(alice: User, assistant: Agent) -> None:
    Policy.objects.create(user=alice, calls_at_once=50)
    calls = [leased(start(alice, assistant, number)) for number in range(20)]

    def statements(reports: list[Report]) -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            write_reports(ME, reports, NOW)
        return [query["sql"] for query in captured]

    busy = [Report(call.pk, seen(said(f"item_{call.pk}", "Well"))) for call in calls]
    quiet = [Report(call.pk) for call in calls]

    assert len(statements(busy)) == len(statements(busy[:2])) <= 8
    assert len(statements(quiet)) <= 5
    assert not [sql for sql in statements(quiet) if '"session_changes"' in sql]  # whole rows cost five times as much


def test_the_local_engine_s_work_is_counted_and_free(call: Call, settings: Any) -> None:
    settings.UPSTREAM_IS_LOCAL = True
    write(call, seen(*TRACES["voice"]))

    assert (UsageRecord.objects.get(kind="response").picodollars, UsageDay.objects.count()) == (0, 2)


def test_lines_keep_how_much_of_them_was_heard(call: Call) -> None:
    write(call, seen(*TRACES["interrupted"]))

    item = TranscriptItem.objects.get()
    assert (item.status, item.heard_ms, item.text) == ("interrupted", 1450, "Dune is on the second floor, next to")
    assert read_past(call).lines == [
        Line(item.item_id, item.started_at, "item_fo1", "assistant", item.text, "interrupted", item.ended_at, 1450)
    ]
