"""The upstream over HTTP: mint a client secret, make a call, end one. Every failure becomes a `realtime_api.errors`.

Asynchronous (aiohttp) for the hot routes, `requests` for the worker and commands, one set of rules for both:
no environment proxies or netrc, no redirects, no cookies, capped answers, a total deadline. A create is never
repeated, since its fate would be unknown.
"""

import json
import logging
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import requests
from urllib3.exceptions import HTTPError, NewConnectionError, ReadTimeoutError

from realtime_api import errors
from realtime_api.client_secrets import has_form
from realtime_api.cut_off import CutOff, open_session
from realtime_api.masking import mask_secrets
from realtime_api.sdp import check_answer
from realtime_api.session import SessionConfig
from realtime_api.timings import OK, observe

logger = logging.getLogger(__name__)
MAX_ANSWER_BYTES: Final = 262_144
CONNECT_TIMEOUT_S: Final = 3.0
POOL_SIZE: Final = 256
CALL_LOCATION: Final = re.compile(r"(?:.*/)?calls/([A-Za-z0-9_-]{1,128})/?")
LAST_EXPIRY: Final = 4_102_444_800  # the year 2100; a later one is no time that a database keeps
RETRY_AFTER_S: Final = (1, 120)
# What the upstream says about the caller's request keeps its status; everything else is ours to explain.
CALLERS_FAULTS: Final = frozenset({400, 404, 409, 413, 422})
MAX_DATA_CHARS: Final = 2_000
ERROR_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True)
class Upstream:
    """Where the upstream is and how we identify ourselves to it. base_url ends in `/v1`, without a slash."""

    base_url: str
    api_key: str
    deadline_s: float

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}", "Accept-Encoding": "identity"}

    def __repr__(self) -> str:
        return f"Upstream({self.base_url!r})"


@dataclass(frozen=True)
class CreatedCall:
    """A call that the upstream accepted: its id (`rtc_…`) and the SDP answer."""

    call_id: str
    answer_sdp: str = field(repr=False)  # it holds the password of the media connection
    request_id: str


@dataclass(frozen=True)
class MintedSecret:
    """A client secret of the upstream's own. expires_at: Unix seconds. session: as it was granted."""

    value: str
    expires_at: int
    session: dict[str, Any]
    request_id: str

    def __repr__(self) -> str:
        return f"MintedSecret(expires_at={self.expires_at})"


def open_http() -> aiohttp.ClientSession:
    """Return the HTTP session that one event loop keeps for the upstream; the caller closes it."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=POOL_SIZE),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
    )


async def create_client_secret(
    http: aiohttp.ClientSession, upstream: Upstream, *, session: SessionConfig, ttl_s: int, safety_identifier: str
) -> MintedSecret:
    """Ask the upstream for a client secret of `ttl_s` seconds (10 to 7200) with the server's key.

    Raises UpstreamError subclasses; one whose fate is unknown may have minted.
    """
    body = {"expires_after": {"anchor": "created_at", "seconds": ttl_s}, "session": session}
    headers = upstream.headers() | {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "OpenAI-Safety-Identifier": safety_identifier,
    }
    raw_body = json.dumps(body).encode()
    with logged("mint"):
        status, answer_headers, answer = await post(
            http, upstream, "/realtime/client_secrets", data=raw_body, headers=headers
        )
        if status != HTTPStatus.OK:
            raise failure(status, answer_headers, answer)
        return _read_minted_secret(answer_headers, answer)


async def create_call_with_secret(
    http: aiohttp.ClientSession, upstream: Upstream, *, offer_sdp: str, value: str
) -> CreatedCall:
    """Make a call as the holder of a client secret that the upstream minted; its session was fixed then.

    Raises ClientSecretRefused when the upstream no longer takes the secret, else UpstreamError subclasses.
    """
    headers = {
        "Authorization": f"Bearer {value}",
        "Content-Type": "application/sdp",
        "Accept": "application/sdp",
        "Accept-Encoding": "identity",
    }
    with logged("call"):
        status, answer_headers, body = await post(
            http, upstream, "/realtime/calls", data=offer_sdp.encode(), headers=headers
        )
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise errors.ClientSecretRefused(upstream_status=status)
        if status != HTTPStatus.CREATED:
            raise failure(status, answer_headers, body)
        return _read_created_call(answer_headers, body)


async def create_call(
    http: aiohttp.ClientSession, upstream: Upstream, *, offer_sdp: str, session: SessionConfig, safety_identifier: str
) -> CreatedCall:
    """Ask the upstream for a call in one multipart request (`sdp`, `session`) with the server's key.

    safety_identifier: a stable hash of the end user, sent as `OpenAI-Safety-Identifier`.
    Raises UpstreamError subclasses; one whose fate is unknown may have made a call.
    """
    boundary = secrets.token_hex(16)
    form = _form(boundary, sdp=("application/sdp", offer_sdp), session=("application/json", json.dumps(session)))
    headers = upstream.headers() | {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Accept": "application/sdp",
        "OpenAI-Safety-Identifier": safety_identifier,
    }
    with logged("call"):
        status, answer_headers, body = await post(http, upstream, "/realtime/calls", data=form, headers=headers)
        if status != HTTPStatus.CREATED:
            raise failure(status, answer_headers, body)
        return _read_created_call(answer_headers, body)


def _form(boundary: str, **parts: tuple[str, str]) -> bytes:
    """Return a multipart form of texts with their types. aiohttp's own, made for streams, costs a tenth of an offer."""
    text = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\nContent-Type: {kind}\r\n\r\n{value}\r\n'
        for name, (kind, value) in parts.items()
    )
    return f"{text}--{boundary}--\r\n".encode()


