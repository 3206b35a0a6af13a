"""One call that a process looks after: what it saw, what it has to write, and what is to be done. No I/O."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from realtime_api.drift import drift_of, restoring
from realtime_api.sideband import Sideband
from relay.conversation import Conversation, Event
from relay.exceptions import CallOutOfReach
from relay.limits import Limits
from relay.models import Call, CallCommand
from relay.recorder import Past, Report, Standing

JOIN_GRACE: Final = timedelta(seconds=5)  # nobody has said anything that counts by then
NEXT: Final = "next"
COMMAND_LIFE: Final = timedelta(seconds=10)
RESTORE_GRACE: Final = timedelta(seconds=3)  # for the answer to what was restored


@dataclass
class Watch:
    """granted: the session as it has to stay; None where its user may change it."""

    call: Call
    past: Past
    granted: dict[str, Any] | None
    now: datetime
    sideband: Sideband | None = None
    has_joined: bool = False
    is_gone: bool = False  # the upstream knows the call no more
    is_ending: bool = False
    _monitoring: str = ""
    _gaps: int = 0
    _drift: tuple[str, ...] = ()
    _restored_at: datetime | None = None
    _obeyed: dict[int, str] = field(default_factory=dict)  # commands carried out whose rows do not say so yet
    _to_say: list[str] = field(default_factory=list)
    _silenced: str = ""  # the response that was stopped last
    _own_line: str = ""  # the response that says a line of ours; NEXT for the one about to begin
    _standing: Standing = field(default=Standing(is_open=True, spent_microdollars=0, has_allowance=True))

    def __post_init__(self) -> None:
        self.conversation = Conversation(self.now, self.past.lines, self.past.counted)
        self.limits = Limits.of(self.call)
        self.gaps = self.call.gaps
        self.monitoring = self.call.monitoring
        self.is_muted = self.call.muted

    @property
    def is_complete(self) -> bool:
        """Whether everything that this call used was counted."""
        return self.has_joined and not self.gaps and not self.conversation.uncounted

    @property
    def is_open(self) -> bool:
        return self._standing.is_open

    def note_joined(self, now: datetime) -> None:
        """Note that events come from now on; before that some may have been missed."""
        started_at = self.call.started_at or now
        if self.has_joined or now - started_at > JOIN_GRACE:
            self.gaps, self._gaps = self.gaps + 1, self._gaps + 1
        self.has_joined = True
        self._set_monitoring(Call.Monitoring.JOINED)

    def note_blind(self) -> None:
        """Note that no sideband can be had."""
        self._set_monitoring(Call.Monitoring.LOST if self.has_joined else Call.Monitoring.UNMONITORED)

    def note_standing(self, standing: Standing) -> None:
        self._standing = standing
        waiting = {command.pk for command in standing.commands}
        self._obeyed = {number: code for number, code in self._obeyed.items() if number in waiting}

    # What staff, or its owner, want of it.

    def obey(self, now: datetime) -> list[Event]:
        """Return the events that carry out the commands that wait. Without a sideband they wait, but not for long."""
        events: list[Event] = []
        for command in self._standing.commands:
            if command.pk in self._obeyed:
                continue
            if self.sideband is not None:
                events += self._carry_out(command)
                self._obeyed[command.pk] = ""
            elif now - command.requested_at > COMMAND_LIFE:
                self._obeyed[command.pk] = CallOutOfReach.code
        return events + self.follow_up()

    def follow_up(self) -> list[Event]:
        """Return the events that are due after what just happened: to stop a muted assistant, or to say a line."""
        responding = self.conversation.responding
        if self._own_line == NEXT:
            self._own_line = responding or NEXT
        elif self._own_line != responding:
            self._own_line = ""
        if responding and responding != self._silenced and self._has_to_stop():
            self._silenced = responding
            return stop_events()
        if responding or not self._to_say or self._own_line:
            return []
        self._own_line = NEXT
        return [line_event(self._to_say.pop(0))]

    def _has_to_stop(self) -> bool:
        """Another's response gives way to a line, and to nothing while the assistant is muted."""
        return not self._own_line and (self.is_muted or bool(self._to_say))

    def _carry_out(self, command: CallCommand) -> list[Event]:
        if command.kind == CallCommand.Kind.SAY:
            self._to_say.append(command.text)
            return []
        if command.kind in (CallCommand.Kind.MUTE, CallCommand.Kind.UNMUTE):
            self.is_muted = command.kind == CallCommand.Kind.MUTE
            return self._answering_events()
        if self.granted is not None:
            self.granted |= command.session
        return [session_event(command.session)]

    def _answering_events(self) -> list[Event]:
        """Return the update by which the upstream answers what it hears, or no more."""
        audio = (self.conversation.session or {}).get("audio") or {}
        turn_detection = (audio.get("input") or {}).get("turn_detection")
        if not turn_detection:
            return []  # its page says when to answer
        changed = {"type": turn_detection["type"], "create_response": not self.is_muted}
        return [session_event({"audio": {"input": {"turn_detection": turn_detection | changed}}})]

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
        """Return the event that puts a changed session right: once."""
        changed = self._changed_fields()
        if not changed or self._restored_at is not None:
            return None
        self._restored_at, self._drift = now, tuple(changed)
        return session_event(restoring(self.granted or {}))

    def verdict(self, now: datetime) -> Call.EndReason | None:
        """Return why the call has to end now, or None."""
        if self.is_gone:
            return Call.EndReason.SESSION_EXPIRED if self.conversation.ended_by else Call.EndReason.UPSTREAM_ENDED
        is_blind = self.monitoring in (Call.Monitoring.LOST, Call.Monitoring.UNMONITORED)
        if is_blind and not self.call.unmonitored_allowed:
            return Call.EndReason.UNMONITORED
        if not self._standing.has_allowance:
            return Call.EndReason.BUDGET
        was_restored = self._restored_at is not None and now - self._restored_at > RESTORE_GRACE
        if was_restored and self._changed_fields():
            return Call.EndReason.POLICY_DRIFT
        limits = self._limits_while_blind() if is_blind else self.limits
        return limits.breach(self.conversation, self._standing.spent_microdollars, now)

    def _limits_while_blind(self) -> Limits:
        """Whoever sees nothing cannot tell that nobody speaks."""
        return Limits(self.limits.deadline_at, None, self.limits.budget_microdollars)

    def _changed_fields(self) -> list[str]:
        live = self.conversation.session
        return drift_of(self.granted, live) if self.granted is not None and live is not None else []

    def _set_monitoring(self, monitoring: Call.Monitoring) -> None:
        if self.monitoring != monitoring:
            self.monitoring = self._monitoring = monitoring


def session_event(changes: dict[str, Any]) -> Event:
    return {"type": "session.update", "session": {**changes, "type": "realtime"}}


def stop_events() -> list[Event]:
    """Return what stops the response in progress, and its sound."""
    return [{"type": "response.cancel"}, {"type": "output_audio_buffer.clear"}]


def line_event(line: str) -> Event:
    """Return what has the assistant say a line, in the conversation and without its tools."""
    quoted = line.replace('"', "'")
    instructions = f'Say exactly this, word for word, and nothing else: "{quoted}"'
    return {"type": "response.create", "response": {"instructions": instructions, "tools": []}}
