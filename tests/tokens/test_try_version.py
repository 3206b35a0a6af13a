"""Talking to a version before it is published: who may, what runs, and what is on record."""

from urllib.parse import quote

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from agents.models import Agent, AgentVersion
from audit.models import AuditEvent
from tests.tokens.test_issue_client_secret import post
from tokens.key_services import create_api_key
from tokens.models import Issuance

pytestmark = pytest.mark.django_db


@pytest.fixture
def draft(assistant: Agent) -> AgentVersion:
    return AgentVersion.objects.create(agent=assistant, instructions="Be bold.", voice="cedar")


def test_the_secret_is_bound_to_the_draft_and_on_record_as_a_preview(adas_client: Client, draft: AgentVersion) -> None:
    answer = post(adas_client, {"agent": "assistant", "version": 2})
    issuance = Issuance.objects.get()

    assert answer["status"] == 200
    assert (issuance.agent_version, issuance.voice) == (draft, "cedar")
    assert AuditEvent.objects.get(action="client_secret.requested").facts["preview"] == 2


def test_without_a_version_the_published_one_runs(adas_client: Client, draft: AgentVersion) -> None:
    post(adas_client, {"agent": "assistant"})

    assert Issuance.objects.get().agent_version.number == 1  # type: ignore[union-attr]  # it has one
    assert "preview" not in AuditEvent.objects.get(action="client_secret.requested").facts


def test_others_are_refused_and_on_record(alices_client: Client, draft: AgentVersion) -> None:
    answer = post(alices_client, {"agent": "assistant", "version": 2})

    assert (answer["status"], answer["code"]) == (403, "policy_denied")
    assert Issuance.objects.get().status == "denied"
    assert alices_client.get("/?agent=assistant&version=2").status_code == 404


def test_a_key_of_somebody_who_may_is_a_program_s(ada: User, draft: AgentVersion) -> None:
    made = create_api_key(ada, name="shop", scopes=["mint"], days=1, allowed_networks=[], request_id="r", actor="a")
    answer = post(Client(), {"agent": "assistant", "version": 2}, authorization=f"Bearer {made.value}")

    assert (answer["status"], answer["code"]) == (403, "policy_denied")


@pytest.mark.parametrize("version", [0, -1, 2.0, True, "2", [2], {}])
def test_what_is_no_number_is_refused(adas_client: Client, draft: AgentVersion, version: object) -> None:
    assert post(adas_client, {"agent": "assistant", "version": version})["code"] == "invalid_request"


@pytest.mark.parametrize(("agent", "version"), [("assistant", 9), ("assistant", 10**30), ("nobody", 1)])
def test_a_version_that_is_not_there(adas_client: Client, draft: AgentVersion, agent: str, version: int) -> None:
    assert post(adas_client, {"agent": agent, "version": version})["code"] == "unknown_agent"


def test_a_version_needs_its_agent_s_name(adas_client: Client, draft: AgentVersion) -> None:
    assert post(adas_client, {"version": 2})["code"] == "invalid_request"


def test_the_page_says_that_it_is_a_draft(draft: AgentVersion, charlie: User) -> None:
    charlie.user_permissions.add(Permission.objects.get(codename="change_agent"))
    client = Client()
    client.force_login(charlie)
    page = client.get("/?agent=assistant&version=2")

    assert "You are trying version 2." in page.content.decode()
    assert page.context["page_config"]["version"] == 2
    assert [agent["voice"] for agent in page.context["agents"]] == ["cedar"]


@pytest.mark.parametrize("version", ["", "x", "-1", "9", "²", "9" * 40])
def test_an_address_that_names_no_version_is_not_found(adas_client: Client, draft: AgentVersion, version: str) -> None:
    assert adas_client.get(f"/?agent=assistant&version={quote(version)}").status_code == 404
