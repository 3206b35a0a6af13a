"""What administrators configure: an agent and its numbered versions. A call keeps the version that it ran."""

import secrets
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, TypeVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models, transaction

from agents.functions import functions_of, tool_names
from agents.guardrail_checks import find_check
from agents.handoffs import words_about
from agents.patterns import MAX_PATTERN_CHARS, UnsafePattern, compiled
from agents.rules import CATEGORIES, MAX_WORD_CHARS, MAX_WORDS, Rule, words_pattern
from realtime_api.session import VOICES, SessionConfig, TurnDetection, build_session_config, takes_reasoning

INSTRUCTIONS_CHARS: Final = 16_000
LANGUAGE: Final = RegexValidator(r"^[a-z]{2,3}\Z", "Name a language by its two or three letters: en, de, fr …")


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


M = TypeVar("M", bound=models.Model)


class MarkingQuerySet(models.QuerySet[M]):
    """Rows of the configuration, of which no signal tells what is written to many of them at once."""

    def update(self, **kwargs: Any) -> int:
        with transaction.atomic():  # else the new mark could be seen, and kept, with the old rows
            changed = super().update(**kwargs)
            Configuration.note_change()
        return changed

    def bulk_create(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> list[M]:  # Any: Django's own options
        with transaction.atomic():
            created = super().bulk_create(objs, *args, **kwargs)
            Configuration.note_change()
        return created


class AgentQuerySet(MarkingQuerySet["Agent"]):
    def offered(self) -> "AgentQuerySet":
        """Return the agents that people may talk to, the default one first."""
        return self.filter(enabled=True, published__isnull=False).select_related("published")


class Agent(models.Model):
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=80)
    description = models.CharField(max_length=200, blank=True)
    enabled = models.BooleanField(default=True)
    position = models.PositiveSmallIntegerField(default=0, help_text="The lowest is the default on the voice page.")
    shows_event_log = models.BooleanField(
        "event log for everybody",
        default=False,
        help_text="People see the raw events of their calls on the voice page, masked. Staff always do.",
    )
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
    """One state of an agent. Never changed once saved: history must be able to say what was spoken to.

    The defaults are what versions of before a field mean by it. Lists hold names: of voices that people may choose, of
    tools, of agents that a call may be handed to, and of guardrails.
    """

    class TurnTaking(models.TextChoices):
        SILENCE = "server_vad", "After a silence"
        MEANING = "semantic_vad", "When the sentence sounds finished"

    class Eagerness(models.TextChoices):
        AUTO = "auto", "As the model sees fit"
        LOW = "low", "Lets people take their time"
        MEDIUM = "medium", "Medium"
        HIGH = "high", "Answers as soon as it can"

    class NoiseReduction(models.TextChoices):
        NEAR = "near_field", "For a headset"
        FAR = "far_field", "For a room"
        OFF = "", "Off"

    class Effort(models.TextChoices):
        DEFAULT = "", "The model's default"
        MINIMAL = "minimal", "Minimal"
        LOW = "low", "Low"
        MEDIUM = "medium", "Medium"
        HIGH = "high", "High"
        XHIGH = "xhigh", "Highest"

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField(editable=False)
    instructions = models.TextField(
        validators=[MaxLengthValidator(INSTRUCTIONS_CHARS)],
        help_text="What the model is told. Plain text: braces and tags stay what they are.",
    )
    greeting = models.CharField(max_length=300, blank=True, help_text="Said first in each call. Empty: people begin.")

    model = models.CharField(max_length=80, blank=True, help_text="Empty: the server's REALTIME_MODEL.")
    reasoning_effort = models.CharField(
        max_length=8, choices=Effort, blank=True, help_text="Only for models that reason. More takes longer."
    )
    max_output_tokens = models.PositiveSmallIntegerField(
        "longest reply (tokens)", null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(4096)],
        help_text="Empty: as long as it takes.",
    )  # fmt: skip

    voice = models.CharField(max_length=20, choices=[(voice, voice.title()) for voice in VOICES], default="marin")
    voices = models.JSONField(
        "voices to choose from",
        default=list,
        blank=True,
        help_text="Voices that people may choose besides. None: fixed.",
    )
    speed = models.FloatField(
        default=1.0, validators=[MinValueValidator(0.25), MaxValueValidator(1.5)], help_text="0.25 to 1.5."
    )

    language = models.CharField(
        max_length=8, default="en", validators=[LANGUAGE], help_text="Spoken by people: en, de …"
    )
    other_languages = models.JSONField(default=list, blank=True, help_text="Others that people may speak.")
    transcription_model = models.CharField(
        max_length=80, blank=True, help_text="Writes down what people say. Empty: the server's TRANSCRIPTION_MODEL."
    )
    transcription_prompt = models.CharField(
        max_length=1000, blank=True, help_text="Names and words that it should know how to spell."
    )
    noise_reduction = models.CharField(
        max_length=12, choices=NoiseReduction, blank=True, default=NoiseReduction.NEAR.value
    )

    turn_taking = models.CharField(
        "when it is its turn", max_length=12, choices=TurnTaking, default=TurnTaking.SILENCE.value
    )
    eagerness = models.CharField(
        max_length=8, choices=Eagerness, default=Eagerness.AUTO.value, help_text="For turns by the sentence."
    )
    threshold = models.FloatField(
        "how loud speech must be", default=0.5, validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="For turns by silence: 0 to 1.",
    )  # fmt: skip
    prefix_padding_ms = models.PositiveIntegerField(
        "sound kept from before speech (ms)",
        default=300,
        validators=[MaxValueValidator(2000)],
        help_text="For turns by silence.",
    )
    silence_duration_ms = models.PositiveIntegerField(
        "silence that ends a turn (ms)",
        default=500,
        validators=[MinValueValidator(200), MaxValueValidator(3000)],
        help_text="For turns by silence.",
    )
    idle_timeout_ms = models.PositiveIntegerField(
        "speaks up after (ms)", null=True, blank=True, validators=[MinValueValidator(5000), MaxValueValidator(30_000)],
        help_text="For turns by silence: so long without a word. Empty: it waits.",
    )  # fmt: skip

    tools = models.JSONField(default=list, blank=True)
    handoffs = models.JSONField(default=list, blank=True, help_text="Agents that it may hand a call to.")
    handoff_words = models.JSONField(default=dict, editable=False)  # about each, as they stood when this was saved
    guardrails = models.JSONField(default=list, blank=True)

    author = models.CharField(max_length=150, blank=True, editable=False)
    note = models.CharField(max_length=200, blank=True, help_text="What changed, and why: for the history.")
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
        targets = Agent.objects.filter(slug__in=self.handoffs) if self.handoffs else ()
        self.handoff_words = {agent.slug: words_about(agent) for agent in targets}
        super().save(*args, **(kwargs | {"force_insert": True}))

    def clean(self) -> None:
        """Raise ValidationError that names each field whose value makes no sense with the others."""
        wrong = {name: text for name, text in self._wrong_fields() if text}
        if wrong:
            raise ValidationError(wrong)

    def _wrong_fields(self) -> Iterator[tuple[str, str]]:
        yield "voices", _unknown(self.voices, VOICES, "voices")
        yield "other_languages", _not_languages(self.other_languages)
        agents = Agent.objects.exclude(pk=self.agent_id).values_list("slug", flat=True)
        yield "handoffs", _unknown(self.handoffs, set(agents), "other agents")
        if self.guardrails:
            known = Guardrail.objects.values_list("slug", flat=True)
            yield "guardrails", _unknown(self.guardrails, set(known), "guardrails")
        yield "tools", _unknown(self.tools, tool_names(), "tools")
        if self.reasoning_effort and not takes_reasoning(self.effective_model):
            yield "reasoning_effort", f"{self.effective_model} takes no reasoning effort: choose the model's default."

    @property
    def effective_model(self) -> str:
        return self.model or settings.REALTIME_MODEL

    def content(self) -> dict[str, Any]:
        """Return what a version says, by field: all but its name, number, author and note."""
        return {name: getattr(self, name) for name in CONTENT}

    @property
    def turn_detection(self) -> TurnDetection:
        if self.turn_taking == self.TurnTaking.MEANING:
            return {
                "type": "semantic_vad",
                "eagerness": self.eagerness,  # type: ignore[typeddict-item]  # one of its choices
                "create_response": True,
                "interrupt_response": True,
            }
        by_silence: TurnDetection = {
            "type": "server_vad",
            "threshold": self.threshold,
            "prefix_padding_ms": self.prefix_padding_ms,
            "silence_duration_ms": self.silence_duration_ms,
            "create_response": True,
            "interrupt_response": True,
        }
        if self.idle_timeout_ms is not None:
            by_silence["idle_timeout_ms"] = self.idle_timeout_ms
        return by_silence

    def session_config(self) -> SessionConfig:
        """Return the session that every call of this version gets; nothing of it comes from a browser."""
        return build_session_config(
            model=self.effective_model,
            instructions=self.instructions,
            voice=self.voice,
            transcription_model=self.transcription_model or settings.TRANSCRIPTION_MODEL,
            language=self.language,
            other_languages=self.other_languages,
            transcription_prompt=self.transcription_prompt,
            turn_detection=self.turn_detection,
            noise_reduction=self.noise_reduction,
            speed=self.speed,
            max_output_tokens=self.max_output_tokens,
            reasoning_effort=self.reasoning_effort,
            tools=functions_of(self),
        )


