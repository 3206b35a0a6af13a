"""Reading the body of an issuing request into a Wish. Names what is wrong with it, and where it belongs."""

import re
from typing import Any, Final

from tokens import exceptions
from tokens.constants import MAX_BODY_BYTES, SESSION_ID_CHARS
from tokens.services import Wish
from voiceagent.strict_json import NotStrictJson, parse_strict_json

FIELDS: Final = frozenset({"agent", "sessionId", "capabilities"})
CAPABILITIES: Final = frozenset({"audio_input", "audio_output"})
SERVER_OWNED: Final = frozenset({"model", "session", "instructions", "tools", "voice", "expires_after"})
SESSION_ID: Final = re.compile(rf"[A-Za-z0-9._:-]{{1,{SESSION_ID_CHARS}}}")
SLUG: Final = re.compile(r"[-a-zA-Z0-9_]{1,50}")


def parse_wish(content_type: str, raw_body: bytes) -> Wish:
    """Return what the caller asks for; an empty body asks for the defaults.

    Raises InvalidRequest and its subclasses.
    """
    if not raw_body:
        return Wish()
    if content_type.lower().replace(" ", "") not in ("application/json", "application/json;charset=utf-8"):
        raise exceptions.UnsupportedMediaType()
    if len(raw_body) > MAX_BODY_BYTES:
        raise exceptions.InvalidRequest(f"The body is larger than {MAX_BODY_BYTES} bytes.")
    try:
        body = parse_strict_json(raw_body)
    except NotStrictJson as exc:
        raise exceptions.InvalidRequest(str(exc)) from exc
    if not isinstance(body, dict):
        raise exceptions.InvalidRequest()
    return _checked(body)


def _checked(body: dict[str, Any]) -> Wish:
    for name in sorted(body.keys() & SERVER_OWNED):
        raise exceptions.InvalidSessionConfig(
            f"{name!r} is not the caller's to set: name an agent, whose session the server builds "
            "(upstream, the model belongs inside `session`, never at the top)."
        )
    for name in sorted(body.keys() - FIELDS):
        raise exceptions.UnknownField(f"{name[:40]!r} is not a field of this request.")
    _check_capabilities(body.get("capabilities", []))
    return Wish(
        agent_slug=_text(body, "agent", SLUG, error=exceptions.UnknownAgent),
        session_id=_text(body, "sessionId", SESSION_ID, error=exceptions.InvalidRequest),
    )


def _text(body: dict[str, Any], name: str, form: re.Pattern[str], *, error: type[exceptions.IssueError]) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        raise exceptions.InvalidRequest(f"{name!r} must be a text.")
    if value and not form.fullmatch(value):
        raise error() if error is exceptions.UnknownAgent else error(f"{name!r} has characters that are not allowed.")
    return value


def _check_capabilities(value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(word, str) and word in CAPABILITIES for word in value):
        raise exceptions.InvalidRequest(f"'capabilities' must be a list out of {', '.join(sorted(CAPABILITIES))}.")
