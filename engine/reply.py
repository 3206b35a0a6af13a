"""The seam between a session and whatever writes its replies."""

import textwrap
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from engine.protocol_json import Json
from engine.synthesis import Voice

# A longer sentence keeps other calls waiting for their voice.
LONGEST_PIECE_CHARS = 240


@dataclass(frozen=True)
class Turn:
    """One entry of the conversation, as text.

    role "tool" holds a tool's result; an assistant entry with `tool_name` is a call to that tool.
    """

    role: Literal["user", "assistant", "system", "tool"]
    text: str
    tool_name: str = ""
    tool_call_id: str = ""


@dataclass(frozen=True)
class ReplyRequest:
    """What to answer. `cue` holds the instructions given for this one response, if any."""

    history: tuple[Turn, ...]
    instructions: str = ""
    cue: str = ""
    tools: tuple[Json, ...] = ()
    tool_choice: str | Json = "auto"
    voice: Voice = field(default_factory=Voice)
    spoken: bool = True


@dataclass(frozen=True)
class Sentence:
    """A piece of the answer, long enough to be spoken by itself."""

    text: str


@dataclass(frozen=True)
class ToolCall:
    """A request to run one of the session's tools; `arguments` is JSON text."""

    name: str
    arguments: str


ReplyPart: TypeAlias = Sentence | ToolCall


class Responder(Protocol):
    """Writes replies. `speculative` says that a reply may be begun before the turn is surely over."""

    name: str
    speculative: bool

    def reply(self, request: ReplyRequest) -> AsyncIterator[ReplyPart]:
        """Yield the parts of one reply; at most one tool call, after any sentences."""
        ...


def in_breaths(part: ReplyPart) -> list[ReplyPart]:
    """Cut a sentence that is too long to be spoken in one piece between words; anything else stays whole."""
    if not isinstance(part, Sentence) or len(part.text) <= LONGEST_PIECE_CHARS:
        return [part]
    return [Sentence(text) for text in textwrap.wrap(part.text, LONGEST_PIECE_CHARS)]
