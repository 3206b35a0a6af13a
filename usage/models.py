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
