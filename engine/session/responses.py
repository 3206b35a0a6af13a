"""The agent's side: responses from `response.create` or a finished turn to `response.done`, with their events."""

from dataclasses import dataclass, field

from engine.protocol_json import Json
from engine.reply import ReplyRequest, ToolCall, Turn
from engine.session import events
from engine.session.active_response import ActiveResponse, SpokenPiece
from engine.session.effects import (
    ClearPlayback,
    DropGeneration,
    EndOfSpeech,
    Generate,
    HoldPlayback,
    Play,
    ResumePlayback,
)
from engine.session.errors import ProtocolError
from engine.session.items import Entry, as_turns
from engine.session.mcp import McpTools
from engine.session.prompt_cache import PromptCache
from engine.session.reply_request import build_request, count_input_tokens, overlay_settings
from engine.session.response_output import ResponseOutput
from engine.session.state import SessionState


@dataclass
class Draft:
    """A reply begun while the user may still go on; dropped unless the turn ends as it was heard."""

    generation_id: str
    last_item_id: str | None
    config: Json
    parts: list[SpokenPiece | ToolCall] = field(default_factory=list)
    is_generated: bool = False
    failure: str = ""


class Responses:
    """At most one response at a time, as the protocol has it."""

    def __init__(self, state: SessionState, mcp: McpTools) -> None:
        self._state = state
        self._mcp = mcp
        self._output = ResponseOutput(state)
        self._prompt_cache = PromptCache()
        self._active: ActiveResponse | None = None
        self._draft: Draft | None = None
        self._is_owed = False
        self._is_held = False
        self._waiting_request: ReplyRequest | None = None
        self._awaits_words = False

    @property
    def is_active(self) -> bool:
        return self._active is not None

    # Beginning.

    def draft(self, user_words: str) -> None:
        """Begin a reply to words that are not committed yet, sending nothing."""
        self.drop_draft()
        state = self._state
        self._draft = Draft(state.new_id("generation"), state.conversation.last_id, state.config)
        history = (*as_turns(iter(state.conversation)), Turn("user", user_words))
        state.do(Generate(self._draft.generation_id, self._request(state.config, history)))

    def drop_draft(self) -> None:
        """Give up the reply that was begun early, if any."""
        if self._draft is not None:
            self._state.do(DropGeneration(self._draft.generation_id))
        self._draft = None

    def begin_automatic(self) -> None:
        """Answer a finished turn; if a response is still going on, answer after it."""
        if self._active is not None:
            self._is_owed = True
            return
        draft, self._draft = self._draft, None
        if draft is not None and not self._still_holds(draft):
            self._state.do(DropGeneration(draft.generation_id))
            draft = None
        active = self._open({}, True, list(self._state.conversation))
        if draft is None:
            self._generate(active, self._request(active.settings, as_turns(iter(self._state.conversation))))
        else:
            self._adopt(active, draft)

    def begin(self, settings: Json, entries: list[Entry] | None, words_are_known: bool) -> None:
        """Answer a `response.create`.

        entries: the input it brings instead of the conversation. Raises ProtocolError when a response
        is in progress. Without the words of committed speech the reply waits for `words_are_known`.
        """
        if self._active is not None:
            raise ProtocolError(
                "conversation_already_has_active_response",
                f"Conversation already has an active response in progress: {self._active.response_id}. "
                "Wait until the response is finished before creating a new one.",
            )
        self.drop_draft()
        self._is_owed = False
        in_conversation = settings.get("conversation", "auto") != "none"
        context = list(self._state.conversation) if entries is None else entries
        active = self._open(settings, in_conversation, context)
        # A call of a server's tool lives on in the conversation when its response is over.
        cue, turns = settings.get("instructions"), as_turns(context)
        request = self._request(active.settings, turns, cue, has_mcp=in_conversation)
        if words_are_known or entries is not None:
            self._generate(active, request)
        else:
            self._waiting_request = request

    def words_are_known(self) -> None:
        """Go on with a response that waited for the words of committed speech."""
        request, self._waiting_request = self._waiting_request, None
        if self._active is not None and request is not None:
            history = as_turns(iter(self._state.conversation))
            settings = self._active.settings
            has_mcp = self._active.conversation_id is not None
            self._generate(self._active, self._request(settings, history, request.cue or None, has_mcp=has_mcp))

    def _open(self, settings: Json, in_conversation: bool, context: list[Entry]) -> ActiveResponse:
        state = self._state
        merged = overlay_settings(state.config, settings)
        self._active = ActiveResponse(
            state.new_id("resp"),
            merged,
            state.conversation_id if in_conversation else None,
            count_input_tokens(merged, context),
            self._prompt_cache.count(merged, context),
        )
        state.emit(events.response_event("created", self._active.as_json("in_progress", None, False)))
        return self._active

    def _request(
        self, settings: Json, history: tuple[Turn, ...], cue: str | None = None, *, has_mcp: bool = True
    ) -> ReplyRequest:
        more_tools = self._mcp.definitions(settings["tools"]) if has_mcp else ()
        return build_request(settings, history, cue, more_tools)

    def _generate(self, active: ActiveResponse, request: ReplyRequest) -> None:
        active.generation_id = self._state.new_id("generation")
        self._state.do(Generate(active.generation_id, request))

    def _still_holds(self, draft: Draft) -> bool:
        """A draft answers the conversation as it was, plus the one turn just committed."""
        last_id = self._state.conversation.last_id
        before = self._state.conversation.previous_id(last_id) if last_id else None
        return draft.last_item_id == before and draft.config is self._state.config and not draft.failure

    def _adopt(self, active: ActiveResponse, draft: Draft) -> None:
        active.generation_id = draft.generation_id
        for part in draft.parts:
            self.take_part(draft.generation_id, part)
        if draft.is_generated:
            self.generated(draft.generation_id)

    # Going on.

    def take_part(self, generation_id: str, part: SpokenPiece | ToolCall) -> None:
        """Take the next part of a reply; parts of dropped replies are ignored."""
        if self._draft is not None and self._draft.generation_id == generation_id:
            self._draft.parts.append(part)
            return
        active = self._find(generation_id)
        if active is None or active.is_cut_short:
            return
        if isinstance(part, ToolCall):
            active.calls.append(part)
        elif active.fits(part):
            self._say(active, part)
        else:
            active.is_cut_short = True
            self._state.do(DropGeneration(generation_id))
            self._end_of_parts(active)

    def generated(self, generation_id: str) -> None:
        """Note that a reply has no more parts."""
        if self._draft is not None and self._draft.generation_id == generation_id:
            self._draft.is_generated = True
            return
        active = self._find(generation_id)
        if active is not None and not active.is_generated:
            self._end_of_parts(active)

    def generation_failed(self, generation_id: str, message: str) -> None:
        """End the response whose reply could not be made."""
        if self._draft is not None and self._draft.generation_id == generation_id:
            self._draft.failure = message
            return
        active = self._find(generation_id)
        if active is not None:
            error = {"type": "server_error", "code": "reply_failed", "message": message}
            self._silence(active)
            self._finish(active, "failed", {"type": "failed", "error": error})

    def _find(self, generation_id: str) -> ActiveResponse | None:
        active = self._active
        return active if active is not None and active.generation_id == generation_id else None

    def _say(self, active: ActiveResponse, piece: SpokenPiece) -> None:
        entry = active.message or self._output.add_message(active)
        active.schedule(piece)
        if active.is_spoken and piece.samples is not None:
            self._state.has_spoken = True
            if self._state.is_paced:
                self._state.do(Play(active.response_id, piece.samples))
            else:
                self._output.send_sound(active, entry, piece.samples)
        if not (active.is_spoken and self._state.is_paced):
            self._output.show_words(active, entry)

    # Playing.

    def playback_started(self, response_id: str) -> None:
        """Note that the first sound of a response is on its way."""
        active = self._playing(response_id)
        if active is not None and not active.is_audible:
            active.is_audible = True
            self._state.emit(events.output_audio("started", response_id))

    def played(self, response_id: str, played_ms: int) -> None:
        """Note how much of a response's speech has been sent, and show the words that go with it."""
        active = self._playing(response_id)
        if active is not None and active.message is not None:
            active.played_ms = played_ms
            self._output.show_words(active, active.message, played_ms)

    def playback_ended(self, response_id: str) -> None:
        """Note that a response has been heard to its end."""
        active = self._playing(response_id)
        if active is None:
            return
        was_audible = active.is_audible
        self._complete(active)
        if was_audible:
            self._state.emit(events.output_audio("stopped", response_id))
        self._answer_what_is_owed()

    def hold(self) -> None:
        """Fall silent on the first sound of what may be speech, a chunk before that is certain."""
        if self._active is not None and self._active.is_audible:
            self._is_held = True
            self._state.do(HoldPlayback())

    def resume(self) -> None:
        """Go on speaking: it was no speech."""
        if self._is_held:
            self._state.do(ResumePlayback())
        self._is_held = False

    def _playing(self, response_id: str) -> ActiveResponse | None:
        active = self._active
        return active if active is not None and active.response_id == response_id else None

    # Ending.

    def cancel(self, response_id: str | None) -> None:
        """Carry out `response.cancel`; raises ProtocolError when no such response is in progress."""
        if self._active is None or response_id not in (None, self._active.response_id):
            raise ProtocolError("response_cancel_not_active", "Cancellation failed: no active response found.")
        self.interrupt("client_cancelled")

    def interrupt(self, reason: str) -> None:
        """Stop the response in progress, if any: silence it, cut the item to what was heard, report.

        reason: turn_detected or client_cancelled.
        """
        self._is_owed = False
        active = self._active
        if active is None:
            return
        self._silence(active)
        self._finish(active, "cancelled", {"type": "cancelled", "reason": reason})

    def _silence(self, active: ActiveResponse) -> None:
        """Stop making and playing speech, and keep only what was heard of it."""
        state = self._state
        self._waiting_request = None
        if active.generation_id and not active.is_generated:
            state.do(DropGeneration(active.generation_id))
        if not (active.is_spoken and state.is_paced) or active.message is None:
            return
        self._is_held = False
        state.do(ClearPlayback())
        active.words.clear()
        active.spoken_ms = min(active.played_ms, active.spoken_ms)
        if active.is_audible:
            state.emit(events.output_audio("cleared", active.response_id))
        if active.spoken_ms and active.conversation_id is not None:
            state.emit(events.item_truncated(active.message.item_id, active.spoken_ms))

    def _end_of_parts(self, active: ActiveResponse) -> None:
        active.is_generated = True
        if active.is_spoken and active.spoken_ms and self._state.is_paced:
            self._state.do(EndOfSpeech(active.response_id))
        else:
            self._complete(active)
            self._answer_what_is_owed()

    def _complete(self, active: ActiveResponse) -> None:
        if active.is_cut_short:
            self._finish(active, "incomplete", {"type": "incomplete", "reason": "max_output_tokens"})
        else:
            self._finish(active, "completed", None)

    def _finish(self, active: ActiveResponse, status: str, details: Json | None) -> None:
        is_whole = status == "completed"
        if active.message is not None:
            self._output.finish_message(active, active.message, "completed" if is_whole else "incomplete")
        of_servers = self._call_tools(active) if is_whole else []
        self._active = None
        self._state.emit(events.response_event("done", active.as_json(status, details, True)))
        for entry in of_servers:
            self._mcp.call(entry, active.output.index(entry))

    def _call_tools(self, active: ActiveResponse) -> list[Entry]:
        """Add the calls of a response's tools; returns those of MCP servers, which are made here."""
        of_servers: list[Entry] = []
        for call in active.calls:
            label = self._mcp.label_of(call.name, active.settings["tools"]) if active.conversation_id else None
            if label is None:
                self._output.call_tool(active, call)
            else:
                of_servers.append(self._output.call_mcp_tool(active, call, label))
        return of_servers

    def _answer_what_is_owed(self) -> None:
        if self._is_owed and self._active is None:
            self._is_owed = False
            self.begin_automatic()
