"""Issuing client secrets. The order is fixed: validate, policy, limits, intent, (upstream), outcome, answer."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from agents.models import Agent, AgentVersion
from audit.actions import Action
from audit.services import durable_record, record_event
from realtime_api import client_secrets
from realtime_api.errors import CodedError
from tokens import exceptions
from tokens.constants import INTENT_DEADLINE_S, REFUSALS_KEPT_APART
from tokens.limits import check_rate
from tokens.models import Issuance
from tokens.requester import Requester


@dataclass(frozen=True)
class Wish:
    """What a caller may ask for. An empty agent means the default one."""

    agent_slug: str = ""
    session_id: str = ""


@dataclass(frozen=True)
class IssuedSecret:
    """The answer to a wish; `value` exists only here and in the response."""

    value: str
    issuance: Issuance

    def __repr__(self) -> str:
        return f"IssuedSecret({self.issuance!r})"


async def issue_client_secret(*, requester: Requester, wish: Wish) -> IssuedSecret:
    """Issue a relayed client secret: a single-use grant for one call at our relay.

    The intent is durable before anything is made, and the outcome before the value is returned.
    Raises IssueError subclasses, each of which left a row with its code.
    """
    issuance = await sync_to_async(admit)(requester=requester, wish=wish)
    value = client_secrets.make_value()
    await sync_to_async(conclude)(issuance, value=value)
    return IssuedSecret(value, issuance)


def admit(*, requester: Requester, wish: Wish) -> Issuance:
    """Decide about a wish and write the intent; a refusal is recorded before it is raised."""
    try:
        check_rate("issue", key=requester.rate_key, rate=settings.ISSUE_RATE)
        if requester.user is None:
            raise exceptions.NotAuthenticated()
        if not settings.UPSTREAM_API_KEY:
            raise exceptions.NotConfigured()
        version = _find_agent_version(wish.agent_slug)
    except exceptions.IssueError as exc:
        record_refusal(requester, error=exc, agent_slug=wish.agent_slug)
        raise
    return _write_intent(requester, version, wish)


def conclude(issuance: Issuance, *, value: str) -> None:
    """Write the outcome of an issuance: the value's digest, its hint and its end of life."""
    now = timezone.now()
    issuance.status = Issuance.Status.ISSUED
    issuance.secret_digest = secret_digest(value)
    issuance.secret_hint = value[-client_secrets.HINT_CHARS :]
    issuance.decided_at = now
    issuance.expires_at = now + timedelta(seconds=settings.CLIENT_SECRET_TTL_S)
    with durable_record():
        issuance.save(update_fields=["status", "secret_digest", "secret_hint", "decided_at", "expires_at"])
        record_event(
            Action.CLIENT_SECRET_ISSUED,
            request_id=issuance.request_id,
            actor=f"user:{issuance.user_id}",
            target=f"issuance:{issuance.pk}",
            expires_at=int(issuance.expires_at.timestamp()),
            model=issuance.model,
        )


def record_refusal(requester: Requester, *, error: CodedError, agent_slug: str = "") -> None:
    """Keep a refusal as a row. After the first few alike in a minute, further ones are counted on the last row.

    Refusals are cheap to cause, and must not be a way to fill the disk.
    """
    now = timezone.now()
    status = Issuance.Status.DENIED if error.status < 500 else Issuance.Status.FAILED
    alike = Issuance.objects.filter(
        status=status,
        error_code=error.code,
        user=requester.user,
        ip=requester.ip,
        requested_at__gt=now - timedelta(minutes=1),
    )
    with durable_record():
        newest_ids = list(alike.values_list("id", flat=True)[:REFUSALS_KEPT_APART])
        if len(newest_ids) == REFUSALS_KEPT_APART:
            Issuance.objects.filter(id=newest_ids[0]).update(repeats=F("repeats") + 1)
            return
        issuance = Issuance.objects.create(
            **_facts(requester),
            status=status,
            error_code=error.code,
            agent=agent_slug[:80],
            requested_at=now,
            decided_at=now,
        )
        record_event(
            Action.CLIENT_SECRET_DENIED,
            request_id=requester.request_id,
            actor=requester.actor,
            target=f"issuance:{issuance.pk}",
            code=error.code,
        )


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
    pepper = hmac.new(settings.SECRET_KEY.encode(), b"client-secret-pepper", hashlib.sha256).digest()
    return client_secrets.digest(value, pepper=pepper)


def _find_agent_version(slug: str) -> AgentVersion:
    agents = Agent.objects.offered()
    agent = agents.filter(slug=slug).first() if slug else agents.first()
    if agent is None or agent.published is None:
        raise exceptions.UnknownAgent()
    return agent.published


def _write_intent(requester: Requester, version: AgentVersion, wish: Wish) -> Issuance:
    with durable_record():
        issuance = Issuance.objects.create(
            **_facts(requester),
            status=Issuance.Status.REQUESTED,
            agent_version=version,
            agent=version.agent.slug,
            model=version.effective_model,
            voice=version.voice,
            session_id=wish.session_id or f"sess_{secrets.token_hex(12)}",
            requested_at=timezone.now(),
        )
        record_event(
            Action.CLIENT_SECRET_REQUESTED,
            request_id=requester.request_id,
            actor=requester.actor,
            target=f"issuance:{issuance.pk}",
            agent=issuance.agent,
        )
    return issuance


def _facts(requester: Requester) -> dict[str, object]:
    return {
        "request_id": requester.request_id,
        "user": requester.user,
        "username": requester.user.get_username() if requester.user else "",
        "ip": requester.ip,
        "user_agent": requester.user_agent,
        "origin": requester.origin,
    }
