"""GET /api/agents: whom one may talk to, and with which voices."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from agents.models import Agent, AgentVersion
from tokens.models import Policy

pytestmark = pytest.mark.django_db


def answered(client: Client) -> list[dict[str, object]]:
    found: list[dict[str, object]] = client.get("/api/agents").json()["results"]
    return found


def publish(slug: str, **content: object) -> AgentVersion:
    agent = Agent.objects.create(slug=slug, name=slug.title(), position=5)
    agent.published = AgentVersion.objects.create(agent=agent, instructions="x", **content)
    agent.save()
    return agent.published


def test_the_default_one_comes_first_with_what_it_runs(alices_client: Client, assistant: Agent) -> None:
    Agent.objects.filter(pk=assistant.pk).update(description="Answers questions in a few words.")
    publish("billing")

    assert answered(alices_client)[0] == {
        "slug": "assistant", "name": "Assistant", "description": "Answers questions in a few words.",
        "version": 1, "language": "en", "voice": "marin", "voices": [],
    }  # fmt: skip
    assert [agent["slug"] for agent in answered(alices_client)] == ["assistant", "billing"]


def test_what_policy_hides_what_is_off_and_drafts_are_not_there(alices_client: Client, alice: User) -> None:
    publish("billing")
    publish("hidden")
    publish("off")
    Agent.objects.filter(slug="off").update(enabled=False)
    Agent.objects.create(slug="draft", name="Draft")
    Policy.objects.create(user=alice, allowed_agents=["billing", "off", "draft"])

    assert [agent["slug"] for agent in answered(alices_client)] == ["billing"]


@pytest.mark.usefixtures("assistant")
def test_voices_to_choose_from_are_those_of_the_agent_and_of_policy(alices_client: Client, alice: User) -> None:
    publish("billing", voice="ash", voices=["cedar", "marin"])
    assert answered(alices_client)[1]["voices"] == ["ash", "cedar", "marin"]

    Policy.objects.create(user=alice, allowed_voices=["ash", "marin"])
    assert answered(alices_client)[1]["voices"] == ["ash", "marin"]
