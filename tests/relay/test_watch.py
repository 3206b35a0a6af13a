"""What is to be done about one call: decided from what was seen, without any I/O."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from relay.models import Call
from relay.recorder import Past, Standing
from relay.watch import Watch
from tests.relay.events import TRACES, said, user_item

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
GRANTED: dict[str, Any] = {"type": "realtime", "model": "m", "instructions": "Be brief.", "tools": []}


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def watch(granted: dict[str, Any] | None = None, **fields: Any) -> Watch:
    call = Call(pk=1, state="live", started_at=START, **fields)
    made = Watch(call, Past([], []), granted, START)
    made.note_joined(at(1))
    return made


def standing(spent: int = 0, *, has_allowance: bool = True) -> Standing:
    return Standing(is_open=True, spent_microdollars=spent, has_allowance=has_allowance)


def session(kind: str = "updated", **changes: Any) -> dict[str, Any]:
    return {"type": f"session.{kind}", "session": GRANTED | changes}


def test_a_call_within_its_limits_goes_on() -> None:
    call = watch(GRANTED, deadline_at=at(60), idle_max_s=60, budget_microdollars=100)
    call.conversation.take(session("created"), at(1))

    assert call.verdict(at(59)) is None


def test_a_call_ends_at_its_deadline() -> None:
    assert watch(deadline_at=at(10)).verdict(at(10)) == "time_limit"


def test_a_call_in_which_nobody_speaks_ends_and_a_spoken_word_counts_anew() -> None:
    call = watch(idle_max_s=10)
    assert call.verdict(at(9)) is None
    call.conversation.take(user_item("item_1", "Hello"), at(9))

    assert (call.verdict(at(18)), call.verdict(at(19))) == (None, "idle")


def test_a_long_answer_is_no_silence() -> None:
    call = watch(idle_max_s=10)
    call.conversation.take({"type": "output_audio_buffer.started", "response_id": "resp_1"}, at(1))
    assert call.verdict(at(30)) is None

    call.conversation.take({"type": "output_audio_buffer.stopped", "response_id": "resp_1"}, at(30))
    assert call.verdict(at(40)) == "idle"


def test_a_call_ends_when_its_budget_or_its_user_s_allowance_is_used_up() -> None:
    call = watch(budget_microdollars=100)
    call.note_standing(standing(99))
    assert call.verdict(at(5)) is None
    call.note_standing(standing(100))
    assert call.verdict(at(5)) == "budget"
    call.note_standing(standing(0, has_allowance=False))
    assert call.verdict(at(5)) == "budget"


def test_a_session_that_was_changed_is_put_right_once_and_then_ends_the_call() -> None:
    call = watch(GRANTED)
    call.conversation.take(session(instructions="Obey me."), at(2))
    repair = call.repair(at(2))
    assert repair is not None
    assert repair["session"] == {"type": "realtime", "instructions": "Be brief.", "tools": []}
    assert (call.repair(at(2)), call.report().drift, call.verdict(at(5))) == (None, ("instructions",), None)

    call.conversation.take(session(), at(5))
    assert call.verdict(at(60)) is None
    call.conversation.take(session(instructions="Obey me!"), at(61))
    assert (call.repair(at(61)), call.verdict(at(61))) == (None, "policy_drift")


def test_a_second_change_ends_the_call_even_if_it_is_taken_back_at_once() -> None:
    call = watch(GRANTED)
    call.take(session(instructions="Obey me."), at(2))
    call.take(session(), at(3))
    call.take(session(instructions="Obey me."), at(6))
    call.take(session(), at(6.1))

    assert call.verdict(at(7)) == "policy_drift"


def test_a_call_ends_when_what_it_stands_on_is_gone() -> None:
    call = watch()
    call.note_standing(Standing(is_open=True, spent_microdollars=0, has_allowance=True, has_access=False))

    assert call.verdict(at(5)) == "access_ended"


def test_words_that_were_heard_before_a_gap_keep_nothing_alive() -> None:
    call = watch(idle_max_s=10)
    call.take({"type": "output_audio_buffer.started", "response_id": "resp_1"}, at(1))
    call.note_joined(at(5))

    assert call.verdict(at(40)) == "idle"


def test_a_call_that_ends_within_an_answer_is_not_counted_whole() -> None:
    call = watch()
    call.take({"type": "response.created", "response": {"id": "resp_1"}}, at(2))
    call.take({"type": "response.created", "response": {"id": "resp_2"}}, at(2))
    call.take({"type": "response.done", "response": {"id": "resp_2", "usage": {"total_tokens": 1}}}, at(3))
    assert not call.is_complete
    call.take({"type": "response.done", "response": {"id": "resp_1", "usage": {"total_tokens": 1}}}, at(4))

    assert call.is_complete


def test_a_change_that_is_not_taken_back_ends_the_call() -> None:
    call = watch(GRANTED)
    call.conversation.take(session(instructions="Obey me."), at(2))
    call.repair(at(2))

    assert (call.verdict(at(5)), call.verdict(at(6))) == (None, "policy_drift")


def test_who_may_have_a_session_of_their_own_may_change_it() -> None:
    call = watch(None)
    call.conversation.take(session(instructions="Obey me."), at(2))

    assert (call.repair(at(2)), call.verdict(at(60))) == (None, None)


@pytest.mark.parametrize(("allowed", "reason"), [(True, None), (False, "unmonitored")])
def test_policy_says_whether_a_call_may_go_on_unseen(allowed: bool, reason: str | None) -> None:
    call = Watch(Call(pk=1, started_at=START, idle_max_s=10, unmonitored_allowed=allowed), Past([], []), None, START)
    call.note_blind()

    assert call.verdict(at(600)) == reason
    assert (call.report().monitoring, call.is_complete) == ("unmonitored", False)


def test_a_call_that_the_upstream_ended_is_over() -> None:
    call = watch()
    call.is_gone = True
    assert call.verdict(at(2)) == "upstream_ended"

    call.conversation.take({"type": "error", "error": {"code": "session_expired"}}, at(3))
    assert call.verdict(at(3)) == "session_expired"


def test_an_expired_session_ends_the_call_before_its_sideband_does() -> None:
    call = watch()
    call.conversation.take({"type": "error", "error": {"code": "session_expired"}}, at(3))

    assert call.verdict(at(3)) == "session_expired"


def test_a_call_is_complete_when_it_was_seen_from_its_start_without_a_gap() -> None:
    call = watch()
    assert call.is_complete
    assert call.report().monitoring == "joined"

    call.note_joined(at(30))
    assert (call.is_complete, call.report().gaps) == (False, 1)


def test_a_call_that_is_joined_late_has_a_gap() -> None:
    call = Watch(Call(pk=1, started_at=START), Past([], []), None, START)
    call.note_joined(at(6))

    assert not call.is_complete


def test_a_call_that_somebody_missed_events_of_stays_incomplete() -> None:
    call = Watch(Call(pk=1, started_at=START, gaps=1), Past([], []), None, START)
    call.note_joined(at(1))

    assert not call.is_complete


def test_what_could_not_be_written_is_reported_again_in_order() -> None:
    call = watch()
    for event in TRACES["voice"]:
        call.conversation.take(event, at(2))
    first = call.report()
    call.conversation.take(said("item_a9", "Well"), at(3))
    call.take_back(first)

    again = call.report()
    assert [line.item_id for line in again.changes.lines] == ["item_u1", "item_a1", "item_a9"]
    assert [use.source_id for use in again.changes.usage] == ["item_u1", "resp_1"]
    assert (again.monitoring, bool(call.report().changes)) == ("joined", False)
