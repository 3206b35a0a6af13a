"""Issuing client secrets, always in one order.

Authenticate, validate, policy, limits, intent, upstream, outcome, answer.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from agents.models import AgentVersion
from audit import group_commit
from audit.actions import Action
from audit.group_commit import Group, Recorded, read_once
from audit.records import Fact
from audit.services import durable_record, record_event
from realtime_api import client_secrets
from realtime_api.errors import CodedError, UpstreamError
from realtime_api.masking import mask_secrets
from realtime_api.session import SessionConfig, merge_session
from realtime_api.upstream import MintedSecret, create_client_secret
from tokens import api_keys, exceptions, lookups, quotas
from tokens.authentication import note_use
from tokens.constants import INTENT_DEADLINE_S, SESSION_ID_CHARS
from tokens.limits import RateState, RequestRates
from tokens.models import ApiKey, Issuance, Kind
from tokens.policy import Allowance, allowance_of, chosen_kind
from tokens.requester import Requester
from tokens.wishes import Wish
from voiceagent.log_lines import storable
from voiceagent.upstream import configured_upstream, safety_identifier, upstream_http

NOTHING_ASKED: Final = Wish()


@dataclass(frozen=True)
class Asked:
    """A request that was read. refusal: why it goes no further, when reading already showed it."""

    requester: Requester
    wish: Wish = NOTHING_ASKED
    refusal: CodedError | None = None


@dataclass(frozen=True)
class Admitted:
    """A wish that passed every check. issuance: not saved yet."""

    user: User
    issuance: Issuance
    session: SessionConfig
    wish: Wish
    allowance: Allowance
    ttl_s: int
    rate: RateState
    person: dict[str, Fact]


@dataclass(frozen=True)
class IssuedSecret:
    """The answer to a wish; `value` exists only here and in the response. session: as granted.

    event: the outcome's, which is its receipt.
    """

    value: str
    issuance: Issuance
    session: dict[str, Any]
    rate: RateState
    event: Recorded

    def __repr__(self) -> str:
        return f"IssuedSecret({self.issuance!r})"


async def issue_client_secret(read: Callable[[], Asked]) -> IssuedSecret:
    """Issue a client secret: a *relayed* one is ours and good for one call at our relay, a *direct* one upstream's.

    read: authenticates and validates; it runs where the database may be asked. The intent is durable before the
    upstream is asked, the outcome before the value is returned. When the client leaves meanwhile, the record is
    finished all the same. Raises CodedError subclasses, each of which left a row with its code.
    """
    work = asyncio.create_task(_Issuing(read).run())
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait({work})
        work.exception()  # it is on record, and there is nobody left to tell
        raise


class _Issuing:
    """One request for a client secret on its way through two commits, or one where nobody else takes part."""

    def __init__(self, read: Callable[[], Asked]) -> None:
        self._read = read
        self._rates = RequestRates()

    async def run(self) -> IssuedSecret:
        decision = await group_commit.commit(self._decide)
        if isinstance(decision, CodedError):
            raise decision
        return decision if isinstance(decision, IssuedSecret) else await _ask_upstream(decision)

    def _decide(self, group: Group) -> "IssuedSecret | Admitted | CodedError":
        """Read, decide, and write the intent of what is admitted, or the refusal of what is not."""
        asked = self._read()
        refuse = partial(record_refusal, group, asked, self._rates)
        # An allowance that is used up shows while its row is locked: the refusal takes the place of the intent.
        group.when_refused(refuse)
        try:
            if asked.refusal is not None:
                raise asked.refusal
            admitted = _admit(asked, self._rates)
        except CodedError as exc:
            refuse(exc)
            return exc
        key = asked.requester.api_key
        if key is not None and key.needs_last_used(timezone.now()):
            group.lock(f"key:{key.pk}", partial(note_use, key))
        _write_intent(group, admitted)
        return _issue_ours(group, admitted) if admitted.issuance.kind == Kind.RELAYED else admitted


def _issue_ours(group: Group, admitted: Admitted) -> IssuedSecret:
    """Make a secret of our own, with the outcome in the same commit as the intent."""
    issuance = admitted.issuance
    expires_at = int(timezone.now().timestamp()) + admitted.ttl_s
    session = {"object": "realtime.session", "id": issuance.session_id, "expires_at": 0}
    minted = MintedSecret(client_secrets.make_value(), expires_at, dict(admitted.session) | session, request_id="")
    _fill_in(issuance, minted)
    event = _record_issued(group, issuance, minted)
    return IssuedSecret(minted.value, issuance, minted.session, admitted.rate, event)


async def _ask_upstream(admitted: Admitted) -> IssuedSecret:
    issuance = admitted.issuance
    try:
        minted = await create_client_secret(
            upstream_http(),
            configured_upstream(),
            session=admitted.session,
            ttl_s=admitted.ttl_s,
            safety_identifier=safety_identifier(issuance.user_id),
        )
    except UpstreamError as exc:
        await group_commit.commit(partial(_write_failure, admitted=admitted, error=exc))
        raise
    event = await group_commit.commit(partial(_write_outcome, issuance=issuance, minted=minted))
    return IssuedSecret(minted.value, issuance, minted.session, admitted.rate, event)


def _admit(asked: Asked, rates: RequestRates) -> Admitted:
    """Decide about a wish. Raises IssueError."""
    requester, wish = asked.requester, asked.wish
    rates.check("issue-burst", key=requester.rate_key, rate=settings.ISSUE_BURST_RATE)
    user = requester.user
    if user is None:
        rates.check("issue", key=requester.rate_key, rate=settings.ISSUE_RATE)
        raise exceptions.NotAuthenticated()
    allowance = read_once(("allowance", requester.actor), lambda: allowance_of(user, requester.api_key, requester.mark))
    rate = rates.check("issue", key=requester.rate_key, rate=allowance.issue_rate)
    if requester.api_key is not None and allowance.key_issue_rate:
        rate = min(rate, rates.check("issue-key", key=requester.actor, rate=allowance.key_issue_rate), key=_left)
    issuance, session = _granted(user, requester, wish, allowance)
    return Admitted(user, issuance, session, wish, allowance, _granted_ttl(wish, allowance), rate, requester.person)


def rehearse_issuing(requester: Requester, wish: Wish) -> tuple[Issuance, Allowance]:
    """Decide about a wish as `issue_client_secret` would just now: nothing is issued, counted or written.

    Returns the issuance that it would begin with. Raises IssueError.
    """
    user = requester.user
    if user is None:
        raise exceptions.NotAuthenticated()
    allowance = allowance_of(user, requester.api_key)
    issuance, _ = _granted(user, requester, wish, allowance)
    _granted_ttl(wish, allowance)
    quotas.check_secret_is_left(user, allowance, timezone.now())
    return issuance, allowance


def _granted(user: User, requester: Requester, wish: Wish, allowance: Allowance) -> tuple[Issuance, SessionConfig]:
    """Return the issuance, not saved yet, and the session of a wish that policy grants. Raises IssueError."""
    if not settings.UPSTREAM_API_KEY:
        raise exceptions.NotConfigured()
    allowance.check_network(requester.ip)
    allowance.check_origin(requester.origin)
    if wish.version_number is None:
        version = _find_agent_version(wish.agent_slug, allowance, requester.mark)
    else:
        version = _find_version_to_try(requester, wish.agent_slug, wish.version_number)
    session = _granted_session(version, wish, allowance)
    quotas.check_call_is_left(user, allowance, timezone.now(), model=session["model"])
    issuance = Issuance(
        **_facts(requester),
        status=Issuance.Status.REQUESTED.value,
        kind=chosen_kind(allowance, asked=wish.kind, with_key=requester.api_key is not None),
        agent_version_id=version.pk,
        agent=version.agent.slug,
        model=session["model"],
        voice=session["audio"]["output"]["voice"],
        session=session if wish.session is not None or wish.voice else None,
        session_id=wish.session_id or f"sess_{secrets.token_hex(12)}",
        idempotency_digest=_idempotency_digest(wish) if wish.idempotency_key else None,
        body_digest=wish.body_digest,
        requested_at=timezone.now(),
    )
    return issuance, session


def _left(rate: RateState) -> int:
    return rate.remaining


def _granted_session(version: AgentVersion, wish: Wish, allowance: Allowance) -> SessionConfig:
    session = version.session_config()
    if wish.voice:
        session = _with_voice(session, version, wish.voice)
    if wish.session is not None:
        allowance.check_session_fields(wish.session)
        session = merge_session(session, wish.session)
    allowance.check_model(session["model"])
    allowance.check_voice(session["audio"]["output"]["voice"])
    return session


def _with_voice(session: SessionConfig, version: AgentVersion, voice: str) -> SessionConfig:
    if voice not in (version.voice, *version.voices):
        raise exceptions.PolicyDenied(
            f"This agent does not offer the voice {voice!r}.", context={"rule": "agent_voices"}
        )
    return merge_session(session, {"type": "realtime", "audio": {"output": {"voice": voice}}})


def _granted_ttl(wish: Wish, allowance: Allowance) -> int:
    if wish.ttl_s is None:
        return min(int(settings.CLIENT_SECRET_TTL_S), allowance.max_ttl_s)
    allowance.check_ttl(wish.ttl_s)
    return wish.ttl_s


def _write_intent(group: Group, admitted: Admitted) -> None:
    """Use up the allowances and write the intent, both or neither.

    The group is refused with QuotaExceeded, and with AlreadyMinted or IdempotencyMismatch for an Idempotency-Key used
    before.
    """
    user, issuance, allowance = admitted.user, admitted.issuance, admitted.allowance

    def use() -> None:
        if issuance.idempotency_digest:
            _refuse_repeat(user, issuance.idempotency_digest, admitted.wish)
        quotas.use_quotas(user, allowance, issuance.requested_at)

    group.lock(quotas.subject(user), use)
    group.insert(issuance)
    tried: dict[str, Any] = {"preview": admitted.wish.version_number} if admitted.wish.version_number else {}
    _record(
        group, Action.CLIENT_SECRET_REQUESTED, issuance,
        person=admitted.person, agent=issuance.agent, kind=issuance.kind, **tried,
    )  # fmt: skip


_OUTCOME: Final = (
    "status", "secret_digest", "secret_hint", "decided_at", "expires_at", "upstream_request_id", "session_id",
)  # fmt: skip
_FAILURE: Final = ("status", "error_code", "upstream_status", "upstream_data", "decided_at", "idempotency_digest")


def _write_outcome(group: Group, issuance: Issuance, minted: MintedSecret) -> Recorded:
    _fill_in(issuance, minted)
    group.update(issuance, _OUTCOME)
    return _record_issued(group, issuance, minted)


def _record_issued(group: Group, issuance: Issuance, minted: MintedSecret) -> Recorded:
    return _record(group, Action.CLIENT_SECRET_ISSUED, issuance, expires_at=minted.expires_at, model=issuance.model)


def _fill_in(issuance: Issuance, minted: MintedSecret) -> None:
    """Fill in the outcome: the value's digest, its hint and its end of life."""
    issuance.status = Issuance.Status.ISSUED.value
    issuance.secret_digest = secret_digest(minted.value)
    issuance.secret_hint = minted.value[-client_secrets.HINT_CHARS :]
    issuance.decided_at = timezone.now()
    issuance.expires_at = datetime.fromtimestamp(minted.expires_at, UTC)
    issuance.upstream_request_id = minted.request_id
    if isinstance(minted.session.get("id"), str):
        issuance.session_id = minted.session["id"][:SESSION_ID_CHARS]


