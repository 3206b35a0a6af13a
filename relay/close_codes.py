"""How a socket ends: close codes of RFC 6455 and its registry, and 4000 + the HTTP status that an error would have."""

import json
import secrets
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from realtime_api.client_events import RefusedClientEvent
from realtime_api.errors import CodedError
from relay.models import Call

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
UNSUPPORTED_DATA: Final = 1003
NO_STATUS: Final = 1005
POLICY_VIOLATION: Final = 1008
TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011
SERVICE_RESTART: Final = 1012
TRY_AGAIN_LATER: Final = 1013
OWN_CODES: Final = 4000
MAX_REASON_BYTES: Final = 123

Reason = Call.EndReason
# What a client is told when its call ends for a reason that is not its own doing.
REASON_CODES: Final = {
    Reason.HUNG_UP: NORMAL,
    Reason.USER: NORMAL,
    Reason.ADMINISTRATOR: POLICY_VIOLATION,
    Reason.TIME_LIMIT: OWN_CODES + HTTPStatus.REQUEST_TIMEOUT,
    Reason.IDLE: OWN_CODES + HTTPStatus.REQUEST_TIMEOUT,
    Reason.SESSION_EXPIRED: OWN_CODES + HTTPStatus.REQUEST_TIMEOUT,
    Reason.BUDGET: OWN_CODES + HTTPStatus.FORBIDDEN,
    Reason.ACCESS_ENDED: OWN_CODES + HTTPStatus.UNAUTHORIZED,
    Reason.REPLACED: OWN_CODES + HTTPStatus.CONFLICT,
    Reason.SLOW_CLIENT: TRY_AGAIN_LATER,
    Reason.SERVER_RESTART: SERVICE_RESTART,
    Reason.SERVER_LOST: SERVICE_RESTART,
}
# The upstream's close codes that mean the same to our client; all others are our failure to it.
UPSTREAM_CODES: Final = {
    NORMAL: NORMAL,
    GOING_AWAY: TRY_AGAIN_LATER,
    SERVICE_RESTART: TRY_AGAIN_LATER,
    TRY_AGAIN_LATER: TRY_AGAIN_LATER,
}


@dataclass(frozen=True)
class End:
    """Why a socket ends, and with which code. error: what the client is told first. code 0: it closed by itself."""

    reason: Call.EndReason
    code: int
    error: CodedError | None = None


def end_for(reason: Call.EndReason) -> End:
    return End(reason, REASON_CODES.get(reason, POLICY_VIOLATION))


def left(code: int) -> End:
    """Return the end of a socket whose client is gone."""
    if code == SERVICE_RESTART:  # the server says so of itself
        return End(Reason.SERVER_RESTART, 0)
    if code == TOO_BIG:
        return End(Reason.BAD_CLIENT, 0)
    return End(Reason.USER if code == NORMAL else Reason.CONNECTION_LOST, 0)


def upstream_left(code: int | None) -> End:
    told = UPSTREAM_CODES.get(code or 0, INTERNAL_ERROR)
    return End(Reason.UPSTREAM_ENDED if told == NORMAL else Reason.UPSTREAM_FAILED, told)


def refusal_code(error: CodedError) -> int:
    """Return the close code of a refusal."""
    if error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return OWN_CODES + error.status
    return TRY_AGAIN_LATER if error.status == HTTPStatus.SERVICE_UNAVAILABLE else INTERNAL_ERROR


def error_event(error: CodedError) -> str:
    """Return an error as the protocol's `error` event."""
    kind = "server_error" if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    return _error_event(kind, error.code, error.message, None, None)


def refused_event(refused: RefusedClientEvent) -> str:
    return _error_event("invalid_request_error", refused.code, refused.message, refused.param, refused.event_id)


def _error_event(kind: str, code: str, message: str, param: str | None, event_id: str | None) -> str:
    error = {"type": kind, "code": code, "message": message, "param": param, "event_id": event_id}
    event: dict[str, Any] = {"type": "error", "event_id": f"event_{secrets.token_hex(8)}", "error": error}
    return json.dumps(event)
