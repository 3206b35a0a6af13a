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
    suggested_action = "An administrator can add the origin to ALLOWED_ORIGINS, or to your policy."


class InvalidRequest(IssueError):
    code = "invalid_request"
    title = "The request could not be read"
    status = 400
    default_message = "The body must be a JSON object."
    suggested_action = "Correct the request as the message says."


class UnsupportedMediaType(InvalidRequest):
    code = "unsupported_media_type"
    status = 415
    default_message = "Send application/json in UTF-8, without Content-Encoding."


class UnknownField(InvalidRequest):
    code = "unknown_field"
    default_message = "The body has a field that this request does not know."


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


class AgentDisabled(IssueError):
    code = "agent_disabled"
    title = "This assistant is switched off"
    status = 409
    default_message = "The assistant has been switched off."
    suggested_action = "Choose another assistant or ask an administrator."


class InvalidApiKey(IssueError):
    """Unknown, revoked, switched off, and of a disabled user look the same from outside."""

    code = "invalid_api_key"
    title = "The API key isn't valid"
    status = 401
    default_message = "The API key is not valid."
    suggested_action = "Check the key, or make a new one."


class ApiKeyExpired(IssueError):
    code = "key_expired"
    title = "The API key has expired"
    status = 401
    default_message = "The API key has expired."
    suggested_action = "Make a new key."


class MissingScope(IssueError):
    code = "missing_scope"
    title = "This isn't open to you"
    status = 403
    default_message = "The API key lacks the scope for this."
    suggested_action = "Use a key with the scope that the message names."


class NetworkNotAllowed(IssueError):
    code = "network_not_allowed"
    title = "This isn't open to you from there"
    status = 403
    default_message = "The request came from a network that is not allowed."
    suggested_action = "Use an allowed network, or ask an administrator."


class PolicyDenied(IssueError):
    code = "policy_denied"
    title = "This isn't open to you"
    status = 403
    default_message = "Your policy does not allow this."
    suggested_action = "Ask for less, or ask an administrator."


class QuotaExceeded(IssueError):
    code = "quota_exceeded"
    title = "You have used your allowance"
    status = 403
    default_message = "The allowance is used up."
    suggested_action = "Wait until it starts anew, or ask an administrator."


class ModelUnpriced(IssueError):
    code = "model_unpriced"
    title = "This isn't open to you"
    status = 403
    default_message = "The model has no price, so what it costs could not be limited."
    suggested_action = "Choose another model. An administrator can add the price under Prices."


class AlreadyMinted(IssueError):
    """The value is stored nowhere, so it cannot be given again."""

    code = "already_minted"
    title = "This request was carried out before"
    status = 409
    default_message = "A request with this Idempotency-Key was carried out already."
    suggested_action = "Use a new Idempotency-Key to get another client secret."


class IdempotencyMismatch(IssueError):
    code = "idempotency_mismatch"
    title = "The request could not be read"
    status = 422
    default_message = "This Idempotency-Key was used with another body."
    suggested_action = "Use a new Idempotency-Key for another request."


class UnknownIssuance(IssueError):
    code = "unknown_issuance"
    title = "There is nothing here"
    status = 404
    default_message = "There is no such issuance, or it is not yours."
    suggested_action = "List your issuances at /api/issuances."


class UnknownKey(IssueError):
    code = "unknown_key"
    title = "There is nothing here"
    status = 404
    default_message = "There is no such API key, or it is not yours."
    suggested_action = "List your keys at /api/keys."


class TooManyKeys(IssueError):
    code = "too_many_keys"
    title = "You have as many keys as you may"
    status = 409
    default_message = "You have as many usable API keys as you may."
    suggested_action = "Revoke one that is no longer needed."


class OutOfRange(InvalidRequest):
    code = "out_of_range"
    default_message = "A number is outside of the range that the message names."


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
    default_message = "The limits could not be checked, so nothing was done."
    suggested_action = "Try again in a moment."


class NotConfigured(IssueError):
    code = "not_configured"
    title = "Voice isn't set up yet"
    default_message = "OPENAI_API_KEY is not set, and no local engine is configured."
    suggested_action = "An administrator must set OPENAI_API_KEY or LOCAL_ENGINE=true and restart the server."
