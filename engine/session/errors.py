"""The session's refusals, in the protocol's own error shape."""

from engine.protocol_json import Json


class ProtocolError(Exception):
    """A client event that cannot be carried out. The session stays open."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param

    def as_json(self) -> Json:
        """Return the `error` object of the envelope and of the `error` event."""
        return {"type": "invalid_request_error", "code": self.code, "message": self.message, "param": self.param}


def unknown_parameter(param: str) -> ProtocolError:
    """Refuse a field that the protocol does not have in this place."""
    return ProtocolError("unknown_parameter", f"Unknown parameter: '{param}'.", param)


def missing_parameter(param: str) -> ProtocolError:
    """Refuse a request that lacks a required field."""
    return ProtocolError("missing_required_parameter", f"Missing required parameter: '{param}'.", param)


def invalid_value(param: str, expected: str) -> ProtocolError:
    """Refuse a field whose value is not what the protocol allows."""
    return ProtocolError("invalid_value", f"Invalid value for '{param}': expected {expected}.", param)