async def hang_up(http: aiohttp.ClientSession, upstream: Upstream, call_id: str) -> bool:
    """End a call. Returns False when the upstream knew no such call, which is just as well ended."""
    status, headers, body = await post(
        http, upstream, f"/realtime/calls/{call_id}/hangup", data=None, headers=upstream.headers()
    )
    return _read_hang_up(status, headers, body)


def hang_up_sync(upstream: Upstream, call_id: str) -> bool:
    """Do as `hang_up`, for code that is synchronous."""
    url = f"{upstream.base_url}/realtime/calls/{call_id}/hangup"
    timeout = (min(CONNECT_TIMEOUT_S, upstream.deadline_s), upstream.deadline_s)
    with CutOff(upstream.deadline_s) as cut_off, open_session(cut_off) as http:
        try:
            with http.post(
                url, headers=upstream.headers(), timeout=timeout, allow_redirects=False, stream=True
            ) as answer:
                is_over = answer.ok or answer.status_code == HTTPStatus.NOT_FOUND
                body = b"" if is_over else answer.raw.read(MAX_ANSWER_BYTES, decode_content=False)
                if cut_off.happened:  # to the reader it looks like the body's end
                    raise errors.UpstreamTimeout()
                return _read_hang_up(answer.status_code, answer.headers, body)
        except (requests.RequestException, OSError, HTTPError) as exc:
            raise _sync_error(exc, cut_off) from exc


def _sync_error(exc: Exception, cut_off: CutOff) -> errors.UpstreamError:
    if cut_off.happened:
        return errors.UpstreamTimeout()
    if isinstance(exc, requests.exceptions.SSLError):
        return errors.UpstreamTlsFailed()
    if isinstance(exc, requests.exceptions.ConnectTimeout):
        return errors.UpstreamConnectTimeout()
    if isinstance(exc, requests.exceptions.Timeout | ReadTimeoutError):
        return errors.UpstreamTimeout()
    reason = getattr(exc.args[0] if exc.args else None, "reason", None)
    return errors.UpstreamUnreachable() if isinstance(reason, NewConnectionError) else errors.UpstreamBroken()


@contextmanager
def logged(attempt: str) -> Iterator[None]:
    """Count how long a mint or a call took, and log why it came to nothing: what was said, and what to do."""
    began = time.monotonic()
    try:
        yield
        observe(attempt, OK, time.monotonic() - began)
    except errors.UpstreamError as exc:
        observe(attempt, exc.code, time.monotonic() - began)
        logger.warning(
            "%s failed upstream code=%s status=%s text=%a data=%a reference=docs/errors.md#%s action=%a",
            attempt, exc.code, exc.upstream_status, exc.message, exc.upstream_data, exc.code, exc.suggested_action,
        )  # fmt: skip
        raise


async def post(
    http: aiohttp.ClientSession,
    upstream: Upstream,
    path: str,
    *,
    data: bytes | None,
    headers: dict[str, str],
) -> tuple[int, Mapping[str, str], bytes]:
    """Post once. The deadline covers connecting, the headers and the whole body together.

    The error of a call that was made and whose answer broke off all the same holds the call's id.
    """
    timeout = aiohttp.ClientTimeout(total=upstream.deadline_s, sock_connect=CONNECT_TIMEOUT_S)
    call_id = ""
    try:
        async with http.post(
            upstream.base_url + path, data=data, headers=headers, timeout=timeout, allow_redirects=False
        ) as answer:
            call_id = _call_id(answer.headers) if answer.status == HTTPStatus.CREATED else ""
            return answer.status, answer.headers, await read_capped(answer.content)
    except errors.UpstreamError as exc:
        exc.call_id = call_id
        raise
    except (TimeoutError, aiohttp.ClientError) as exc:
        error = async_error(exc)
        error.call_id = call_id
        raise error from exc


