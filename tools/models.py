"""Tools as the administration sets them, and what became of each call of one."""

from typing import Any, Final

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from relay.models import Call
from tools.registry import Approval, VoiceTool, all_tools, find_tool

LONGEST_S: Final = 60


class Tool(models.Model):
    """What is set of one registered function. Its row comes with `migrate`, or when the list of tools is looked at."""

    name = models.CharField(max_length=64, unique=True, editable=False)
    enabled = models.BooleanField(default=True, help_text="Off: refused at once, in calls that go on, too.")
    approval = models.CharField("approved by", max_length=6, choices=Approval, default=Approval.NONE)
    timeout_s = models.PositiveSmallIntegerField(
        "longest time", default=10, validators=[MinValueValidator(1), MaxValueValidator(LONGEST_S)],
        help_text="In seconds. What takes longer counts as failed.",
    )  # fmt: skip

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        tool = find_tool(self.name)
        return tool.public_name if tool else self.name

    @classmethod
    def note_registered(cls, **_of_signal: Any) -> None:
        """Add a row for each function that has none yet. Fits as a signal's receiver."""
        for tool in all_tools():
            cls.of(tool)

    @classmethod
    def of(cls, tool: VoiceTool) -> "Tool":
        """Return a function's row, which begins as its decorator says."""
        begins = {"approval": tool.approval, "timeout_s": min(tool.timeout_s, LONGEST_S)}
        return cls.objects.get_or_create(name=tool.name, defaults=begins)[0]


class ToolCallQuerySet(models.QuerySet["ToolCall"]):
    def open(self) -> "ToolCallQuerySet":
        return self.filter(state__in=[ToolCall.State.WAITING, ToolCall.State.RUNNING])


class ToolCall(models.Model):
    """One call of a tool by a model. Arguments and result are kept as far as policy lets the call's words be kept."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waits for approval"
        RUNNING = "running", "At work"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        REFUSED = "refused", "Refused"
        UNKNOWN = "unknown", "Outcome unknown"

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="tool_calls")
    agent_version = models.ForeignKey("agents.AgentVersion", null=True, on_delete=models.SET_NULL, related_name="+")
    tool_call_id = models.CharField(max_length=128)
    name = models.CharField(max_length=64)
    mcp_server = models.CharField(
        "MCP server", max_length=64, blank=True, help_text="The label of the server that runs it; empty: run here."
    )
    arguments = models.TextField(blank=True)
    result = models.TextField(blank=True)
    result_chars = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=7, choices=State)
    error_code = models.CharField(max_length=64, blank=True)
    approval = models.CharField(max_length=6, choices=Approval, default=Approval.NONE)
    approver = models.CharField(max_length=150, blank=True)
    approved = models.BooleanField(null=True)
    requested_at = models.DateTimeField()
    decide_until = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    duration_ms = models.PositiveIntegerField(null=True)

    objects = ToolCallQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["call", "tool_call_id"], name="tool_call_once")]
        indexes = [
            models.Index(fields=["requested_at"], name="tool_call_time"),
            models.Index(fields=["name", "requested_at"], name="tool_call_name"),
            models.Index(fields=["state", "requested_at"], name="tool_call_state"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.state})"

    @classmethod
    def forget_words(cls, call: Call, **_of_signal: Any) -> None:
        """Keep of a call's tools no more than which ones ran when. Fits as a signal's receiver."""
        cls.objects.filter(call=call).update(arguments="", result="")

    @property
    def public_name(self) -> str:
        tool = find_tool(self.name)
        return tool.public_name if tool else self.name
