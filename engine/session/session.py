"""One Realtime session. Every method takes what happened and returns the effects to carry out, in order."""

from collections.abc import Callable, Sequence

from engine.audio import Samples
from engine.mcp import McpFailure, McpTool
from engine.protocol_json import Json
from engine.recognition import Transcript
from engine.reply import ToolCall
from engine.session import client_events, events
from engine.session.active_response import SpokenPiece
from engine.session.effects import Close, Effect
from engine.session.errors import ProtocolError
from engine.session.input_audio import InputAudio
from engine.session.mcp import McpTools
from engine.session.responses import Responses
from engine.session.state import NewId, SessionState

SESSION_LIFE_S = 3600
MAX_EVENT_ID_CHARS = 512


class Session:
    """The state machine. It owns no clock, socket, thread or model."""

    def __init__(
        self,
        config: Json,
        new_id: NewId,
        now_s: float,
        *,
        is_paced: bool = True,
        may_speculate: bool = True,
        life_s: int = SESSION_LIFE_S,
        refused_field: Callable[[], str] = str,
    ) -> None:
        """refused_field: names a field of updates that is refused at the moment, for tests of clients."""
        self.refused_field = refused_field
        self._life_s = life_s
        started = {**config, "expires_at": int(now_s) + life_s}
        self.state = SessionState(started, new_id, is_paced, may_speculate, now_s)
        self.mcp = McpTools(self.state)
        self.responses = Responses(self.state, self.mcp)
        self.input_audio = InputAudio(self.state, self.responses)

    def opened(self) -> list[Effect]:
        """Greet the client once its channel is open."""
        self.state.emit(events.session_created(self.state.config))
        return self.state.drain()

    def begin(self) -> list[Effect]:
        """Do what the session's own configuration asks for, once the client was greeted."""
        self.mcp.configure()
        return self.state.drain()

    def receive(self, unverified: object) -> list[Effect]:
        """Take a client event; one that cannot be carried out is answered by an `error` event."""
        try:
            client_events.handle(self, unverified)
        except ProtocolError as problem:
            self.state.emit(events.error(problem.as_json(), _event_id_of(unverified)))
        return self.state.drain()

    def receive_garbage(self) -> list[Effect]:
        """Answer what is not JSON."""
        return self._report(ProtocolError("invalid_json", "The message could not be read as JSON."))

    def receive_too_much(self) -> list[Effect]:
        """Answer a client that sends more events than anybody needs, and end its call."""
        effects = self._report(ProtocolError("rate_limit_exceeded", "Too many events: the call ends."))
        return [*effects, Close("event_flood")]

    def hear_too_much(self) -> list[Effect]:
        """Answer audio in an event that comes far faster than it was spoken; it is not heard."""
        return self._report(ProtocolError("rate_limit_exceeded", "Audio came too fast and was dropped.", "audio"))

    def _report(self, problem: ProtocolError) -> list[Effect]:
        self.state.emit(events.error(problem.as_json(), None))
        return self.state.drain()

    def hear(self, chunk: Samples, probability: float, level: float) -> list[Effect]:
        """Take the next chunk of the user's audio."""
        self.input_audio.push(chunk, probability, level)
        return self.state.drain()

    def recognised(self, recognition_id: str, transcript: Transcript) -> list[Effect]:
        """Take the result of a Recognise effect."""
        self.input_audio.recognised(recognition_id, transcript)
        return self.state.drain()

    def recognition_failed(self, recognition_id: str, message: str) -> list[Effect]:
        """Take the failure of a Recognise effect."""
        self.input_audio.recognition_failed(recognition_id, message)
        return self.state.drain()

    def reply_part(self, generation_id: str, part: SpokenPiece | ToolCall) -> list[Effect]:
        """Take the next part of a Generate effect."""
        self.responses.take_part(generation_id, part)
        return self.state.drain()

    def reply_ended(self, generation_id: str) -> list[Effect]:
        """Take the end of a Generate effect."""
        self.responses.generated(generation_id)
        return self.state.drain()

    def reply_failed(self, generation_id: str, message: str) -> list[Effect]:
        """Take the failure of a Generate effect."""
        self.responses.generation_failed(generation_id, message)
        return self.state.drain()

    def mcp_tools_listed(self, item_id: str, tools: Sequence[McpTool]) -> list[Effect]:
        """Take the result of a ListMcpTools effect."""
        self.mcp.take_tools(item_id, tools)
        return self.state.drain()

    def mcp_list_failed(self, item_id: str) -> list[Effect]:
        """Take the failure of a ListMcpTools effect."""
        self.mcp.list_failed(item_id)
        return self.state.drain()

    def mcp_tool_called(self, item_id: str, output: str) -> list[Effect]:
        """Take the result of a CallMcpTool effect."""
        self.mcp.take_output(item_id, output)
        return self.state.drain()

    def mcp_call_failed(self, item_id: str, failure: McpFailure) -> list[Effect]:
        """Take the failure of a CallMcpTool effect."""
        self.mcp.call_failed(item_id, failure)
        return self.state.drain()

    def playback_started(self, response_id: str) -> list[Effect]:
        """Take the news that a response can be heard."""
        self.responses.playback_started(response_id)
        return self.state.drain()

    def played(self, response_id: str, played_ms: int) -> list[Effect]:
        """Take how much of a response has been sent."""
        self.responses.played(response_id, played_ms)
        return self.state.drain()

    def playback_ended(self, response_id: str) -> list[Effect]:
        """Take the news that a response has been sent to its end."""
        self.responses.playback_ended(response_id)
        return self.state.drain()

    def tick(self, now_s: float) -> list[Effect]:
        """Let time pass; a session ends when its time is over, an hour with the protocol's own service."""
        self.state.now_s = now_s
        if now_s >= self.state.config["expires_at"]:
            limit = f"{self._life_s // 60} minutes" if self._life_s >= 60 else f"{self._life_s} seconds"
            problem = ProtocolError("session_expired", f"Your session hit the maximum duration of {limit}.")
            self.state.emit(events.error(problem.as_json(), None))
            self.state.do(Close("session_expired"))
        return self.state.drain()


def _event_id_of(unverified: object) -> str | None:
    event_id = unverified.get("event_id") if isinstance(unverified, dict) else None
    return event_id[:MAX_EVENT_ID_CHARS] if isinstance(event_id, str) else None
