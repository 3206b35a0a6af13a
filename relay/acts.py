"""What acts on a live call, over either transport: tools, handoffs, guardrails. Server events in, reactions out.

An act does no I/O in an event's own turn: what takes time is one of the `works` of its reaction.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from realtime_api.session import merge_session
from relay.conversation import Event

if TYPE_CHECKING:
    from agents.models import AgentVersion
    from relay.watch import Watch


@dataclass(frozen=True)
class Work:
    """What runs beside a call, cancelled at its deadline or when the call ends. Its reaction is carried out, if any."""

    run: Callable[[], Coroutine[Any, Any, "Reaction | None"]]  # Any: the event loop's own
    deadline_s: float


@dataclass
class Reaction:
    """What is to be done about an event.

    upstream: client events, in order. client: server events for the client of a socket; over WebRTC nobody gets them.
    session: fields of the session that change, and hold as granted from then on. say: lines for the assistant, which
    stop what it is saying. answer: it is to answer as soon as it is free; without_tools: and to call none for that.
    stop: what it is saying stops.
    withheld: the client of a socket does not get the event; over WebRTC it has it already.
    version: of the agent that goes on with the call.
    """

    upstream: list[Event] = field(default_factory=list)
    client: list[Event] = field(default_factory=list)
    session: dict[str, Any] = field(default_factory=dict)  # Any: fields of a session
    say: list[str] = field(default_factory=list)
    answer: bool = False
    without_tools: bool = False
    stop: bool = False
    withheld: bool = False
    works: list[Work] = field(default_factory=list)
    version: "AgentVersion | None" = None

    def add(self, other: "Reaction") -> None:
        """Take in another's wishes, behind one's own."""
        self.upstream += other.upstream
        self.client += other.client
        self.session = merge_session(self.session, other.session)
        self.say += other.say
        self.answer |= other.answer
        self.without_tools |= other.without_tools
        self.stop |= other.stop
        self.withheld |= other.withheld
        self.works += other.works
        self.version = other.version or self.version


class Act:
    """One part that acts on a call. This one does nothing: override what matters."""

    def begin(self, now: datetime) -> Reaction:
        """React to the call being within reach: at its start, after a gap, or taken over from another process."""
        return Reaction()

    def take(self, event: Event, now: datetime) -> Reaction:
        """React to a server event, which the conversation has followed, before the client of a socket gets it."""
        return Reaction()

    def lets_sound_through(self, text: str) -> bool:
        """Tell whether the client of a socket may get an event of sound, whose text is as it came."""
        return True

    def check_client(self, event: Event) -> None:
        """Raise RefusedClientEvent for what the client of a socket may not say now."""


Make = Callable[["Watch"], Act]
_makers: list[Make] = []


def register(make: Make) -> None:
    """Have every live call get an act, from `AppConfig.ready`. Raises ValueError for one that is there already."""
    if make in _makers:
        raise ValueError(f"{make!r} acts on calls already.")
    _makers.append(make)


def acts_of(watch: "Watch") -> list[Act]:
    """Make the acts of one call, in the order of their registration."""
    return [make(watch) for make in _makers]
