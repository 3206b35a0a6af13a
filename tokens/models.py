"""Who may ask for client secrets, within what limits, and one row for each request. No value is ever stored."""

import ipaddress
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NoReturn

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agents.models import MarkingQuerySet
from tokens.constants import (
    EXPIRY_BUFFER_S,
    LAST_USED_STEP_S,
    MAX_TTL_S,
    MIN_TTL_S,
    RATE_FORM,
    SESSION_ID_CHARS,
    SHORTEST_CALL_S,
)
from usage.money import MicrodollarsField
from voiceagent.environment import is_origin
from voiceagent.person import USER_AGENT_CHARS


class Scope(models.TextChoices):
    MINT = "mint", _("Issue client secrets")
    READ = "read", _("Read one's own history")
    CONTROL = "control", _("End calls, revoke secrets")


class Kind(models.TextChoices):
    RELAYED = "relayed", _("Relayed")
    DIRECT = "direct", _("Direct")


class Transcripts(models.TextChoices):
    """What history keeps of what was said."""

    OFF = "off", "Nothing"
    REDACTED = "redacted", "Words without numbers, addresses and keys"
    FULL = "full", "Every word"


def check_networks(value: object) -> None:
    """Raise ValidationError unless the value is a list of networks such as `192.0.2.0/24`."""
    if not isinstance(value, list):
        raise ValidationError("Give a list of networks.")
    for place, network in enumerate(value, start=1):
        try:
            ipaddress.ip_network(network)
        except ValueError as exc:  # its text is not repeated: anything may have been pasted there
            raise ValidationError(f"Number {place} of the list is not a network such as 192.0.2.0/24.") from exc


def in_networks(ip: str | None, networks: Iterable[str]) -> bool:
    """Tell whether an address lies in any of some networks; an unknown address lies in none."""
    return ip is not None and any(ipaddress.ip_address(ip) in ipaddress.ip_network(network) for network in networks)


def check_origins(value: object) -> None:
    """Raise ValidationError unless the value is a list of origins such as `https://voice.example.org`."""
    if not isinstance(value, list):
        raise ValidationError("Give a list of origins.")
    for origin in value:
        if not (isinstance(origin, str) and is_origin(origin)):
            raise ValidationError(f"{origin!r} is not an origin such as https://voice.example.org.")


def check_words(value: object) -> None:
    """Raise ValidationError unless the value is a list of texts."""
    if not isinstance(value, list) or not all(isinstance(word, str) and word for word in value):
        raise ValidationError("Give a list of texts.")


def check_scopes(value: object) -> None:
    if not isinstance(value, list) or not value or not set(value) <= set(Scope.values):
        raise ValidationError(f"Give a list out of {', '.join(Scope.values)}.")


check_rate_form = RegexValidator(RATE_FORM, "Give a rate such as 20/m (s, m, h or d).")


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def of(self, user: User) -> "ApiKeyQuerySet":
        return self.filter(user=user)

    def usable(self, now: datetime) -> "ApiKeyQuerySet":
        return self.filter(enabled=True, revoked_at=None, expires_at__gt=now, user__is_active=True)


