"""Appointments of one small practice: half hours on working days, each for one person."""

from django.db import models
from django.db.models import Q


class Booking(models.Model):
    """An appointment. The database itself keeps two from having the same half hour."""

    date = models.DateField()
    time = models.TimeField()
    name = models.CharField(max_length=80)
    phone = models.CharField(max_length=30)
    booked_by = models.CharField("account", max_length=150, blank=True, editable=False)
    call_id = models.CharField("call", max_length=128, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["date", "time"]
        constraints = [
            models.UniqueConstraint(fields=["date", "time"], condition=Q(cancelled_at=None), name="booking_half_hour"),
        ]

    def __str__(self) -> str:
        return f"{self.name}, {self.date} {self.time:%H:%M}"
