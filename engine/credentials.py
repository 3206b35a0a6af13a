"""Who may do what here: the standard key everything, a client secret start its session. Keeps the secrets."""

import hmac
import time
from typing import Literal

from aiohttp import hdrs, web

from engine.http_errors import HttpError
from engine.minted_secrets import PREFIX, SecretStore
from engine.protocol_json import Json

BEARER = "Bearer "
# What browsers offer in the place of a header, which they cannot set.
SUBPROTOCOL = "realtime"
SUBPROTOCOL_KEY = "openai-insecure-api-key."
BETA_SUBPROTOCOL = "openai-beta.realtime-v1"
Kind = Literal["client_secret", "api_key"]


class Credentials:
    """Check the credential of each request."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key
        self.secrets = SecretStore()

    def require_api_key(self, request: web.Request) -> None:
        """Raise HttpError unless the request holds the standard key."""
        self._check_api_key(_bearer(request))

    def session_of(self, request: web.Request) -> Json | None:
        """Return the session that a request's client secret stands for, None for the standard key; else HttpError."""
        return self._session_of(_bearer(request))

    def session_of_socket(self, request: web.Request) -> Json | None:
        """Do as `session_of`; the credential may also stand among the offered subprotocols."""
        if hdrs.AUTHORIZATION in request.headers:
            return self.session_of(request)
        keys = [name for name in offered_protocols(request) if name.startswith(SUBPROTOCOL_KEY)]
        return self._session_of(keys[0].removeprefix(SUBPROTOCOL_KEY) if keys else "")

    def _session_of(self, value: str) -> Json | None:
        if not value.startswith(PREFIX):
            self._check_api_key(value)
            return None
        session = self.secrets.find(value, time.time())
        if session is None:
            raise invalid_key()
        return session

    def _check_api_key(self, given: str) -> None:
        if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._api_key.encode()):
            raise invalid_key()


def offered_protocols(request: web.Request) -> list[str]:
    """Return the subprotocols that a WebSocket handshake offers, in order."""
    return [name.strip() for name in request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "").split(",") if name.strip()]


def invalid_key() -> HttpError:
    """Return the refusal of whatever is no valid credential."""
    return HttpError(401, "invalid_api_key", "Incorrect API key provided, or the client secret has expired.")


def _bearer(request: web.Request) -> str:
    header = request.headers.get(hdrs.AUTHORIZATION, "")
    return header.removeprefix(BEARER).strip() if header.startswith(BEARER) else ""