def _write_failure(group: Group, admitted: Admitted, error: UpstreamError) -> None:
    """Write the outcome of an issuance that came to nothing upstream, or whose fate is unknown.

    What surely was not minted counts against no allowance, and its Idempotency-Key may be used again.
    """
    issuance = admitted.issuance
    issuance.status = Issuance.Status.UNKNOWN if error.fate_unknown else Issuance.Status.FAILED
    issuance.error_code, issuance.upstream_status = error.code, error.upstream_status
    issuance.upstream_data = storable(error.upstream_data)
    issuance.decided_at = timezone.now()
    if not error.fate_unknown:
        issuance.idempotency_digest = None
        give_back = partial(quotas.give_back, admitted.user, issuance.requested_at)
        group.lock(quotas.subject(admitted.user), give_back)
    group.update(issuance, _FAILURE)
    action = Action.CLIENT_SECRET_UNKNOWN if error.fate_unknown else Action.CLIENT_SECRET_FAILED
    _record(group, action, issuance, code=error.code, upstream_status=error.upstream_status)


def record_refusal(group: Group, asked: Asked, rates: RequestRates, error: CodedError) -> None:
    """Keep a refusal as a row. After the first few alike in a minute the last row tells about how many more.

    Refusals are cheap to cause, and must not be a way to fill the disk or to hold its lock.
    """
    requester = asked.requester
    counter = rates.refusals(f"{error.code}:{requester.rate_key}")
    repeats = counter.count()
    if repeats:
        row = counter.row()
        if row is not None and repeats.bit_count() == 1:  # at 1, 2, 4, 8, … so that a flood is none of writes
            rows = Issuance.objects.filter(pk=row)
            group.lock(f"issuance:{row}", partial(rows.update, repeats=repeats))
        return
    now = timezone.now()
    is_denied = error.status < HTTPStatus.INTERNAL_SERVER_ERROR
    issuance = Issuance(
        **_facts(requester),
        status=Issuance.Status.DENIED if is_denied else Issuance.Status.FAILED,
        error_code=error.code,
        agent=mask_secrets(asked.wish.agent_slug)[:80],  # anything that the caller had at hand
        requested_at=now,
        decided_at=now,
    )
    group.insert(issuance)
    action = Action.CLIENT_SECRET_DENIED if is_denied else Action.CLIENT_SECRET_FAILED
    _record(group, action, issuance, code=error.code, person=requester.person)
    group.afterwards(lambda: counter.remember_row(issuance.pk))


