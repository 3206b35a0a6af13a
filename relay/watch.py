"""One call that a process looks after: what it saw, what it has to write, and what is to be done. No I/O."""

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from agents.models import AgentVersion
from realtime_api.drift import drift_of, restoring
from realtime_api.errors import CodedError
from realtime_api.session import merge_session
from relay.acts import Act, Reaction
from relay.conversation import UNSEEN, Conversation, Event
from relay.exceptions import CallOutOfReach
from relay.handoffs import handed_over
from relay.limits import Limits
from relay.models import Call, CallCommand
from relay.recorder import Past, Report, Standing

logger = logging.getLogger(__name__)
JOIN_GRACE: Final = timedelta(seconds=5)  # nobody has said anything that counts by then
NEXT: Final = "next"
COMMAND_LIFE: Final = timedelta(seconds=10)
RESTORE_GRACE: Final = timedelta(seconds=3)  # for the answer to what was restored
# What asks for a response has an id, by which the error names it when another response was quicker.
BUSY: Final = "conversation_already_has_active_response"
ANSWER_ID: Final = "server_answer"
LINE_ID: Final = "server_line"


@dataclass
class Watch:
    """granted: the session as it has to stay; None where its user may change it. tools: the names of its agent's.

    version: what the agent runs that has the call now. check_tools: raises for tools that its user may not name.
    """

    call: Call
    past: Past
    granted: dict[str, Any] | None
    now: datetime
    tools: frozenset[str] = frozenset()
    version: AgentVersion | None = None
    check_tools: Callable[[object], None] | None = None
    acts: list[Act] = field(default_factory=list)
    is_reachable: bool = False  # whether events can be sent to it right now
    adds_own_item: bool = False  # whether the event in hand is about an item that the server put in
    is_held_back: bool = False  # rules look at what people say before it is answered
    has_joined: bool = False
    is_gone: bool = False  # the upstream knows the call no more
    is_ending: bool = False
    _monitoring: str = ""
    _gaps: int = 0
    _drift: tuple[str, ...] = ()
    _restored_at: datetime | None = None
    _has_drifted_again: bool = False
    _own_items: set[str] = field(default_factory=set)  # that the upstream has not confirmed yet
    _obeyed: dict[int, str] = field(default_factory=dict)  # commands carried out whose rows do not say so yet
    _to_say: list[str] = field(default_factory=list)
    _silenced: set[str] = field(default_factory=set)  # responses that were stopped, and may not have ended yet
    _own_line: str = ""  # the response that says a line of ours; NEXT for the one about to begin
    _line: str = ""  # what it says
    _is_answer_due: bool = False  # as soon as nothing else is being said
    _is_answer_asked: bool = False  # and has not begun
    _answers_without_tools: bool = False
    _standing: Standing = field(default=Standing(is_open=True, spent_microdollars=0, has_allowance=True))

    def __post_init__(self) -> None:
        self.conversation = Conversation(self.now, self.past.lines, self.past.counted)
        self.limits = Limits.of(self.call)
        self.gaps = self.call.gaps
        self.monitoring = self.call.monitoring
        self.is_muted = self.call.muted
        self._is_to_answer_again = self.is_muted  # by itself, as soon as the upstream may

    @property
    def is_taken_over(self) -> bool:
        """Whether another process looked after the call before."""
        return self.call.monitoring != Call.Monitoring.NOT_YET

    @property
    def was_joined(self) -> bool:
        """Whether somebody saw the call, here or in another process."""
        return self.has_joined or self.call.monitoring in (Call.Monitoring.JOINED, Call.Monitoring.LOST)

    @property
    def answers_for_upstream(self) -> bool:
        """Whether an answer that the upstream would give by itself is ours to ask for."""
        return self.is_held_back and self._is_to_answer_again

    @property
    def is_complete(self) -> bool:
        """Whether everything that this call used was counted."""
        is_all_counted = not (self.conversation.uncounted or self.conversation.is_answer_uncounted)
        return self.has_joined and not self.gaps and is_all_counted

    @property
    def is_open(self) -> bool:
        return self._standing.is_open

    def note_joined(self, now: datetime) -> None:
        """Note that events come from now on; before that some may have been missed."""
        started_at = self.call.started_at or now
        if self.has_joined or now - started_at > JOIN_GRACE:
            self.gaps, self._gaps = self.gaps + 1, self._gaps + 1
            self._forget_responses()
        self.has_joined = True
        self._set_monitoring(Call.Monitoring.JOINED)

    def _forget_responses(self) -> None:
        self.conversation.note_missed()
        self._own_line, self._is_answer_asked = "", False

    def note_blind(self) -> None:
        """Note that no sideband can be had."""
        self._set_monitoring(Call.Monitoring.LOST if self.was_joined else Call.Monitoring.UNMONITORED)

    def note_standing(self, standing: Standing) -> None:
        self._standing = standing
        waiting = {command.pk for command in standing.commands}
        self._obeyed = {number: code for number, code in self._obeyed.items() if number in waiting}

    def was_heard_of(self, since: datetime) -> bool:
        """Tell whether the call's page reported since then."""
        return self._standing.seen_at is not None and self._standing.seen_at > since

    # What happens, and what is wanted of it.

    def begin(self, now: datetime) -> Reaction:
        """Return what is to be done when the call can be reached, for the first time or again."""
        return self.settle(self._of_acts(lambda act: act.begin(now)))

    def take(self, event: Event, now: datetime) -> Reaction:
        """Follow a server event; returns what is to be done about it."""
        self.adds_own_item = self._is_confirmed(event)
        follow = self.conversation.take_own if self.adds_own_item else self.conversation.take
        follow(event, now)
        if event.get("type") in ("response.created", "error"):
            self._take_own(event)
        reaction = self._of_acts(lambda act: act.take(event, now))
        if event.get("type") in ("session.created", "session.updated"):
            reaction.add(self._switch_answers())
        if repair := self.repair(now):
            reaction.upstream.insert(0, repair)
        return self.settle(reaction)

    def obey(self, now: datetime) -> Reaction:
        """Return what carries out the commands that wait. Out of reach they wait, but not for long."""
        reaction = Reaction()
        for command in self._standing.commands:
            if command.pk in self._obeyed:
                continue
            if self.is_reachable:
                reaction.add(self._carry_out(command))
                self._obeyed[command.pk] = ""
            elif now - command.requested_at > COMMAND_LIFE:
                self._obeyed[command.pk] = CallOutOfReach.code
        return self.settle(reaction)

    def settle(self, reaction: Reaction) -> Reaction:
        """Return what is to be sent of a reaction now; what has to wait for its turn is remembered."""
        if reaction.session:
            self._grant(reaction.session)
            reaction.upstream.insert(0, session_event(reaction.session))
        self.version = reaction.version or self.version
        self._to_say += reaction.say
        self._is_answer_due |= reaction.answer
        self._answers_without_tools |= reaction.without_tools
        if reaction.stop:
            self._silenced |= self.conversation.in_progress
            reaction.add(self._stop())
        if self.is_reachable:
            reaction.add(self.follow_up())
        self._note_own_items(reaction.upstream)
        return reaction

    def _note_own_items(self, events: list[Event]) -> None:
        for event in events:
            if event["type"] == "conversation.item.create":
                self._own_items.add(event["item"].setdefault("id", f"server_{secrets.token_hex(12)}"))

    def _is_confirmed(self, event: Event) -> bool:
        """Tell whether an event adds an item of ours. Once for each: its client could delete it, and take its id."""
        item = event.get("item")
        if event.get("type") != "conversation.item.added" or not isinstance(item, dict):
            return False
        is_ours = item.get("id") in self._own_items
        self._own_items.discard(item.get("id", ""))
        return is_ours

    def follow_up(self) -> Reaction:
        """Return what is due after what just happened: to stop a muted assistant, to say a line, or to answer."""
        responding = self.conversation.responding
        if self._own_line == NEXT:
            self._own_line = responding or NEXT
        elif self._own_line != responding:
            self._own_line = ""
        in_progress = self.conversation.in_progress
        self._silenced &= in_progress
        if in_progress - self._silenced and self._has_to_stop():
            self._silenced = set(in_progress)
            return self._stop()
        if responding or self._own_line or self._is_answer_asked:
            return Reaction()
        if self._to_say:
            self._own_line, self._line = NEXT, self._to_say.pop(0)
            return Reaction([line_event(self._line)])
        if self._is_answer_due and not self.is_muted:
            self._is_answer_due, self._is_answer_asked = False, True
            return Reaction([self._answer_event()])
        return Reaction()

    def _answer_event(self) -> Event:
        is_bare, self._answers_without_tools = self._answers_without_tools, False
        response = {"response": {"tool_choice": "none"}} if is_bare else {}
        return {"type": "response.create", "event_id": ANSWER_ID} | response

    def is_own_line(self, response_id: str) -> bool:
        """Tell whether a response says a line of ours."""
        return self._own_line in (NEXT, response_id) and response_id == self.conversation.responding

    def _of_acts(self, ask: Callable[[Act], Reaction]) -> Reaction:
        reaction = Reaction()
        for act in self.acts:
            try:
                reaction.add(ask(act))
            except Exception:  # a fault in one part must not end the call, nor keep it from the other parts
                logger.exception("a part that acts on calls failed call=%s part=%s", self.call.pk, type(act).__name__)
        return reaction

    def _take_own(self, event: Event) -> None:
        """Learn how a response that was asked for here stands: it began, or has to be asked for again."""
        failed = event.get("error")
        event_id = failed.get("event_id") if isinstance(failed, dict) else None
        is_ours = self._is_answer_asked if event_id == ANSWER_ID else event_id == LINE_ID and bool(self._own_line)
        if failed is not None and not is_ours:
            return  # a client may give its events our ids
        if failed is not None and failed.get("code") == BUSY:
            self._is_answer_due |= event_id == ANSWER_ID
            self._to_say[:0] = [self._line] if event_id == LINE_ID else []
            self.conversation.note_responding()
        if failed is None or event_id == ANSWER_ID:
            self._is_answer_asked = False
        elif event_id == LINE_ID:
            self._own_line = ""

    def _has_to_stop(self) -> bool:
        """Another's response gives way to a line, and to nothing while the assistant is muted."""
        return not self._own_line and (self.is_muted or bool(self._to_say))

    def _stop(self) -> Reaction:
        """Return what stops the responses in progress, and their sound: on a socket the client plays that itself.

        Each is named: without a name the upstream stops the one of the conversation, and no other.
        """
        stopped = sorted(self.conversation.in_progress)
        cancels = [_cancel_event(response_id) for response_id in stopped]
        if self.call.transport != Call.Transport.WEBSOCKET:
            return Reaction([*cancels, {"type": "output_audio_buffer.clear"}])
        cleared = {"type": "output_audio_buffer.cleared", "event_id": "server_stop"}
        return Reaction(cancels, [cleared | {"response_id": response_id} for response_id in stopped or [""]])

    def _carry_out(self, command: CallCommand) -> Reaction:
        if command.kind == CallCommand.Kind.SAY:
            return Reaction(say=[command.text])
        if command.kind in (CallCommand.Kind.MUTE, CallCommand.Kind.UNMUTE):
            self.is_muted = command.kind == CallCommand.Kind.MUTE
            return self._switch_answers()
        if command.kind == CallCommand.Kind.AGENT and command.agent_version is not None:
            return handed_over(command.agent_version)
        return Reaction(session=dict(command.session))

    def _grant(self, changes: dict[str, Any]) -> None:
        """Let a change hold. The upstream has it in a moment; until then its absence is nobody's doing."""
        for session in (self.granted, self.conversation.session):
            if session is not None:
                session |= merge_session(session, changes)
        if "tools" in changes:
            self.tools = tool_names(changes)

    def hold_back(self, holds: bool) -> Reaction:
        """Have the upstream answer nothing by itself, so that rules can look at words first; or as it did before."""
        self.is_held_back = holds
        self._is_to_answer_again |= holds and self.is_taken_over  # the process before has told it not to
        return self._switch_answers()

    def _switch_answers(self) -> Reaction:
        """Return the update by which the upstream answers nothing by itself while it may not, and does so again after.

        A client whose turns it does not answer by itself is left as it is: that client asks for its answers.
        """
        turns = self._turn_detection()
        if not turns:
            return Reaction()
        answers, may_answer = turns.get("create_response", True), not (self.is_muted or self.is_held_back)
        if answers == may_answer or (may_answer and not self._is_to_answer_again):
            return Reaction()
        self._is_to_answer_again = not may_answer
        return Reaction(session={"audio": {"input": {"turn_detection": turns | {"create_response": may_answer}}}})

    def _turn_detection(self) -> dict[str, Any]:
        part: Any = self.conversation.session
        for name in ("audio", "input", "turn_detection"):
            part = part.get(name) if isinstance(part, dict) else None
        return part if isinstance(part, dict) else {}

    def report(self) -> Report:
        """Return what is to be written, and forget it."""
        obeyed = dict(self._obeyed)
        report = Report(self.call.pk, self.conversation.drain(), self._monitoring, self._gaps, self._drift, obeyed)
        self._monitoring, self._gaps, self._drift = "", 0, ()
        return report

    def take_back(self, report: Report) -> None:
        """Keep what could not be written for the next time."""
        self.conversation.take_back(report.changes)
        self._monitoring = self._monitoring or report.monitoring
        self._gaps += report.gaps
        self._drift = self._drift or report.drift

    def repair(self, now: datetime) -> Event | None:
        """Return the event that puts a changed session right: once. A later change ends the call, however short."""
        changed = self._changed_fields()
        if not changed:
            return None
        if self._restored_at is not None:
            self._has_drifted_again |= self._is_past_repair(now)
            return None
        self._restored_at, self._drift = now, tuple(changed)
        if self.granted is None:
            # All servers go: their addresses may not be told whole, and so cannot be given back.
            left = [tool for tool in self._live_tools() if not (isinstance(tool, dict) and tool.get("type") == "mcp")]
            return session_event({"tools": left})
        return session_event(restoring(self.granted))

    def verdict(self, now: datetime) -> Call.EndReason | None:
        """Return why the call has to end now, or None."""
        if self.is_gone:
            return Call.EndReason.SESSION_EXPIRED if self.conversation.ended_by else Call.EndReason.UPSTREAM_ENDED
        is_blind = self.monitoring in (Call.Monitoring.LOST, Call.Monitoring.UNMONITORED)
        if is_blind and not self.call.unmonitored_allowed:
            return Call.EndReason.UNMONITORED
        if not self._standing.has_access:
            return Call.EndReason.ACCESS_ENDED
        if not self._standing.has_allowance:
            return Call.EndReason.BUDGET
        if self._has_drifted_again or (self._is_past_repair(now) and self._changed_fields()):
            return Call.EndReason.POLICY_DRIFT
        limits = self._limits_while_blind() if is_blind else self.limits
        return limits.breach(self.conversation, self._standing.spent_microdollars, now)

    def _is_past_repair(self, now: datetime) -> bool:
        return self._restored_at is not None and now - self._restored_at > RESTORE_GRACE

    def _limits_while_blind(self) -> Limits:
        """Whoever sees nothing cannot tell that nobody speaks."""
        return Limits(self.limits.deadline_at, None, self.limits.budget_microdollars)

    def _changed_fields(self) -> list[str]:
        live = self.conversation.session
        if self.granted is None:
            return ["tools"] if self._has_refused_tools() else []
        return drift_of(self.granted, live) if live is not None else []

    def _live_tools(self) -> list[Any]:  # Any: as they came
        tools = (self.conversation.session or {}).get("tools")
        return tools if isinstance(tools, list) else []

    def _has_refused_tools(self) -> bool:
        if self.check_tools is None:
            return False
        try:
            self.check_tools(self._live_tools())
        except CodedError:
            return True
        return False

    def _set_monitoring(self, monitoring: Call.Monitoring) -> None:
        if self.monitoring != monitoring:
            self.monitoring = self._monitoring = monitoring


def _cancel_event(response_id: str) -> Event:
    return {"type": "response.cancel"} | ({} if response_id == UNSEEN else {"response_id": response_id})


def session_event(changes: dict[str, Any]) -> Event:
    return {"type": "session.update", "session": {**changes, "type": "realtime"}}


def line_event(line: str) -> Event:
    """Return what has the assistant say a line, in the conversation and without its tools."""
    quoted = line.replace('"', "'")
    instructions = f'Say exactly this, word for word, and nothing else: "{quoted}"'
    response = {"instructions": instructions, "tools": []}
    return {"type": "response.create", "event_id": LINE_ID, "response": response}


def tool_names(session: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of a session's function tools."""
    return frozenset(str(tool["name"]) for tool in session["tools"] if tool.get("type") == "function")
