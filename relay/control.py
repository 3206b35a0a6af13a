"""Steering a live call: say a line, mute the assistant, change what it was told, swap the agent.

The wish is a row and an event, both or neither; the worker that looks after the call finds it within its next round.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from audit.actions import Action
from audit.records import Fact
from audit.services import durable_record, record_event
from relay.exceptions import CallNotLive, CallOutOfReach, TooManyHandoffs
from relay.handoffs import note_handoff, note_refusal
from relay.hints import tell_changed
from relay.models import Call, CallCommand, Handoff
from tokens.exceptions import AgentDisabled, PolicyDenied, UnknownAgent
from tokens.models import ApiKey
from tokens.policy import allowance_of
from voiceagent.acting import Acting

MAY_STEER: Final = "relay.change_call"
# What anybody may want of their own call: another agent only if they may talk to it anyway. The rest is the server's,
# or of those who may bring a session of their own.
OF_EVERYBODY: Final = frozenset({CallCommand.Kind.MUTE, CallCommand.Kind.UNMUTE, CallCommand.Kind.AGENT})


def check_may_command(user: User, key: ApiKey | None, kind: str, *, is_staff: bool) -> None:
    """Raise PolicyDenied for what its owner may not want of a call. is_staff: acts as the administration."""
    if is_staff or kind in OF_EVERYBODY or allowance_of(user, key).own_session:
        return
    raise PolicyDenied("Your policy does not let you change what the agent says.", context={"rule": "own_session"})


def command_call(
    call: Call,
    *,
    kind: CallCommand.Kind,
    text: str,
    actor: str,
    request_id: str,
    person: Mapping[str, Fact],
    is_staff: bool = False,
) -> CallCommand:
    """Have something done in a live call. text: the line, the instructions, or the agent's slug.

    Raises CallNotLive, CallOutOfReach for one that nobody can steer; for another agent what `note_handoff` does.
    """
    who: Acting = {"actor": actor, "request_id": request_id, "person": dict(person)}
    command = CallCommand(call=call, kind=kind, text=text, requested_at=timezone.now())
    by = Handoff.By.STAFF if is_staff else Handoff.By.PERSON
    try:
        with durable_record():
            live = Call.objects.select_for_update().filter(pk=call.pk, state=Call.State.LIVE).first()
            if live is None:
                raise CallNotLive()
            if live.monitoring != Call.Monitoring.JOINED:
                raise CallOutOfReach()
            _change(live, command, by, who)
            command.save()
            record_event(
                Action.CALL_COMMANDED,
                target=f"call:{live.pk}",
                code=kind,
                command=command.pk,
                characters=len(text),
                sha256=hashlib.sha256(text.encode()).hexdigest(),
                **who,
            )
            transaction.on_commit(tell_changed)
    except (UnknownAgent, AgentDisabled, TooManyHandoffs) as exc:
        note_refusal(call, text, by=by, error=exc, **who)
        raise
    return command


def _change(call: Call, command: CallCommand, by: Handoff.By, who: Acting) -> None:
    """Keep in the call's row what whoever takes it over has to know, and in the command what is to be sent."""
    if command.kind == CallCommand.Kind.AGENT:
        command.agent_version = note_handoff(call, command.text, by=by, **who)
    elif command.kind == CallCommand.Kind.INSTRUCTIONS:
        command.session = {"instructions": command.text}
        call.session_changes |= command.session
    elif command.kind in (CallCommand.Kind.MUTE, CallCommand.Kind.UNMUTE):
        call.muted = command.kind == CallCommand.Kind.MUTE
    call.save(update_fields=["session_changes", "muted"])
