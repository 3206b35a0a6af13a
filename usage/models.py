"""What the voice service asks for its work, with the dates from which it does."""

from datetime import datetime

from django.db import models

from usage.money import MicrodollarsField


class Meter(models.TextChoices):
    """What is counted and has a price: tokens by modality and direction, or time."""

    TEXT_INPUT = "text_input", "Text in"
    TEXT_CACHED_INPUT = "text_cached_input", "Text in, cached"
    TEXT_OUTPUT = "text_output", "Text out"
    AUDIO_INPUT = "audio_input", "Audio in"
    AUDIO_CACHED_INPUT = "audio_cached_input", "Audio in, cached"
    AUDIO_OUTPUT = "audio_output", "Audio out"
    IMAGE_INPUT = "image_input", "Images in"
    IMAGE_CACHED_INPUT = "image_cached_input", "Images in, cached"
    SECONDS = "seconds", "Seconds of audio"


class Counts(models.Model):
    """What was used, by meter, and what it cost in millionths of a micro-dollar: so that sums are exact."""

    text_input = models.PositiveBigIntegerField(default=0)
    text_cached_input = models.PositiveBigIntegerField(default=0)
    text_output = models.PositiveBigIntegerField(default=0)
    audio_input = models.PositiveBigIntegerField(default=0)
    audio_cached_input = models.PositiveBigIntegerField(default=0)
    audio_output = models.PositiveBigIntegerField(default=0)
    image_input = models.PositiveBigIntegerField(default=0)
    image_cached_input = models.PositiveBigIntegerField(default=0)
    seconds = models.PositiveBigIntegerField("seconds of audio", default=0)
    picodollars = models.PositiveBigIntegerField(default=0)

    class Meta:
        abstract = True

    @property
    def microdollars(self) -> int:
        """Return the cost rounded up."""
        return -(-self.picodollars // 1_000_000)

    @property
    def by_meter(self) -> dict[Meter, int]:
        """Return what was used, without what was not."""
        counts = {meter: getattr(self, meter.value) for meter in Meter}
        return {meter: count for meter, count in counts.items() if count}


class UsageRecord(Counts):
    """What one response, or the writing down of one item, used. Kept once for each, however often it is told.

    Calls, users and agents are named by number or text: a record outlives them.
    """

    class Kind(models.TextChoices):
        RESPONSE = "response", "Response"
        TRANSCRIPTION = "transcription", "Transcription"

    call_number = models.PositiveBigIntegerField("call")
    kind = models.CharField(max_length=13, choices=Kind)
    source_id = models.CharField("response or item", max_length=128)
    at = models.DateTimeField()
    username = models.CharField(max_length=150, blank=True)
    agent = models.CharField(max_length=80, blank=True)
    model = models.CharField(max_length=80, blank=True)
    outcome = models.CharField(max_length=20, blank=True)
    unpriced = models.BooleanField("no price", default=False)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["call_number", "kind", "source_id"], name="usage_counted_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.source_id} of call {self.call_number}"


class UsageDay(Counts):
    """The sums of one day (UTC), user, agent and model, for charts: written with the records that they add up."""

    day = models.DateField()
    username = models.CharField(max_length=150, blank=True)
    agent = models.CharField(max_length=80, blank=True)
    model = models.CharField(max_length=80, blank=True)
    responses = models.PositiveBigIntegerField(default=0)
    transcriptions = models.PositiveBigIntegerField(default=0)
    unpriced = models.PositiveBigIntegerField("without a price", default=0)

    class Meta:
        ordering = ["-day", "id"]
        constraints = [
            models.UniqueConstraint(fields=["day", "username", "agent", "model"], name="usage_day_once"),
        ]
        indexes = [models.Index(fields=["username", "day"], name="usage_day_user")]

    def __str__(self) -> str:
        return f"{self.day} {self.username} {self.model}"


class PriceQuerySet(models.QuerySet["Price"]):
    def at(self, moment: datetime) -> "PriceQuerySet":
        """Return the prices that had begun at a moment, the newest last: of one model and meter that one holds."""
        return self.filter(valid_from__lte=moment).order_by("valid_from")


class Price(models.Model):
    """One price of one model. It holds until a later one of the same model and meter begins."""

    model = models.CharField(max_length=80)
    meter = models.CharField(max_length=20, choices=Meter)
    microdollars = MicrodollarsField(
        "price", help_text="In US dollars, for a million tokens; of seconds of audio, for a minute."
    )
    valid_from = models.DateTimeField()
    source = models.CharField(max_length=200, blank=True, help_text="Where the price was read, and when.")

    objects = PriceQuerySet.as_manager()

    class Meta:
        ordering = ["model", "meter", "-valid_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["model", "meter", "valid_from"],
                name="price_once_at_a_time",
                violation_error_message="This model and meter have a price from that moment already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.get_meter_display()} from {self.valid_from:%Y-%m-%d}"

    @property
    def picodollars(self) -> int:
        """Return the price of one token or one second, in millionths of a micro-dollar, rounded up."""
        if self.meter == Meter.SECONDS:
            return -(-self.microdollars * 1_000_000 // 60)
        return self.microdollars
