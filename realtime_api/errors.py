"""The base of every error that leaves the service, and the upstream's failures as ours."""

from typing import Any, ClassVar


class CodedError(Exception):
    """An error with a stable code that people, clients and administrators can act on.

    code: a word of the one catalogue, never reused. title: a short headline. status: HTTP status of the answer.
    """

    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Something went wrong"
    status: ClassVar[int] = 500
    default_message: ClassVar[str] = "The request could not be completed."
    suggested_action: str = "Try again. If it happens again, tell an administrator the request id."

    def __init__(
        self,
        message: str = "",
        *,
        suggested_action: str = "",
        retry_after_ms: int | None = None,
        upstream_status: int | None = None,
        context: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.message = message or self.default_message
        if suggested_action:
            self.suggested_action = suggested_action
        self.retry_after_ms = retry_after_ms
        self.upstream_status = upstream_status
        self.context = context or {}
        self.headers = headers or {}  # further fields of the HTTP answer
        super().__init__(self.message)


class UpstreamError(CodedError):
    """The upstream did not do what was asked of it.

    fate_unknown: the request may have been carried out, so it must not be repeated. call_id: of a call that it made
    all the same. upstream_data: the start of what it said, without secrets and account names; empty when it said
    nothing. For logs and administrators, not for the answer.
    """

    code = "openai_api_unavailable"
    title = "The voice service isn't answering"
    status = 502
    default_message = "The Realtime API is temporarily unavailable."
    suggested_action = "Retry with exponential backoff."
    fate_unknown: ClassVar[bool] = False
    call_id: str = ""
    upstream_data: str = ""


class UpstreamUnreachable(UpstreamError):
    """No connection was made, so nothing was sent."""

    status = 503


class UpstreamBroken(UpstreamError):
    """The upstream failed on its side, or the connection broke after the request was sent."""

    fate_unknown = True


class UpstreamBadAnswer(UpstreamError):
    """The upstream answered something that is not the protocol's."""

    code = "upstream_bad_response"
    default_message = "The voice service gave an answer that could not be understood."
    fate_unknown = True


class UpstreamUnknown(UpstreamBadAnswer):
    """The upstream refused with a status that is in no table of its protocol."""

    code = "unknown_openai_error"
    default_message = "The voice service refused with an error that is not known here."
    suggested_action = "Give an administrator the request id: the log holds what the voice service said."


class UpstreamTlsFailed(UpstreamError):
    """The upstream could not prove who it is: nothing was sent to it, and an administrator should look."""

    code = "upstream_tls"
    default_message = "The voice service's certificate could not be verified."
    suggested_action = "An administrator must check OPENAI_BASE_URL, the server's clock and its certificates."


class NoClientSecret(UpstreamBadAnswer):
    """The upstream's answer to a mint held no usable secret."""

    code = "token_generation_failed"
    title = "Token Generation Failed"
    status = 500
    default_message = "no ephemeral key in response"
    suggested_action = "Check the API key and the endpoint's availability."


class UpstreamTimeout(UpstreamError):
    """The upstream did not answer within the deadline."""

    code = "upstream_timeout"
    status = 504
    default_message = "The voice service did not answer in time."
    fate_unknown = True


class UpstreamConnectTimeout(UpstreamTimeout):
    """No connection was made in time, so nothing was sent."""

    fate_unknown = False


class UpstreamAuthFailed(UpstreamError):
    """The upstream refused the server's own key: an administrator's matter, never the caller's."""

    code = "upstream_auth_failed"
    title = "The voice service refused this server"
    default_message = "The voice service did not accept the server's key."
    suggested_action = "An administrator must check OPENAI_API_KEY and restart the server."


class ClientSecretRefused(UpstreamError):
    """The upstream refused the caller's own client secret: expired, revoked or never minted."""

    code = "ephemeral_key_expired"
    title = "The session's key is no longer valid"
    status = 401
    default_message = "The voice service no longer accepts this client secret."
    suggested_action = "Request a new client secret and connect again."


class UpstreamRateLimited(UpstreamError):
    """The upstream is busy. retry_after_ms is within 1 to 120 seconds."""

    code = "rate_limited"
    title = "Too many tries"
    status = 429
    default_message = "The voice service is busy."
    suggested_action = "Wait for the time given, then try again."


class UpstreamRefusedRequest(UpstreamError):
    """The upstream refused what the caller asked for; its status, code and message are kept."""

    code = "invalid_session_config"
    title = "The voice service refused the request"
    status = 400
    default_message = "The session configuration failed validation."
    suggested_action = "Validate the model, the session type and the session parameters."

    def __init__(self, message: str, *, upstream_status: int, upstream_code: str = "") -> None:
        context = {"upstreamCode": upstream_code} if upstream_code else None
        super().__init__(message, upstream_status=upstream_status, context=context)
        self.upstream_code = upstream_code


class InvalidSdp(CodedError):
    """The offer is not SDP, or not SDP of a size and form that is forwarded."""

    code = "invalid_sdp"
    title = "The call offer could not be read"
    status = 400
    default_message = "The body is not a usable SDP offer."
    suggested_action = "Send the text of RTCPeerConnection.createOffer() as application/sdp."


class SdpPolicy(InvalidSdp):
    """The offer is SDP, but not a voice call: one audio section and one data channel are expected."""

    code = "sdp_policy"
    title = "The call offer isn't a voice call"
    default_message = "The offer must hold one audio section and one data channel."
