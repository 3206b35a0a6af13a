"""The admin's lists answer who, when, for which agent, from where and with what outcome, by indexes alone."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.contrib.auth.models import Permission, User
from django.db import connection, connections
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from pytest_django.asserts import assertHTMLEqual

from audit.actions import Action
from audit.models import AuditEvent
from audit.services import record_event
from relay.models import Call
from tests.tokens.conftest import MakeKey
from tokens.models import ApiKey, Issuance
from tokens.services import secret_digest
from tools.models import ToolCall
from voiceagent import capped_paginator

LISTS = ["tokens/issuance", "relay/call", "audit/auditevent"]
EVIDENCE = [*LISTS, "tools/toolcall"]
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def looker(db: None) -> Client:
    """Somebody of the staff who may look at everything and do nothing."""
    user = User.objects.create_user("lou", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = Client()
    client.force_login(user)
    return client


def issued(number: int = 1, **changes: Any) -> Issuance:
    facts: dict[str, Any] = {"username": "alice", "status": "issued", "agent": "assistant", "requested_at": NOON}
    return Issuance.objects.create(request_id=f"req_row_{number}", **(facts | changes))


def called(number: int = 1, **changes: Any) -> Call:
    facts: dict[str, Any] = {"username": "alice", "state": "ended", "requested_at": NOON, "ended_at": NOON}
    return Call.objects.create(request_id=f"req_row_{number}", upstream_id=f"rtc_{number}", **(facts | changes))


def found(client: Client, model: str, query: str) -> set[int]:
    """Return the rows that a list shows."""
    response = client.get(f"/admin/{model}/?{query}")
    assert response.status_code == 200
    return {row.pk for row in response.context["cl"].result_list}


@pytest.mark.parametrize(
    "query",
    ["status=denied", "kind=direct", "agent=other", "code=rate_limited", "user=bob", "since=2026-11-21",
     "until=2026-11-19", "since=2026-11-18&until=2026-11-19", "status=denied&agent=other"],
)  # fmt: skip
def test_secrets_are_filtered(adas_client: Client, query: str) -> None:
    issued(1)
    moment = datetime(2026, 11, 21 if query == "since=2026-11-21" else 19, tzinfo=UTC)
    sought = {"status": "denied", "kind": "direct", "agent": "other", "error_code": "rate_limited", "username": "bob"}
    other = issued(2, requested_at=moment, **sought)

    assert found(adas_client, "tokens/issuance", query) == {other.pk}


def test_secrets_are_found_by_what_somebody_has_at_hand(adas_client: Client, alice: User, make_key: MakeKey) -> None:
    key = make_key().key
    digest = secret_digest("ek_1")
    row = issued(1, api_key=key, secret_digest=digest, secret_hint="9f3a", ip="2001:db8::7")
    called(7, issuance=row)
    issued(2, username="bob", ip="192.0.2.1", secret_hint="0000")

    for term in ("req_row_1", digest, "…9f3a", "...9f3a", "2001:db8::7", "rtc_7", key.public_part, "alice", "al"):
        assert found(adas_client, "tokens/issuance", f"q={term}") == {row.pk}, term
    assert found(adas_client, "tokens/issuance", f"key={key.public_part}") == {row.pk}
    for term in ("req_row_", "…9f3", "rtc_8", "vak_unknown", "carol", "0" * 64):
        assert not found(adas_client, "tokens/issuance", f"q={term}"), term


def test_a_former_user_is_found_by_the_whole_name(adas_client: Client) -> None:
    row = issued(username="gone")

    assert found(adas_client, "tokens/issuance", "q=gone") == {row.pk}


@pytest.mark.parametrize("cap", [2, 1000])
def test_a_name_s_start_finds_few_rows_and_many(adas_client: Client, cap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voiceagent.name_search.COUNT_CAP", cap)
    monkeypatch.setattr(capped_paginator, "COUNT_CAP", cap)
    for name in ("bea", "ben", "carl"):
        User.objects.create_user(name)
    rows = {issued(number, username=["bea", "ben"][number % 2]).pk for number in range(6)}
    issued(9, username="carl")

    shown = adas_client.get("/admin/tokens/issuance/?q=be").context["cl"]
    assert {row.pk for row in shown.result_list} <= rows
    assert shown.paginator.is_capped is (cap == 2)


def test_a_secret_in_the_search_box_is_turned_away(adas_client: Client, make_key: MakeKey) -> None:
    for value in (make_key().value, "ek_" + "5" * 64):
        response = adas_client.get("/admin/tokens/issuance/", {"q": value}, follow=True)

        assert response.redirect_chain == [("/admin/tokens/issuance/", 302)]
        assert "That was a secret" in response.content.decode()
        assert value not in response.content.decode()


@pytest.mark.parametrize(
    ("query", "events"),
    [
        ("action=policy.changed", {"policy:1"}),
        ("code=rate_limited", {"issuance:1"}),
        ("actor=user:77", {"policy:1"}),
        ("target=issuance:1", {"issuance:1"}),
        ("q=req_one", {"issuance:1"}),
        ("q=issuance:1", {"issuance:1"}),
        ("q=user:77", {"policy:1"}),
        ("q=rate_limited", {"issuance:1"}),
        ("q=nothing", set()),
        ("until=2026-11-19", set()),
    ],
)
def test_events_are_filtered_and_searched(adas_client: Client, query: str, events: set[str]) -> None:
    record_event(Action.CLIENT_SECRET_DENIED, request_id="req_one", target="issuance:1", code="rate_limited")
    record_event(Action.POLICY_CHANGED, request_id="req_two", target="policy:1", actor="user:77")

    response = adas_client.get(f"/admin/audit/auditevent/?{query}")
    assert {event.target for event in response.context["cl"].result_list} == events


def test_events_are_found_by_the_name_of_who_caused_them(adas_client: Client, alice: User) -> None:
    record_event(Action.POLICY_CHANGED, request_id="req_1", actor=f"user:{alice.pk}")
    record_event(Action.POLICY_CHANGED, request_id="req_2", actor="user:99999")

    assert len(found(adas_client, "audit/auditevent", "q=alice")) == 1


@pytest.mark.parametrize(
    "query", ["state=failed", "reason=administrator", "agent=other", "user=bob", "q=rtc_2", "q=req_row_2", "q=bob"]
)
def test_calls_are_filtered_and_searched(adas_client: Client, query: str) -> None:
    called(1)
    other = called(2, state="failed", end_reason="administrator", agent="other", username="bob")

    assert found(adas_client, "relay/call", query) == {other.pk}


@pytest.mark.parametrize(("zone", "seen"), [("UTC", False), ("Europe/Berlin", True), ("../etc", False)])
def test_a_day_is_the_reader_s_day(adas_client: Client, zone: str, seen: bool) -> None:
    issued(requested_at=datetime(2026, 11, 20, 23, 30, tzinfo=UTC))

    query = f"since=2026-11-21&until=2026-11-21&zone={zone}"
    assert bool(found(adas_client, "tokens/issuance", query)) is seen


@pytest.mark.parametrize("day", ["yesterday", "2026-13-01", "0001-01-01", "9999-12-31", "2026-11-20'"])
def test_what_is_no_day_finds_nothing_and_says_so(adas_client: Client, day: str) -> None:
    issued()
    response = adas_client.get("/admin/tokens/issuance/", {"since": day})

    assert "Give days such as" in response.content.decode()
    assert not response.context["cl"].result_list


def test_filters_in_use_can_be_taken_away_one_by_one(adas_client: Client) -> None:
    issued()
    response = adas_client.get("/admin/tokens/issuance/?status=issued&since=2026-11-01&q=alice")
    chips = {chip.words: chip.remove_query for chip in response.context["cl"].chips()}

    assert chips == {
        "Days: from 2026-11-01 (UTC)": "?q=alice&status=issued",
        "Outcome: Issued": "?q=alice&since=2026-11-01",
    }
    assert "Outcome: Issued" in response.content.decode()


@pytest.mark.parametrize("model", EVIDENCE)
@pytest.mark.parametrize(
    "query", ["secret_digest__startswith=a", "user_agent=x", "user__password__startswith=m", "body=1"]
)
def test_no_field_is_probed_through_the_address(adas_client: Client, model: str, query: str) -> None:
    assert adas_client.get(f"/admin/{model}/?{query}").status_code == 400


@pytest.mark.parametrize("model", EVIDENCE)
def test_the_order_is_the_index_s_whatever_the_address_says(adas_client: Client, model: str) -> None:
    ordered = adas_client.get(f"/admin/{model}/?o=2.-1").context["cl"].queryset.query.order_by

    assert ordered == (("-recorded_at" if model.startswith("audit") else "-requested_at"), "-pk")


@pytest.mark.parametrize("model", LISTS)
@pytest.mark.parametrize("query", ["", "all=", "_facets=True", "q=req_row_1"])
def test_no_list_counts_or_shows_everything(adas_client: Client, model: str, query: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(capped_paginator, "COUNT_CAP", 60)
    for number in range(70):
        called(number, issuance=issued(number))
        record_event(Action.CALL_ENDED, request_id=f"req_row_{number}")
    shown = adas_client.get(f"/admin/{model}/?{query}")
    words = shown.content.decode()

    assert not any(offer in words for offer in ("Show all", "Show counts", "showall"))
    assert len(shown.context["cl"].result_list) <= 50
    assert ("More than 10,000" in words) is ("q=" not in query)


@pytest.mark.parametrize("model", LISTS)
def test_every_row_of_a_list_without_end_is_reached_once(
    adas_client: Client, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capped_paginator, "COUNT_CAP", 60)
    for number in range(130):
        called(number, issuance=issued(number, requested_at=NOON - timedelta(seconds=number // 40)))
        record_event(Action.CALL_ENDED, request_id=f"req_row_{number}")
    seen: list[int] = []
    address = f"/admin/{model}/"
    for _ in range(5):  # more than enough
        shown = adas_client.get(address).context["cl"]
        seen += [row.pk for row in shown.result_list]
        if not shown.paginator.is_capped:
            break
        address = f"/admin/{model}/{shown.older_query()}"
    last = [
        row.pk
        for row in adas_client.get(f"/admin/{model}/{shown.get_query_string({'p': 2})}").context["cl"].result_list
    ]

    assert len(seen) == len(set(seen))
    everything = set(shown.model.objects.values_list("pk", flat=True))
    assert everything == {*seen, *last}


@pytest.mark.parametrize("place", ["x", "1-", "9999999999999999-1"])
def test_a_place_that_is_none_finds_nothing_or_everything(adas_client: Client, place: str) -> None:
    issued(1)
    response = adas_client.get("/admin/tokens/issuance/", {"before": place})
    assert response.status_code == 200
    assert len(response.context["cl"].result_list) == (1 if place.startswith("9") else 0)


@pytest.mark.parametrize("model", LISTS)
@pytest.mark.parametrize("query", ["", "q=alice", "q=al", "q=req_row_3", "agent=assistant", "since=2026-11-01", "p=2"])
def test_a_page_takes_a_fixed_number_of_queries(adas_client: Client, alice: User, model: str, query: str) -> None:
    if query == "agent=assistant" and model == "audit/auditevent":
        query = "action=call.ended"
    User.objects.create_user("alfred")
    for number in range(120):
        called(number, issuance=issued(number, user=alice), user=alice)
        record_event(Action.CALL_ENDED, request_id=f"req_row_{number}", actor=f"user:{alice.pk}")

    with CaptureQueriesContext(
        connection,
    ) as queries:
        found(adas_client, model, query)
    assert len(queries) <= 8, [entry["sql"] for entry in queries]


def test_a_list_of_tools_takes_a_fixed_number_of_queries(adas_client: Client) -> None:
    for number in range(60):
        ToolCall.objects.create(
            call=called(number), tool_call_id="call_1", name="find_book", state="done", requested_at=NOON
        )

    with CaptureQueriesContext(connection) as queries:
        assert len(found(adas_client, "tools/toolcall", "state=done&tool=find_book")) == 50
    assert len(queries) <= 8, [entry["sql"] for entry in queries]


PLANS = [
    ("tools/toolcall", "", "tool_call_time"),
    ("tools/toolcall", "state=waiting", "tool_call_state"),
    ("tools/toolcall", "tool=find_book", "tool_call_name"),
    ("tokens/issuance", "", "issuance_time"),
    ("tokens/issuance", "since=2026-11-20&until=2026-11-20", "issuance_time"),
    ("tokens/issuance", "status=denied", "issuance_status"),
    ("tokens/issuance", "kind=direct", "issuance_kind"),
    ("tokens/issuance", "agent=other", "issuance_agent"),
    ("tokens/issuance", "agent=other&since=2026-11-20", "issuance_agent"),
    ("tokens/issuance", "code=rate_limited", "issuance_code"),
    ("tokens/issuance", "user=bob", "issuance_username"),
    ("tokens/issuance", "q=bob", "issuance_username"),
    ("tokens/issuance", "q=192.0.2.1", "issuance_ip"),
    ("tokens/issuance", "q=…9f3a", "issuance_hint"),
    ("tokens/issuance", "q=" + "0" * 64, "issuance_digest_once"),
    ("tokens/issuance", "key=vak_00000001", "issuance_key"),
    ("tokens/issuance", "q=req_row_1", "issuance_request"),
    ("audit/auditevent", "", "event_time"),
    ("audit/auditevent", "action=call.ended", "event_action"),
    ("audit/auditevent", "code=user", "event_code"),
    ("audit/auditevent", "actor=user:1", "event_actor"),
    ("audit/auditevent", "target=call:1", "event_target"),
    ("relay/call", "", "call_time"),
    ("relay/call", "state=live", "call_state"),
    ("relay/call", "agent=other", "call_agent"),
    ("relay/call", "reason=user", "call_end_reason"),
    ("relay/call", "user=bob", "call_username"),
]


@pytest.mark.skipif(
    "connection.vendor != 'sqlite'", reason="PostgreSQL plans by statistics, which a short table has none of"
)
@pytest.mark.parametrize(("model", "query", "index"), PLANS)
def test_each_way_to_look_has_its_index_and_its_order(
    adas_client: Client, ada: User, model: str, query: str, index: str
) -> None:
    """No plan reads the table from end to end, and none sorts but where only few rows can be found."""
    issued()
    ApiKey.objects.create(user=ada, public_part="vak_00000001", pepper_number=0, created_at=NOON, expires_at=NOON)
    with CaptureQueriesContext(connection) as queries:
        response = adas_client.get(f"/admin/{model}/?{query}")
    assert response.status_code == 200
    table = model.replace("/", "_")
    lists = [entry["sql"] for entry in queries if f'FROM "{table}"' in entry["sql"] and "ORDER BY" in entry["sql"]]
    with connection.cursor() as cursor:
        plan = "\n".join(str(row) for sql in lists for row in cursor.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall())

    assert f"INDEX {index}" in plan, plan
    if index not in ("issuance_request", "issuance_hint", "event_target"):
        assert "TEMP B-TREE" not in plan, plan


@pytest.mark.django_db(transaction=True)
async def test_the_export_is_of_what_the_filters_find(ada: User) -> None:
    issued_later = sync_to_async(issued)
    await issued_later(1)
    denied = [await issued_later(number, status="denied") for number in (2, 3)]
    client = AsyncClient()
    await client.aforce_login(ada)
    everything = {"action": "export_csv", "_selected_action": [denied[0].pk], "select_across": "1"}
    response: Any = await client.post("/admin/tokens/issuance/?status=denied&q=alice", everything)
    text = b"".join([part async for part in response.streaming_content]).decode()
    event = await AuditEvent.objects.aget(action="issuances.exported")
    await sync_to_async(connections.close_all)()

    assert [line["request_id"] for line in csv.DictReader(io.StringIO(text))] == ["req_row_3", "req_row_2"]
    assert event.facts == {"rows": 2, "filters": "q=…&status=denied"}


def test_only_so_many_secrets_are_revoked_at_once(adas_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokens.admin.MAX_AT_ONCE", 1)
    first = issued(1)
    issued(2)
    everything = {"action": "revoke", "_selected_action": [first.pk], "select_across": "1"}
    response = adas_client.post("/admin/tokens/issuance/", everything, follow=True)

    assert "Nothing was revoked" in response.content.decode()
    assert not Issuance.objects.exclude(revoked_at=None).exists()


@pytest.mark.parametrize(("model", "action"), [("tokens/issuance", "revoke"), ("relay/call", "hang_up")])
def test_who_may_only_look_cannot_act(looker: Client, model: str, action: str) -> None:
    issuance, call = issued(), called(state="live", ended_at=None)
    pk = issuance.pk if model.startswith("tokens") else call.pk
    shown = looker.get(f"/admin/{model}/")
    assert shown.status_code == 200
    assert f'value="{action}"' not in shown.content.decode()
    looker.post(f"/admin/{model}/", {"action": action, "_selected_action": [pk]})

    assert Issuance.objects.get().revoked_at is None
    assert Call.objects.get().state == "live"


def test_the_page_of_a_secret_tells_everything_of_its_request(adas_client: Client) -> None:
    row = issued()
    call = called(issuance=row)
    ours = record_event(Action.CLIENT_SECRET_ISSUED, request_id=row.request_id, target=f"issuance:{row.pk}")
    other = record_event(Action.CALL_ENDED, request_id="req_other", target="call:99")
    shown = adas_client.get(f"/admin/tokens/issuance/{row.pk}/change/").content.decode()

    assert f"/admin/relay/call/{call.pk}/change/" in shown
    assert f"/admin/audit/auditevent/{ours.pk}/change/" in shown
    assert f"/admin/audit/auditevent/{other.pk}/change/" not in shown
    assert "/admin/tokens/issuance/?user=alice" in shown


def test_lists_tell_what_a_call_cost(adas_client: Client) -> None:
    called(issuance=issued(), cost_microdollars=1_250_000, metering="settled")

    assert "$1.25" in adas_client.get("/admin/tokens/issuance/").content.decode()
    assert "$1.25" in adas_client.get("/admin/relay/call/").content.decode()


def test_times_are_to_the_second_and_in_utc_for_whoever_needs_that(adas_client: Client) -> None:
    issued(requested_at=datetime(2026, 11, 20, 23, 30, 59, tzinfo=UTC))

    shown = adas_client.get("/admin/tokens/issuance/").content.decode()
    assert '<time datetime="2026-11-20T23:30:59Z" title="2026-11-20 23:30:59 UTC">' in shown


def test_what_is_not_ours_is_shown_as_text(adas_client: Client) -> None:
    evil = "<img src=x onerror=alert(1)>"
    row = issued(username=evil, agent=evil, user_agent=evil, error_code=evil, secret_hint="<b>")
    pages = [f"/admin/tokens/issuance/?{query}" for query in ("", "agent=<b>", "code=<b>", "user=<b>", "q=<b>")]

    for path in [*pages, f"/admin/tokens/issuance/{row.pk}/change/"]:
        shown = adas_client.get(path).content.decode()
        assert "<img src=x" not in shown
        assert "<b>" not in shown


def test_the_record_is_never_counted_to_its_end(adas_client: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        adas_client.get("/admin/audit/auditevent/")
    counts = [entry["sql"] for entry in queries if "COUNT(" in entry["sql"]]

    assert counts
    assert all("LIMIT 10001" in sql for sql in counts)
    assert AuditEvent.objects.count() == 0


@pytest.mark.django_db
def test_a_row_s_box_is_django_s_own() -> None:
    row = Issuance(pk=7, status="issued")
    listed = admin.site.get_model_admin(Issuance)

    assertHTMLEqual(listed.action_checkbox(row), ModelAdmin.action_checkbox(listed, row))
