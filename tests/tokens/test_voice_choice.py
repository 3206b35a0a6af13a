"""A voice that people choose: the agent offers it, policy allows it, the server decides; everything else is refused."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from agents.models import Agent, AgentVersion
from audit.models import AuditEvent
from tests.tokens.test_issue_client_secret import post
from tokens.models import Issuance, Policy
from voiceagent import sdk_bundle

pytestmark = pytest.mark.django_db


@pytest.fixture
def choice(assistant: Agent) -> Agent:
    """An agent whose voice may be chosen of two."""
    version = AgentVersion(agent=assistant, instructions="Help.", voice="marin", voices=["cedar"])
    version.save()
    assistant.published = version
    assistant.save()
    return assistant


def test_item_74_an_offered_voice_becomes_the_session_s(alices_client: Client, choice: Agent) -> None:
    answer = post(alices_client, {"agent": "assistant", "voice": "cedar"})
    issuance = Issuance.objects.get()

    assert answer["status"] == 200
    assert (issuance.voice, issuance.agent) == ("cedar", "assistant")
    assert issuance.session["audio"]["output"]["voice"] == "cedar"  # type: ignore[index]  # it has one
    assert issuance.session["instructions"] == "Help."  # type: ignore[index]


def test_item_74_a_forged_voice_is_refused_and_on_record(alices_client: Client, choice: Agent) -> None:
    answer = post(alices_client, {"agent": "assistant", "voice": "ballad"})

    assert (answer["status"], answer["code"]) == (403, "policy_denied")
    assert Issuance.objects.get().status == "denied"
    assert AuditEvent.objects.filter(code="policy_denied").exists()


def test_item_74_a_policy_without_the_voice_wins(alices_client: Client, alice: User, choice: Agent) -> None:
    Policy.objects.create(user=alice, allowed_voices=["marin"])

    assert post(alices_client, {"agent": "assistant", "voice": "cedar"})["code"] == "policy_denied"


@pytest.mark.parametrize("voice", ["MARIN", "ma rin", "v" * 41, 7, ["marin"]])
def test_what_is_no_name_of_a_voice_is_refused(alices_client: Client, choice: Agent, voice: object) -> None:
    assert post(alices_client, {"agent": "assistant", "voice": voice})["code"] == "invalid_request"


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk_bundle, "is_built", lambda: True)


def test_item_74_a_picker_is_shown_only_where_there_is_a_choice(
    alices_client: Client, alice: User, choice: Agent, built: None
) -> None:
    def picker() -> bool:
        return '<option value="cedar">Cedar</option>' in alices_client.get("/").content.decode()

    assert picker()
    Policy.objects.create(user=alice, allowed_voices=["marin"])
    assert not picker()
    assert "Voice: Marin" in alices_client.get("/").content.decode()


def test_item_73_one_agent_is_plain_text_and_several_are_a_picker(
    alices_client: Client, alice: User, choice: Agent, built: None
) -> None:
    def page() -> str:
        return alices_client.get("/").content.decode()

    assert '<input type="hidden" name="agent" value="assistant"' in page()
    other = Agent.objects.create(slug="other", name="Other desk", description="Knows the rest.")
    other.published = AgentVersion.objects.create(agent=other, instructions="Help.")
    other.save()
    assert '<select class="stage__picker" id="agent" name="agent"' in page()
    assert "Knows the rest." in page()
    Policy.objects.create(user=alice, allowed_agents=["other"])
    assert '<input type="hidden" name="agent" value="other"' in page()


@pytest.mark.parametrize(
    ("transcripts", "line"),
    [
        ("full", "What is said is stored as text."),
        ("redacted", "stored as text, without numbers, addresses and keys."),
        ("off", "no text of the conversation is stored."),
    ],
)
def test_item_75_the_page_says_what_is_kept(
    alices_client: Client, alice: User, built: None, transcripts: str, line: str
) -> None:
    Policy.objects.create(user=alice, transcripts=transcripts)

    assert line in alices_client.get("/").content.decode()
