"""What is wrong with functions that were to be tools, and with agents that name tools which are not there."""

import inspect
from typing import Any

from django.core.checks import CheckMessage, Error, register

from tools.registry import problems


@register
def check_tools(**_of_check: Any) -> list[CheckMessage]:
    """Name each function, its file and its parameter."""
    return [
        Error(
            f"The tool {tool.name} cannot be used. {problem}",
            hint="docs/tools.md shows what a tool looks like.",
            obj=f"{inspect.getmodule(tool.function).__name__}.{tool.function.__name__}",  # type: ignore[union-attr]  # a function has a module
            id="tools.E001",
        )
        for tool, problem in problems()
    ]
