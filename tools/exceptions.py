"""Why a tool was not run, or gave nothing. The model reads the message and tells the person."""

from realtime_api.errors import CodedError


class ToolError(CodedError):
    """Base of this app's errors."""

    title = "The tool could not help"


class ToolRefusal(ToolError):
    """For a tool's own code: a plain no, whose message the model may repeat. status: as HTTP has it."""

    code = "tool_refused"
    default_message = "The tool refused."
    suggested_action = "Tell the person why, and ask what else would suit."

    def __init__(self, message: str, *, status: int = 409) -> None:
        super().__init__(message)
        self.status = status  # type: ignore[misc]  # each refusal has its own


class UnknownTool(ToolError):
    code = "unknown_tool"
    status = 404
    default_message = "There is no such tool."
    suggested_action = "Use the tools of the session."


class ToolNotAllowed(ToolError):
    code = "tool_not_allowed"
    status = 403
    default_message = "This tool is switched off, or is not the agent's."
    suggested_action = "Use the tools of the session."


class InvalidArguments(ToolError):
    code = "invalid_arguments"
    status = 422
    default_message = "The arguments are not as the tool's schema says."
    suggested_action = "Ask the person for what is missing, then call the tool again."


class ToolFailed(ToolError):
    code = "tool_failed"
    status = 500
    default_message = "The tool failed."
    suggested_action = "Say that it did not work. The log has the reason."


class ToolTimeout(ToolError):
    code = "tool_timeout"
    status = 504
    default_message = "The tool took too long. It is not known whether what was asked for was done."
    suggested_action = "Say that it is not known whether it was done."


class ToolsBusy(ToolError):
    code = "tools_busy"
    status = 503
    default_message = "Too many tools are at work."
    suggested_action = "Try again in a moment."


class TooManyToolCalls(ToolError):
    code = "too_many_tool_calls"
    status = 429
    default_message = "Too many tools were called without a word by the person."
    suggested_action = "Answer with what is known already."


class ToolOutcomeUnknown(ToolError):
    code = "tool_outcome_unknown"
    status = 500
    default_message = "The server was interrupted: it is not known whether what was asked for was done."
    suggested_action = "Say that it is not known whether it was done, and look it up if a tool can."


class NotApproved(ToolError):
    code = "tool_not_approved"
    status = 403
    default_message = "The person, or whoever decides, did not approve this."
    suggested_action = "Say that it was not done."


class ApprovalTooLate(ToolError):
    code = "approval_timeout"
    status = 403
    default_message = "Nobody approved this in time, so it was not done."
    suggested_action = "Say that it was not done, and offer to try again."


class NothingToApprove(ToolError):
    code = "nothing_to_approve"
    title = "There is nothing to decide"
    status = 409
    default_message = "This was decided already, or is too late, or is not yours to decide."
    suggested_action = "Look at the call's tools: each says how it stands."


class ToolRunsElsewhere(ToolError):
    code = "tool_runs_elsewhere"
    title = "The server runs this tool itself"
    status = 409
    default_message = "The call is looked after by the server, which runs its tools, or this one was run already."
    suggested_action = "Leave it to the server."


class InvalidToolRequest(ToolError):
    code = "invalid_request"
    title = "The request could not be read"
    status = 400
    default_message = "Name the call, the tool's call and its arguments: callId, toolCallId, arguments."
    suggested_action = "Correct the request as the message says."
