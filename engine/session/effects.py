"""What a session asks of the world around it. Each is plain data; `engine/conversation.py` carries them out."""

from dataclasses import dataclass
from typing import TypeAlias

from engine.audio import Samples
from engine.mcp import McpServer
from engine.protocol_json import Json
from engine.reply import ReplyRequest


@dataclass(frozen=True)
class Send:
    """Send one server event to the client."""

    event: Json


@dataclass(frozen=True)
class Recognise:
    """Transcribe 16 kHz samples and report with `recognised(recognition_id, …)`."""

    recognition_id: str
    samples: Samples


@dataclass(frozen=True)
class DropRecognition:
    """Forget a recognition whose result nobody needs any more."""

    recognition_id: str


@dataclass(frozen=True)
class Generate:
    """Produce a reply and report its pieces with `reply_piece` and its end with `reply_ended`."""

    generation_id: str
    request: ReplyRequest


@dataclass(frozen=True)
class DropGeneration:
    """Stop producing a reply."""

    generation_id: str


@dataclass(frozen=True)
class Play:
    """Queue a piece of speech; report its start, progress and end by response id."""

    response_id: str
    samples: Samples


@dataclass(frozen=True)
class EndOfSpeech:
    """Mark the end of a response's speech in the queue."""

    response_id: str


@dataclass(frozen=True)
class ClearPlayback:
    """Drop all queued speech at once."""


@dataclass(frozen=True)
class HoldPlayback:
    """Fall silent for a moment, keeping what is queued: somebody may have begun to speak."""


@dataclass(frozen=True)
class ResumePlayback:
    """Go on where HoldPlayback stopped."""


@dataclass(frozen=True)
class ListenTo:
    """Feed audio that came inside an event, as 16-bit mono samples at `rate_hz`, to the session."""

    pcm: bytes
    rate_hz: int


@dataclass(frozen=True)
class ListMcpTools:
    """Ask a server for its tools and report by the id of their item."""

    item_id: str
    server: McpServer


@dataclass(frozen=True)
class CallMcpTool:
    """Have a server run a tool and report by the id of the call's item."""

    item_id: str
    server: McpServer
    name: str
    arguments: str


@dataclass(frozen=True)
class Close:
    """End the call."""

    reason: str


Effect: TypeAlias = (
    Send
    | Recognise
    | DropRecognition
    | Generate
    | DropGeneration
    | Play
    | EndOfSpeech
    | ClearPlayback
    | HoldPlayback
    | ResumePlayback
    | ListenTo
    | ListMcpTools
    | CallMcpTool
    | Close
)
