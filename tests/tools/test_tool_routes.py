"""The routes of a call's tools: one's own call, what waits for one's own word, and only where no server runs it."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from agents.models import Agent
from audit.models import AuditEvent
from relay.models import Call
from tests.tools.conftest import ran
from tokens.key_services import create_api_key
from tools.models import Tool, ToolCall
from tools.services import Wanted, begin

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def call(alice: User, librarian: Agent) -> Call:
    """Alice's live call, which no server can see."""
    now = timezone.now()
    return Call.objects.create(
        upstream_id="rtc_1", user=alice, username="alice", agent="librarian", agent_version=librarian.published,
        request_id="req_1", state="live", monitoring="unmonitored", requested_at=now, started_at=now,
    )  # fmt: skip


def run(client: Client, name: str, call_id: str = "rtc_1", tool_call_id: str = "call_1", **arguments: Any) -> Any:
    body = {"callId": call_id, "toolCallId": tool_call_id, "arguments": json.dumps(arguments)}
    return client.post(f"/api/tools/{name}", body, content_type="application/json")


def waiting(call: Call, name: str = "asks_first") -> ToolCall:
    begun = begin(Wanted(call.pk, f"call_{name}", name, "{}", is_allowed=True))
    assert begun is not None
    return begun.row


def decide(client: Client, row: ToolCall, approve: object = True) -> Any:
    return client.post(f"/api/calls/rtc_1/tools/{row.pk}", {"approve": approve}, content_type="application/json")


def test_a_page_runs_a_tool_of_a_call_that_nobody_sees(alices_client: Client, call: Call) -> None:
    answer = run(alices_client, "find_book", title="Dune")

    assert json.loads(answer.json()["output"])["copies"] == 2
    events = AuditEvent.objects.filter(action__startswith="tool.").order_by("id")
    assert [event.action for event in events] == ["tool.requested", "tool.done"]


def test_it_is_run_once_whoever_asks_again(alices_client: Client, call: Call) -> None:
    run(alices_client, "find_book", title="Dune")

    again = run(alices_client, "find_book", title="Dune")
    assert (again.status_code, again.json()["code"], ran) == (409, "tool_runs_elsewhere", ["Dune"])


def test_a_call_with_a_sideband_has_its_tools_run_by_the_server(alices_client: Client, call: Call) -> None:
    Call.objects.filter(pk=call.pk).update(monitoring="joined")

    assert run(alices_client, "find_book", title="Dune").json()["code"] == "tool_runs_elsewhere"
    assert ran == []


@pytest.mark.parametrize(("name", "status"), [("no_such", 404), ("find_book", 422), ("asks_first", 403)])
def test_what_is_not_run_is_told_to_the_model_and_recorded(
    alices_client: Client, call: Call, name: str, status: int
) -> None:
    output = json.loads(run(alices_client, name).json()["output"])

    assert (output["error"], output["status"]) == (True, status)
    assert ToolCall.objects.get().state == "refused"
    assert AuditEvent.objects.filter(action="tool.refused").count() == 1


def test_a_tool_that_the_agent_has_not_is_refused(alices_client: Client, call: Call, assistant: Agent) -> None:
    Call.objects.filter(pk=call.pk).update(agent_version=assistant.published)

    assert json.loads(run(alices_client, "find_book", title="Dune").json()["output"])["status"] == 403
    assert ran == []


@pytest.mark.parametrize("call_id", ["rtc_1", "rtc_forged"])
def test_another_s_call_and_a_forged_id_are_no_call(client: Client, charlie: User, call: Call, call_id: str) -> None:
    client.force_login(charlie)

    assert run(client, "find_book", call_id, title="Dune").json()["code"] == "unknown_call"
    assert decide(client, waiting(call)).json()["code"] == "unknown_call"
    assert client.get("/api/calls/rtc_1/tools").status_code == 404
    assert ran == []


def test_a_person_sees_what_waits_and_gives_their_word(alices_client: Client, alice: User, call: Call) -> None:
    row = waiting(call)
    (shown,) = alices_client.get("/api/calls/rtc_1/tools").json()["results"]
    assert (shown["id"], shown["state"], shown["publicName"]) == (row.pk, "waiting", "Something grave")

    assert decide(alices_client, row).json()["approved"] is True
    assert decide(alices_client, row, approve=False).json()["code"] == "nothing_to_approve"
    event = AuditEvent.objects.get(action="tool.approved")
    assert (event.actor, event.target) == (f"user:{alice.pk}", f"toolcall:{row.pk}")


def test_what_waits_for_staff_is_not_the_person_s_to_decide(alices_client: Client, call: Call) -> None:
    assert decide(alices_client, waiting(call, "asks_staff")).json()["code"] == "nothing_to_approve"


def test_a_key_gives_nobody_s_word(alice: User, call: Call) -> None:
    made = create_api_key(
        alice, name="k", scopes=["control"], days=1, allowed_networks=[], request_id="r", actor="user:1"
    )
    client = Client(headers={"Authorization": f"Bearer {made.value}"})

    assert decide(client, waiting(call)).status_code == 403


@pytest.mark.parametrize("word", ["perhaps", None, 7])
def test_a_word_that_cannot_be_read_is_refused(alices_client: Client, call: Call, word: object) -> None:
    assert decide(alices_client, waiting(call), approve=word).json()["code"] == "invalid_request"


def test_staff_decide_for_others_but_not_for_themselves(client: Client, ada: User, call: Call) -> None:
    row = waiting(call, "asks_staff")
    client.force_login(ada)
    chosen = {"action": "approve", "_selected_action": [row.pk]}

    Call.objects.filter(pk=call.pk).update(user=ada)
    assert "0 of 1" in client.post("/admin/tools/toolcall/", chosen, follow=True).content.decode()
    Call.objects.exclude(user=None).update(user=User.objects.get(username="alice"))
    assert "1 of 1" in client.post("/admin/tools/toolcall/", chosen, follow=True).content.decode()
    row.refresh_from_db()
    assert (row.approved, row.approver) == (True, "ada")


def test_who_may_only_look_decides_nothing(client: Client, call: Call) -> None:
    lou = User.objects.create_user("lou", is_staff=True)
    lou.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(lou)
    row = waiting(call, "asks_staff")

    client.post("/admin/tools/toolcall/", {"action": "approve", "_selected_action": [row.pk]})
    row.refresh_from_db()
    assert row.approved is None


def test_tools_are_listed_switched_and_the_change_recorded(client: Client, ada: User) -> None:
    client.force_login(ada)
    assert "Something grave" in client.get("/admin/tools/tool/").content.decode()
    tool = Tool.objects.get(name="asks_first")
    assert (tool.approval, tool.enabled) == ("person", True)

    client.post(f"/admin/tools/tool/{tool.pk}/change/", {"approval": "staff", "timeout_s": 20})
    tool.refresh_from_db()
    assert (tool.enabled, tool.approval, tool.timeout_s) == (False, "staff", 20)
    assert AuditEvent.objects.get(action="tool.changed").target == f"tool:{tool.pk}"
    assert client.get("/admin/tools/tool/add/").status_code == 403


def test_a_tool_s_call_is_shown_and_the_look_recorded(client: Client, ada: User, call: Call) -> None:
    row = waiting(call)
    client.force_login(ada)

    assert client.get("/admin/tools/toolcall/?state=waiting&tool=asks_first").status_code == 200
    assert client.get(f"/admin/tools/toolcall/{row.pk}/change/").status_code == 200
    assert AuditEvent.objects.filter(action="call.viewed", target=f"call:{call.pk}").count() == 1
