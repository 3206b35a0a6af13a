"""Handing a live call to another agent: by its model, its person, staff, or code. One way for all, and on record.

The voice stays: once it was heard, no voice can follow it in the same session.
"""

import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from django.utils import timezone

from agents.handoffs import function_name
from agents.models import Agent, AgentVersion
from audit.actions import Action
from audit.records import Fact
from audit.services import durable_record, record_event
from realtime_api.errors import CodedError
from realtime_api.session import SessionConfig
from relay.acts import Reaction
from relay.conversation import Event
from relay.exceptions import CallNotLive, TooManyHandoffs
from relay.models import Call, Handoff
from tokens.exceptions import AgentDisabled, UnknownAgent
from tokens.policy import allowance_of
from voiceagent.log_lines import storable

MOST_A_CALL: Final = 20
HANDED: Final = "handoff_"  # how the ids of items begin that tell the model of a handoff that it did not ask for
By = Handoff.By


def handoff_session(version: AgentVersion) -> dict[str, Any]:  # Any: fields of a session
    """Return what an agent brings along into a call that another began."""
    config: SessionConfig = version.session_config()
    return {
        "instructions": config["instructions"],
        "tools": config["tools"],
        "tool_choice": config["tool_choice"],
        "max_output_tokens": config["max_output_tokens"],
        "audio": {"input": {"transcription": config["audio"]["input"]["transcription"]}},
    }


def hand_over(call_pk: int, slug: str, *, by: By, is_too_often: bool = False) -> AgentVersion:
    """Note that another agent has a call from now on; returns what it runs.

    Raises CallNotLive, TooManyHandoffs, UnknownAgent, AgentDisabled, each recorded.
    """
    try:
        with durable_record():
            call = Call.objects.select_for_update().get(pk=call_pk)
            version = note_handoff(call, slug, by=by, actor="worker", is_too_often=is_too_often)
            call.save(update_fields=["session_changes"])
            return version
    except CodedError as exc:
        note_refusal(Call(pk=call_pk), slug, by=by, actor="worker", error=exc)
        raise


def note_handoff(
    call: Call,
    slug: str,
    *,
    by: By,
    actor: str,
    request_id: str = "",
    person: Mapping[str, Fact] | None = None,
    is_too_often: bool = False,
) -> AgentVersion:
    """Do as `hand_over` for a call whose row the caller holds and saves. Staff choose among all agents.

    Raises the same; the caller sees to the record of that.
    """
    version = _version_for(call, slug, is_staff=by == By.STAFF)
    if call.state != Call.State.LIVE:
        raise CallNotLive()
    if is_too_often or Handoff.objects.filter(call=call, error_code="").count() >= MOST_A_CALL:
        raise TooManyHandoffs()
    call.session_changes |= handoff_session(version)
    _write(call, slug, version, by=by)
    record_event(
        Action.CALL_HANDED_OVER,
        request_id=request_id or call.request_id,
        actor=actor,
        target=f"call:{call.pk}",
        person=person,
        agent=slug,
        version=version.number,
        by=by.value,
    )
    return version


def note_refusal(
    call: Call,
    slug: str,
    *,
    by: By,
    actor: str,
    error: CodedError,
    request_id: str = "",
    person: Mapping[str, Fact] | None = None,
) -> None:
    """Put on record that a call stayed where it was."""
    with durable_record():
        call = Call.objects.get(pk=call.pk)
        _write(call, slug, None, by=by, error_code=error.code)
        record_event(
            Action.CALL_HANDOFF_REFUSED,
            request_id=request_id or call.request_id,
            actor=actor,
            target=f"call:{call.pk}",
            code=error.code,
            person=person,
            agent=storable(slug)[:80],
            by=by.value,
        )


def current_version(call: Call) -> AgentVersion | None:
    """Return what the agent runs that has a call now."""
    newest = Handoff.objects.filter(call=call, error_code="").select_related("agent_version__agent").last()
    return newest.agent_version if newest else call.agent_version


def handed_over(version: AgentVersion) -> Reaction:
    """Return what lets an agent have the call that others than its model gave to it.

    The model is told as if it had asked for it: in its conversation, and on the page, all handoffs look alike.
    """
    tool_call_id = f"{HANDED}{secrets.token_hex(8)}"  # the service takes ids of up to 32 characters
    call: Event = {"id": tool_call_id, "type": "function_call", "status": "completed", "call_id": tool_call_id}
    asked = call | {"name": function_name(version.agent.slug), "arguments": "{}"}
    events = [{"type": "conversation.item.create", "item": asked}, output_event(tool_call_id, output_of(version))]
    return Reaction(events, session=handoff_session(version), version=version)


def output_of(version: AgentVersion) -> str:
    return json.dumps({"assistant": version.agent.name})


def output_event(tool_call_id: str, output: str) -> Event:
    item = {"type": "function_call_output", "call_id": tool_call_id, "output": output}
    return {"type": "conversation.item.create", "item": item}


def _version_for(call: Call, slug: str, *, is_staff: bool) -> AgentVersion:
    agent = Agent.objects.filter(slug=slug).select_related("published__agent").first()
    if agent is None or agent.published is None or not (is_staff or _may_use(call, slug)):
        raise UnknownAgent()
    if not agent.enabled:
        raise AgentDisabled()
    return agent.published


def _may_use(call: Call, slug: str) -> bool:
    key = call.issuance.api_key if call.issuance else None
    return call.user is not None and allowance_of(call.user, key).allows_agent(slug)


def _write(call: Call, slug: str, version: AgentVersion | None, *, by: By, error_code: str = "") -> None:
    Handoff.objects.create(
        call=call, agent=storable(slug)[:80], agent_version=version, version_number=version.number if version else None,
        by=by, at=timezone.now(), error_code=error_code,
    )  # fmt: skip
