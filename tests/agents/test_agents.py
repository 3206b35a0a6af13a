"""Agents and their versions: what was spoken to can always be told."""

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client
from pytest_django import Settings

from agents.models import Agent, AgentVersion
from audit.models import AuditEvent

pytestmark = pytest.mark.django_db


def test_versions_are_numbered_and_never_changed(assistant: Agent) -> None:
    newer = AgentVersion.objects.create(agent=assistant, instructions="Be kind.")

    assert newer.number == 2
    newer.instructions = "Be rude."
    with pytest.raises(TypeError):
        newer.save()


def test_only_agents_that_are_on_and_published_are_offered_in_their_order(assistant: Agent) -> None:
    first = Agent.objects.create(slug="first", name="First", position=0)
    first.published = AgentVersion.objects.create(agent=first, instructions="x")
    first.save()
    Agent.objects.create(slug="draft", name="Draft")
    off = Agent.objects.create(slug="off", name="Off", enabled=False)
    off.published = AgentVersion.objects.create(agent=off, instructions="x")
    off.save()
    assistant.position = 1
    assistant.save()

    assert [agent.slug for agent in Agent.objects.offered()] == ["first", "assistant"]


def test_the_session_comes_from_the_version_and_the_server_s_settings(assistant: Agent, settings: Settings) -> None:
    settings.REALTIME_MODEL = "gpt-realtime-next"
    version = AgentVersion.objects.create(
        agent=assistant, instructions="Count.", voice="cedar", language="de", silence_duration_ms=300
    )
    config = version.session_config()

    assert (config["model"], config["instructions"]) == ("gpt-realtime-next", "Count.")
    assert config["audio"]["output"]["voice"] == "cedar"
    assert config["audio"]["input"]["transcription"]["languages"] == ["de"]
    assert config["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 300


@pytest.mark.parametrize(
    ("field", "value"), [("voice", "robot"), ("silence_duration_ms", 50), ("silence_duration_ms", 9000)]
)
def test_values_that_the_upstream_would_refuse_are_refused_first(assistant: Agent, field: str, value: object) -> None:
    version = AgentVersion(agent=assistant, instructions="x", **{field: value})

    with pytest.raises(ValidationError) as caught:
        version.full_clean(exclude=["number"])
    assert list(caught.value.message_dict) == [field]


def test_an_administrator_adds_a_version_and_publishes_it(ada: User, assistant: Agent) -> None:
    client = Client()
    client.force_login(ada)
    url = f"/admin/agents/agent/{assistant.pk}/change/"
    form = {
        "slug": "assistant",
        "name": "Assistant",
        "enabled": "on",
        "position": 0,
        "published": assistant.published_id,
    }
    versions = {"versions-TOTAL_FORMS": 2, "versions-INITIAL_FORMS": 1, "versions-0-id": assistant.published_id}
    added = {
        "versions-0-agent": assistant.pk,
        "versions-1-instructions": "Be kind.",
        "versions-1-voice": "cedar",
        "versions-1-language": "en",
        "versions-1-silence_duration_ms": 500,
    }
    assert client.post(url, form | versions | added).status_code == 302
    newer = assistant.versions.get(number=2)
    form["published"] = newer.pk
    unchanged = {"versions-TOTAL_FORMS": 2, "versions-INITIAL_FORMS": 2}
    ids = {f"versions-{n}-id": version.pk for n, version in enumerate(assistant.versions.all())}
    owners = {f"versions-{n}-agent": assistant.pk for n in range(2)}

    assert client.post(url, form | unchanged | ids | owners).status_code == 302
    assistant.refresh_from_db()
    assert assistant.published == newer


def test_another_agent_s_version_cannot_be_published(ada: User, assistant: Agent) -> None:
    other = Agent.objects.create(slug="other", name="Other")
    foreign = AgentVersion.objects.create(agent=other, instructions="x")
    client = Client()
    client.force_login(ada)
    form = {"slug": "assistant", "name": "Assistant", "enabled": "on", "position": 0, "published": foreign.pk}
    response = client.post(
        f"/admin/agents/agent/{assistant.pk}/change/",
        form | {"versions-TOTAL_FORMS": 0, "versions-INITIAL_FORMS": 0},
    )

    assert response.status_code == 200
    assert "not one of the available choices" in response.content.decode()


def test_each_change_is_recorded_and_long_instructions_by_their_digest(adas_client: Client, assistant: Agent) -> None:
    form = {
        "slug": "assistant",
        "name": "Helper",
        "description": assistant.description,
        "enabled": "on",
        "position": 0,
        "published": assistant.published_id,
    }
    version = {
        "versions-TOTAL_FORMS": 2,
        "versions-INITIAL_FORMS": 1,
        "versions-0-id": assistant.published_id,
        "versions-0-agent": assistant.pk,
        "versions-1-instructions": "Be kind. " * 1500,
        "versions-1-voice": "cedar",
        "versions-1-language": "en",
        "versions-1-silence_duration_ms": 500,
    }
    assert adas_client.post(f"/admin/agents/agent/{assistant.pk}/change/", form | version).status_code == 302

    agent, added = AuditEvent.objects.filter(action="agent.changed").order_by("id")
    assert (agent.target, agent.facts) == (f"agent:{assistant.pk}", {"name": '["Assistant", "Helper"]'})
    assert (added.target, added.facts["voice"]) == (
        f"agentversion:{assistant.versions.get(number=2).pk}",
        '[null, "cedar"]',
    )
    assert "13499 characters, SHA-256" in str(added.facts["instructions"])
