"""Prices in the admin. Every change leaves an event with what was before and after."""

from django.contrib import admin

from audit.actions import Action
from usage.models import Price
from usage.money import dollars
from voiceagent.recorded_admin import RecordedAdmin


@admin.register(Price)
class PriceAdmin(RecordedAdmin):
    changed = Action.PRICE_CHANGED
    list_display = ["model", "meter", "price", "valid_from"]
    list_filter = ["model", "meter"]
    search_fields = ["model__startswith"]
    search_help_text = "The start of a model's name."
    show_full_result_count = False

    @admin.display(description="price", ordering="microdollars")
    def price(self, price: Price) -> str:
        return f"${dollars(price.microdollars)}"
