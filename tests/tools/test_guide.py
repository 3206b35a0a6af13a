"""The guide's example is a tool as it stands."""

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

from tools.registry import CallContext, find_tool
from tools.running import run_and_wait

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "tools.md"


def test_the_guide_s_tool_can_be_called() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S)
    exec(compile(code, "voice_tools.py", "exec"), {"__name__": "guide"})
    tool = find_tool("opening_hours")
    assert tool is not None
    user: Any = type("User", (), {"username": "alice"})()
    call: Any = None
    context = CallContext(user, call, "assistant")

    assert tool.definition["parameters"]["properties"]["day"]["description"] == "the day that is asked about"
    open_day = run_and_wait(tool, context, {"day": date(2026, 11, 23)}, 5)
    closed = run_and_wait(tool, context, {"day": date(2026, 11, 22)}, 5)
    assert json.loads(open_day.output) == {"hours": "09:00 to 18:00", "for": "alice"}
    assert json.loads(closed.output)["message"] == "We are closed on 2026-11-22."
