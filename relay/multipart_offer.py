"""An offer and its session in one multipart request with an API key, as the vendor's clients make calls."""

from io import BytesIO
from typing import Final

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.utils import timezone

from realtime_api.client_secrets import has_form
from realtime_api.errors import CodedError
from realtime_api.masking import shown_name
from realtime_api.sdp import check_offer
from tokens.authentication import bearer_of, check_access, find_api_key
from tokens.exceptions import InvalidRequest, NotAuthenticated, UnknownField
from tokens.models import Scope
from tokens.requester import Requester, requester_of
from tokens.services import Asked, issue_client_secret
from tokens.wishes import parse_session_wish

PARTS: Final = frozenset({"sdp", "session"})


def is_multipart(request: HttpRequest) -> bool:
    """Tell whether a request is of this form. The holder of a client secret has no session to name."""
    return request.content_type == "multipart/form-data" and not has_form(bearer_of(request))


async def exchange_key(request: HttpRequest) -> tuple[str, bytes]:
    """Issue a relayed client secret that nobody gets to see, and return it with the offer.

    Policy, rates and allowances are those of every other secret, and a refusal leaves the same row. Raises CodedError.
    """
    parts: dict[str, bytes] = {}

    def read() -> Asked:
        try:
            requester = _key_holder(request)
        except CodedError as exc:
            return Asked(requester_of(request, None), refusal=exc)
        try:
            check_access(request, requester, Scope.MINT)
            parts.update(_parts_of(request))
            check_offer(parts.get("sdp", b""))
            return Asked(requester, parse_session_wish(parts.get("session", b"")))
        except CodedError as exc:
            return Asked(requester, refusal=exc)

    issued = await issue_client_secret(read)
    return issued.value, parts["sdp"]


def _key_holder(request: HttpRequest) -> Requester:
    if "HTTP_AUTHORIZATION" not in request.META:
        raise NotAuthenticated("A call by multipart takes an API key.")  # a cookie alone makes no call
    key, mark = find_api_key(bearer_of(request), timezone.now())
    return requester_of(request, key.user, api_key=key, mark=mark)


def _parts_of(request: HttpRequest) -> dict[str, bytes]:
    """Return the parts by name, whether they came as fields or as files. Raises InvalidRequest, UnknownField."""
    meta = request.META | {"CONTENT_LENGTH": len(request.body)}  # Django takes none, when chunked, for empty
    try:
        fields, files = MultiPartParser(meta, BytesIO(request.body), request.upload_handlers).parse()
    except (MultiPartParserError, SuspiciousOperation) as exc:
        raise InvalidRequest("The multipart body could not be read.") from exc
    for name in sorted({*fields, *files} - PARTS):
        raise UnknownField(f"{shown_name(name)!r} is not a part of this request.")
    found = [(name, value.encode(errors="replace")) for name, values in fields.lists() for value in values]
    found += [(name, file.read()) for name, some in files.lists() for file in some]
    parts = dict(found)
    if len(parts) < len(found):
        raise InvalidRequest("Each part may be sent once.")
    return parts
