"""From a session's settings and conversation to what a responder is asked, and what that costs."""

from collections.abc import Sequence

from engine.protocol_json import Json
from engine.reply import ReplyRequest, Turn
from engine.session.items import Entry, text_tokens, tools_tokens
from engine.synthesis import Voice


def overlay_settings(config: Json, settings: Json) -> Json:
    """Lay a response's own settings over the session's."""
    merged = {**config, **{name: value for name, value in settings.items() if name not in ("audio", "input")}}
    output = {**config["audio"]["output"], **settings.get("audio", {}).get("output", {})}
    merged["audio"] = {**config["audio"], "output": output}
    return merged


def build_request(
    settings: Json, history: tuple[Turn, ...], cue: str | None = None, more_tools: Sequence[Json] = ()
) -> ReplyRequest:
    """Return what to ask a responder. cue: the instructions of one `response.create`."""
    output = settings["audio"]["output"]
    voice = output["voice"] if isinstance(output["voice"], str) else output["voice"]["id"]
    return ReplyRequest(
        history=history,
        instructions=settings["instructions"],
        cue=cue or "",
        tools=(*(tool for tool in settings["tools"] if tool["type"] == "function"), *more_tools),
        tool_choice=settings["tool_choice"],
        voice=Voice(voice, output["speed"]),
        spoken=settings["output_modalities"] == ["audio"],
    )


def count_input_tokens(settings: Json, context: list[Entry]) -> tuple[int, int]:
    """Return the text and audio tokens that the whole context costs."""
    costs = [entry.input_tokens() for entry in context]
    text = text_tokens(settings["instructions"]) + tools_tokens(settings["tools"]) + sum(cost[0] for cost in costs)
    return text, sum(cost[1] for cost in costs)
