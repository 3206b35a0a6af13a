"""Shapes of the call routes."""

from typing import Any, Final

from rest_framework import serializers

from relay.constants import DETAIL_CHARS
from relay.models import Call, CallCommand, Handoff, TranscriptItem
from usage.models import UsageRecord
from voiceagent.strict_json import StrictSerializer

MAX_COMMAND_CHARS: Final = 16_000
KINDS_WITH_TEXT: Final = (CallCommand.Kind.SAY, CallCommand.Kind.INSTRUCTIONS, CallCommand.Kind.AGENT)
# The page's word for why it ended, and the reason that stands in history. An unknown word counts as lost.
END_REASONS = {
    "user": Call.EndReason.USER,
    "page_closed": Call.EndReason.PAGE_CLOSED,
    "connection_lost": Call.EndReason.CONNECTION_LOST,
    "renewed": Call.EndReason.RENEWED,
}


class CallSerializer(serializers.ModelSerializer[Call]):
    """A call in history. Money is in micro-dollars; null where it is not known."""

    callId = serializers.CharField(source="upstream_id")
    requestId = serializers.CharField(source="request_id")
    errorCode = serializers.CharField(source="error_code")
    continues = serializers.CharField(source="continues.upstream_id", default=None)
    requestedAt = serializers.DateTimeField(source="requested_at")
    startedAt = serializers.DateTimeField(source="started_at")
    endedAt = serializers.DateTimeField(source="ended_at")
    endReason = serializers.SerializerMethodField()
    costMicrodollars = serializers.IntegerField(source="known_microdollars")

    class Meta:
        model = Call
        fields = [
            "id", "callId", "requestId", "state", "errorCode", "agent", "model", "transport", "continues",
            "requestedAt", "startedAt", "endedAt", "endReason", "monitoring", "responses", "metering",
            "costMicrodollars", "unpriced",
        ]  # fmt: skip

    def get_endReason(self, call: Call) -> str | None:
        return call.end_reason or None


class LiveCallSerializer(CallSerializer):
    """A call as a stream tells of it: in history's form, and what matters while it goes on."""

    user = serializers.CharField(source="username")
    activeAt = serializers.DateTimeField(source="active_at")
    endDetail = serializers.CharField(source="end_detail")

    class Meta(CallSerializer.Meta):
        fields = [*CallSerializer.Meta.fields, "user", "activeAt", "muted", "endDetail"]


class CallStateSerializer(serializers.ModelSerializer[Call]):
    """What the page of a call is told whenever it reports."""

    endReason = serializers.SerializerMethodField()
    costMicrodollars = serializers.IntegerField(source="known_microdollars")
    isFree = serializers.BooleanField(source="is_free")
    assistantMuted = serializers.BooleanField(source="muted")
    secondsLeft = serializers.IntegerField(source="seconds_left")

    class Meta:
        model = Call
        fields = ["state", "endReason", "costMicrodollars", "isFree", "assistantMuted", "secondsLeft"]

    def get_endReason(self, call: Call) -> str | None:
        return call.end_reason or None


class TranscriptSerializer(serializers.ModelSerializer[TranscriptItem]):
    itemId = serializers.CharField(source="item_id")
    startedAt = serializers.DateTimeField(source="started_at")
    endedAt = serializers.DateTimeField(source="ended_at")
    heardMs = serializers.IntegerField(source="heard_ms")
    isRepeated = serializers.BooleanField(source="is_repeated")

    class Meta:
        model = TranscriptItem
        fields = ["itemId", "role", "text", "status", "startedAt", "endedAt", "heardMs", "isRepeated"]


class HandoffSerializer(serializers.ModelSerializer[Handoff]):
    """Which agent had the call from when on, or why it did not get it."""

    version = serializers.IntegerField(source="version_number")
    errorCode = serializers.CharField(source="error_code")

    class Meta:
        model = Handoff
        fields = ["at", "agent", "version", "by", "errorCode"]


class UsageRecordSerializer(serializers.ModelSerializer[UsageRecord]):
    """What one response or transcription used; counts by meter, without those of nothing."""

    sourceId = serializers.CharField(source="source_id")
    counts = serializers.SerializerMethodField()
    microdollars = serializers.SerializerMethodField()

    class Meta:
        model = UsageRecord
        fields = ["kind", "sourceId", "at", "model", "outcome", "counts", "microdollars"]

    def get_counts(self, record: UsageRecord) -> dict[str, int]:
        return {meter.value: count for meter, count in record.by_meter.items()}

    def get_microdollars(self, record: UsageRecord) -> int | None:
        return None if record.unpriced else record.microdollars


class CallEventSerializer(StrictSerializer):
    type = serializers.ChoiceField(choices=["connected", "heartbeat", "ended", "failed"])
    reason = serializers.CharField(required=False, allow_blank=True, max_length=40)
    detail = serializers.CharField(required=False, allow_blank=True, max_length=DETAIL_CHARS)

    @property
    def is_alive(self) -> bool:
        return self.validated_data["type"] in ("connected", "heartbeat")

    @property
    def end_reason(self) -> Call.EndReason:
        return END_REASONS.get(self.validated_data.get("reason", ""), Call.EndReason.CONNECTION_LOST)

    @property
    def end_detail(self) -> str:
        text: str = self.validated_data.get("detail", "")
        return text


class CommandSerializer(StrictSerializer):
    kind = serializers.ChoiceField(choices=CallCommand.Kind.choices)
    text = serializers.CharField(default="", allow_blank=True, max_length=MAX_COMMAND_CHARS)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if bool(attrs["text"].strip()) != (attrs["kind"] in KINDS_WITH_TEXT):
            raise serializers.ValidationError("text belongs to say, instructions and agent, and to these only")
        return attrs