def async_error(exc: Exception) -> errors.UpstreamError:
    if isinstance(exc, aiohttp.ConnectionTimeoutError):
        return errors.UpstreamConnectTimeout()
    if isinstance(exc, TimeoutError):
        return errors.UpstreamTimeout()
    if isinstance(exc, aiohttp.ClientConnectorSSLError | aiohttp.ClientConnectorCertificateError):
        return errors.UpstreamTlsFailed()
    return errors.UpstreamUnreachable() if isinstance(exc, aiohttp.ClientConnectorError) else errors.UpstreamBroken()


async def read_capped(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise errors.UpstreamBadAnswer("The voice service's answer was too large.")
    return bytes(body)


def _read_created_call(headers: Mapping[str, str], body: bytes) -> CreatedCall:
    call_id = _call_id(headers)
    if not call_id:
        raise errors.UpstreamBadAnswer("The voice service answered without a usable call id.", upstream_status=201)
    try:
        answer_sdp = check_answer(body)
    except errors.InvalidSdp as exc:
        error = errors.UpstreamBadAnswer("The voice service's answer is not SDP.", upstream_status=201)
        error.call_id = call_id
        raise error from exc
    return CreatedCall(call_id, answer_sdp, headers.get("x-request-id", "")[:128])


def _call_id(headers: Mapping[str, str]) -> str:
    location = CALL_LOCATION.fullmatch(headers.get("Location", "")[:1_000])
    return location[1] if location else ""


def _read_minted_secret(headers: Mapping[str, str], body: bytes) -> MintedSecret:
    """Read what was minted. Anything but a usable secret is a bad answer whose fate is unknown."""
    try:
        answer = json.loads(body)
        value, expires_at, session = answer["value"], answer["expires_at"], answer.get("session") or {}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise errors.NoClientSecret(upstream_status=200) from exc
    is_usable = (
        isinstance(value, str)
        and has_form(value)
        and type(expires_at) is int
        and time.time() < expires_at < LAST_EXPIRY
        and isinstance(session, dict)
    )
    if not is_usable:
        raise errors.NoClientSecret(upstream_status=200)
    return MintedSecret(value, expires_at, session, headers.get("x-request-id", "")[:128])


def _read_hang_up(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    if status == HTTPStatus.NOT_FOUND:
        return False
    if status >= HTTPStatus.MULTIPLE_CHOICES:
        raise failure(status, headers, body)
    return True


def failure(status: int, headers: Mapping[str, str], body: bytes) -> errors.UpstreamError:
    """Return the error that an upstream answer other than success stands for.

    401 and 403 concern the server's key here, so the caller must not see them as their own.
    """
    error = _failure(status, headers, body)
    error.upstream_data = mask_secrets(body[: 4 * MAX_DATA_CHARS].decode(errors="replace"))[:MAX_DATA_CHARS]
    return error


def _failure(status: int, headers: Mapping[str, str], body: bytes) -> errors.UpstreamError:
    message, code = _read_error(body)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return errors.UpstreamAuthFailed(upstream_status=status)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return errors.UpstreamRateLimited(retry_after_ms=_retry_after_ms(headers), upstream_status=status)
    if status in CALLERS_FAULTS:
        return errors.UpstreamRefusedRequest(message, upstream_status=status, upstream_code=code)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return errors.UpstreamBroken(upstream_status=status)
    if status >= HTTPStatus.BAD_REQUEST:
        return errors.UpstreamUnknown(upstream_status=status)
    return errors.UpstreamBadAnswer(upstream_status=status)


def _read_error(body: bytes) -> tuple[str, str]:
    """Read message and code from the upstream's envelope; secrets and account names are taken out."""
    try:
        error = json.loads(body)["error"]
        message, code = str(error.get("message") or ""), str(error.get("code") or "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "", ""
    return mask_secrets(message)[:500], code if ERROR_CODE.fullmatch(code) and mask_secrets(code) == code else ""


def _retry_after_ms(headers: Mapping[str, str]) -> int:
    raw_wait = headers.get("Retry-After", "")
    low, high = RETRY_AFTER_S
    if raw_wait.isascii() and raw_wait.isdigit():
        seconds = int(raw_wait) if len(raw_wait) < 10 else high
    else:
        seconds = _seconds_until(raw_wait)
    return min(max(seconds, low), high) * 1000


def _seconds_until(raw_date: str) -> int:
    """Return how long it is until an HTTP date; 0 for a text that is none."""
    try:
        date = parsedate_to_datetime(raw_date[:64])
        return int((date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return 0
