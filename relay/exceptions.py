"""Why a call was not relayed."""

from realtime_api.errors import CodedError


class RelayError(CodedError):
    """Base of this app's errors."""

    title = "Could not connect"


class EphemeralKeyExpired(RelayError):
    """Unknown, expired, revoked and somebody else's secret look the same from outside."""

    code = "ephemeral_key_expired"
    title = "The session's key is no longer valid"
    status = 401
    default_message = "The client secret is unknown, expired or not for this caller."
    suggested_action = "Request a new client secret and connect again."


class ClientSecretUsed(RelayError):
    code = "client_secret_used"
    title = "The session's key was already used"
    status = 409
    default_message = "A client secret is good for one call, and this one has been used."
    suggested_action = "Request a new client secret for each call."


class OtherModel(RelayError):
    code = "invalid_session_config"
    title = "The session can't be set up like this"
    status = 400
    default_message = "The client secret was issued for another model than the address names."
    suggested_action = "Leave ?model= out: the client secret decides."


class TooManyCalls(RelayError):
    code = "too_many_calls"
    title = "You are already in a call"
    status = 409
    default_message = "You have as many calls at once as you may."
    suggested_action = "End the other call, then try again."


class UnknownCall(RelayError):
    code = "unknown_call"
    title = "There is no such call"
    status = 404
    default_message = "There is no such call, or it is not yours."
    suggested_action = "Use the call's id from the Location of its answer."


class UnsupportedOfferType(RelayError):
    code = "unsupported_media_type"
    title = "The call offer could not be read"
    status = 415
    default_message = "Send the SDP offer as application/sdp."
    suggested_action = "Set the header Content-Type: application/sdp."


class InvalidCallEvent(RelayError):
    code = "invalid_request"
    title = "The report could not be read"
    status = 400
    default_message = "The report must name a known type of event."
    suggested_action = "Correct the report as the message says."
