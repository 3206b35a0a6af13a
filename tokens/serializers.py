"""Shapes of the REST routes, camelCase as clients know them from the issuing route."""

from typing import Final

from django.conf import settings
from rest_framework import serializers

from tokens.models import ApiKey, Issuance, Scope, check_networks
from voiceagent.strict_json import StrictInteger, StrictSerializer, StrictText

UNKNOWN_SCOPE: Final = f"must be a list out of {', '.join(Scope.values)}."


class IssuanceSerializer(serializers.ModelSerializer[Issuance]):
    requestId = serializers.CharField(source="request_id")
    sessionId = serializers.CharField(source="session_id")
    errorCode = serializers.CharField(source="error_code")
    requestedAt = serializers.DateTimeField(source="requested_at")
    expiresAt = serializers.DateTimeField(source="expires_at")
    firstUsedAt = serializers.DateTimeField(source="first_used_at")
    revokedAt = serializers.DateTimeField(source="revoked_at")
    secretHint = serializers.CharField(source="secret_hint")
    apiKey = serializers.CharField(source="api_key.public_part", default=None)
    isValid = serializers.BooleanField(source="is_valid")
    life = serializers.CharField()

    class Meta:
        model = Issuance
        fields = [
            "id", "requestId", "sessionId", "status", "errorCode", "kind", "agent", "model", "voice", "requestedAt",
            "expiresAt", "firstUsedAt", "revokedAt", "secretHint", "apiKey", "isValid", "life",
        ]  # fmt: skip


class ApiKeySerializer(serializers.ModelSerializer[ApiKey]):
    publicPart = serializers.CharField(source="public_part")
    allowedNetworks = serializers.JSONField(source="allowed_networks")
    createdAt = serializers.DateTimeField(source="created_at")
    expiresAt = serializers.DateTimeField(source="expires_at")
    revokedAt = serializers.DateTimeField(source="revoked_at")
    lastUsedAt = serializers.DateTimeField(source="last_used_at")

    class Meta:
        model = ApiKey
        fields = [
            "id", "name", "publicPart", "scopes", "allowedNetworks", "enabled", "createdAt", "expiresAt", "revokedAt",
            "lastUsedAt",
        ]  # fmt: skip


class NewKeySerializer(StrictSerializer):
    name = StrictText(max_length=80)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=Scope.choices, error_messages={"invalid_choice": UNKNOWN_SCOPE}),
        allow_empty=False,
        max_length=20,
        default=[Scope.MINT.value],
    )
    days = StrictInteger(min_value=1, max_value=3650, default=90)
    allowedNetworks = serializers.ListField(
        child=StrictText(max_length=64), max_length=50, default=[], validators=[check_networks]
    )

    def validate_days(self, days: int) -> int:
        longest: int = settings.API_KEY_MAX_DAYS
        if days > longest:
            raise serializers.ValidationError(f"A key lives for at most {longest} days.")
        return days
