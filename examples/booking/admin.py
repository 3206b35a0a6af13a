"""Appointments in the administration: the next ones first, and an action that cancels."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from examples.booking.models import Booking


@admin.register(Booking)
class BookingAdmin(admin.ModelAdmin[Booking]):
    list_display = ["date", "time", "name", "phone", "booked_by", "cancelled_at"]
    list_filter = ["date"]
    search_fields = ["name"]
    readonly_fields = ["booked_by", "call_id", "created_at"]
    actions = ["cancel"]

    @admin.action(description="Cancel the selected appointments", permissions=["change"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Booking]) -> None:
        cancelled = queryset.filter(cancelled_at=None).update(cancelled_at=timezone.now())
        self.message_user(request, f"{cancelled} appointments cancelled.", messages.SUCCESS)
