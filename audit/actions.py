"""The closed list of audit actions, `subject.verb` in the past. Old names stay, marked retired."""

from typing import Final

from django.db import models


class Action(models.TextChoices):
    CLIENT_SECRET_REQUESTED = "client_secret.requested"
    CLIENT_SECRET_ISSUED = "client_secret.issued"
    CLIENT_SECRET_DENIED = "client_secret.denied"
    CLIENT_SECRET_FAILED = "client_secret.failed"
    CLIENT_SECRET_UNKNOWN = "client_secret.unknown"
    CLIENT_SECRET_REHEARSED = "client_secret.rehearsed"
    CLIENT_SECRET_REVOKED = "client_secret.revoked"
    API_KEY_CREATED = "api_key.created"
    API_KEY_REVOKED = "api_key.revoked"
    API_KEY_DISABLED = "api_key.disabled"
    API_KEY_ENABLED = "api_key.enabled"
    API_KEY_REFUSED = "api_key.refused"
    ISSUANCES_EXPORTED = "issuances.exported"
    SECRET_LOOKED_UP = "secret.looked_up"
    PERSONAL_DATA_VIEWED = "personal_data.viewed"
    SESSIONS_ENDED = "sessions.ended"
    USER_DISABLED = "user.disabled"
    USER_EVERYTHING_ENDED = "user.everything_ended"
    POLICY_CHANGED = "policy.changed"
    AGENT_CHANGED = "agent.changed"
    PRICE_CHANGED = "price.changed"
    LOGIN_SUCCEEDED = "login.succeeded"
    LOGIN_FAILED = "login.failed"
    LOGIN_LOCKED = "login.locked"
    LOGIN_UNLOCKED = "login.unlocked"
    PASSWORD_CHANGED = "password.changed"
    SESSION_ENDED = "session.ended"
    SECOND_FACTOR_ADDED = "second_factor.added"
    SECOND_FACTOR_REMOVED = "second_factor.removed"
    LOGIN_PROVIDER_LINKED = "login_provider.linked"
    LOGIN_PROVIDER_UNLINKED = "login_provider.unlinked"
    USER_CREATED = "user.created"
    USER_CHANGED = "user.changed"
    USER_DELETED = "user.deleted"
    USER_PERMISSIONS_CHANGED = "user.permissions_changed"
    GROUP_CHANGED = "group.changed"
    GROUP_DELETED = "group.deleted"
    USER_GROUPS_CHANGED = "user.groups_changed"
    CALL_REQUESTED = "call.requested"
    CALL_CREATED = "call.created"
    CALL_JOINED = "call.joined"
    CALL_CONTINUED = "call.continued"
    CALL_SESSION_REQUESTED = "call.session_requested"
    CALL_SESSION_RENEWED = "call.session_renewed"
    CALL_REFUSED = "call.refused"
    CALL_FAILED = "call.failed"
    CALL_ENDED = "call.ended"
    CALL_UNMONITORED = "call.unmonitored"
    CALL_DRIFTED = "call.drifted"
    CALL_TOOL_CALLED = "call.tool_called"
    CALL_HANDED_OVER = "call.handed_over"
    CALL_HANDOFF_REFUSED = "call.handoff_refused"
    GUARDRAIL_TRIPPED = "guardrail.tripped"
    GUARDRAIL_FAILED = "guardrail.failed"
    GUARDRAIL_CHANGED = "guardrail.changed"
    CALL_COMMANDED = "call.commanded"
    CALL_VIEWED = "call.viewed"
    CALL_WATCHED = "call.watched"
    TOOL_REQUESTED = "tool.requested"
    TOOL_DONE = "tool.done"
    TOOL_FAILED = "tool.failed"
    TOOL_REFUSED = "tool.refused"
    TOOL_UNKNOWN = "tool.unknown"
    TOOL_APPROVED = "tool.approved"
    TOOL_DECLINED = "tool.declined"
    TOOL_ANSWER_FORGED = "tool.answer_forged"
    TOOL_CHANGED = "tool.changed"
    TRANSCRIPT_DELETED = "transcript.deleted"
    AUDIT_SEALING_HALTED = "audit.sealing_halted"
    AUDIT_FINDING_ACCEPTED = "audit.finding_accepted"
    AUDIT_KEY_ROTATED = "audit.key_rotated"
    AUDIT_VERIFICATION_ASKED = "audit.verification_asked"
    AUDIT_VERIFIED = "audit.verified"
    AUDIT_EXPORTED = "audit.exported"
    AUDIT_PRUNED = "audit.pruned"
    PERSONAL_DATA_ERASED = "personal_data.erased"


# What is recorded before the upstream is asked, and what must follow about the same target.
INTENTS: Final = (Action.CLIENT_SECRET_REQUESTED, Action.CALL_REQUESTED)
UNKNOWN_OUTCOMES: Final = (Action.CLIENT_SECRET_UNKNOWN,)
OUTCOMES: Final = (
    Action.CLIENT_SECRET_ISSUED,
    Action.CLIENT_SECRET_DENIED,
    Action.CLIENT_SECRET_FAILED,
    *UNKNOWN_OUTCOMES,
    Action.CALL_CREATED,
    Action.CALL_REFUSED,
    Action.CALL_FAILED,
)


def action_choices() -> list[tuple[str, str]]:
    """Return the choices of the model's field; as a function, so that a new action needs no migration."""
    return Action.choices
