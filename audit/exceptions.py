"""What happens when the record cannot be kept."""

from realtime_api.errors import CodedError


class AuditUnavailable(CodedError):
    """The record could not be written, so what it would have told was not done."""

    code = "audit_unavailable"
    title = "The service is busy"
    status = 503
    default_message = "The request could not be recorded, so it was not carried out."
    suggested_action = "Try again in a moment; an administrator should look at the database."


class UnknownEvent(CodedError):
    """Unknown, somebody else's and pruned look the same from outside."""

    code = "unknown_event"
    title = "There is nothing here"
    status = 404
    default_message = "There is no such event, or it is not yours."
    suggested_action = "Check the number."


class EventNotSealed(CodedError):
    """No checkpoint covers it yet."""

    code = "event_not_sealed"
    title = "Not proved yet"
    status = 409
    default_message = "It is recorded, but no signed checkpoint covers it yet; that takes a second or two."
    suggested_action = "Ask again in a moment. If it lasts, an administrator should see whether the worker runs."


class UnknownTile(CodedError):
    """No such tile, not that many hashes of it yet, or events that were pruned."""

    code = "unknown_tile"
    title = "There is nothing here"
    status = 404
    default_message = "The log has no such tile, or not that much of it yet."
    suggested_action = "Ask for what the newest checkpoint covers."
