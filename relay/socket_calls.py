"""Opening what a socket asks for: a call of its own, or the sideband of a call, always in one order.

Authenticate, validate, policy and limits, intent, upstream, outcome; only then is the client let in.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from aiohttp import ClientWebSocketResponse
from django.conf import settings
from django.contrib.auth.models import User
from django.core.handlers.asgi import ASGIRequest
from django.utils import timezone

from audit import group_commit
from audit.actions import Action
from audit.group_commit import Group
from realtime_api.client_events import Rights
from realtime_api.errors import CodedError, UpstreamBadAnswer, UpstreamUnreachable
from realtime_api.session import SessionConfig
from realtime_api.upstream_socket import connect, start_session
from relay import call_records, exceptions
from relay.call_records import Claimed
from relay.claims import CallWish
from relay.control import MAY_STEER
from relay.models import Call
from relay.open_sockets import Standing, open_sockets
from relay.recorder import Past
from relay.socket_wish import CALL_ID, SocketWish
from relay.succession import BeginSession
from relay.watch import Watch, tool_names
from tokens.authentication import check_access, find_api_key, session_user
from tokens.footing import Footing, footing_of
from tokens.limits import RequestRates
from tokens.models import Kind, McpApproval, Scope
from tokens.policy import Allowance, allowance_of
from tokens.requester import Requester, requester_of
from tokens.services import Asked, issue_client_secret
from tokens.wishes import Wish
from voiceagent.upstream import configured_upstream, safety_identifier, unavailable, upstream_socket_http


@dataclass(frozen=True)
class Opened:
    """A call whose upstream is ready. first_event: what the client hears first, if anything.

    begin_session: opens a further session for a call of its own. keepalive: the client wants to hear that it is open.
    """

    call: Call
    upstream: ClientWebSocketResponse
    rights: Rights
    standing: Standing
    first_event: dict[str, Any] | None
    watch: Watch | None  # of a call of its own; that of a sideband's call is looked after elsewhere
    begin_session: BeginSession | None = None
    keepalive: bool = False


async def open_call(request: ASGIRequest, wish: SocketWish) -> Opened:
    """Make a call for the holder of a client secret, or of an API key, for which a secret is issued on the way.

    Raises CodedError subclasses, each of which left one event or row with its code.
    """
    secret = await _secret_for(request, wish) if wish.has_api_key else wish.credential
    claimed = await _claim(request, wish, secret)
    try:
        upstream, created = await _create_upstream(claimed, claimed.session(), secret)
    except CodedError as exc:
        await group_commit.commit(partial(call_records.failed, call=claimed.call, error=exc))
        raise
    call_id = created["session"]["id"]
    try:
        owner = open_sockets().owner
        await group_commit.commit(partial(call_records.created, call=claimed.call, call_id=call_id, owner=owner))
    except BaseException:
        await upstream.close()  # nobody may talk on a call that is not on record
        raise
    watch = watch_of(claimed, created)
    return Opened(
        claimed.call, upstream, _rights(claimed.allowance), _standing(request, claimed), created, watch,
        begin_session=partial(_create_upstream, claimed),
    )  # fmt: skip


def watch_of(claimed: Claimed, created: dict[str, Any]) -> Watch:
    """Begin to follow a call from its first event on. Its session cannot drift: what may change it passes here."""
    now = timezone.now()
    version = claimed.issuance.agent_version
    assert version is not None  # filled in when the secret was found
    watch = Watch(claimed.call, Past([], []), None, now, tool_names(version.session_config()), version)
    watch.note_joined(now)
    watch.conversation.take(created, now)
    return watch


async def _secret_for(request: ASGIRequest, wish: SocketWish) -> str:
    """Issue a relayed client secret that nobody gets to see; policy, rates and allowances are those of every other."""
    session = {"type": "realtime", "model": wish.model} if wish.model else None

    def read() -> Asked:
        try:
            requester = _key_holder(request, wish, Scope.MINT)
        except CodedError as exc:
            return Asked(requester_of(request, None), refusal=exc)
        return Asked(requester, Wish(agent_slug=wish.agent, kind=Kind.RELAYED, session=session))

    return (await issue_client_secret(read)).value


def _key_holder(request: ASGIRequest, wish: SocketWish, scope: Scope) -> Requester:
    key, mark = find_api_key(wish.credential, timezone.now())
    requester = requester_of(request, key.user, api_key=key, mark=mark)
    check_access(request, requester, scope)
    return requester


async def _claim(request: ASGIRequest, wish: SocketWish, secret: str) -> Claimed:
    def read() -> Requester:
        return requester_of(request, session_user(request)[0])

    asked = CallWish(secret, Call.Transport.WEBSOCKET, wish.model, wish.continues)
    return await call_records.claim(read=read, wish=asked)


async def _create_upstream(
    claimed: Claimed, session: SessionConfig | dict[str, Any], secret: str = ""
) -> tuple[ClientWebSocketResponse, dict[str, Any]]:
    """Open the upstream's socket and set its session: with the server's key, for a direct secret as its holder."""
    issuance, upstream = claimed.issuance, configured_upstream()
    headers = {"OpenAI-Safety-Identifier": safety_identifier(claimed.call.user_id)}
    if issuance.kind == Kind.DIRECT and secret:
        headers["Authorization"] = f"Bearer {secret}"
    socket = await _connect(address={"model": session["model"]}, headers=headers)
    try:
        created = await start_session(socket, session, deadline_s=upstream.deadline_s)
        if not CALL_ID.fullmatch(str(created["session"].get("id"))):
            raise UpstreamBadAnswer("The voice service's session has no usable id.")
    except BaseException:
        await socket.close()
        raise
    return socket, created


async def _connect(*, address: dict[str, str], headers: dict[str, str]) -> ClientWebSocketResponse:
    try:
        return await connect(upstream_socket_http(), configured_upstream(), address=address, headers=headers)
    except UpstreamUnreachable as exc:
        raise unavailable(exc) from exc


async def join_call(request: ASGIRequest, wish: SocketWish) -> Opened:
    """Join a call's sideband for its owner's program, or for staff's. Raises CodedError subclasses, each recorded."""
    rates = RequestRates()

    def admit(group: Group) -> tuple[Call, Allowance, Requester] | CodedError:
        try:
            requester = _key_holder(request, wish, Scope.CONTROL)
            rates.check("relay", key=requester.address_key, rate=settings.RELAY_RATE)
            call = _call_to_join(wish.call_id, requester)
        except CodedError as exc:
            call_records.write_refusal(requester_of(request, None), rates, exc)
            return exc
        group.record(
            Action.CALL_JOINED,
            about=call,
            request_id=requester.request_id,
            actor=requester.actor,
            person=requester.person,
        )
        assert requester.user is not None  # a key is somebody's
        return call, allowance_of(requester.user, requester.api_key, requester.mark), requester

    decision = await group_commit.commit(admit)
    if isinstance(decision, CodedError):
        raise decision
    call, allowance, requester = decision
    open_sockets().check_sideband(call.pk)
    upstream = await _connect(address={"call_id": wish.call_id}, headers={})
    assert requester.user is not None
    assert requester.api_key is not None
    standing = Standing(call.pk, footing_of(request, requester.user, requester.api_key), is_sideband=True)
    return Opened(call, upstream, _rights(allowance), standing, first_event=None, watch=None)