def revoke_issuance(issuance: Issuance, *, actor: str, request_id: str) -> bool:
    """Make the relay take a secret no more. False when it was revoked before, or never issued."""
    with durable_record():
        live = Issuance.objects.filter(pk=issuance.pk, status=Issuance.Status.ISSUED, revoked_at=None)
        if not live.update(revoked_at=timezone.now()):
            return False
        record_event(Action.CLIENT_SECRET_REVOKED, request_id=request_id, actor=actor, target=f"issuance:{issuance.pk}")
    return True


def close_orphans(now: datetime) -> int:
    """Close intents whose process died before the outcome; returns how many. Safe to run anywhere, any time."""
    orphans = Issuance.objects.without_outcome(before=now - timedelta(seconds=INTENT_DEADLINE_S))
    closed = 0
    for issuance in orphans[:1000]:
        with transaction.atomic():
            still_open = Issuance.objects.filter(pk=issuance.pk, status=Issuance.Status.REQUESTED)
            if not still_open.update(status=Issuance.Status.UNKNOWN, decided_at=now):
                continue
            record_event(
                Action.CLIENT_SECRET_UNKNOWN,
                request_id=issuance.request_id,
                actor="worker",
                target=f"issuance:{issuance.pk}",
            )
            closed += 1
    return closed


