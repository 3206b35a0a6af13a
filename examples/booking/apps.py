from django.apps import AppConfig


class BookingConfig(AppConfig):
    name = "examples.booking"
    label = "booking"
    verbose_name = "Booking (example)"
