"""The bookkeeping of one response: what was said, what was heard, what it cost. Sends nothing."""

from dataclasses import dataclass, field

from engine.audio import Samples
from engine.protocol_json import Json
from engine.reply import ToolCall
from engine.session.items import ASSISTANT_MS_PER_TOKEN, Entry, audio_tokens, snapshot, text_tokens


@dataclass(frozen=True)
class SpokenPiece:
    """A sentence with its 24 kHz sound; `samples` is None when only text was wanted or there is nothing to hear."""

    text: str
    samples: Samples | None = None
    duration_ms: int = 0


@dataclass
class ActiveResponse:
    """A response in progress. `settings` are the session's, overlaid with those of `response.create`."""

    response_id: str
    settings: Json
    conversation_id: str | None
    input_tokens: tuple[int, int]
    cached_tokens: tuple[int, int] = (0, 0)
    generation_id: str = ""
    message: Entry | None = None
    output: list[Entry] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    words: list[tuple[int, str]] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    spoken_ms: int = 0
    played_ms: int = 0
    is_audible: bool = False
    is_generated: bool = False
    is_cut_short: bool = False

    @property
    def is_spoken(self) -> bool:
        """Whether this response has sound."""
        return bool(self.settings["output_modalities"] == ["audio"])

    @property
    def text(self) -> str:
        """Everything that was said so far, heard or not."""
        return "".join([*self.heard, *(word for _due_ms, word in self.words)])

    def schedule(self, piece: SpokenPiece) -> None:
        """Add a piece's words, each due when its sound begins."""
        place = 0
        for word in piece.text.split():
            due_ms = self.spoken_ms + place * piece.duration_ms // max(1, len(piece.text))
            self.words.append((due_ms, f" {word}" if self.text else word))
            place += len(word) + 1
        self.spoken_ms += piece.duration_ms

    def take_due_words(self, played_ms: int | None = None) -> str:
        """Move the words due by `played_ms` (all, without it) to those heard, and return them."""
        due: list[str] = []
        while self.words and (played_ms is None or self.words[0][0] <= played_ms):
            due.append(self.words.pop(0)[1])
        self.heard += due
        return "".join(due)

    def fits(self, piece: SpokenPiece) -> bool:
        """Whether `max_output_tokens` leaves room for one more piece."""
        limit = self.settings["max_output_tokens"]
        if limit == "inf":
            return True
        text, audio = self._output_tokens(f"{self.text} {piece.text}", self.spoken_ms + piece.duration_ms)
        return text + audio <= int(limit)

    def as_json(self, status: str, details: Json | None, is_over: bool) -> Json:
        """Return the `response` object of `response.created` and `response.done`."""
        output = self.settings["audio"]["output"]
        return {
            "object": "realtime.response",
            "id": self.response_id,
            "status": status,
            "status_details": details,
            "output": [snapshot(entry) for entry in self.output],
            "conversation_id": self.conversation_id,
            "output_modalities": self.settings["output_modalities"],
            "max_output_tokens": self.settings["max_output_tokens"],
            "audio": {"output": {"format": output["format"], "voice": output["voice"]}},
            "usage": self.usage() if is_over else None,
            "metadata": self.settings.get("metadata"),
        }

    def usage(self) -> Json:
        """Count the tokens of this response; cached are those that the response before began with, too."""
        text_in, audio_in = self.input_tokens
        text_cached, audio_cached = self.cached_tokens
        said = "".join(self.heard) + "".join(call.name + call.arguments for call in self.calls)
        text_out, audio_out = self._output_tokens(said, self.spoken_ms)
        return {
            "total_tokens": text_in + audio_in + text_out + audio_out,
            "input_tokens": text_in + audio_in,
            "output_tokens": text_out + audio_out,
            "input_token_details": {
                "text_tokens": text_in,
                "audio_tokens": audio_in,
                "image_tokens": 0,
                "cached_tokens": text_cached + audio_cached,
                "cached_tokens_details": {
                    "text_tokens": text_cached,
                    "audio_tokens": audio_cached,
                    "image_tokens": 0,
                },
            },
            "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
        }

    @staticmethod
    def _output_tokens(words: str, audio_ms: int) -> tuple[int, int]:
        return text_tokens(words), audio_tokens(audio_ms, ASSISTANT_MS_PER_TOKEN)