def secret_digest(value: str) -> str:
    """Return the keyed fingerprint by which a client secret is stored and found."""
    return client_secrets.digest(value, pepper=_pepper(settings.SECRET_KEY))


@lru_cache
def _pepper(secret_key: str) -> bytes:
    return hmac.new(secret_key.encode(), b"client-secret-pepper", hashlib.sha256).digest()


@dataclass(frozen=True)
class Leak:
    """Whose a value is: the row's name as in the record (`issuance:12`, `api_key:3`), and words about it."""

    target: str
    words: str


def find_leaked(value: str) -> Leak | None:
    """Tell whose client secret or API key a value is; None when it is none of ours."""
    issuance = Issuance.objects.filter(secret_digest=secret_digest(value)).first()
    if issuance is not None:
        state = "still valid" if issuance.is_valid() else "no longer valid"
        return Leak(
            f"issuance:{issuance.pk}",
            f"Client secret, {state}: issuance {issuance.pk} to {issuance.username or 'nobody'}"
            f" from {issuance.ip} at {issuance.requested_at:%Y-%m-%d %H:%M:%S} UTC, request {issuance.request_id}",
        )
    if not api_keys.has_form(value):
        return None
    key = ApiKey.objects.select_related("user").filter(public_part=api_keys.public_part(value)).first()
    if key is None or key.digest != api_keys.digest(value, pepper_number=key.pepper_number):
        return None
    state = "in use" if ApiKey.objects.usable(timezone.now()).filter(pk=key.pk).exists() else "no longer usable"
    words = f"API key, {state}: {key.name!r} ({key.public_part}…) of {key.user.get_username()}, key {key.pk}"
    return Leak(f"api_key:{key.pk}", words)


