"""What policies allow, from everybody's down to a key's, and allowances that no race gets past."""

import re
import threading
from contextlib import nullcontext
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection
from django.test import Client

from agents.models import Agent
from tests.tokens.conftest import MakeKey
from tokens import quotas
from tokens.exceptions import PolicyDenied
from tokens.models import Issuance, Policy, QuotaCounter
from tokens.policy import allowance_of

URL = "/api/client-secret"
UPSTREAM_URL = "/v1/realtime/client_secrets"


def post(client: Client, body: object = None, url: str = URL, **headers: str) -> tuple[int, dict[str, object]]:
    response = client.post(url, body or {}, content_type="application/json", headers=headers)
    return response.status_code, response.json()


@pytest.mark.django_db
def test_the_most_specific_policy_that_sets_a_field_decides(alice: User, make_key: MakeKey) -> None:
    key = make_key().key
    readers, writers = Group.objects.create(name="readers"), Group.objects.create(name="writers")
    alice.groups.add(readers, writers)
    Policy.objects.create(issue_rate="1/m", calls_at_once=1, max_ttl_s=11, allowed_kinds=["relayed"])
    Policy.objects.create(group=readers, calls_at_once=2, max_ttl_s=22, position=2)
    Policy.objects.create(group=writers, calls_at_once=3, position=1)
    Policy.objects.create(user=alice, max_ttl_s=33)
    Policy.objects.create(api_key=key, max_ttl_s=44)

    with_key, without = allowance_of(alice, key), allowance_of(alice, None)

    assert (with_key.max_ttl_s, without.max_ttl_s) == (44, 33)
    assert with_key.calls_at_once == 3  # of two groups the lower position
    assert with_key.issue_rate == "1/m"
    assert with_key.kinds == ("relayed",)


@pytest.mark.django_db
def test_an_empty_list_allows_nothing_and_an_unset_field_everything(alice: User) -> None:
    assert allowance_of(alice, None).agents is None
    Policy.objects.create(user=alice, allowed_agents=[])
    assert allowance_of(alice, None).agents == ()


@pytest.mark.django_db
def test_no_networks_at_all_means_from_anywhere_and_no_origins_from_no_page(alices_client: Client, alice: User) -> None:
    Policy.objects.create(allowed_networks=["192.0.2.0/24"])
    assert post(alices_client)[1].get("code") == "network_not_allowed"
    policy = Policy.objects.create(user=alice, allowed_networks=[])
    assert post(alices_client)[0] == 200
    policy.allowed_origins = []
    policy.save()
    assert post(alices_client, origin="http://testserver")[1].get("code") == "origin_not_allowed"


@pytest.mark.django_db
def test_there_is_one_policy_for_everybody_and_each_is_for_one(alice: User) -> None:
    Policy.objects.create()
    with pytest.raises(IntegrityError):
        Policy.objects.create()