class ApiKey(models.Model):
    """A program's key to our API. Never deleted, so that history can name it; what it does is its owner's doing."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="api_keys")
    name = models.CharField(max_length=80)
    public_part = models.CharField(max_length=16, unique=True)
    digest = models.CharField(max_length=64)
    pepper_number = models.PositiveSmallIntegerField()
    scopes = models.JSONField(default=list, validators=[check_scopes])
    allowed_networks = models.JSONField(default=list, blank=True, validators=[check_networks])
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.public_part}…)"

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("An API key is revoked, never deleted: history names it.")

    def has_scope(self, scope: Scope) -> bool:
        return scope.value in self.scopes

    def allows_address(self, ip: str | None) -> bool:
        """Tell whether the key may be used from an address; no networks means from anywhere."""
        return not self.allowed_networks or in_networks(ip, self.allowed_networks)

    def needs_last_used(self, now: datetime) -> bool:
        """Tell whether the time of last use is old enough to be written again."""
        return self.last_used_at is None or now - self.last_used_at > timedelta(seconds=LAST_USED_STEP_S)


class McpApproval(models.TextChoices):
    """Who has to approve what an MCP server is asked to do."""

    CLIENT = "client", "The client itself"
    PERSON = "person", "The person whose call it is"
    STAFF = "staff", "A second person, in the administration"


class PolicyQuerySet(MarkingQuerySet["Policy"]):
    def for_user(self, user: User, api_key: ApiKey | None) -> "PolicyQuerySet":
        """Return the policies that concern a user, in no order: of the key, the user, their groups, everybody."""
        groups = User.groups.through.objects.filter(user_id=user.pk).values("group_id")
        concerns = Q(user=None, group=None, api_key=None) | Q(user=user) | Q(group__in=groups)
        return self.filter(concerns | Q(api_key=api_key) if api_key else concerns)


class Policy(models.Model):
    """What one user, group, key, or everybody may do. An empty field leaves the question to the next wider policy."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE)
    group = models.OneToOneField(Group, null=True, blank=True, on_delete=models.CASCADE)
    api_key = models.OneToOneField(ApiKey, null=True, blank=True, on_delete=models.CASCADE, verbose_name="API key")
    position = models.PositiveSmallIntegerField(default=0, help_text="Of several groups' policies the lowest wins.")

    allowed_kinds = models.JSONField(null=True, blank=True, validators=[check_words], help_text='["relayed", "direct"]')
    allowed_agents = models.JSONField(null=True, blank=True, validators=[check_words], help_text='Slugs: ["assistant"]')
    allowed_models = models.JSONField(null=True, blank=True, validators=[check_words], help_text='["gpt-realtime-2.1"]')
    allowed_voices = models.JSONField(null=True, blank=True, validators=[check_words], help_text='["marin", "cedar"]')
    own_session = models.BooleanField(
        null=True, blank=True, help_text="May send instructions, tools and settings of their own."
    )
    allowed_mcp_servers = models.JSONField(
        "allowed MCP servers", null=True, blank=True, validators=[check_words],
        help_text='Addresses that sessions of their own may name: ["https://mcp.example.com/sse"]. Empty: none.',
    )  # fmt: skip
    mcp_approval = models.CharField(
        "MCP calls approved by", max_length=6, blank=True, choices=McpApproval,
        help_text="Who says whether a server's tool may run. Empty: the client itself.",
    )  # fmt: skip
    max_ttl_s = models.PositiveIntegerField(
        "longest life of a secret",
        null=True,
        blank=True,
        validators=[MinValueValidator(MIN_TTL_S), MaxValueValidator(MAX_TTL_S)],
        help_text="In seconds.",
    )
    issue_rate = models.CharField(max_length=16, blank=True, validators=[check_rate_form], help_text="20/m")
    secrets_a_day = models.PositiveIntegerField(null=True, blank=True)
    secrets_a_month = models.PositiveIntegerField(null=True, blank=True)
    seconds_a_day = models.PositiveIntegerField(
        "seconds of calls a day", null=True, blank=True, help_text="Of all calls of a user together."
    )
    seconds_a_month = models.PositiveIntegerField("seconds of calls a month", null=True, blank=True)
    microdollars_a_day = MicrodollarsField("money a day", null=True, blank=True, help_text="In US dollars: 2.50")
    microdollars_a_month = MicrodollarsField("money a month", null=True, blank=True, help_text="In US dollars.")
    calls_at_once = models.PositiveIntegerField(null=True, blank=True)
    call_max_s = models.PositiveIntegerField(
        "longest call", null=True, blank=True, validators=[MinValueValidator(SHORTEST_CALL_S)], help_text="In seconds."
    )
    call_idle_s = models.PositiveIntegerField(
        "longest silence", null=True, blank=True, validators=[MinValueValidator(10)], help_text="In seconds."
    )
    microdollars_a_call = MicrodollarsField("money a call", null=True, blank=True, help_text="In US dollars.")
    transcripts = models.CharField(max_length=8, blank=True, choices=Transcripts, help_text="What is kept of words.")
    unmonitored_calls = models.BooleanField(
        null=True, blank=True, help_text="May a call go on whose events we cannot see? Nobody counts what it costs."
    )
    delete_transcripts = models.BooleanField(
        null=True,
        blank=True,
        help_text="May people delete the words of their own calls? The record keeps that they did.",
    )
    allowed_networks = models.JSONField(
        null=True, blank=True, validators=[check_networks], help_text='["192.0.2.0/24"]'
    )
    allowed_origins = models.JSONField(
        null=True,
        blank=True,
        validators=[check_origins],
        help_text='Pages that may ask, of those that the server lets in: ["https://voice.example.org"]',
    )

    objects = PolicyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "policies"
        constraints = [
            models.CheckConstraint(
                condition=Q(user=None, group=None) | Q(user=None, api_key=None) | Q(group=None, api_key=None),
                name="policy_concerns_one",
                violation_error_message="A policy is for one user, one group or one key, or for everybody.",
            ),
            models.UniqueConstraint(
                models.Value(1),
                condition=Q(user=None, group=None, api_key=None),
                name="policy_everybody_once",
                violation_error_message="There is a policy for everybody already.",
            ),
        ]

    def __str__(self) -> str:
        if self.api_key:
            return f"Key {self.api_key}"
        if self.user:
            return f"User {self.user}"
        return f"Group {self.group}" if self.group else "Everybody"

    def save(self, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic():  # the change and its mark, both or neither
            super().save(*args, **kwargs)

    @property
    def precedence(self) -> tuple[int, int, int]:
        """Return what to sort by, the most specific first: key, user, groups by their position, everybody."""
        if self.api_key_id:
            kind = 0
        elif self.user_id:
            kind = 1
        else:
            kind = 2 if self.group_id else 3
        return kind, self.position, self.pk


class QuotaCounter(models.Model):
    """How much of an allowance is used: one row for each subject, metric and period."""

    subject = models.CharField(max_length=40)  # "user:7"
    metric = models.CharField(max_length=20)  # "secrets_a_day"
    period_start = models.DateTimeField()
    used = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject", "metric", "period_start"], name="quota_counter_once")]
        indexes = [models.Index(fields=["period_start"], name="quota_counter_period")]  # to prune the old ones

    def __str__(self) -> str:
        return f"{self.subject} {self.metric}: {self.used}"


class IssuanceQuerySet(models.QuerySet["Issuance"]):
    def delete(self) -> NoReturn:
        raise TypeError("Issuances are history and are never deleted.")

    def without_outcome(self, *, before: datetime) -> "IssuanceQuerySet":
        """Return intents that were written before a moment and never got an outcome: a process died between."""
        return self.filter(status=Issuance.Status.REQUESTED, requested_at__lt=before)

    def usable(self, *, secret_digest: str, now: datetime) -> "IssuanceQuerySet":
        """Return the secret unless it is unknown, over, revoked or used."""
        return self.filter(
            secret_digest=secret_digest,
            status=Issuance.Status.ISSUED,
            first_used_at=None,
            revoked_at=None,
            expires_at__gt=now,
        )


class Issuance(models.Model):
    class Status(models.TextChoices):
        REQUESTED = "requested", "Requested"
        ISSUED = "issued", "Issued"
        DENIED = "denied", "Denied"
        FAILED = "failed", "Failed"
        UNKNOWN = "unknown", "Outcome unknown"

    class Life(models.TextChoices):
        """Where a secret stands. It follows from the row and the clock, so that no job has to mark it in time."""

        NONE = "none", "Never issued"
        VALID = "valid", "Valid"
        USED = "used", "Used"
        REVOKED = "revoked", "Revoked"
        EXPIRED = "expired", "Expired unused"

    request_id = models.CharField(max_length=64)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="issuances", db_index=False
    )
    username = models.CharField(max_length=150, blank=True)  # copied, so that history outlives the user
    api_key = models.ForeignKey(
        ApiKey, null=True, on_delete=models.PROTECT, related_name="issuances", verbose_name="API key", db_index=False
    )
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.RELAYED)
    agent_version = models.ForeignKey(
        "agents.AgentVersion", null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    agent = models.CharField(max_length=80, blank=True)
    model = models.CharField(max_length=80, blank=True)
    voice = models.CharField(max_length=40, blank=True)
    status = models.CharField(max_length=10, choices=Status)
    error_code = models.CharField(max_length=64, blank=True)
    upstream_status = models.PositiveSmallIntegerField(null=True)
    upstream_request_id = models.CharField(max_length=128, blank=True)
    upstream_data = models.TextField("what the upstream said", max_length=2000, blank=True)  # of a failure, masked
    session = models.JSONField(null=True)  # as asked for by a caller who may; None: the agent version's own
    idempotency_digest = models.CharField(max_length=64, null=True)
    body_digest = models.CharField(max_length=64, blank=True)
    session_id = models.CharField(max_length=SESSION_ID_CHARS, blank=True)
    secret_digest = models.CharField(max_length=64, null=True)
    secret_hint = models.CharField(max_length=8, blank=True)
    ip = models.GenericIPAddressField("IP address", null=True)
    user_agent = models.CharField(max_length=USER_AGENT_CHARS, blank=True)
    origin = models.CharField(max_length=200, blank=True)
    requested_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    first_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    repeats = models.PositiveIntegerField(default=0)  # at least so many alike followed in the same minute

    objects = IssuanceQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        # Every index is paid for with every secret, so each answers a question of the admin's (the newest first) or
        # of the hot path, and there is none for a foreign key alone. The conditional ones cost most secrets nothing.
        indexes = [
            models.Index(fields=["request_id"], name="issuance_request"),
            models.Index(fields=["user", "-id"], name="issuance_user"),
            models.Index(fields=["requested_at"], name="issuance_time"),
            models.Index(fields=["status", "requested_at"], name="issuance_status"),
            models.Index(fields=["kind", "requested_at"], name="issuance_kind"),
            models.Index(fields=["agent", "requested_at"], name="issuance_agent"),
            models.Index(fields=["username", "requested_at"], name="issuance_username"),
            models.Index(fields=["ip", "requested_at"], name="issuance_ip"),
            models.Index(fields=["api_key", "requested_at"], name="issuance_key", condition=Q(api_key__isnull=False)),
            models.Index(fields=["error_code", "requested_at"], name="issuance_code", condition=~Q(error_code="")),
            models.Index(fields=["secret_hint"], name="issuance_hint", condition=~Q(secret_hint="")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["secret_digest"], condition=Q(secret_digest__isnull=False), name="issuance_digest_once"
            ),
            models.UniqueConstraint(
                fields=["user", "idempotency_digest"],
                condition=Q(idempotency_digest__isnull=False),
                name="issuance_idempotency_once",
            ),
        ]

    def __str__(self) -> str:
        return f"Issuance {self.id} ({self.status})"

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("An issuance is history and is never deleted.")

    def is_valid(self, now: datetime | None = None) -> bool:
        """Tell whether the secret still has more life than the buffer that a connection needs."""
        moment = (now or timezone.now()) + timedelta(seconds=EXPIRY_BUFFER_S)
        return self.life(moment) == self.Life.VALID

    def life(self, now: datetime | None = None) -> Life:
        """Tell where the secret stands. A direct one that only the voice service has seen does not count as used."""
        if self.status != self.Status.ISSUED or not self.expires_at:
            return self.Life.NONE
        if self.revoked_at:
            return self.Life.REVOKED
        if self.first_used_at:
            return self.Life.USED
        return self.Life.VALID if (now or timezone.now()) < self.expires_at else self.Life.EXPIRED
