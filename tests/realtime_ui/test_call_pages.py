"""One's own calls: the list with its filters and pages, one call, taking its words away and deleting them."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from audit.models import AuditEvent
from realtime_ui.call_words import END_WORDS, METER_WORDS, STATE_WORDS
from relay.models import Call, CallCommand, Handoff, TranscriptItem
from tokens.models import Policy
from tools.models import ToolCall
from usage.models import Meter, UsageRecord

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def add(user: User, number: int = 1, **fields: object) -> Call:
    begun = {
        "upstream_id": f"rtc_{user}{number}", "request_id": "r", "state": "ended", "agent": "assistant",
        "requested_at": NOW, "started_at": NOW, "ended_at": NOW + timedelta(seconds=75), "end_reason": "user",
        "metering": "settled", "cost_microdollars": 40_000,
    }  # fmt: skip
    return Call.objects.create(user=user, **{**begun, **fields})


@pytest.fixture
def many_calls(alice: User) -> int:
    """A hundred thousand calls of Alice, told apart by their minute; returns a number from their middle."""
    for number in range(100):
        add(alice, number, upstream_id=None, requested_at=NOW - timedelta(minutes=number))
    names = ", ".join(f'"{field.column}"' for field in Call._meta.concrete_fields if not field.primary_key)
    with connection.cursor() as cursor:
        cursor.execute(f"""INSERT INTO relay_call ({names}) SELECT {names} FROM relay_call CROSS JOIN
            (WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 999)
             SELECT n FROM numbers) AS times""")
        cursor.execute("ANALYZE")
    last = Call.objects.last()
    assert last
    return last.pk - 50_000


def say(call: Call, role: str, text: str, **fields: object) -> None:
    number = call.transcript.count()
    TranscriptItem.objects.create(
        call=call, item_id=f"item_{number}", previous_item_id=f"item_{number - 1}" if number else "", role=role,
        text=text, started_at=NOW + timedelta(seconds=number), **{"status": "done", **fields},
    )  # fmt: skip


def shown(client: Client, query: str = "") -> list[int]:
    """Return the numbers of the calls that the list shows."""
    html = client.get(f"/calls/{query}").content.decode()
    return [int(number) for number in re.findall(r'<tr data-call="(\d+)"', html)]


def text_of(client: Client, path: str) -> str:
    html = client.get(path).content.decode()
    return " ".join(re.sub(r"<[^>]*>", " ", html[html.index("<main") :]).split())


@pytest.mark.django_db
def test_item_76_a_row_tells_when_who_how_and_what_it_cost(alices_client: Client, alice: User) -> None:
    add(alice)
    page = text_of(alices_client, "/calls/")

    assert "2026-11-21 12:00:00 UTC Assistant You ended it 1 min 15 s $0.04" in page
    assert "Times are in UTC ." in page


@pytest.mark.django_db
def test_item_76_the_newest_come_first_25_a_page_to_the_end(alices_client: Client, alice: User) -> None:
    calls = [add(alice, number).pk for number in range(60)]
    html = alices_client.get("/calls/").content.decode()
    pages = [shown(alices_client)]
    while more := re.search(r'href="(\?before=\d+)" data-part="more"', html):
        pages.append(shown(alices_client, more[1]))
        html = alices_client.get(f"/calls/{more[1]}").content.decode()

    assert [len(page) for page in pages] == [25, 25, 10]
    assert [number for page in pages for number in page] == calls[::-1]


@pytest.mark.django_db
def test_item_76_filters_narrow_the_list_and_stay_with_the_next_page(alices_client: Client, alice: User) -> None:
    late = add(alice, 1, requested_at=NOW + timedelta(hours=10))  # the 22nd in Berlin
    other = add(alice, 2, agent="other")
    failed = add(alice, 3, state="failed", end_reason="")
    live = add(alice, 4, state="live", ended_at=None, end_reason="", metering="open")
    for number in range(5, 32):
        add(alice, number, agent="many")

    assert shown(alices_client, "?since=2026-11-22&zone=Asia/Tokyo") == [late.pk]
    assert late.pk not in shown(alices_client, "?until=2026-11-21&zone=Asia/Tokyo")
    assert shown(alices_client, "?agent=other") == [other.pk]
    assert shown(alices_client, "?result=failed") == [failed.pk]
    assert shown(alices_client, "?result=live") == [live.pk]
    html = alices_client.get("/calls/?agent=many&zone=Asia/Tokyo").content.decode()
    assert re.search(r'href="\?zone=Asia%2FTokyo&amp;agent=many&amp;before=\d+" data-part="more"', html)


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["?since=x", "?until=0001-01-01", "?result=nothing", "?before=1"])
def test_what_cannot_be_found_says_so(alices_client: Client, alice: User, query: str) -> None:
    add(alice)

    assert shown(alices_client, query) == []
    assert "No call is like that." in text_of(alices_client, f"/calls/{query}")


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["?before=x", "?before=" + "9" * 30, "?zone=../etc/passwd", "?zone=x"])
def test_what_makes_no_sense_is_left_out(alices_client: Client, alice: User, query: str) -> None:
    call = add(alice)

    assert shown(alices_client, query) == [call.pk]


@pytest.mark.django_db
def test_days_near_are_the_viewer_s(alices_client: Client) -> None:
    html = alices_client.get("/calls/?zone=Pacific/Kiritimati").content.decode()
    today = timezone.now().astimezone(UTC) + timedelta(hours=14)

    assert f"?since={today:%Y-%m-%d}&amp;zone=Pacific%2FKiritimati" in html


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["", "row/", "words.txt", "words.json", "words/delete/"])
def test_item_76_another_s_call_is_no_call(client: Client, alice: User, charlie: User, path: str) -> None:
    call = add(alice)
    client.force_login(charlie)

    assert client.get(f"/calls/{call.pk}/{path}").status_code == 404
    assert client.post(f"/calls/{call.pk}/end/").status_code == 404
    assert client.post(f"/calls/{call.pk}/words/delete/").status_code == 404
    assert shown(client) == []


@pytest.mark.django_db
def test_a_page_takes_few_queries(alices_client: Client, alice: User) -> None:
    for number in range(25):
        add(alice, number, agent=f"agent{number}")
    with CaptureQueriesContext(connection) as captured:
        alices_client.get("/calls/")

    assert len(captured) <= 4  # session, user, calls, agents


@pytest.mark.django_db
def test_item_76_a_hundred_thousand_calls_are_not_sorted(alices_client: Client, many_calls: int) -> None:
    for filters in ("", f"before={many_calls}"):
        with CaptureQueriesContext(connection) as captured:
            assert alices_client.get(f"/calls/?{filters}").status_code == 200
        lists = [query["sql"] for query in captured if '"relay_call"."id" DESC' in query["sql"]]
        assert lists
        with connection.cursor() as cursor:
            for sql in lists:
                cursor.execute(f"EXPLAIN {'QUERY PLAN ' * (connection.vendor == 'sqlite')}{sql}")
                plan = "\n".join(str(row) for row in cursor.fetchall())
                assert not re.search("TEMP B-TREE|Sort Key", plan), plan


@pytest.mark.django_db(transaction=True)
def test_item_77_a_live_call_is_ended_from_the_list(alices_client: Client, alice: User) -> None:
    call = add(alice, state="live", ended_at=None, end_reason="", metering="open", transport="websocket")
    assert "Live" in text_of(alices_client, "/calls/")
    answer = alices_client.post(f"/calls/{call.pk}/end/", {"from": "list"})

    call.refresh_from_db()
    assert (answer["Location"], call.state, call.end_reason) == ("/calls/", "ended", "hung_up")
    assert "You hung up elsewhere" in text_of(alices_client, f"/calls/{call.pk}/row/".replace("row/", ""))
    assert AuditEvent.objects.get(action="call.ended").actor == f"user:{alice.pk}"


@pytest.mark.django_db
def test_item_78_a_call_shows_its_words_tools_cost_and_what_happened(alices_client: Client, alice: User) -> None:
    earlier = add(alice, 1)
    call = add(alice, 2, continues=earlier, end_reason="administrator", end_detail="Too loud")
    say(call, "user", "When do you <b>open</b>?")
    ToolCall.objects.create(
        call=call, tool_call_id="t", name="opening_hours", arguments='{"day": "today"}', state="done", requested_at=NOW
    )
    Handoff.objects.create(call=call, agent="sales", by="model", at=NOW)
    say(call, "assistant", "We open at nine.", status="interrupted")
    for number, kind in enumerate(["response", "response", "transcription"]):
        UsageRecord.objects.create(
            call_number=call.pk, kind=kind, source_id=f"{number}", at=NOW, model="m", audio_output=74,
            picodollars=4_736_000_000, unpriced=kind == "transcription",
        )  # fmt: skip
    page = text_of(alices_client, f"/calls/{call.pk}/")

    assert "When do you &lt;b&gt;open&lt;/b&gt;?" in page
    assert "We open at nine. (interrupted)" in page
    assert "opening_hours: Done {&quot;day&quot;: &quot;today&quot;}" in page
    assert "Handed over to sales" in page
    assert "Replies (2) $0.009472 m: 148 sound out" in page
    assert "Writing down what you said (1) no price" in page
    assert "Ended by an administrator" in page
    assert "Reason given Too loud" in page
    assert f'<a href="/calls/{earlier.pk}/">' in alices_client.get(f"/calls/{call.pk}/").content.decode()
    assert f'<a href="/calls/{call.pk}/">' in alices_client.get(f"/calls/{earlier.pk}/").content.decode()


@pytest.mark.django_db
def test_item_78_words_are_taken_away_as_text_and_as_json(alices_client: Client, alice: User) -> None:
    call = add(alice)
    say(call, "user", "Grüße")
    say(call, "assistant", "Hello.")
    as_text = alices_client.get(f"/calls/{call.pk}/words.txt")
    as_json = alices_client.get(f"/calls/{call.pk}/words.json")

    assert as_text["Content-Disposition"] == f'attachment; filename="call-{call.pk}.txt"'
    assert as_text.content.decode().splitlines() == [
        "Call of 2026-11-21 12:00 UTC with Assistant, rtc_alice1", "", "[12:00:00] You: Grüße",
        "[12:00:01] Assistant: Hello.",
    ]  # fmt: skip
    assert [line["text"] for line in json.loads(as_json.content)["transcript"]] == ["Grüße", "Hello."]


@pytest.mark.django_db(transaction=True)
def test_item_78_words_are_deleted_after_a_question_and_that_is_on_record(alices_client: Client, alice: User) -> None:
    call = add(alice)
    say(call, "user", "A secret.")
    say(call, "assistant", "Quite so.")
    ToolCall.objects.create(
        call=call, tool_call_id="t", name="note", arguments="A secret.", result="Noted.", state="done", requested_at=NOW
    )
    CallCommand.objects.create(call=call, kind="say", text="A secret.", requested_at=NOW)
    asked = text_of(alices_client, f"/calls/{call.pk}/words/delete/")
    assert "Delete what was said?" in asked
    assert call.transcript.count() == 2
    alices_client.post(f"/calls/{call.pk}/words/delete/")

    page = text_of(alices_client, f"/calls/{call.pk}/")
    assert call.transcript.count() == 0
    assert ToolCall.objects.values_list("arguments", "result").get() == ("", "")
    assert CallCommand.objects.get().text == ""
    assert "A secret." not in page
    assert "You deleted what was said" in page
    event = AuditEvent.objects.get(action="transcript.deleted")
    assert (event.target, event.actor) == (f"call:{call.pk}", f"user:{alice.pk}")
    assert event.facts["items"] == 2
    alices_client.post(f"/calls/{call.pk}/words/delete/")
    assert AuditEvent.objects.filter(action="transcript.deleted").count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("by", ["setting", "policy"])
def test_item_78_policy_says_whether_words_may_be_deleted(
    alices_client: Client, alice: User, settings: Settings, by: str
) -> None:
    call = add(alice)
    say(call, "user", "A secret.")
    if by == "setting":
        settings.DELETE_TRANSCRIPTS = "deny"
    else:
        Policy.objects.create(user=alice, delete_transcripts=False)

    assert "Delete what was said" not in text_of(alices_client, f"/calls/{call.pk}/")
    page = alices_client.post(f"/calls/{call.pk}/words/delete/", follow=True).content.decode()
    assert "Your policy does not let you delete what was said." in page
    assert call.transcript.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fields", [{"state": "live", "ended_at": None}, {"lease_owner": "worker-1"}])
def test_words_that_are_still_written_are_not_deleted(
    alices_client: Client, alice: User, fields: dict[str, Any]
) -> None:
    call = add(alice, **fields)
    say(call, "user", "A secret.")
    page = alices_client.post(f"/calls/{call.pk}/words/delete/", follow=True).content.decode()

    assert "Words can be deleted once the call is over" in page
    assert call.transcript.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(("fields", "words"), [
    ({"transcripts": "off"}, "What was said in this call was not kept."),
    ({"state": "live", "ended_at": None}, "Nothing has been said yet."),
    ({"state": "failed", "end_reason": ""}, "There are no words of this call."),
])  # fmt: skip
def test_a_call_without_words_says_why(alices_client: Client, alice: User, fields: dict[str, Any], words: str) -> None:
    assert words in text_of(alices_client, f"/calls/{add(alice, **fields).pk}/")


@pytest.mark.django_db
@pytest.mark.parametrize(("fields", "words"), [
    ({"metering": "free", "cost_microdollars": 0}, "Free"),
    ({"metering": "unmetered"}, "about $0.04"),
    ({"metering": "partial"}, "at least $0.04"),
    ({"cost_microdollars": None}, "Not known"),
    ({"state": "live", "ended_at": None, "metering": "open", "monitoring": "joined", "counted_picodollars": 5 * 10**9},
     "$0.01 so far"),
])  # fmt: skip
def test_a_cost_says_how_sure_it_is(alices_client: Client, alice: User, fields: dict[str, Any], words: str) -> None:
    add(alice, **fields)

    assert words in text_of(alices_client, "/calls/")


def test_every_end_and_state_has_words() -> None:
    assert set(Call.EndReason) == set(END_WORDS)
    assert set(Call.State) == set(STATE_WORDS)
    assert set(Meter) == set(METER_WORDS)
