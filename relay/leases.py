"""Which process looks after which call: claims in the database, taken over when a process stops renewing them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Q

from agents.models import AgentVersion
from realtime_api.session import merge_session
from relay.handoffs import current_version
from relay.models import Call
from relay.recorder import LEASE_S, Past, close_books, read_past
from relay.watch import tool_names
from tokens.policy import allowance_of

CLAIMS_A_ROUND: Final = 50


@dataclass(frozen=True)
class Claimed:
    """A call that is ours now. granted: its session as it has to stay, None where its user may change it.

    tools: the names of its agent's. version: what the agent runs that has the call now. check_tools: raises for tools
    that its user may not name, where they may change the session.
    """

    call: Call
    past: Past
    granted: dict[str, Any] | None
    tools: frozenset[str]
    version: AgentVersion | None
    check_tools: Callable[[object], None] | None


def claim_calls(owner: str, now: datetime, room: int) -> list[Claimed]:
    """Claim live WebRTC calls that nobody looks after, the oldest first."""
    live = Call.objects.filter(state=Call.State.LIVE, transport=Call.Transport.WEBRTC).exclude(upstream_id=None)
    calls = _claim(live.filter(Q(lease_owner="") | Q(lease_until__lt=now)), owner, now, min(room, CLAIMS_A_ROUND))
    return [_claimed(call) for call in calls]


def close_left_books(owner: str, now: datetime) -> int:
    """Close the books of ended calls whose process died before it could. Returns how many."""
    left = Call.objects.exclude(state=Call.State.LIVE).exclude(lease_owner="").filter(lease_until__lt=now)
    calls = _claim(left, owner, now, CLAIMS_A_ROUND)
    for call in calls:
        close_books(call, owner, complete=False)
    return len(calls)


def release_calls(owner: str, now: datetime) -> None:
    """Let others claim what this process looked after."""
    Call.objects.filter(lease_owner=owner).update(lease_until=now - timedelta(seconds=1))


def _claim(free: Any, owner: str, now: datetime, most: int) -> Sequence[Call]:  # Any: a QuerySet of Call
    numbers = list(free.order_by("pk").values_list("pk", flat=True)[: max(0, most)])
    if not numbers:
        return []
    # The condition once more: of several processes that chose the same call one gets it.
    free.filter(pk__in=numbers).update(lease_owner=owner, lease_until=now + timedelta(seconds=LEASE_S))
    return list(
        Call.objects.filter(pk__in=numbers, lease_owner=owner)
        .select_related("user", "issuance__api_key", "agent_version__agent")
        .order_by("pk")
    )


def _claimed(call: Call) -> Claimed:
    allowance = None
    if call.user is not None:
        allowance = allowance_of(call.user, call.issuance.api_key if call.issuance else None)
    is_own = allowance is not None and allowance.own_session
    check_tools = allowance.check_live_tools if allowance is not None and is_own else None
    granted = None if is_own else _granted(call)
    return Claimed(call, read_past(call), granted, agent_tools(call), current_version(call), check_tools)


def _granted(call: Call) -> dict[str, Any] | None:
    """Return the session that a call was granted, also where its secret's row or its user is gone."""
    issuance, version = call.issuance, call.agent_version
    own = issuance.session if issuance else None
    session = own or (version.session_config() if version else None)
    return dict(merge_session(session, call.session_changes)) if session else None


def agent_tools(call: Call) -> frozenset[str]:
    """Return the names of the tools that a call's agent has, whatever its client made of its session."""
    if call.agent_version is None:
        return frozenset()
    return tool_names({**call.agent_version.session_config(), **call.session_changes})
