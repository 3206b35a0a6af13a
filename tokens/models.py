"""One row for each request for a client secret: granted, refused or failed. The value itself is never here."""

from datetime import datetime, timedelta
from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.utils import timezone

from tokens.constants import EXPIRY_BUFFER_S, SESSION_ID_CHARS, USER_AGENT_CHARS


class IssuanceQuerySet(models.QuerySet["Issuance"]):
    def without_outcome(self, *, before: datetime) -> "IssuanceQuerySet":
        """Return intents that were written before a moment and never got an outcome: a process died between."""
        return self.filter(status=Issuance.Status.REQUESTED, requested_at__lt=before)

    def claim(self, *, secret_digest: str, now: datetime) -> bool:
        """Mark the secret as used by one conditional UPDATE; False when it is unknown, over, revoked or used."""
        usable = self.filter(
            secret_digest=secret_digest,
            status=Issuance.Status.ISSUED,
            first_used_at=None,
            revoked_at=None,
            expires_at__gt=now,
        )
        return usable.update(first_used_at=now) == 1


class Issuance(models.Model):
    class Status(models.TextChoices):
        REQUESTED = "requested", "Requested"
        ISSUED = "issued", "Issued"
        DENIED = "denied", "Denied"
        FAILED = "failed", "Failed"
        UNKNOWN = "unknown", "Outcome unknown"

    class Kind(models.TextChoices):
        RELAYED = "relayed", "Relayed"

    request_id = models.CharField(max_length=64, db_index=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="issuances")
    username = models.CharField(max_length=150, blank=True)  # copied, so that history outlives the user
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.RELAYED)
    agent_version = models.ForeignKey("agents.AgentVersion", null=True, on_delete=models.SET_NULL, related_name="+")
    agent = models.CharField(max_length=80, blank=True)
    model = models.CharField(max_length=80, blank=True)
    voice = models.CharField(max_length=40, blank=True)
    status = models.CharField(max_length=10, choices=Status)
    error_code = models.CharField(max_length=64, blank=True)
    session_id = models.CharField(max_length=SESSION_ID_CHARS, blank=True)
    secret_digest = models.CharField(max_length=64, null=True, unique=True)
    secret_hint = models.CharField(max_length=8, blank=True)
    ip = models.GenericIPAddressField("IP address", null=True)
    user_agent = models.CharField(max_length=USER_AGENT_CHARS, blank=True)
    origin = models.CharField(max_length=200, blank=True)
    requested_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    first_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    repeats = models.PositiveIntegerField(default=0)  # further refusals of the same kind in the same minute

    objects = IssuanceQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["status", "-id"], name="issuance_status"),
            models.Index(fields=["username", "-id"], name="issuance_username"),
        ]

    def __str__(self) -> str:
        return f"Issuance {self.id} ({self.status})"

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("An issuance is history and is never deleted.")

    def is_valid(self, now: datetime | None = None) -> bool:
        """Tell whether the secret still has more life than the buffer that a connection needs."""
        if self.status != self.Status.ISSUED or self.first_used_at or self.revoked_at or not self.expires_at:
            return False
        return (now or timezone.now()) < self.expires_at - timedelta(seconds=EXPIRY_BUFFER_S)
