"""Builders of server events. Shapes only: whoever calls decides when. Ids and `event_id` are added by the session."""

from engine.protocol_json import Json


def session_created(session: Json) -> Json:
    return {"type": "session.created", "session": session}


def session_updated(session: Json) -> Json:
    return {"type": "session.updated", "session": session}


def error(problem: Json, client_event_id: str | None) -> Json:
    return {"type": "error", "error": {**problem, "event_id": client_event_id}}


def speech_started(item_id: str, audio_start_ms: int) -> Json:
    return {"type": "input_audio_buffer.speech_started", "audio_start_ms": audio_start_ms, "item_id": item_id}


def speech_stopped(item_id: str, audio_end_ms: int) -> Json:
    return {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": audio_end_ms, "item_id": item_id}


def timeout_triggered(item_id: str, audio_start_ms: int, audio_end_ms: int) -> Json:
    return {
        "type": "input_audio_buffer.timeout_triggered",
        "audio_start_ms": audio_start_ms,
        "audio_end_ms": audio_end_ms,
        "item_id": item_id,
    }


def committed(item_id: str, previous_item_id: str | None) -> Json:
    return {"type": "input_audio_buffer.committed", "previous_item_id": previous_item_id, "item_id": item_id}


def input_cleared() -> Json:
    return {"type": "input_audio_buffer.cleared"}


def item_added(item: Json, previous_item_id: str | None) -> Json:
    return {"type": "conversation.item.added", "previous_item_id": previous_item_id, "item": item}


def item_done(item: Json, previous_item_id: str | None) -> Json:
    return {"type": "conversation.item.done", "previous_item_id": previous_item_id, "item": item}


def item_retrieved(item: Json) -> Json:
    return {"type": "conversation.item.retrieved", "item": item}


def item_deleted(item_id: str) -> Json:
    return {"type": "conversation.item.deleted", "item_id": item_id}


def item_truncated(item_id: str, audio_end_ms: int) -> Json:
    return {
        "type": "conversation.item.truncated",
        "item_id": item_id,
        "content_index": 0,
        "audio_end_ms": audio_end_ms,
    }


def transcription_completed(item_id: str, transcript: str, usage: Json) -> Json:
    return {
        "type": "conversation.item.input_audio_transcription.completed",
        "item_id": item_id,
        "content_index": 0,
        "transcript": transcript,
        "usage": usage,
    }


def transcription_failed(item_id: str, message: str) -> Json:
    return {
        "type": "conversation.item.input_audio_transcription.failed",
        "item_id": item_id,
        "content_index": 0,
        "error": {"type": "server_error", "code": "transcription_failed", "message": message},
    }


def mcp_list_tools(what: str, item_id: str) -> Json:
    """what: in_progress, completed or failed."""
    return {"type": f"mcp_list_tools.{what}", "item_id": item_id}


def mcp_call(what: str, item_id: str, output_index: int) -> Json:
    """what: in_progress, completed or failed."""
    return {"type": f"response.mcp_call.{what}", "item_id": item_id, "output_index": output_index}


def mcp_arguments(what: str, response_id: str, item_id: str, output_index: int, **more: object) -> Json:
    """what: delta or done, of the arguments for an MCP server's tool."""
    return {
        "type": f"response.mcp_call_arguments.{what}",
        "response_id": response_id,
        "item_id": item_id,
        "output_index": output_index,
        **more,
    }


def output_audio(what: str, response_id: str) -> Json:
    """what: started, stopped or cleared."""
    return {"type": f"output_audio_buffer.{what}", "response_id": response_id}


def response_event(what: str, response: Json) -> Json:
    """what: created or done."""
    return {"type": f"response.{what}", "response": response}


def output_item(what: str, response_id: str, output_index: int, item: Json) -> Json:
    """what: added or done."""
    return {
        "type": f"response.output_item.{what}",
        "response_id": response_id,
        "output_index": output_index,
        "item": item,
    }


def content(name: str, response_id: str, item_id: str, output_index: int, **more: object) -> Json:
    """Build an event about the one content part of a message, such as `response.output_text.delta`."""
    return {
        "type": f"response.{name}",
        "response_id": response_id,
        "item_id": item_id,
        "output_index": output_index,
        "content_index": 0,
        **more,
    }


def arguments(what: str, response_id: str, item: Json, output_index: int, **more: object) -> Json:
    """what: delta or done, of a function call's arguments."""
    return {
        "type": f"response.function_call_arguments.{what}",
        "response_id": response_id,
        "item_id": item["id"],
        "output_index": output_index,
        "call_id": item["call_id"],
        **more,
    }
