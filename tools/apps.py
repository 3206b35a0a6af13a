from typing import TYPE_CHECKING, Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules

if TYPE_CHECKING:
    from agents.models import AgentVersion


class ToolsConfig(AppConfig):
    name = "tools"
    verbose_name = "Tools"

    def ready(self) -> None:
        from agents.functions import register_functions, register_tool_names
        from relay.acts import register
        from relay.transcripts import words_deleted
        from tools import checks  # noqa: F401  (registers itself)
        from tools.live_mcp import LiveMcp
        from tools.live_tools import LiveTools
        from tools.models import Tool, ToolCall
        from tools.registry import all_tools

        autodiscover_modules("voice_tools")
        register_tool_names(lambda: {tool.name: tool.public_name for tool in all_tools()})
        register_functions(definitions_of)
        register(LiveTools)
        register(LiveMcp)
        words_deleted.connect(ToolCall.forget_words)
        post_migrate.connect(Tool.note_registered, sender=self)


def definitions_of(version: "AgentVersion") -> list[dict[str, Any]]:
    """Return the tools that a version names, as its session takes them. One whose code is gone is left out."""
    from tools.registry import find_tool

    found = (find_tool(name) for name in version.tools)
    return [tool.definition for tool in found if tool is not None]
