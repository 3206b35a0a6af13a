"""The append-only record. An event has no foreign keys, so that what it tells outlives its subject."""

import json
from typing import Any, NoReturn

from django.db import models
from django.db.models import Q

from audit.actions import action_choices
from audit.records import Fact, record_of
from audit.tree_models import AuditCheckpoint, AuditEdge, AuditExport, AuditTile

__all__ = ["AppendOnlyError", "AuditCheckpoint", "AuditEdge", "AuditEvent", "AuditExport", "AuditPersonal", "AuditTile"]


class AppendOnlyError(TypeError):
    """Somebody's code tried to change or remove what was recorded."""


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def update(self, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError("Audit events are never updated.")

    def delete(self) -> NoReturn:
        raise AppendOnlyError("Audit events are never deleted.")


class AuditEvent(models.Model):
    version = models.PositiveSmallIntegerField()  # of the form of the record
    nonce = models.CharField(max_length=32)
    recorded_at = models.DateTimeField()
    action = models.CharField(max_length=64, choices=action_choices)
    request_id = models.CharField(max_length=64)
    actor = models.CharField(max_length=150, blank=True)  # "user:7", "worker", or "" for nobody known
    target = models.CharField(max_length=150, blank=True)  # "issuance:12", "call:5"
    code = models.CharField(max_length=64, blank=True)
    body = models.TextField(default="{}")  # JSON, kept as the text that the MAC covers
    personal = models.CharField("commitment to personal data", max_length=64, blank=True)
    mac_key = models.PositiveSmallIntegerField("number of the MAC key")
    mac = models.CharField("MAC", max_length=64)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        # Every index is paid for with every event. The newest first is the order of the identifiers.
        indexes = [
            models.Index(fields=["request_id"], name="event_request"),
            models.Index(fields=["recorded_at"], name="event_time"),
            models.Index(fields=["action", "recorded_at"], name="event_action"),
            models.Index(fields=["actor", "recorded_at"], name="event_actor"),
            models.Index(fields=["target"], name="event_target"),
            models.Index(fields=["code", "recorded_at"], name="event_code", condition=~Q(code="")),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.action}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnlyError("Audit events are never saved twice.")
        super().save(*args, **(kwargs | {"force_insert": True}))

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError("Audit events are never deleted.")

    @property
    def facts(self) -> dict[str, Fact]:
        """Return what the body says."""
        facts: dict[str, Fact] = json.loads(self.body)
        return facts

    @property
    def record(self) -> str:
        """Return the text that the MAC covers."""
        return record_of(
            version=self.version,
            nonce=self.nonce,
            recorded_at=self.recorded_at,
            action=self.action,
            request_id=self.request_id,
            actor=self.actor,
            target=self.target,
            code=self.code,
            body=self.body,
            personal=self.personal,
            mac_key=self.mac_key,
        )


class AuditPersonal(models.Model):
    """Who a person was, beside the event that only commits to it. Erasing a row changes no proof."""

    event_id = models.BigIntegerField(primary_key=True)
    salt = models.CharField(max_length=64)
    data = models.TextField()  # JSON with username, ip, user_agent

    class Meta:
        verbose_name_plural = "personal data"

    def __str__(self) -> str:
        return f"of event {self.event_id}"
