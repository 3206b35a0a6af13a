"""What a WebSocket handshake asks for: who shows which credential, and the call that is wanted. Asks no database."""

import re
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest

from realtime_api.client_secrets import has_form
from realtime_api.masking import mask_keys, shown_name
from realtime_api.session import MODEL_NAME
from relay import exceptions
from tokens import api_keys
from tokens.authentication import bearer_of
from tokens.exceptions import NotAuthenticated
from tokens.requester import check_origin, requester_of
from tokens.wishes import SLUG
from voiceagent.errors import BadRequest
from voiceagent.middleware import has_readable_cookies, identify_request

SUBPROTOCOL: Final = "realtime"
CREDENTIAL_PREFIX: Final = "openai-insecure-api-key."
BETA_SUBPROTOCOL: Final = "openai-beta.realtime-v1"
YES: Final = re.compile("true")
CALL_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
ADDRESS_FIELDS: Final = {"model": MODEL_NAME, "agent": SLUG, "call_id": CALL_ID, "continues": CALL_ID, "keepalive": YES}
CREDENTIAL_NAMES: Final = re.compile(r"key|token|secret|auth|bearer|password", re.IGNORECASE)
HTTP_SCHEMES: Final = {"ws": "http", "wss": "https"}


@dataclass(frozen=True)
class SocketWish:
    """Empty means not asked for. call_id: of a call to join; without one a call of its own is wanted.

    continues: of an earlier call whose conversation goes on in this one. keepalive: the client is told that it is open.
    """

    credential: str = field(repr=False)
    model: str = ""
    agent: str = ""
    call_id: str = ""
    continues: str = ""
    keepalive: str = ""

    @property
    def has_api_key(self) -> bool:
        return self.credential.startswith(api_keys.PREFIX)


def handshake_request(scope: dict[str, Any]) -> ASGIRequest:
    """Return a handshake as the request that it is, with its id. Raises BadRequest for one that nobody may send."""
    scheme = HTTP_SCHEMES.get(scope.get("scheme", "ws"), "http")
    request = ASGIRequest(scope | {"type": "http", "method": "GET", "scheme": scheme}, BytesIO())
    identify_request(request)
    return request


def read_wish(request: ASGIRequest, subprotocols: list[str]) -> SocketWish:
    """Return what a handshake asks for. An `Authorization` header decides alone.

    Raises BadRequest, OriginNotAllowed, CredentialInAddress, InvalidSocketAddress, BetaProtocol, NotAuthenticated and
    ApiKeyInPage.
    """
    _check_way(request)
    check_origin(request, requester_of(request, None))
    address = _read_address(request)
    if BETA_SUBPROTOCOL in subprotocols:
        raise exceptions.BetaProtocol()
    credential = bearer_of(request) if "HTTP_AUTHORIZATION" in request.META else _credential_among(subprotocols)
    if not credential:
        raise NotAuthenticated("Open the socket with a client secret or an API key.")
    wish = SocketWish(credential, **address)
    if wish.has_api_key and "HTTP_ORIGIN" in request.META:
        raise exceptions.ApiKeyInPage()
    if (wish.call_id or wish.agent) and has_form(credential):
        raise exceptions.InvalidSocketAddress("A client secret names its agent, and joins no call: use an API key.")
    return wish


def _check_way(request: ASGIRequest) -> None:
    """Raise BadRequest for what a middleware would refuse or redirect."""
    try:
        request.get_host()
    except DisallowedHost as exc:
        raise BadRequest() from exc
    if not has_readable_cookies(request):
        raise BadRequest()
    if settings.SECURE_SSL_REDIRECT and not request.is_secure():
        raise BadRequest("Open the socket with wss://.")


def _read_address(request: ASGIRequest) -> dict[str, str]:
    address: dict[str, str] = {}
    for name, values in request.GET.lists():
        value = str(values[-1])
        if CREDENTIAL_NAMES.search(name) or mask_keys(value) != value:
            raise exceptions.CredentialInAddress()
        form = ADDRESS_FIELDS.get(name)
        if form is None:
            raise exceptions.InvalidSocketAddress(f"{shown_name(name)!r} is not a field of this address.")
        if len(values) > 1 or (value and not form.fullmatch(value)):
            raise exceptions.InvalidSocketAddress(f"{name!r} is not one name.")
        address[name] = value
    if address.get("call_id") and any(address.get(name) for name in ("model", "agent", "continues")):
        raise exceptions.InvalidSocketAddress("A call that is joined has its model, agent and conversation already.")
    return address


def _credential_among(subprotocols: list[str]) -> str:
    found = [word.removeprefix(CREDENTIAL_PREFIX) for word in subprotocols if word.startswith(CREDENTIAL_PREFIX)]
    return found[0] if len(found) == 1 else ""
