"""What administrators configure: an agent and its numbered versions. A call keeps the version that it ran."""

import secrets
from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction

from realtime_api.session import VOICES, SessionConfig, TurnDetection, build_session_config


class Configuration(models.Model):
    """One row, whose mark becomes another with every change of agents, of policies, and of who is in which group.

    By it a process knows whether what it keeps of them still holds, in every process at once.
    """

    mark = models.BigIntegerField()

    def __str__(self) -> str:
        return str(self.mark)

    @classmethod
    def note_change(cls, **_of_signal: Any) -> None:
        """Mark the configuration as changed, in the transaction of the change. Fits as a signal's receiver."""
        cls.objects.update_or_create(pk=1, defaults={"mark": secrets.randbits(62)})


class AgentQuerySet(models.QuerySet["Agent"]):
    def update(self, **kwargs: Any) -> int:
        with transaction.atomic():  # else the new mark could be seen, and kept, with the old rows
            changed = super().update(**kwargs)
            Configuration.note_change()
        return changed

    def offered(self) -> "AgentQuerySet":
        """Return the agents that people may talk to, the default one first."""
        return self.filter(enabled=True, published__isnull=False).select_related("published")


class Agent(models.Model):
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=80)
    description = models.CharField(max_length=200, blank=True)
    enabled = models.BooleanField(default=True)
    position = models.PositiveSmallIntegerField(default=0, help_text="The lowest is the default on the voice page.")
    published = models.ForeignKey(
        "AgentVersion",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="The version people talk to.",
    )

    objects = AgentQuerySet.as_manager()

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic():  # the change and its mark, both or neither
            super().save(*args, **kwargs)


class AgentVersion(models.Model):
    """One state of an agent. Never changed once saved: history must be able to say what was spoken to."""

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField(editable=False)
    instructions = models.TextField(max_length=16_000)
    model = models.CharField(max_length=80, blank=True, help_text="Empty: the server's REALTIME_MODEL.")
    voice = models.CharField(max_length=20, choices=[(voice, voice.title()) for voice in VOICES], default="marin")
    language = models.CharField(max_length=8, default="en")
    silence_duration_ms = models.PositiveIntegerField(
        default=500, validators=[MinValueValidator(200), MaxValueValidator(3000)], help_text="Silence that ends a turn."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["agent", "number"], name="agent_version_number_once")]

    def __str__(self) -> str:
        return f"{self.agent.name} v{self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Give a new version the next number; raises TypeError when a saved one would change."""
        if not self._state.adding:
            raise TypeError("A version of an agent is never changed; add a new one.")
        newest = AgentVersion.objects.filter(agent_id=self.agent_id).aggregate(models.Max("number"))["number__max"]
        self.number = (newest or 0) + 1
        super().save(*args, **(kwargs | {"force_insert": True}))

    @property
    def effective_model(self) -> str:
        return self.model or settings.REALTIME_MODEL

    def session_config(self) -> SessionConfig:
        """Return the session that every call of this version gets; nothing of it comes from a browser."""
        turn_detection: TurnDetection = {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": self.silence_duration_ms,
            "create_response": True,
            "interrupt_response": True,
        }
        return build_session_config(
            model=self.effective_model,
            instructions=self.instructions,
            voice=self.voice,
            transcription_model=settings.TRANSCRIPTION_MODEL,
            language=self.language,
            turn_detection=turn_detection,
        )
