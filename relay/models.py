"""A call: one live connection that we relayed, from the request for it to its end."""

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.db.models import Q
from django.utils import timezone

from relay.constants import DETAIL_CHARS, HANG_UP_GRACE_S, HANG_UP_RETRY_S
from tokens.models import Transcripts
from usage.money import MicrodollarsField, dollars


class CallQuerySet(models.QuerySet["Call"]):
    def open(self) -> "CallQuerySet":
        return self.filter(state__in=[Call.State.REQUESTED, Call.State.LIVE])

    def of(self, user: User) -> "CallQuerySet":
        return self.filter(user=user)

    def silent_since(self, moment: datetime) -> "CallQuerySet":
        """Return live calls whose page used to report and stopped; pages that never do are left alone."""
        return self.filter(state=Call.State.LIVE, last_seen_at__lt=moment)

    def to_hang_up(self, now: datetime) -> "CallQuerySet":
        """Return calls that ended lately, that the upstream has not yet been told of, and whose next try is due."""
        ended = self.filter(
            state=Call.State.ENDED,
            ended_at__gt=now - timedelta(seconds=HANG_UP_RETRY_S),
            ended_at__lt=now - timedelta(seconds=HANG_UP_GRACE_S),
        )
        is_due = Q(hang_up_again_at=None) | Q(hang_up_again_at__lte=now)
        return ended.filter(is_due, hung_up_at=None, transport=Call.Transport.WEBRTC).exclude(upstream_id=None)


def end_reasons() -> list[tuple[str, str]]:
    """Return the choices of the field; as a function, so that a new reason needs no migration."""
    return Call.EndReason.choices


