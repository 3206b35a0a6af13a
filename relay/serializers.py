"""Shapes of the call routes."""

from rest_framework import serializers

from relay.constants import DETAIL_CHARS
from relay.models import Call
from voiceagent.strict_json import StrictSerializer

# The page's word for why it ended, and the reason that stands in history. An unknown word counts as lost.
END_REASONS = {
    "user": Call.EndReason.USER,
    "page_closed": Call.EndReason.PAGE_CLOSED,
    "connection_lost": Call.EndReason.CONNECTION_LOST,
}


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
