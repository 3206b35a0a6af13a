"""Prices in the admin: in dollars, with dates, every change on record."""

from django.test import Client

from audit.models import AuditEvent
from usage.models import Price

FORM = {
    "model": "gpt-realtime-3",
    "meter": "audio_input",
    "microdollars": "32.50",
    "valid_from_0": "2026-12-01",
    "valid_from_1": "00:00:00",
    "source": "invoice",
}


def test_a_price_s_changes_are_recorded_with_before_and_after(adas_client: Client) -> None:
    assert adas_client.post("/admin/usage/price/add/", FORM).status_code == 302
    price = Price.objects.get(model="gpt-realtime-3")
    url = f"/admin/usage/price/{price.pk}"
    adas_client.post(f"{url}/change/", FORM | {"microdollars": "30"})
    adas_client.post(f"{url}/delete/", {"post": "yes"})

    assert price.microdollars == 32_500_000
    added, edited, deleted = AuditEvent.objects.filter(action="price.changed").order_by("id")
    assert added.facts["valid_from"] == '[null, "2026-12-01 00:00:00+00:00"]'
    assert (edited.facts, edited.target) == ({"microdollars": "[32500000, 30000000]"}, f"price:{price.pk}")
    assert deleted.facts["microdollars"] == "[30000000, null]"
    assert not Price.objects.filter(pk=price.pk).exists()


def test_prices_are_listed_in_dollars(adas_client: Client, prices: None) -> None:
    shown = adas_client.get("/admin/usage/price/?model=gpt-realtime-2.1-mini").content.decode()

    assert "$0.06" in shown
    assert "$20.00" in shown


def test_one_price_at_a_time(adas_client: Client) -> None:
    adas_client.post("/admin/usage/price/add/", FORM)
    shown = adas_client.post("/admin/usage/price/add/", FORM).content.decode()

    assert "have a price from that moment already" in shown
    assert Price.objects.filter(model="gpt-realtime-3").count() == 1