class Call(models.Model):
    class State(models.TextChoices):
        REQUESTED = "requested", "Requested"
        LIVE = "live", "Live"
        ENDED = "ended", "Ended"
        FAILED = "failed", "Failed"
        UNKNOWN = "unknown", "Outcome unknown"

    class Transport(models.TextChoices):
        WEBRTC = "webrtc", "WebRTC"
        WEBSOCKET = "websocket", "WebSocket"

    class EndReason(models.TextChoices):
        USER = "user", "Ended by the person"
        PAGE_CLOSED = "page_closed", "Page closed"
        BUDGET = "budget", "Budget used up"
        IDLE = "idle", "Nobody spoke"
        POLICY_DRIFT = "policy_drift", "Changed what is the server's"
        SESSION_EXPIRED = "session_expired", "The voice service's time limit"
        UPSTREAM_ENDED = "upstream_ended", "Ended by the voice service"
        UNMONITORED = "unmonitored", "Could not be monitored"
        RENEWED = "renewed", "Went on in another session"
        PAGE_LOST = "page_lost", "Page stopped reporting"
        CONNECTION_LOST = "connection_lost", "Connection lost"
        TIME_LIMIT = "time_limit", "Time limit"
        CLIENT_GONE = "client_gone", "Client left during set-up"
        HUNG_UP = "hung_up", "Hung up by REST"
        REPLACED = "replaced", "Gave way to a newer call"
        ADMINISTRATOR = "administrator", "Ended by an administrator"
        ACCESS_ENDED = "access_ended", "Signed out, disabled or revoked"
        SLOW_CLIENT = "slow_client", "Client stopped reading"
        BAD_CLIENT = "bad_client", "Client broke the protocol"
        UPSTREAM_FAILED = "upstream_failed", "The voice service failed"
        SERVER_RESTART = "server_restart", "This server was stopped"
        SERVER_LOST = "server_lost", "The process of its socket died"

    class Metering(models.TextChoices):
        OPEN = "open", "Not settled yet"
        SETTLED = "settled", "Settled by what was counted"
        PARTIAL = "partial", "Counted in part"
        UNMETERED = "unmetered", "Estimated by its length"
        FREE = "free", "Free: the local engine"

    class Monitoring(models.TextChoices):
        NOT_YET = "not_yet", "Not joined yet"
        JOINED = "joined", "Seen"
        LOST = "lost", "Lost from sight"
        UNMONITORED = "unmonitored", "Unmonitored"

    protocol = models.CharField(max_length=20, default="realtime")
    upstream_id = models.CharField(max_length=128, null=True, unique=True)  # opaque, `rtc_…` for Realtime
    issuance = models.OneToOneField("tokens.Issuance", null=True, on_delete=models.SET_NULL, related_name="call")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="calls", db_index=False
    )
    username = models.CharField(max_length=150, blank=True)
    agent_version = models.ForeignKey(
        "agents.AgentVersion", null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    agent = models.CharField(max_length=80, blank=True)
    model = models.CharField(max_length=80, blank=True)
    # The call before it in one conversation: what broke off goes on in a new call.
    continues = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="continued_by", db_index=False
    )
    transport = models.CharField(max_length=20, default=Transport.WEBRTC)
    request_id = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=State)
    error_code = models.CharField(max_length=64, blank=True)
    upstream_request_id = models.CharField(max_length=128, blank=True)
    upstream_data = models.TextField("what the upstream said", max_length=2000, blank=True)  # of a failure, masked
    requested_at = models.DateTimeField()
    deadline_at = models.DateTimeField(null=True)  # when the policy's longest call is over
    started_at = models.DateTimeField(null=True)
    last_seen_at = models.DateTimeField(null=True)
    active_at = models.DateTimeField(null=True)  # when something was last said or used, as far as it was seen
    watched_until = models.DateTimeField(null=True)  # an administrator reads its words until then; renewed meanwhile
    ended_at = models.DateTimeField(null=True)
    end_reason = models.CharField(max_length=20, choices=end_reasons, blank=True)
    end_detail = models.CharField(max_length=DETAIL_CHARS, blank=True)
    hung_up_at = models.DateTimeField(null=True)
    hang_up_again_at = models.DateTimeField(null=True)  # not before; None: at once
    metering = models.CharField(max_length=10, choices=Metering, default=Metering.OPEN)
    # Unknown until the call is settled, and after that where its model has no price.
    cost_microdollars = MicrodollarsField("cost", null=True)
    unpriced = models.BooleanField("no price", default=False)
    # What its user's counters hold for it: until it is settled what it reserved, then what it used.
    charged_seconds = models.PositiveIntegerField("seconds", default=0)
    charged_microdollars = MicrodollarsField("charged", default=0)
    # What its policy said when it began.
    idle_max_s = models.PositiveIntegerField("longest silence", null=True)  # in seconds; None: any
    budget_microdollars = MicrodollarsField("budget", null=True)
    transcripts = models.CharField(max_length=8, choices=Transcripts, default=Transcripts.FULL)
    unmonitored_allowed = models.BooleanField(default=True)
    # Who looks after it: a worker by sideband, or the process of its socket. Another takes it over past lease_until.
    lease_owner = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True)
    monitoring = models.CharField(max_length=12, choices=Monitoring, default=Monitoring.NOT_YET)
    gaps = models.PositiveIntegerField(default=0)  # how often events may have been missed
    drift = models.CharField("changed by the client", max_length=200, blank=True)
    # What was counted so far; exact, in millionths of a micro-dollar.
    counted_picodollars = models.PositiveBigIntegerField(default=0)
    responses = models.PositiveIntegerField(default=0)
    # What staff changed meanwhile, so that whoever takes it over knows.
    muted = models.BooleanField("assistant muted", default=False)
    session_changes = models.JSONField(default=dict)

    objects = CallQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        permissions = [("watch_call", "Can read the words of a call while it goes on")]
        # For the admin's questions, the newest first, and for the worker's rounds.
        indexes = [
            models.Index(fields=["user", "-id"], name="call_user"),
            models.Index(fields=["request_id"], name="call_request"),
            models.Index(fields=["requested_at"], name="call_time"),
            models.Index(fields=["state", "requested_at"], name="call_state"),
            models.Index(fields=["agent", "requested_at"], name="call_agent"),
            models.Index(fields=["username", "requested_at"], name="call_username"),
            models.Index(fields=["end_reason", "requested_at"], name="call_end_reason"),
            models.Index(
                fields=["requested_at", "cost_microdollars", "username"],  # the overview reads no more than these
                name="call_cost",
                condition=Q(cost_microdollars__isnull=False),
            ),
            models.Index(fields=["continues"], name="call_continues", condition=Q(continues__isnull=False)),
            models.Index(fields=["ended_at"], name="call_not_hung_up", condition=Q(hung_up_at=None)),
            models.Index(fields=["lease_until"], name="call_leased", condition=~Q(lease_owner="")),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(ended_at=None) | ~Q(state__in=["requested", "live"]), name="call_open_has_no_end"
            )
        ]

    def __str__(self) -> str:
        return f"Call {self.id} ({self.state})"

    def is_watched(self, now: datetime | None = None) -> bool:
        return self.watched_until is not None and self.watched_until > (now or timezone.now())

    @property
    def known_microdollars(self) -> int | None:
        """Return what the call cost; while it goes on, what was counted so far. None where that is not known."""
        if self.metering != self.Metering.OPEN:
            return self.cost_microdollars
        return -(-self.counted_picodollars // 1_000_000) if self.monitoring == self.Monitoring.JOINED else None

    @property
    def is_free(self) -> bool:
        """Whether its cost is known to be nothing."""
        return (
            settings.UPSTREAM_IS_LOCAL if self.metering == self.Metering.OPEN else self.metering == self.Metering.FREE
        )

    @property
    def seconds_left(self) -> int | None:
        """Return how long the call may still last; None where it has no limit or has ended."""
        if self.deadline_at is None or self.ended_at is not None:
            return None
        return max(0, int((self.deadline_at - timezone.now()).total_seconds()))

    @property
    def cost_words(self) -> str:
        """Return what the call cost and how sure that is; nothing while it goes on."""
        if self.metering == self.Metering.OPEN:
            return ""
        if self.metering == self.Metering.FREE:
            return "free"
        if self.cost_microdollars is None:
            return "no price"
        sure = {self.Metering.UNMETERED.value: "about ", self.Metering.PARTIAL.value: "at least "}
        return f"{sure.get(self.metering, '')}${dollars(self.cost_microdollars)}"


class TranscriptItem(models.Model):
    """One item of a call's conversation: what was said or typed, or a tool call. Written as far as policy lets it."""

    class Status(models.TextChoices):
        PARTIAL = "partial", "Not finished"
        DONE = "done", "Done"
        INTERRUPTED = "interrupted", "Interrupted"

    is_repeated = False  # whether a page told a session what stands in the call before, word for word

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="transcript")
    item_id = models.CharField(max_length=128)
    previous_item_id = models.CharField(max_length=128, blank=True)
    role = models.CharField(max_length=20)
    text = models.TextField(blank=True)
    status = models.CharField(max_length=11, choices=Status)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    heard_ms = models.PositiveIntegerField(null=True)  # of one that was interrupted, where it is known

    class Meta:
        ordering = ["started_at", "id"]
        constraints = [models.UniqueConstraint(fields=["call", "item_id"], name="transcript_item_once")]

    def __str__(self) -> str:
        return f"{self.role}: {self.item_id}"