@pytest.mark.django_db
def test_a_policy_for_two_is_refused_in_words(alice: User) -> None:
    policy = Policy(user=alice, group=Group.objects.create(name="x"))

    with pytest.raises(ValidationError, match="one user, one group or one key"):
        policy.full_clean()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("allowed_networks", ["everywhere"]),
        ("allowed_networks", "192.0.2.0/24"),
        ("allowed_kinds", "direct"),
        ("issue_rate", "often"),
        ("max_ttl_s", 9),
        ("max_ttl_s", 7201),
        ("allowed_origins", "https://voice.example.org"),
        ("allowed_origins", ["https://voice.example.org/"]),
        ("allowed_origins", ["voice.example.org"]),
        ("allowed_origins", [7]),
        ("seconds_a_day", -1),
        ("microdollars_a_month", -1),
    ],
)
@pytest.mark.django_db
def test_a_policy_is_checked(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Policy(**{field: value}).full_clean()
    assert list(caught.value.message_dict) == [field]


@pytest.mark.parametrize(
    ("rule", "body", "status", "code"),
    [
        ({"allowed_kinds": ["relayed"]}, {"kind": "direct"}, 403, "policy_denied"),
        ({"allowed_kinds": []}, {}, 403, "policy_denied"),
        ({"allowed_agents": ["other"]}, {"agent": "assistant"}, 404, "unknown_agent"),
        ({"allowed_agents": ["other"]}, {}, 404, "unknown_agent"),
        ({"allowed_models": ["gpt-realtime-mini"]}, {}, 403, "policy_denied"),
        ({"allowed_voices": ["cedar"]}, {}, 403, "policy_denied"),
        ({"max_ttl_s": 30}, {"expiresAfter": 31}, 403, "policy_denied"),
        ({"allowed_networks": ["192.0.2.0/24"]}, {}, 403, "network_not_allowed"),
        ({"secrets_a_day": 0}, {}, 403, "quota_exceeded"),
        ({"allowed_origins": []}, {}, 403, "origin_not_allowed"),
        ({"allowed_origins": ["http://elsewhere"]}, {}, 403, "origin_not_allowed"),
        ({"allowed_origins": ["http://testserver"]}, {}, 200, ""),
        ({"issue_rate": "1/d"}, {}, 200, ""),
        ({"max_ttl_s": 30}, {"expiresAfter": 30}, 200, ""),
        ({"allowed_networks": ["127.0.0.0/8"]}, {}, 200, ""),
    ],
)
def test_a_rule_decides(
    alices_client: Client, alice: User, rule: dict[str, object], body: dict[str, object], status: int, code: str
) -> None:
    Policy.objects.create(user=alice, **rule)
    got, answer = post(alices_client, body, origin="http://testserver")

    assert (got, answer.get("code", "")) == (status, code)
    assert Issuance.objects.get().error_code == code


@pytest.mark.parametrize("seconds", [True, "600", 600.0, 9, 7201, -1, 2**63, None])
def test_a_life_of_another_form_or_range_is_refused(alices_client: Client, seconds: object) -> None:
    status, answer = post(alices_client, {"expiresAfter": seconds})

    assert status == 400
    assert answer["code"] in ("invalid_request", "out_of_range")


def test_a_session_of_one_s_own_needs_the_right_to_it(alices_client: Client, alice: User) -> None:
    plain = {"session": {"type": "realtime", "audio": {"output": {"voice": "cedar"}}}}
    own = {"session": {"type": "realtime", "instructions": "Be rude.", "audio": {"input": {"noise_reduction": None}}}}
    status, answer = post(alices_client, plain, UPSTREAM_URL)
    assert (status, answer["session"]["audio"]["output"]["voice"]) == (200, "cedar")  # type: ignore[index]
    status, answer = post(alices_client, own, UPSTREAM_URL)
    assert status == 403
    assert "instructions, audio.input" in answer["error"]["message"]  # type: ignore[index]

    Policy.objects.create(user=alice, own_session=True)
    status, answer = post(alices_client, own, UPSTREAM_URL)
    assert (status, answer["session"]["instructions"]) == (200, "Be rude.")  # type: ignore[index]
    assert Issuance.objects.filter(session__instructions="Be rude.").count() == 1


MCP = {"type": "mcp", "server_label": "shop", "server_url": "https://mcp.example.com/sse"}


@pytest.mark.parametrize(
    ("tool", "status"),
    [
        (MCP, 200),
        (MCP | {"require_approval": "always", "allowed_tools": ["find"]}, 200),
        (MCP | {"require_approval": None, "headers": None, "authorization": None, "connector_id": None}, 200),
        (MCP | {"require_approval": "never"}, 403),
        (MCP | {"require_approval": {"never": {"tool_names": ["find"]}}}, 403),
        (MCP | {"server_url": "https://evil.example"}, 403),
        (MCP | {"server_url": None, "connector_id": "connector_dropbox"}, 403),
        (MCP | {"connector_id": "connector_dropbox"}, 403),
        (MCP | {"authorization": "secret"}, 403),
        (MCP | {"headers": {"Authorization": "secret"}}, 403),
    ],
)
def test_an_mcp_server_is_named_only_as_the_policy_lists_it(
    alices_client: Client, alice: User, tool: dict[str, object], status: int
) -> None:
    Policy.objects.create(user=alice, own_session=True, allowed_mcp_servers=["https://mcp.example.com/sse"])
    answered, answer = post(alices_client, {"session": {"type": "realtime", "tools": [tool]}}, UPSTREAM_URL)

    assert answered == status
    assert "secret" not in str(answer.get("error"))


@pytest.mark.parametrize(("url", "is_refused"), [
    ("https://mcp.example.com/sse", False), ("https://mcp.example.com/<redacted>", False),
    ("https://evil.example/<redacted>", True), ("<redacted>", True), ("https://mcp.example.com/other", True),
])  # fmt: skip
def test_an_address_of_which_the_upstream_tells_the_host_is_known_by_that(
    alice: User, url: str, is_refused: bool
) -> None:
    Policy.objects.create(user=alice, own_session=True, allowed_mcp_servers=["https://mcp.example.com/sse"])
    allowance = allowance_of(alice, None)

    with pytest.raises(PolicyDenied) if is_refused else nullcontext():
        allowance.check_live_tools([MCP | {"server_url": url}])


def test_what_a_caller_names_has_to_be_the_whole_address(alices_client: Client, alice: User) -> None:
    Policy.objects.create(user=alice, own_session=True, allowed_mcp_servers=["https://mcp.example.com/sse"])
    tool = MCP | {"server_url": "https://mcp.example.com/<redacted>"}

    assert post(alices_client, {"session": {"type": "realtime", "tools": [tool]}}, UPSTREAM_URL)[0] == 403


def test_where_somebody_else_approves_secrets_are_for_our_relay(alices_client: Client, alice: User) -> None:
    assert "direct" in allowance_of(alice, None).kinds
    Policy.objects.create(user=alice, own_session=True, mcp_approval="staff")

    assert allowance_of(alice, None).kinds == ("relayed",)


def test_without_a_list_no_mcp_server_is_named(alices_client: Client, alice: User) -> None:
    Policy.objects.create(user=alice, own_session=True)

    assert post(alices_client, {"session": {"type": "realtime", "tools": [MCP]}}, UPSTREAM_URL)[0] == 403


@pytest.mark.parametrize(
    "session",
    [
        {},
        "x",
        {"type": "transcription"},
        {"type": "realtime", "voice": "cedar"},
        {"type": "realtime", "modalities": ["text"]},
        {"type": "realtime", "tracing": "auto"},
        {"type": "realtime", "api_base": "https://evil.example"},
        {"type": "realtime", "audio": {"output": {"voice": 7}}},
        {"type": "realtime", "audio": 7},
        {"type": "realtime", "audio": None},
        {"type": "realtime", "audio": {"type": "x"}},
        {"type": "realtime", "audio": {"input": {"type": "x"}}},
        {"type": "realtime", "audio": {"output": {"type": "x"}}},
        {"type": "realtime", "audio": {"output": {"api_base": "https://evil.example"}}},
        {"type": "realtime", "audio": {"output": 7}},
        {"type": "realtime", "audio": {"output": {"voice": ""}}},
        {"type": "realtime", "audio": {"output": {"voice": "v" * 41}}},
        {"type": "realtime", "audio": {"output": {"voice": "ma rin"}}},
        {"type": "realtime", "model": 7},
        {"type": "realtime", "model": None},
        {"type": "realtime", "model": ""},
        {"type": "realtime", "model": "m" * 81},
        {"type": "realtime", "model": "gpt\n"},
        {"type": "realtime", "model": "m\u00f6del"},
    ],
)
def test_a_session_of_another_shape_is_refused(alices_client: Client, alice: User, session: object) -> None:
    Policy.objects.create(user=alice, own_session=True)
    status, answer = post(alices_client, {"session": session}, UPSTREAM_URL)

    assert (status, answer["error"]["code"]) == (400, "invalid_session_config")  # type: ignore[index]
    assert Issuance.objects.values_list("status", "error_code").get() == ("denied", "invalid_session_config")


@pytest.mark.parametrize("seconds", [{}, {"seconds": 60}])
def test_the_expiry_holds_no_other_field(alices_client: Client, seconds: dict[str, int]) -> None:
    expiry = {"anchor": "created_at", "minutes": 1} | seconds
    status, answer = post(alices_client, {"expires_after": expiry}, UPSTREAM_URL)

    assert (status, answer["error"]["code"]) == (400, "unknown_field")  # type: ignore[index]
    assert "'minutes'" in answer["error"]["message"]  # type: ignore[index]


@pytest.mark.parametrize("output", [{"speed": 1.5}, {"format": {"type": "audio/pcmu"}}, {"voice": "cedar", "speed": 1}])
def test_of_the_sound_only_the_voice_is_anybody_s_to_choose(alices_client: Client, output: dict[str, object]) -> None:
    session = {"type": "realtime", "audio": {"output": output}}
    status, answer = post(alices_client, {"session": session}, UPSTREAM_URL)

    assert (status, answer["error"]["code"]) == (403, "policy_denied")  # type: ignore[index]
    assert not Issuance.objects.filter(status="issued").exists()


@pytest.mark.parametrize("body", [{"model": "gpt-realtime-2.1"}, {"type": "realtime"}])
def test_what_belongs_inside_the_session_is_told_so(alices_client: Client, body: dict[str, str]) -> None:
    status, answer = post(alices_client, body, UPSTREAM_URL)

    assert status == 400
    assert "inside `session`" in answer["error"]["message"]  # type: ignore[index]


def test_a_policy_lets_in_no_page_that_the_server_does_not(alices_client: Client, alice: User) -> None:
    Policy.objects.create(user=alice, allowed_origins=["https://evil.example"])

    assert post(alices_client, origin="https://evil.example")[1]["code"] == "origin_not_allowed"


def test_a_program_has_no_origin_to_check(alice: User, bearer: dict[str, str]) -> None:
    Policy.objects.create(user=alice, allowed_origins=[], allowed_kinds=["relayed"])

    assert post(Client(), **bearer)[0] == 200


def test_the_allowance_starts_anew_with_the_day_and_the_month() -> None:
    now = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)

    assert quotas.period_end("secrets_a_day", now) == datetime(2027, 1, 1, tzinfo=UTC)
    assert quotas.period_start("secrets_a_month", now) == datetime(2026, 12, 1, tzinfo=UTC)
    assert quotas.period_end("secrets_a_month", now) == datetime(2027, 1, 1, tzinfo=UTC)


