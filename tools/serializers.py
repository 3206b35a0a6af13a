"""Shapes of the tool routes."""

from rest_framework import serializers

from tools.models import ToolCall
from voiceagent.strict_json import StrictSerializer


class ToolCallSerializer(serializers.ModelSerializer[ToolCall]):
    """A tool's call, for the person who talks. Arguments as far as they are kept."""

    toolCallId = serializers.CharField(source="tool_call_id")
    publicName = serializers.CharField(source="public_name")
    errorCode = serializers.CharField(source="error_code")
    requestedAt = serializers.DateTimeField(source="requested_at")
    endedAt = serializers.DateTimeField(source="ended_at")
    durationMs = serializers.IntegerField(source="duration_ms")
    resultChars = serializers.IntegerField(source="result_chars")
    decideUntil = serializers.DateTimeField(source="decide_until")

    class Meta:
        model = ToolCall
        fields = [
            "id", "toolCallId", "name", "publicName", "arguments", "state", "errorCode", "approval", "approved",
            "requestedAt", "decideUntil", "endedAt", "durationMs", "resultChars",
        ]  # fmt: skip


class DecisionSerializer(StrictSerializer):
    approve = serializers.BooleanField()


class RunSerializer(StrictSerializer):
    callId = serializers.CharField(max_length=128)
    toolCallId = serializers.CharField(max_length=128)
    arguments = serializers.CharField(default="{}", allow_blank=True, max_length=16_000)
