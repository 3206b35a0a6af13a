"""Reading the body of an issuing request into a Wish. Names what is wrong with it, and where it belongs.

Two forms: our own (`agent`, `sessionId`, …) and the upstream's (`expires_after`, `session`).
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from realtime_api.masking import mask_keys, shown_name
from realtime_api.session import InvalidSession, check_session
from tokens import exceptions
from tokens.constants import MAX_TTL_S, MIN_TTL_S, SESSION_ID_CHARS
from tokens.models import Kind
from voiceagent.errors import TooLarge
from voiceagent.strict_json import MAX_BODY_BYTES, NotStrictJson, is_plain_json, parse_strict_json

FIELDS: Final = frozenset({"agent", "version", "sessionId", "capabilities", "kind", "expiresAfter", "voice"})
KINDS: Final = tuple(Kind.values)
CAPABILITIES: Final = frozenset({"audio_input", "audio_output"})
SERVER_OWNED: Final = frozenset({"model", "session", "instructions", "tools", "expires_after"})
SESSION_ID: Final = re.compile(rf"[A-Za-z0-9._:-]{{1,{SESSION_ID_CHARS}}}")
VOICE: Final = re.compile(r"[a-z]{1,40}")
SLUG: Final = re.compile(r"[-a-zA-Z0-9_]{1,50}")
IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True)
class Wish:
    """What a caller asks for. Empty and None mean the default. ttl_s is in seconds.

    version_number: of the agent's versions, for those who try out what is not published.
    voice: one that the agent offers.
    """

    agent_slug: str = ""
    version_number: int | None = None
    voice: str = ""
    session_id: str = ""
    kind: str = ""
    ttl_s: int | None = None
    session: dict[str, Any] | None = None
    idempotency_key: str = ""
    body_digest: str = ""


Parser = Callable[[Mapping[str, str], bytes], Wish]


def parse_wish(headers: Mapping[str, str], raw_body: bytes) -> Wish:
    """Return what the caller of our own route asks for; an empty body asks for the defaults.

    Raises InvalidRequest and its subclasses.
    """
    return _with_idempotency(_own_form(_json_object(headers, raw_body)), headers, raw_body)


def parse_upstream_wish(headers: Mapping[str, str], raw_body: bytes) -> Wish:
    """Return what a request in the upstream's form asks for. Raises InvalidRequest and its subclasses."""
    return _with_idempotency(_upstream_form(_json_object(headers, raw_body)), headers, raw_body)


def parse_session_wish(raw_session: bytes) -> Wish:
    """Return what a call with an API key asks for by its session; an empty one asks for the defaults.

    Raises InvalidRequest and its subclasses.
    """
    body = {"session": _json_object({"Content-Type": "application/json"}, raw_session)} if raw_session else {}
    return replace(_upstream_form(body), kind=Kind.RELAYED)


def _json_object(headers: Mapping[str, str], raw_body: bytes) -> dict[str, Any]:
    if not raw_body:
        return {}
    if not is_plain_json(headers.get("Content-Type", ""), headers.get("Content-Encoding", "")):
        raise exceptions.UnsupportedMediaType()
    if len(raw_body) > MAX_BODY_BYTES:
        raise TooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes.")
    try:
        body = parse_strict_json(raw_body)
    except NotStrictJson as exc:
        raise exceptions.InvalidRequest(str(exc)) from exc
    if not isinstance(body, dict):
        raise exceptions.InvalidRequest()
    return body


def _own_form(body: dict[str, Any]) -> Wish:
    for name in sorted(body.keys() & SERVER_OWNED):
        raise exceptions.InvalidSessionConfig(
            f"{name!r} is not the caller's to set: name an agent, whose session the server builds "
            "(upstream, the model belongs inside `session`, never at the top)."
        )
    _refuse_unknown(body, FIELDS)
    _check_capabilities(body.get("capabilities", []))
    kind = _text(body, "kind")
    if kind and kind not in KINDS:
        raise exceptions.InvalidRequest(f"'kind' must be one of {', '.join(KINDS)}.")
    agent_slug = _text(body, "agent")
    if agent_slug and not SLUG.fullmatch(agent_slug):
        raise exceptions.UnknownAgent()
    version_number = body.get("version")
    if version_number is not None and not (agent_slug and type(version_number) is int and version_number > 0):
        raise exceptions.InvalidRequest("'version' must be the number of one of the named agent's versions.")
    session_id = _text(body, "sessionId")
    if session_id and not SESSION_ID.fullmatch(session_id):
        raise exceptions.InvalidRequest("'sessionId' has characters that are not allowed.")
    if mask_keys(session_id) != session_id:
        raise exceptions.InvalidRequest("'sessionId' looks like a key, which must not end up in history.")
    voice = _text(body, "voice")
    if voice and not VOICE.fullmatch(voice):
        raise exceptions.InvalidRequest("'voice' is not the name of a voice.")
    ttl_s = _ttl(body["expiresAfter"], "expiresAfter") if "expiresAfter" in body else None
    return Wish(agent_slug, version_number, voice, session_id=session_id, kind=kind, ttl_s=ttl_s)


def _upstream_form(body: dict[str, Any]) -> Wish:
    for name in sorted(body.keys() & {"model", "type"}):
        raise exceptions.InvalidSessionConfig(f"Unknown parameter: '{name}'. It belongs inside `session`.")
    _refuse_unknown(body, {"expires_after", "session"})
    expiry = body.get("expires_after")
    if expiry is not None and (not isinstance(expiry, dict) or expiry.get("anchor", "created_at") != "created_at"):
        raise exceptions.InvalidRequest("'expires_after' must be an object with the anchor \"created_at\".")
    _refuse_unknown(expiry or {}, {"anchor", "seconds"})
    seconds = expiry.get("seconds") if expiry else None
    session = body.get("session")
    if session is not None:
        try:
            check_session(session)
        except InvalidSession as exc:
            raise exceptions.InvalidSessionConfig(str(exc)) from exc
    return Wish(ttl_s=None if seconds is None else _ttl(seconds, "expires_after.seconds"), session=session)


def _with_idempotency(wish: Wish, headers: Mapping[str, str], raw_body: bytes) -> Wish:
    key = headers.get("Idempotency-Key", "")
    if not key:
        return wish
    if not IDEMPOTENCY_KEY.fullmatch(key):
        raise exceptions.InvalidRequest("The Idempotency-Key must be 1 to 255 printable ASCII characters.")
    return replace(wish, idempotency_key=key, body_digest=hashlib.sha256(raw_body).hexdigest())


def _refuse_unknown(body: dict[str, Any], known: frozenset[str] | set[str]) -> None:
    for name in sorted(body.keys() - known):
        raise exceptions.UnknownField(f"{shown_name(name)!r} is not a field of this request.")


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        raise exceptions.InvalidRequest(f"{name!r} must be a text.")
    return value


def _ttl(value: Any, name: str) -> int:
    if type(value) is not int:  # a boolean is no number here, and neither is 600.0
        raise exceptions.InvalidRequest(f"{name!r} must be a whole number of seconds.")
    if not MIN_TTL_S <= value <= MAX_TTL_S:
        raise exceptions.OutOfRange(f"{name!r} must be from {MIN_TTL_S} to {MAX_TTL_S} seconds.")
    return value


def _check_capabilities(value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(word, str) and word in CAPABILITIES for word in value):
        raise exceptions.InvalidRequest(f"'capabilities' must be a list out of {', '.join(sorted(CAPABILITIES))}.")
