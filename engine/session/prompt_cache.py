"""Which input tokens of a response were sent before, and so count as cached. Holds the last context, no words."""

from engine.protocol_json import Json
from engine.session.items import Entry, text_tokens, tools_tokens

# Counted in steps, so that short conversations have nothing cached yet.
STEP_TOKENS = 64


class PromptCache:
    """Compare each context with the one before: what both begin with is cached, by modality."""

    def __init__(self) -> None:
        self._setup: tuple[str, str] | None = None
        self._costs: list[tuple[str, tuple[int, int]]] = []

    def count(self, settings: Json, context: list[Entry]) -> tuple[int, int]:
        """Return the cached text and audio tokens of a context, and remember it for the next one."""
        setup = (str(settings["instructions"]), repr(settings["tools"]))
        costs = [(entry.item_id, entry.input_tokens()) for entry in context]
        known = self._costs if setup == self._setup else None
        self._setup, self._costs = setup, costs
        if known is None:
            return 0, 0
        text, audio = text_tokens(settings["instructions"]) + tools_tokens(settings["tools"]), 0
        for before, now in zip(known, costs, strict=False):
            if before != now:
                break
            text, audio = text + now[1][0], audio + now[1][1]
        return text // STEP_TOKENS * STEP_TOKENS, audio // STEP_TOKENS * STEP_TOKENS
