"""Agents in the administration: drafts, publishing, what changed, going back; and who may do it."""

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from agents import functions
from agents.models import Agent, AgentVersion, Guardrail
from audit.models import AuditEvent
from tests.agents.admin_form import Fields, shown_fields
from tokens.models import Policy

pytestmark = pytest.mark.django_db
FIRST = "versions-0-"


def page_of(agent: Agent, rest: str = "change/") -> str:
    return f"/admin/agents/agent/{agent.pk}/{rest}"


def save(client: Client, agent: Agent, **changes: object) -> Fields:
    """Fill in the agent's form, send it, and return what was sent. Names without a prefix are the version's."""
    form = shown_fields(client, page_of(agent)) | {FIRST + name: value for name, value in changes.items()}
    assert client.post(page_of(agent), form).status_code == 302
    return form


def errors_of(client: Client, agent: Agent, **changes: object) -> dict[str, list[str]]:
    form = shown_fields(client, page_of(agent)) | {FIRST + name: value for name, value in changes.items()}
    response = client.post(page_of(agent), form)
    assert response.status_code == 200
    errors: dict[str, list[str]] = response.context["inline_admin_formsets"][0].formset.forms[0].errors
    return errors


def test_what_is_changed_becomes_a_draft_and_people_keep_the_published_one(
    adas_client: Client, assistant: Agent
) -> None:
    save(adas_client, assistant, instructions="Be kind.", voice="cedar", voices=["ash"], note="Kinder")
    draft = assistant.versions.get(number=2)
    assistant.refresh_from_db()

    assert (draft.instructions, draft.voice, draft.voices) == ("Be kind.", "cedar", ["ash"])
    assert (draft.author, draft.note) == ("ada", "Kinder")
    assert assistant.published is not None
    assert assistant.published.number == 1


def test_a_form_sent_as_it_was_saves_nothing(adas_client: Client, assistant: Agent) -> None:
    save(adas_client, assistant)
    save(adas_client, assistant, note="Only a note")

    assert assistant.versions.count() == 1
    assert not AuditEvent.objects.filter(action="agent.changed").exists()


def test_the_form_shows_the_newest_version_with_all_that_it_says(
    adas_client: Client, assistant: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functions, "_tool_names", [lambda: {"find_book": "Find a book"}])
    Agent.objects.create(slug="billing", name="Billing")
    Guardrail.objects.create(slug="manners", name="Manners", words="jerk")
    content = {
        "instructions": "Count.", "greeting": "Hello.", "voices": ["ash", "cedar"], "other_languages": ["de", "fr"],
        "handoffs": ["billing"], "speed": 1.2, "idle_timeout_ms": 6000, "noise_reduction": "",
        "max_output_tokens": 50,
        "turn_taking": "semantic_vad", "tools": ["find_book"], "guardrails": ["manners"], "reasoning_effort": "low",
        "transcription_prompt": "Nguyen",
    }  # fmt: skip
    AgentVersion.objects.create(agent=assistant, **content)
    save(adas_client, assistant, voice="cedar")
    newest = assistant.versions.get(number=3)

    assert {name: getattr(newest, name) for name in content} == content
    assert newest.voice == "cedar"


def test_publishing_lets_people_talk_to_the_draft(adas_client: Client, assistant: Agent) -> None:
    save(adas_client, assistant, instructions="Be kind.")
    response = adas_client.post(page_of(assistant, "versions/2/publish/"))
    assistant.refresh_from_db()

    assert response.status_code == 303
    assert assistant.published == assistant.versions.get(number=2)
    event = AuditEvent.objects.filter(action="agent.changed", target=f"agent:{assistant.pk}").get()
    assert event.facts == {"published": "[1, 2]"}


def test_going_back_publishes_the_old_words_as_the_newest_version(adas_client: Client, assistant: Agent) -> None:
    first = assistant.versions.get(number=1)
    save(adas_client, assistant, instructions="Be kind.")
    adas_client.post(page_of(assistant, "versions/2/publish/"))
    adas_client.post(page_of(assistant, "versions/1/return/"))
    assistant.refresh_from_db()
    newest = assistant.versions.get(number=3)

    assert assistant.published == newest
    assert newest.content() == first.content()
    assert (newest.author, newest.note) == ("ada", "Back to version 1")


