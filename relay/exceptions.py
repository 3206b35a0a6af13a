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


class InvalidCommand(RelayError):
    code = "invalid_request"
    title = "The command could not be read"
    status = 400
    default_message = "Name a kind: mute, unmute; or say, instructions, agent with a text of up to 16,000 characters."
    suggested_action = "Correct the command as the message says."


class CallNotLive(RelayError):
    code = "call_not_live"
    title = "The call is over"
    status = 409
    default_message = "The call does not go on any more, or not yet."
    suggested_action = "Look the call up: its state says how it stands."


class CallNotOver(RelayError):
    code = "call_not_over"
    title = "The call still goes on"
    status = 409
    default_message = "Words can be deleted once the call is over and everything of it is written."
    suggested_action = "End the call, wait a few seconds, then try again."


class CallOutOfReach(RelayError):
    code = "call_out_of_reach"
    title = "The call cannot be steered"
    status = 409
    default_message = "Nobody has a sideband to this call, so it can only be hung up."
    suggested_action = "Try again in a moment, or hang up."


class UnsupportedOfferType(RelayError):
    code = "unsupported_media_type"
    title = "The call offer could not be read"
    status = 415
    default_message = "Send the SDP offer as application/sdp, or with an API key as multipart/form-data."
    suggested_action = "Set the header Content-Type: application/sdp."


class InvalidCallEvent(RelayError):
    code = "invalid_request"
    title = "The report could not be read"
    status = 400
    default_message = "The report must name a known type of event."
    suggested_action = "Correct the report as the message says."


class CredentialInAddress(RelayError):
    """Addresses end in logs, histories and other people's eyes."""

    code = "credential_in_address"
    title = "The key must not stand in the address"
    status = 401
    default_message = "A key in the address can be read in logs and histories, so this one should be revoked."
    suggested_action = "Send it as `Authorization: Bearer …` or as the subprotocol `openai-insecure-api-key.…`."


class ApiKeyInPage(RelayError):
    code = "api_key_in_page"
    title = "An API key does not belong in a page"
    status = 403
    default_message = "This socket was opened by a web page, where everybody can read its API key."
    suggested_action = "Let your server get a client secret with the key, and open the socket with that."


class InvalidSocketAddress(RelayError):
    code = "invalid_request"
    title = "The address could not be read"
    status = 400
    default_message = "The socket's address takes `model`, `agent`, `call_id` and `continues`."
    suggested_action = "Correct the address as the message says."


class BetaProtocol(RelayError):
    code = "beta_api_shape_disabled"
    title = "The beta interface is gone"
    status = 400
    default_message = "The beta of the Realtime API is no longer supported."
    suggested_action = "Leave the subprotocol openai-beta.realtime-v1 out and use the current events."


class TooManySockets(RelayError):
    code = "busy"
    title = "The server is busy"
    status = 503
    default_message = "This server carries as many sockets as it may."
    suggested_action = "Try again in a moment."


class TooManyStreams(RelayError):
    code = "busy"
    title = "The server is busy"
    status = 503
    default_message = "You have as many streams open as you may, or this server has."
    suggested_action = "Close pages that you do not need, or ask for the list of calls now and then."


class InvalidEvent(RelayError):
    code = "invalid_event"
    title = "What was sent is no event"
    status = 400
    default_message = "Send client events of the Realtime API, each as one JSON object in a text frame."
    suggested_action = "Correct what is sent, then connect again."


class EventNotAllowed(RelayError):
    """Told on the socket by an `error` event; the call goes on."""

    code = "event_not_allowed"
    title = "This is the server's to say"
    status = 403
    default_message = "The event, or a field of it, is not open to this client."
    suggested_action = "Leave out what the message names; docs/websocket.md lists what may be sent."


class TooManyEvents(RelayError):
    code = "too_many_events"
    title = "Too many events"
    status = 429
    default_message = "Events came faster than a call needs them."
    suggested_action = "Send 20 to 100 ms of sound in each event."


class TooManyHandoffs(RelayError):
    code = "too_many_handoffs"
    title = "The call was handed over too often"
    status = 429
    default_message = "Agents hand this call to each other without end."
    suggested_action = "Go on with the agent that has it."
