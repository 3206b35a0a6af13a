"""Why a client secret was not issued."""

from realtime_api.errors import CodedError


class IssueError(CodedError):
    """Base of this app's errors."""

    code = "token_generation_failed"
    title = "Token Generation Failed"
    default_message = "Unable to generate client secret"
    suggested_action = "Check the API key and the endpoint's availability."


class NotAuthenticated(IssueError):
    code = "not_authenticated"
    title = "You have been signed out"
    status = 401
    default_message = "Sign in to go on."
    suggested_action = "Sign in again."


class OriginNotAllowed(IssueError):
    code = "origin_not_allowed"
    title = "This site may not be used from there"
    status = 403
    default_message = "The page's origin is not one that this server allows."
    suggested_action = "An administrator can add the origin to ALLOWED_ORIGINS."


class InvalidRequest(IssueError):
    code = "invalid_request"
    title = "The request could not be read"
    status = 400
    default_message = "The body must be a JSON object."
    suggested_action = "Correct the request as the message says."


class UnsupportedMediaType(InvalidRequest):
    code = "unsupported_media_type"
    status = 415
    default_message = "Send application/json in UTF-8."


class UnknownField(InvalidRequest):
    code = "unknown_field"


class InvalidSessionConfig(InvalidRequest):
    code = "invalid_session_config"
    title = "The session can't be set up like this"
    default_message = "The session configuration failed validation."
    suggested_action = "Validate the model, the session type and the session parameters."


class UnknownAgent(IssueError):
    code = "unknown_agent"
    title = "This assistant isn't open to you"
    status = 404
    default_message = "There is no such assistant, or it is not open to you."
    suggested_action = "Choose another assistant or ask an administrator."


class RateLimited(IssueError):
    code = "rate_limited"
    title = "Too many tries"
    status = 429
    default_message = "Too many requests in a short time."
    suggested_action = "Wait for the time given, then try again."


class LimitsUnavailable(IssueError):
    code = "limits_unavailable"
    title = "The service is busy"
    status = 503
    default_message = "The limits could not be checked, so nothing was issued."
    suggested_action = "Try again in a moment."


class NotConfigured(IssueError):
    code = "not_configured"
    title = "Voice isn't set up yet"
    default_message = "OPENAI_API_KEY is not set, and no local engine is configured."
    suggested_action = "An administrator must set OPENAI_API_KEY or LOCAL_ENGINE=true and restart the server."