class Guardrail(models.Model):
    """What an agent may not say, or be asked. Versions name it; a change holds for all, from the next call on."""

    class Side(models.TextChoices):
        OUTPUT = "output", "What the agent says"
        INPUT = "input", "What people say"

    class Kind(models.TextChoices):
        WORDS = "words", "Words and phrases"
        PATTERN = "pattern", "A pattern"
        MODERATION = "moderation", "The voice service's moderation"
        CHECK = "check", "A function of this installation"

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=80)
    enabled = models.BooleanField(default=True)
    records_only = models.BooleanField(default=False, help_text="Nothing is stopped: see first what it would find.")
    side = models.CharField("looks at", max_length=6, choices=Side, default=Side.OUTPUT.value)
    kind = models.CharField("looks for", max_length=10, choices=Kind, default=Kind.WORDS.value)
    words = models.TextField(blank=True, help_text="One word or phrase a line, found as whole words in any case.")
    pattern = models.CharField(max_length=MAX_PATTERN_CHARS, blank=True, help_text="A regular expression.")
    categories = models.JSONField(default=list, blank=True)
    check_name = models.CharField("function", max_length=80, blank=True)
    safe_line = models.CharField(
        max_length=300,
        default="I can't talk about that. Is there anything else I can help you with?",
        help_text="What the agent says instead.",
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Raise ValidationError that names each field in which it is not said what to look for."""
        wrong = {name: text for name, text in self._wrong_fields() if text}
        if wrong:
            raise ValidationError(wrong)

    def _wrong_fields(self) -> Iterator[tuple[str, str]]:
        if self.kind == self.Kind.WORDS:
            yield "words", _wrong_words(self.words)
        if self.kind == self.Kind.PATTERN:
            yield "pattern", _wrong_pattern(self.pattern)
        if self.kind == self.Kind.MODERATION:
            yield "categories", _unknown(self.categories, CATEGORIES, "categories")
            yield "categories", "" if self.categories else "Choose at least one."
        if self.kind == self.Kind.CHECK:
            yield "check_name", "" if find_check(self.check_name) else "There is no such function."

    def rule(self) -> Rule:
        """Return what a live call uses. Raises UnsafePattern for a pattern that passed no form."""
        finder = None
        if self.kind == self.Kind.WORDS:
            finder = words_pattern(self.words)
        elif self.kind == self.Kind.PATTERN:
            finder = compiled(self.pattern)
        return Rule(
            self.slug, self.side, self.kind, finder, tuple(self.categories), self.check_name,  # type: ignore[arg-type]  # each is one of its choices
            self.safe_line, self.records_only,
        )  # fmt: skip


def _wrong_words(words: str) -> str:
    lines = [line for line in words.splitlines() if line.strip()]
    if not lines or len(lines) > MAX_WORDS:
        return f"Write 1 to {MAX_WORDS} lines."
    return f"A line has at most {MAX_WORD_CHARS} characters." if max(map(len, lines)) > MAX_WORD_CHARS else ""


def _wrong_pattern(pattern: str) -> str:
    try:
        compiled(pattern)
    except UnsafePattern as exc:
        return str(exc)
    return ""


def _unknown(names: object, known: Collection[str], what: str) -> str:
    """Return what is wrong with a list of names, or nothing."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return "Must be a list of names."
    unknown = sorted({name for name in names if name not in known})
    if unknown:
        return f"Not among the {what}: {', '.join(unknown)}."
    return "A name stands in it twice." if len(set(names)) < len(names) else ""


def _not_languages(names: object) -> str:
    if not isinstance(names, list):
        return "Must be a list of languages."
    try:
        for name in names:
            LANGUAGE(name)
    except ValidationError as exc:
        return str(exc.message)
    return ""


# The fields that make a version what it is, in their order.
CONTENT: Final = tuple(
    field.name
    for field in AgentVersion._meta.concrete_fields
    if field.name not in {"id", "agent", "number", "handoff_words", "author", "note", "created_at"}
)
