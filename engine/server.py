"""The engine's HTTP side: client secrets, calls, hang-up, models, health. WebSockets are in `socket_routes`."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from engine.calls import CallRegistry, TooManyCalls, new_id
from engine.credentials import Credentials
from engine.faults import Faults
from engine.http_errors import HttpError, envelope
from engine.minted_secrets import DEFAULT_S, LONGEST_S, SHORTEST_S, TooManySecrets
from engine.moderation import moderate
from engine.offer import BadOffer
from engine.protocol_json import Json
from engine.session.errors import ProtocolError
from engine.session.fields import any_object, choice, fields, integer, read_fields, text
from engine.session.update import default_session, merge_session, read_session
from engine.socket_routes import SocketRoutes
from engine.speech import Speech
from realtime_api.errors import InvalidSdp
from realtime_api.sdp import check_offer

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 512 * 1024
RETRY_AFTER_S = 5
MODELS = ("gpt-realtime-2.1", "gpt-realtime-2.1-mini", "gpt-realtime-2", "gpt-realtime-1.5", "local-engine")
SDP = "application/sdp"
CALLS_PATH = "/v1/realtime/calls"
# Bearer credentials, never cookies, so any page that holds a client secret may call; as the upstream does.
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "authorization, content-type, x-openai-agents-sdk",
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Expose-Headers": "Location",
}
MINT_FIELDS = {
    "expires_after": fields({"anchor": choice("created_at"), "seconds": integer(SHORTEST_S, LONGEST_S)}),
    "session": any_object,
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """The routes. Keeps the client secrets; the calls keep themselves."""

    def __init__(self, api_key: str, speech: Speech, calls: CallRegistry, faults: Faults | None = None) -> None:
        """faults: given, they act, and `PUT /faults` sets them."""
        self._credentials = Credentials(api_key)
        self._speech = speech
        self._calls = calls
        self._faults = faults or Faults()
        self._may_set_faults = faults is not None
        self._sockets = SocketRoutes(self._credentials, calls, self._faults)

    def build_app(self) -> web.Application:
        """Return the application with its routes."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[answer_in_envelope])
        app.router.add_get("/healthz", self.report_health)
        app.router.add_get("/v1/models", self.list_models)
        app.router.add_post("/v1/moderations", self.moderate)
        app.router.add_post("/v1/realtime/client_secrets", self.mint_client_secret)
        app.router.add_post(CALLS_PATH, self.create_call)
        app.router.add_options(CALLS_PATH, self.answer_preflight)
        app.router.add_post(CALLS_PATH + "/{call_id}/hangup", self.hang_up)
        app.router.add_get("/v1/realtime", self._sockets.connect)
        if self._may_set_faults:
            app.router.add_put("/faults", self.set_faults)
        app.on_shutdown.append(self._close_calls)
        return app

    async def report_health(self, request: web.Request) -> web.Response:
        """Say that the engine is up, how many calls it carries and which models it uses."""
        return web.json_response({"status": "ok", "calls": len(self._calls), "speech": self._speech.names})

    async def list_models(self, request: web.Request) -> web.Response:
        """List the names that the engine answers to; it is the same engine behind each."""
        self._credentials.require_api_key(request)
        models = [{"id": name, "object": "model", "created": 0, "owned_by": "local"} for name in MODELS]
        return web.json_response({"object": "list", "data": models})

    async def moderate(self, request: web.Request) -> web.Response:
        """Say which categories of moderation a text falls under."""
        self._credentials.require_api_key(request)
        body = read_fields(await _read_json(request), "", {"model": text(), "input": text()}, ("input",))
        return web.json_response(moderate(str(body["input"])))

    async def mint_client_secret(self, request: web.Request) -> web.Response:
        """Mint a client secret for a session configuration."""
        self._credentials.require_api_key(request)
        body = read_fields(await _read_json(request), "", MINT_FIELDS)
        lifetime_s = body.get("expires_after", {}).get("seconds", DEFAULT_S)
        session = _whole_session(body.get("session", {"type": "realtime"}))
        try:
            minted = self._credentials.secrets.mint(session, lifetime_s, time.time())
        except TooManySecrets as exc:
            raise HttpError(
                429, "rate_limit_exceeded", "Too many live client secrets. Wait for some to expire."
            ) from exc
        return web.json_response({"value": minted.value, "expires_at": minted.expires_at, "session": session})

    async def create_call(self, request: web.Request) -> web.Response:
        """Answer an SDP offer and start the call."""
        self._faults.refuse_call()
        await asyncio.sleep(self._faults.call_delay_ms / 1000)
        session, raw_offer = await self._read_call(request)
        try:
            offer_sdp = check_offer(raw_offer)
            call_id, answer_sdp = await self._calls.start(session, offer_sdp)
        except InvalidSdp as exc:
            raise HttpError(400, "invalid_offer", f"The SDP offer was refused. {exc.message}", "sdp") from exc
        except BadOffer as exc:
            raise HttpError(400, "invalid_offer", "The SDP offer could not be answered.", "sdp") from exc
        except TooManyCalls as exc:
            message = "The engine carries as many calls as it may. Try again when one has ended."
            raise HttpError(503, "too_many_calls", message, retry_after_s=RETRY_AFTER_S) from exc
        location = {"Location": f"{CALLS_PATH}/{call_id}", **CORS}
        return web.Response(status=201, text=answer_sdp, content_type=SDP, headers=location)

    async def answer_preflight(self, request: web.Request) -> web.Response:
        """Let pages of other origins post an offer."""
        return web.Response(status=204, headers=CORS)

    async def hang_up(self, request: web.Request) -> web.Response:
        """End a call."""
        self._credentials.require_api_key(request)
        self._faults.refuse_hang_up()
        if not await self._calls.hang_up(request.match_info["call_id"]):
            raise HttpError(404, "call_id_not_found", "No session found for the provided call_id.", "call_id")
        return web.Response(status=200)

    async def set_faults(self, request: web.Request) -> web.Response:
        """Misbehave as the body says from now on; `{}` ends it."""
        self._credentials.require_api_key(request)
        self._faults.set(await _read_json(request))
        return web.Response(status=204)

    async def _read_call(self, request: web.Request) -> tuple[Json, bytes]:
        """Return the session and the unverified offer of either form of the request."""
        session = self._credentials.session_of(request)
        if session is not None:
            _require_content_type(request, SDP)
            return session, await request.read()
        if request.content_type == "multipart/form-data":
            return await _read_multipart(request)
        _require_content_type(request, SDP)
        return _whole_session({"type": "realtime"}), await request.read()

    async def _close_calls(self, app: web.Application) -> None:
        await self._calls.close_all()