class CallCommand(models.Model):
    """What somebody wants of a live call. Whoever looks after it carries it out, and says so here."""

    class Kind(models.TextChoices):
        SAY = "say", "Say a line"
        MUTE = "mute", "Mute the assistant"
        UNMUTE = "unmute", "Let the assistant speak"
        INSTRUCTIONS = "instructions", "Change the instructions"
        AGENT = "agent", "Swap the agent"

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="commands")
    kind = models.CharField(max_length=12, choices=Kind)
    text = models.TextField(blank=True)  # the line, the instructions, or the agent's slug
    session = models.JSONField(default=dict)  # the fields of the session that it changes
    agent_version = models.ForeignKey(
        "agents.AgentVersion", null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )  # what another agent runs
    requested_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)
    error_code = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["call"], name="command_waiting", condition=Q(done_at=None))]

    def __str__(self) -> str:
        return f"{self.kind} of call {self.call_id}"


class Handoff(models.Model):
    """A call's change to another agent, or the refusal of one. The call itself names the agent that it began with."""

    class By(models.TextChoices):
        MODEL = "model", "The model"
        PERSON = "person", "The person"
        STAFF = "staff", "An administrator"
        CODE = "code", "A tool"

    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="handoffs")
    agent = models.CharField(max_length=80)
    agent_version = models.ForeignKey(
        "agents.AgentVersion", null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    version_number = models.PositiveIntegerField(null=True)
    by = models.CharField(max_length=6, choices=By)
    at = models.DateTimeField()
    error_code = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"Call {self.call_id} to {self.agent}"
