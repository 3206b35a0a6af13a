"""Steering a live call: say a line, mute the assistant, change what it was told, swap the agent.

The wish is a row and an event, both or neither; the worker that looks after the call finds it within its next round.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from django.contrib.auth.models import User
from django.utils import timezone

from agents.models import Agent
from audit.actions import Action
from audit.records import Fact
from audit.services import durable_record, record_event
from relay.exceptions import CallNotLive, CallOutOfReach
from relay.models import Call, CallCommand
from tokens.exceptions import PolicyDenied, UnknownAgent
from tokens.models import ApiKey
from tokens.policy import allowance_of

MAY_STEER: Final = "relay.change_call"
# What anybody may want of their own call; the rest is the server's, or of those who may bring a session of their own.
OF_EVERYBODY: Final = frozenset({CallCommand.Kind.MUTE, CallCommand.Kind.UNMUTE})
# What another agent brings along. A voice cannot change once it was heard.
OF_AGENT: Final = ("instructions", "tools", "tool_choice")


def check_may_command(user: User, key: ApiKey | None, kind: str, *, is_staff: bool) -> None:
    """Raise PolicyDenied for what its owner may not want of a call. is_staff: acts as the administration."""
    if is_staff or kind in OF_EVERYBODY or allowance_of(user, key).own_session:
        return
    raise PolicyDenied("Your policy does not let you change what the agent says.", context={"rule": "own_session"})


def command_call(
    call: Call, *, kind: CallCommand.Kind, text: str, actor: str, request_id: str, person: Mapping[str, Fact]
) -> CallCommand:
    """Have something done in a live call. text: the line, the instructions, or the agent's slug.

    Raises CallNotLive, CallOutOfReach for one that nobody can steer, UnknownAgent.
    """
    changes = _session_changes(kind, text)
    with durable_record():
        live = Call.objects.select_for_update().filter(pk=call.pk, state=Call.State.LIVE).first()
        if live is None:
            raise CallNotLive()
        if live.monitoring != Call.Monitoring.JOINED:
            raise CallOutOfReach()
        _keep(live, kind, changes)
        command = CallCommand.objects.create(
            call=live, kind=kind, text=text, session=changes, requested_at=timezone.now()
        )
        record_event(
            Action.CALL_COMMANDED,
            request_id=request_id,
            actor=actor,
            target=f"call:{live.pk}",
            code=kind,
            person=person,
            command=command.pk,
            characters=len(text),
            sha256=hashlib.sha256(text.encode()).hexdigest(),
        )
    return command


def _session_changes(kind: CallCommand.Kind, text: str) -> dict[str, Any]:  # Any: fields of a session
    if kind == CallCommand.Kind.INSTRUCTIONS:
        return {"instructions": text}
    if kind == CallCommand.Kind.AGENT:
        agent = Agent.objects.offered().filter(slug=text).first()
        if agent is None or agent.published is None:
            raise UnknownAgent()
        config = agent.published.session_config()
        return {name: config[name] for name in OF_AGENT}
    return {}


def _keep(call: Call, kind: CallCommand.Kind, changes: dict[str, Any]) -> None:
    """Keep in the call's row what whoever takes it over has to know."""
    call.session_changes |= changes
    if kind in OF_EVERYBODY:
        call.muted = kind == CallCommand.Kind.MUTE
    call.save(update_fields=["session_changes", "muted"])