def test_the_history_says_who_when_and_what_differs(adas_client: Client, assistant: Agent) -> None:
    lines = [f"Line {number}." for number in range(1, 9)]
    AgentVersion.objects.create(agent=assistant, instructions="\n".join(lines), author="bob")
    lines[3] = "Line <four>."
    save(adas_client, assistant, instructions="\n".join(lines), voice="cedar", note="Fourth line")
    page = adas_client.get(page_of(assistant, "versions/"))
    version, differences = page.context["versions"][0]
    changed = {found.label: [(line.sign, line.text) for line in found.lines] for found in differences}

    assert (version.number, version.author, version.note) == (3, "ada", "Fourth line")
    assert changed == {
        "Instructions": [("", "Line 3."), ("-", "Line 4."), ("+", "Line <four>."), ("", "Line 5.")],
        "Voice": [("-", "Marin"), ("+", "Cedar")],
    }
    assert "Line &lt;four&gt;." in page.content.decode()
    assert [version.number for version, _ in page.context["versions"]] == [3, 2, 1]


def test_a_save_is_on_record_with_before_and_after(adas_client: Client, assistant: Agent) -> None:
    form = shown_fields(adas_client, page_of(assistant))
    form |= {"name": "Helper", FIRST + "instructions": "Be kind. " * 1500, FIRST + "voice": "cedar"}
    assert adas_client.post(page_of(assistant), form).status_code == 302
    agent, added = AuditEvent.objects.filter(action="agent.changed").order_by("id")

    assert (agent.target, agent.facts) == (f"agent:{assistant.pk}", {"name": '["Assistant", "Helper"]'})
    assert added.target == f"agentversion:{assistant.versions.get(number=2).pk}"
    assert added.facts.keys() == {"instructions", "voice"}
    assert added.facts["voice"] == '["marin", "cedar"]'
    assert "13499 characters, SHA-256" in str(added.facts["instructions"])


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("instructions", "x" * 100_000, "at most 16000 characters (it has 100000)"),
        ("handoffs", ["assistant"], "assistant is not one of the available choices"),
        ("handoffs", ["nobody"], "nobody is not one of the available choices"),
        ("tools", ["no_such_tool"], "no_such_tool is not one of the available choices"),
        ("voice", "robot", "robot is not one of the available choices"),
        ("voices", ["robot"], "robot is not one of the available choices"),
        ("other_languages", "de, Klingon!", "Name a language by its two or three letters"),
        ("silence_duration_ms", 5, "greater than or equal to 200"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_its_field(
    adas_client: Client, assistant: Agent, field: str, value: object, reason: str
) -> None:
    errors = errors_of(adas_client, assistant, **{field: value})

    assert list(errors) == [field]
    assert reason in str(errors[field])
    assert assistant.versions.count() == 1


def test_a_page_that_is_out_of_date_overwrites_nobody_s_words(adas_client: Client, assistant: Agent) -> None:
    old = shown_fields(adas_client, page_of(assistant)) | {FIRST + "voice": "cedar"}
    save(adas_client, assistant, instructions="Be kind.")
    response = adas_client.post(page_of(assistant), old)

    assert "Somebody saved another version meanwhile" in response.content.decode()
    assert assistant.versions.count() == 2


def test_a_new_agent_needs_instructions(adas_client: Client) -> None:
    url = "/admin/agents/agent/add/"
    form = shown_fields(adas_client, url) | {"name": "Desk", "slug": "desk"}
    refused = adas_client.post(url, form)
    assert refused.status_code == 200
    assert adas_client.post(url, form | {FIRST + "instructions": "Greet."}).status_code == 302

    desk = Agent.objects.get(slug="desk")
    assert desk.versions.get().instructions == "Greet."
    assert desk.published is None


def test_who_may_only_look_sees_the_history_and_changes_nothing(assistant: Agent, charlie: User) -> None:
    charlie.is_staff = True
    charlie.save()
    charlie.user_permissions.add(Permission.objects.get(codename="view_agent"))
    client = Client()
    client.force_login(charlie)
    AgentVersion.objects.create(agent=assistant, instructions="Be kind.")

    assert client.get(page_of(assistant)).status_code == 200
    assert "Publish version" not in client.get(page_of(assistant)).content.decode()
    assert client.get(page_of(assistant, "versions/")).status_code == 200
    for act in ("versions/2/publish/", "versions/1/return/"):
        assert client.post(page_of(assistant, act)).status_code == 403
    assert client.post(page_of(assistant), {}).status_code == 403
    assert assistant.versions.count() == 2


def test_a_change_needs_no_more_than_the_right_to_change_agents(assistant: Agent, charlie: User) -> None:
    charlie.is_staff = True
    charlie.save()
    charlie.user_permissions.add(Permission.objects.get(codename="change_agent"))
    client = Client()
    client.force_login(charlie)
    save(client, assistant, instructions="Be kind.")

    assert client.post(page_of(assistant, "versions/2/publish/")).status_code == 303
    assert assistant.versions.get(number=2).author == "charlie"


@pytest.mark.parametrize("act", ["versions/1/publish/", "versions/1/return/"])
def test_an_address_alone_changes_nothing(adas_client: Client, assistant: Agent, act: str) -> None:
    assert adas_client.get(page_of(assistant, act)).status_code == 405


def test_people_without_the_administration_see_none_of_it(alices_client: Client, assistant: Agent) -> None:
    for page in ("change/", "versions/"):
        assert alices_client.get(page_of(assistant, page)).status_code == 302
    assert alices_client.post(page_of(assistant, "versions/1/publish/")).status_code == 302


def test_a_version_of_another_agent_is_not_found(adas_client: Client, assistant: Agent) -> None:
    assert adas_client.post(page_of(assistant, "versions/9/publish/")).status_code == 404


def test_one_page_of_history_asks_little(
    adas_client: Client, assistant: Agent, django_assert_max_num_queries: object
) -> None:
    for number in range(40):
        AgentVersion.objects.create(agent=assistant, instructions=f"Number {number}.")
    with django_assert_max_num_queries(10):  # type: ignore[operator]  # the fixture has no type
        page = adas_client.get(page_of(assistant, "versions/"))

    assert len(page.context["versions"]) == 20


def test_the_form_says_who_may_talk_to_the_agent(adas_client: Client, assistant: Agent, charlie: User) -> None:
    assert "Who may talk to it: everybody." in adas_client.get(page_of(assistant)).content.decode()

    Policy.objects.create(user=charlie, allowed_agents=["billing"])
    Policy.objects.create(allowed_agents=["assistant"])
    page = adas_client.get(page_of(assistant)).content.decode()
    shown = re.findall(r'/policy/[0-9]+/change/">([^<]+)</a>: (may not|may)<', page)
    assert sorted(may for _, may in shown) == ["may", "may not"]
    assert next(may for name, may in shown if "charlie" in name) == "may not"


# Guardrails.

RAILS = "/admin/agents/guardrail/"


def test_a_guardrail_is_made_changed_and_on_record(adas_client: Client, assistant: Agent) -> None:
    form = shown_fields(adas_client, f"{RAILS}add/") | {"name": "Manners", "slug": "manners", "words": "jerk\nbig fool"}
    assert adas_client.post(f"{RAILS}add/", form).status_code == 302
    rail = Guardrail.objects.get()
    change = f"{RAILS}{rail.pk}/change/"
    adas_client.post(change, shown_fields(adas_client, change) | {"records_only": "on"})

    made, changed = AuditEvent.objects.filter(action="guardrail.changed").order_by("id")
    assert "big fool" in str(made.facts["words"])
    assert changed.facts == {"records_only": "[false, true]"}


@pytest.mark.parametrize(
    ("fields", "wrong", "reason"),
    [
        ({"kind": "words", "words": " "}, "words", "Write 1 to 500 lines."),
        ({"kind": "words", "words": "x" * 81}, "words", "A line has at most 80 characters."),
        ({"kind": "pattern", "pattern": "(a+)+$"}, "pattern", "This could take long."),
        ({"kind": "pattern", "pattern": "("}, "pattern", "This is no pattern"),
        ({"kind": "moderation"}, "categories", "Choose at least one."),
        ({"kind": "moderation", "categories": ["rudeness"]}, "categories", "rudeness is not one of the available"),
        ({"kind": "check"}, "check_name", "There is no such function."),
    ],
)
def test_a_guardrail_that_looks_for_nothing_is_refused_by_its_field(
    adas_client: Client, fields: Fields, wrong: str, reason: str
) -> None:
    form = shown_fields(adas_client, f"{RAILS}add/") | {"name": "Manners", "slug": "manners"} | fields
    errors = adas_client.post(f"{RAILS}add/", form).context["adminform"].form.errors

    assert list(errors) == [wrong]
    assert reason in str(errors[wrong])


def test_an_agent_gets_a_guardrail_by_the_form(adas_client: Client, assistant: Agent) -> None:
    Guardrail.objects.create(slug="manners", name="Manners", words="jerk")
    save(adas_client, assistant, guardrails=["manners"])
    assert assistant.versions.get(number=2).guardrails == ["manners"]

    assert list(errors_of(adas_client, assistant, guardrails=["nobody"])) == ["guardrails"]
