"""Prices of the vendor as they were when this was written. Edit them in the admin; this never runs again."""

from datetime import UTC, datetime

from django.db import migrations

VALID_FROM = datetime(2026, 1, 1, tzinfo=UTC)
MODELS_SOURCE = "developers.openai.com, model page, undated copy read 2026-11-21"
TRANSCRIPTION_SOURCE = "secondary source of 2026-09-16"
METERS = [
    "text_input", "text_cached_input", "text_output",
    "audio_input", "audio_cached_input", "audio_output",
    "image_input", "image_cached_input",
]  # fmt: skip
# Micro-dollars for a million tokens, in the order of METERS.
TOKEN_PRICES = {
    "gpt-realtime-2.1": [4_000_000, 400_000, 24_000_000, 32_000_000, 400_000, 64_000_000, 5_000_000, 500_000],
    "gpt-realtime-2": [4_000_000, 400_000, 24_000_000, 32_000_000, 400_000, 64_000_000, 5_000_000, 500_000],
    "gpt-realtime-2.1-mini": [600_000, 60_000, 2_400_000, 10_000_000, 300_000, 20_000_000, 800_000, 80_000],
    "gpt-realtime-1.5": [4_000_000, 400_000, 16_000_000, 32_000_000, 400_000, 64_000_000, 5_000_000, 500_000],
}
# Micro-dollars for a minute.
MINUTE_PRICES = {"gpt-transcribe": 4_500, "gpt-live-transcribe": 17_000, "gpt-realtime-whisper": 17_000}


def add_prices(apps, schema_editor):
    Price = apps.get_model("usage", "Price")
    rows = [
        Price(model=model, meter=meter, microdollars=price, valid_from=VALID_FROM, source=MODELS_SOURCE)
        for model, prices in TOKEN_PRICES.items()
        for meter, price in zip(METERS, prices, strict=True)
    ]
    rows += [
        Price(model=model, meter="seconds", microdollars=price, valid_from=VALID_FROM, source=TRANSCRIPTION_SOURCE)
        for model, price in MINUTE_PRICES.items()
    ]
    Price.objects.bulk_create(rows)


def remove_prices(apps, schema_editor):
    apps.get_model("usage", "Price").objects.filter(valid_from=VALID_FROM).delete()


class Migration(migrations.Migration):
    dependencies = [("usage", "0001_prices")]

    operations = [migrations.RunPython(add_prices, remove_prices)]
