"""What may end a call while it goes on: decisions only, with the clock passed in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from relay.conversation import Conversation
from relay.models import Call
from tokens.policy import Allowance


@dataclass(frozen=True)
class Limits:
    """The limits of one call. None means none."""

    deadline_at: datetime | None
    idle_max: timedelta | None
    budget_microdollars: int | None

    @classmethod
    def of(cls, call: Call) -> "Limits":
        idle_max = None if call.idle_max_s is None else timedelta(seconds=call.idle_max_s)
        return cls(call.deadline_at, idle_max, call.budget_microdollars)

    def breach(self, conversation: Conversation, spent_microdollars: int, now: datetime) -> Call.EndReason | None:
        """Return why a call has to end now, or None."""
        if conversation.ended_by:
            return Call.EndReason.SESSION_EXPIRED
        if self.deadline_at is not None and now >= self.deadline_at:
            return Call.EndReason.TIME_LIMIT
        if self.budget_microdollars is not None and spent_microdollars >= self.budget_microdollars:
            return Call.EndReason.BUDGET
        is_quiet = not conversation.is_speaking
        if self.idle_max is not None and is_quiet and now - conversation.active_at >= self.idle_max:
            return Call.EndReason.IDLE
        return None


def rules_of(allowance: Allowance) -> Mapping[str, Any]:  # Any: values of several fields
    """Return the fields of a new call that its policy decides."""
    return {
        "idle_max_s": allowance.call_idle_s,
        "budget_microdollars": allowance.microdollars_a_call,
        "transcripts": allowance.transcripts,
        "unmonitored_allowed": allowance.unmonitored_calls,
    }
