"""What happens when the record cannot be kept."""

from realtime_api.errors import CodedError


class AuditUnavailable(CodedError):
    """The record could not be written, so what it would have told was not done."""

    code = "audit_unavailable"
    title = "The service is busy"
    status = 503
    default_message = "The request could not be recorded, so it was not carried out."
    suggested_action = "Try again in a moment; an administrator should look at the database."