@web.middleware
async def answer_in_envelope(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every failure into the protocol's error envelope and give each answer a request id."""
    request_id = new_id("req")
    try:
        answer = await handler(request)
    except HttpError as problem:
        answer = envelope(problem)
    except ProtocolError as problem:
        answer = envelope(HttpError(400, problem.code, problem.message, problem.param))
    except web.HTTPRequestEntityTooLarge:
        answer = envelope(HttpError(413, "request_too_large", f"The body is larger than {MAX_BODY_BYTES} bytes."))
    except web.RequestPayloadError:
        answer = envelope(HttpError(400, "invalid_body", "The body broke off or is not encoded as its headers say."))
    except web.HTTPException as problem:
        answer = envelope(HttpError(problem.status, "invalid_url", f"{request.method} is not possible here."))
    except Exception:
        logger.exception("Request %s failed", request_id)
        answer = envelope(HttpError(500, "internal_error", f"The engine failed. Its log names request {request_id}."))
    if request.path == CALLS_PATH:
        answer.headers.update(CORS)
    answer.headers["x-request-id"] = request_id
    return answer


def _whole_session(unverified: object) -> Json:
    """Check a session as a request brings it and fill in what it leaves open."""
    return merge_session(default_session(new_id("sess"), expires_at=0), read_session(unverified))


def _require_content_type(request: web.Request, wanted: str) -> None:
    if request.content_type != wanted:
        raise HttpError(400, "unsupported_content_type", f"Expected Content-Type {wanted}.")


async def _read_json(request: web.Request) -> object:
    raw = await request.read()
    if not raw:
        return {}
    return _parse_json(raw, "The body")


def _parse_json(raw: bytes | str, what: str) -> object:
    try:
        parsed: object = json.loads(raw)
    except (ValueError, RecursionError) as exc:
        raise HttpError(400, "invalid_json", f"{what} is not JSON.") from exc
    return parsed


async def _read_multipart(request: web.Request) -> tuple[Json, bytes]:
    try:
        form = await request.post()
    except (ValueError, LookupError, RuntimeError, AssertionError, HttpProcessingError) as exc:
        raise HttpError(400, "invalid_multipart", "The multipart body could not be read.") from exc
    for name in form:
        if name not in ("sdp", "session"):
            raise HttpError(400, "unknown_parameter", f"Unknown parameter: '{name[:64]}'.", name[:64])
    if "sdp" not in form:
        raise HttpError(400, "missing_required_parameter", "Missing required parameter: 'sdp'.", "sdp")
    session = (
        _parse_json(_part_bytes(form["session"]), "The session part") if "session" in form else {"type": "realtime"}
    )
    return _whole_session(session), _part_bytes(form["sdp"])


def _part_bytes(part: str | bytes | bytearray | web.FileField) -> bytes:
    if isinstance(part, web.FileField):
        return part.file.read()
    return part.encode() if isinstance(part, str) else bytes(part)
