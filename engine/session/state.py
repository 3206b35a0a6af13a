"""What every part of one session shares: configuration, conversation, clock, ids and the effects to come."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from engine.protocol_json import Json
from engine.session.effects import Effect, Send
from engine.session.items import Conversation

NewId: TypeAlias = Callable[[str], str]


@dataclass
class SessionState:
    """The shared context.

    new_id: makes an id from a prefix such as "item". now_s: Unix time of the input being handled.
    is_paced: speech leaves at the pace it is heard (WebRTC), so that the engine knows what was heard;
    otherwise pieces leave as soon as they are made and playing them is the client's work.
    """

    config: Json
    new_id: NewId
    is_paced: bool = True
    may_speculate: bool = True
    now_s: float = 0.0
    has_spoken: bool = False
    conversation: Conversation = field(default_factory=Conversation)
    conversation_id: str = ""
    effects: list[Effect] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.conversation_id = self.new_id("conv")

    def emit(self, event: Json) -> None:
        """Send a server event; every one carries an `event_id`."""
        self.effects.append(Send({"type": event["type"], "event_id": self.new_id("event"), **event}))

    def do(self, effect: Effect) -> None:
        """Ask for an effect."""
        self.effects.append(effect)

    def drain(self) -> list[Effect]:
        """Return the effects since the last call, in order."""
        effects, self.effects = self.effects, []
        return effects

    @property
    def turn_detection(self) -> Json | None:
        found: Json | None = self.config["audio"]["input"]["turn_detection"]
        return found

    @property
    def is_transcribing(self) -> bool:
        """Whether the client asked for the words of the user's speech."""
        return self.config["audio"]["input"]["transcription"] is not None