def _call_to_join(call_id: str, requester: Requester) -> Call:
    live = Call.objects.filter(state=Call.State.LIVE, transport=Call.Transport.WEBRTC)
    call = live.filter(upstream_id=call_id).first()
    user = requester.user
    if call is None or user is None or not (call.user_id == user.pk or _may_join_any(user)):
        raise exceptions.UnknownCall()
    return call


def _may_join_any(user: User) -> bool:
    """Tell whether somebody may hear and steer everybody's calls: as staff who may steer them in the administration."""
    return user.is_staff and user.has_perm(MAY_STEER)


def _rights(allowance: Allowance) -> Rights:
    return Rights(
        own_session=allowance.own_session, check_voice=allowance.check_voice, check_tools=allowance.check_tools,
        may_approve=allowance.mcp_approval == McpApproval.CLIENT,
    )  # fmt: skip


def _standing(request: ASGIRequest, claimed: Claimed) -> Standing:
    """Return what a call stands on: its user, the key that its secret was asked for with, the session it came with."""
    call, user, key = claimed.call, claimed.requester.user, claimed.requester.api_key
    assert call.user_id is not None
    of_page = footing_of(request, user, None) if user and not key else Footing(call.user_id)
    return Standing(call.pk, replace(of_page, user_pk=call.user_id, key_pk=claimed.issuance.api_key_id))