def _find_agent_version(slug: str, allowance: Allowance, mark: int | None) -> AgentVersion:
    """Return what an agent runs. One that a policy hides looks unknown; one that is switched off says so."""
    if slug:
        agent = lookups.agent(slug, mark)
    elif allowance.agents is None:
        agent = lookups.first_agent(mark)
    else:
        offered = [offered for offered in lookups.offered_slugs(mark) if allowance.allows_agent(offered)]
        agent = lookups.agent(offered[0], mark) if offered else None
    if agent is None or agent.published is None or not allowance.allows_agent(agent.slug):
        raise exceptions.UnknownAgent()
    if not agent.enabled:
        raise exceptions.AgentDisabled()
    return agent.published


def _find_version_to_try(requester: Requester, slug: str, number: int) -> AgentVersion:
    """Return any version of an agent, published or not, for a person who may change agents: a key is a program's."""
    if requester.api_key is not None or requester.user is None or not requester.user.has_perm("agents.change_agent"):
        raise exceptions.PolicyDenied("Only who may change agents can try a version.", context={"rule": "version"})
    version = AgentVersion.objects.filter(agent__slug=slug, number=number).select_related("agent").first()
    if version is None:
        raise exceptions.UnknownAgent("There is no such version of this assistant.")
    return version


def _refuse_repeat(user: User, idempotency_digest: str, wish: Wish) -> None:
    before = Issuance.objects.filter(user=user, idempotency_digest=idempotency_digest).first()
    if before is None:
        return
    if before.body_digest != wish.body_digest:
        raise exceptions.IdempotencyMismatch()
    raise exceptions.AlreadyMinted(context={"issuance": before.pk})


def _idempotency_digest(wish: Wish) -> str:
    return hmac.new(settings.SECRET_KEY.encode(), wish.idempotency_key.encode(), hashlib.sha256).hexdigest()


def _facts(requester: Requester) -> dict[str, object]:
    return {
        "request_id": requester.request_id,
        "user_id": requester.user.pk if requester.user else None,
        "username": requester.user.get_username() if requester.user else "",
        "api_key_id": requester.api_key.pk if requester.api_key else None,
        "ip": requester.ip,
        "user_agent": requester.user_agent,
        "origin": requester.origin,
    }


def _actor(issuance: Issuance) -> str:
    if issuance.api_key_id:
        return f"key:{issuance.api_key_id}"
    return f"user:{issuance.user_id}" if issuance.user_id else ""


def _record(
    group: Group,
    action: Action,
    issuance: Issuance,
    *,
    code: str = "",
    person: Mapping[str, Fact] | None = None,
    **facts: Fact,
) -> Recorded:
    return group.record(
        action,
        about=issuance,
        request_id=issuance.request_id,
        actor=_actor(issuance),
        code=code,
        person=person,
        **facts,
    )
