"""Who may use which client secret for a call, and whether there is room for one. Within the caller's transaction."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.contrib.auth.models import User
from django.db.models import Count, QuerySet

from audit.actions import Action
from audit.group_commit import Group
from relay import exceptions
from relay.charges import settle
from relay.models import Call
from tokens import lookups
from tokens.models import Issuance
from tokens.policy import Allowance
from tokens.requester import Requester
from voiceagent.prepared_query import PreparedQuery, PreparedUpdate

OPEN_STATES = (Call.State.REQUESTED.value, Call.State.LIVE.value)
_locked_users = PreparedQuery(
    lambda user_id: User.objects.select_for_update().filter(pk=user_id).values_list("pk"), user_id=-1
)
_claims = PreparedUpdate(
    lambda digest, now: (Issuance.objects.usable(secret_digest=digest, now=now), {"first_used_at": now}),
    digest="?",
    now=datetime(2001, 2, 3, tzinfo=UTC),
)
_open_calls = PreparedQuery(
    lambda user_id: (
        Call.objects.filter(user_id=user_id, state__in=OPEN_STATES)
        .order_by()
        .values("user_id")
        .annotate(calls=Count("pk"))
        .values_list("calls")
    ),
    user_id=-1,
)


@dataclass(frozen=True)
class CallWish:
    """What a call is asked for with. secret: as it was shown, not checked yet. Empty means not asked for.

    model: the one that the address names. continues: a call of one's own whose conversation goes on in this one.
    """

    secret: str = field(repr=False)
    transport: Call.Transport
    model: str = ""
    continues: str = ""


def find_earlier(user: User, call_id: str) -> Call | None:
    """Return the user's call that another goes on with; None where none is named. Raises UnknownCall."""
    if not call_id:
        return None
    earlier = Call.objects.of(user).filter(upstream_id=call_id).first()
    if earlier is None:
        raise exceptions.UnknownCall()
    return earlier


def find_granted(
    digest: str, requester: Requester, asked_model: str, now: datetime
) -> tuple[Issuance, User, int | None]:
    """Return the issuance of a secret that is this caller's to use, its user, and the configuration's mark.

    Its `agent_version` is filled in. Raises EphemeralKeyExpired, OtherModel, ClientSecretUsed.
    """
    found = lookups.issuance(digest)
    if found is None:
        raise exceptions.EphemeralKeyExpired()
    issuance, mark = found
    user = issuance.user
    if user is None or not _is_bound_to(issuance, user, requester) or not _is_still_granted(issuance, mark, now):
        raise exceptions.EphemeralKeyExpired()
    if asked_model and asked_model != issuance.model:
        raise exceptions.OtherModel()
    if issuance.first_used_at:
        raise exceptions.ClientSecretUsed()
    return issuance, user, mark


def _is_bound_to(issuance: Issuance, user: User, requester: Requester) -> bool:
    """Tell whether the secret is this caller's: its user is active, and neither origin nor session is another's."""
    if not user.is_active or (issuance.origin and issuance.origin != requester.origin):
        return False
    return requester.user is None or requester.user.pk == user.pk


def _is_still_granted(issuance: Issuance, mark: int | None, now: datetime) -> bool:
    """Tell whether what the secret was issued for still stands: the key that asked for it, and the agent."""
    key, number = issuance.api_key, issuance.agent_version_id
    is_key_good = key is None or (key.enabled and key.revoked_at is None and key.expires_at > now)
    version = lookups.agent_version(number, mark) if is_key_good and number is not None else None
    if version is None or not version.agent.enabled:
        return False
    issuance.agent_version = version
    return True


def use_secret(issuance: Issuance, now: datetime) -> None:
    """Use up a secret. Raises ClientSecretUsed and EphemeralKeyExpired."""
    if not _claims.run(digest=issuance.secret_digest, now=now):
        issuance.refresh_from_db(fields=["first_used_at"])  # somebody with the same secret was quicker
        raise exceptions.ClientSecretUsed() if issuance.first_used_at else exceptions.EphemeralKeyExpired()


def check_room(user: User, allowance: Allowance) -> None:
    """Raise TooManyCalls as `find_room` would just now."""
    own = Call.objects.of(user).open()
    if own.count() >= allowance.calls_at_once and not _silent(own).exists():
        raise exceptions.TooManyCalls()


def _silent(own: QuerySet[Call]) -> QuerySet[Call]:
    """Return the live calls whose client never reported anything, the oldest first."""
    return own.filter(state=Call.State.LIVE, last_seen_at=None).order_by("id")


def find_room(user: User, allowance: Allowance) -> Call | None:
    """Return which of a user's calls has to give way to a new one, if any. Raises TooManyCalls when none can.

    Not every client reports that its call is alive, or over. Of those that never did the oldest is ended for
    the new one; otherwise two calls by a plain client would lock its user out until they reach their limit.
    """
    _locked_users.rows(user_id=user.pk)  # on PostgreSQL two claims would both count too few
    counted = _open_calls.rows(user_id=user.pk)
    if not counted or counted[0][0] < allowance.calls_at_once:
        return None
    silent = _silent(Call.objects.of(user).open()).first()
    if silent is None:
        raise exceptions.TooManyCalls()
    return silent


def replace(group: Group, call: Call, user: User, now: datetime) -> None:
    """End a call for a newer one. The worker tells the upstream."""
    reason = Call.EndReason.REPLACED
    ended = Call.objects.of(user).open().filter(pk=call.pk)
    if ended.update(state=Call.State.ENDED, ended_at=now, end_reason=reason):
        settle(call)
        group.record(Action.CALL_ENDED, about=call, request_id=call.request_id, actor=f"user:{user.pk}", code=reason)
