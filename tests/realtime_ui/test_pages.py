"""The pages as the server writes them; what they do in a browser is for the end-to-end tests."""

import json
import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from agents.models import Agent, AgentVersion
from realtime_ui.views import page_files
from tokens.models import Policy
from voiceagent import page_bundle, sdk_bundle


def config_of(html: str) -> dict[str, object]:
    found = re.search(r'<script id="page-config" type="application/json">(.*?)</script>', html, re.S)
    assert found is not None
    config: dict[str, object] = json.loads(found[1])
    return config


def test_the_voice_page_tells_its_modules_where_to_ask(alices_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk_bundle, "is_built", lambda: True)
    response = alices_client.get("/")
    config = config_of(response.content.decode())

    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert config["clientSecretUrl"] == "/api/client-secret"
    assert config["callsUrl"] == "/v1/realtime/calls"
    assert config["callEventsUrl"] == "/api/calls/{callId}/events"
    assert str(config["sdkUrl"]).endswith("openai-realtime-transports.js")


@pytest.mark.parametrize(
    ("debug", "fresh", "script"),
    [
        (False, True, "vendor/voice_page/page.js"),
        (False, False, "realtime_ui/js/page.js"),
        (True, True, "realtime_ui/js/page.js"),
    ],
)
def test_the_page_is_joined_only_from_these_sources_and_not_while_debugging(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, debug: bool, fresh: bool, script: str
) -> None:
    monkeypatch.setattr(page_bundle, "is_used", lambda: fresh)
    settings.DEBUG = debug

    assert page_files()["page_script"] == script


def test_the_voice_page_goes_compressed(alices_client: Client) -> None:
    response = alices_client.get("/", headers={"accept-encoding": "gzip, br"})

    assert response["Content-Encoding"] == "gzip"


def test_only_agents_that_one_may_talk_to_are_offered(alices_client: Client) -> None:
    Agent.objects.create(slug="draft", name="A draft", position=9)
    shown = alices_client.get("/").content.decode()

    assert "Assistant" in shown
    assert "A draft" not in shown


def test_an_agent_that_policy_keeps_from_one_is_not_offered(alices_client: Client, alice: User) -> None:
    def slugs() -> list[str]:
        return [agent["slug"] for agent in alices_client.get("/").context["agents"]]

    assert "assistant" in slugs()
    Policy.objects.create(user=alice, allowed_agents=["another"])
    assert slugs() == []


def test_the_page_knows_to_whom_of_those_open_to_one_a_call_may_be_handed(
    alices_client: Client, alice: User, assistant: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sdk_bundle, "is_built", lambda: True)
    publish(Agent.objects.create(slug="billing", name="Billing"))
    publish(assistant, handoffs=["billing", "nobody"])

    def at_hand() -> object:
        return config_of(alices_client.get("/").content.decode())["agents"]

    billing = {"name": "Billing", "handsOverTo": []}
    assert at_hand() == {"assistant": {"name": "Assistant", "handsOverTo": ["billing"]}, "billing": billing}
    Policy.objects.create(user=alice, allowed_agents=["assistant"])
    assert at_hand() == {"assistant": {"name": "Assistant", "handsOverTo": []}}


def publish(agent: Agent, **fields: object) -> None:
    version = AgentVersion(agent=agent, instructions="Help.", **fields)
    version.save()
    agent.published = version
    agent.save()


def test_item_60_staff_see_the_event_log_and_others_where_the_agent_shows_it(
    alices_client: Client, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sdk_bundle, "is_built", lambda: True)

    def sees_it(client: Client) -> bool:
        return "Event log" in client.get("/").content.decode()

    assert (sees_it(admin_client), sees_it(alices_client)) == (True, False)
    Agent.objects.update(shows_event_log=True)
    assert sees_it(alices_client)


def test_a_missing_library_is_said_with_the_command(alices_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk_bundle, "is_built", lambda: False)

    assert "manage.py assets" in alices_client.get("/").content.decode()


def test_nobody_talks_unknown(client: Client, db: None) -> None:
    response = client.get("/")

    assert (response.status_code, response["Location"]) == (302, "/accounts/login/?next=/")


def test_the_one_inline_script_carries_the_request_s_nonce(alices_client: Client) -> None:
    first, second = alices_client.get("/"), alices_client.get("/")
    nonces = [
        re.findall(r'<script type="importmap" nonce="([^"]+)">', page.content.decode()) for page in (first, second)
    ]

    assert nonces[0] != nonces[1]
    assert f"'nonce-{nonces[0][0]}'" in first["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/accounts/password/reset/", "/accounts/email/", "/accounts/password/change/"])
@pytest.mark.django_db
def test_pages_that_nobody_set_up_are_not_there(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "javascript:alert(1)"])
def test_a_login_leads_nowhere_else(client: Client, alice: object, target: str, settings: Settings) -> None:
    form = {"login": "alice", "password": "a-long-password", "next": target}
    response = client.post("/accounts/login/", form)

    assert (response.status_code, response["Location"]) == (302, "/")
