"""The seam between a session and the MCP servers that it names."""

from dataclasses import dataclass, field
from typing import Literal

from engine.protocol_json import Json

Failed = Literal["http_error", "protocol_error", "tool_execution_error"]


@dataclass(frozen=True)
class McpServer:
    """A server as a session names it. url: empty for a connector, which only the protocol's own service has."""

    label: str
    url: str
    authorization: str = field(default="", repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class McpTool:
    """A tool that a server offers; `input_schema` is a JSON schema."""

    name: str
    input_schema: Json
    description: str = ""
    annotations: Json | None = None

    @property
    def only_reads(self) -> bool:
        return (self.annotations or {}).get("readOnlyHint") is True


class McpFailure(Exception):
    """Why a server gave nothing. kind: as the protocol has it; code: of HTTP or of JSON-RPC."""

    def __init__(self, kind: Failed, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.kind, self.message, self.code = kind, message, code

    def as_json(self) -> Json:
        """Return the `error` of an `mcp_call` item."""
        code = {} if self.kind == "tool_execution_error" else {"code": self.code}
        return {"type": self.kind, "message": self.message, **code}