def test_one_sees_what_is_left(alices_client: Client, alice: User) -> None:
    Policy.objects.create(user=alice, secrets_a_day=3, microdollars_a_month=2_000_000)
    post(alices_client)
    quotas.correct(alice, datetime.now(UTC), seconds=90, microdollars=2_500_000)
    usage = alices_client.get("/api/usage").json()

    assert {name: usage["secretsADay"][name] for name in ("limit", "used", "left")} == {
        "limit": 3,
        "used": 1,
        "left": 2,
    }
    assert {name: usage["secretsAMonth"][name] for name in ("limit", "used", "left")} == {
        "limit": None,
        "used": None,
        "left": None,
    }
    assert (usage["secondsADay"]["used"], usage["secondsADay"]["left"]) == (90, None)
    assert (usage["microdollarsAMonth"]["limit"], usage["microdollarsAMonth"]["left"]) == (2_000_000, 0)
    assert usage["secondsAMonth"]["resetsAt"] >= usage["secondsADay"]["resetsAt"]
    assert usage["issueRate"] == "1000/m"


def test_an_allowance_that_is_used_up_says_when_it_starts_anew(alices_client: Client, alice: User) -> None:
    Policy.objects.create(user=alice, secrets_a_day=1)
    post(alices_client)
    response = alices_client.post(URL, {}, content_type="application/json")

    assert (response.status_code, response.json()["code"]) == (403, "quota_exceeded")
    assert 0 < int(response["Retry-After"]) <= 86_400
    assert response.json()["context"]["metric"] == "secrets_a_day"
    assert re.search(r" It starts anew on \d{4}-\d\d-\d\d at 00:00 UTC\.$", response.json()["message"])
    assert QuotaCounter.objects.get().used == 1


@pytest.mark.django_db(transaction=True)
def test_of_32_at_once_exactly_as_many_pass_as_are_left(alice: User, assistant: Agent) -> None:
    Policy.objects.create(user=alice, secrets_a_day=10)
    start = threading.Barrier(32)
    statuses: list[int] = []

    def ask() -> None:
        client = Client()
        client.cookies = cookies
        start.wait()
        statuses.append(post(client)[0])
        connection.close()

    signed_in = Client()
    signed_in.force_login(alice)
    cookies = signed_in.cookies
    threads = [threading.Thread(target=ask) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [200] * 10 + [403] * 22
    assert QuotaCounter.objects.get().used == 10
    assert Issuance.objects.filter(status="issued").count() == 10
