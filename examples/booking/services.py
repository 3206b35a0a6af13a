"""Which half hours are free, and taking one."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.utils import timezone

from examples.booking.models import Booking

OPENS_AT: Final = time(9)
CLOSES_AT: Final = time(17)
STEP: Final = timedelta(minutes=30)
LONGEST_LOOK: Final = timedelta(days=14)
FURTHEST: Final = timedelta(days=180)
BOOKINGS_A_PERSON: Final = 3  # that are still to come


class CannotBook(Exception):
    """Why not, in words for the person."""


def free_times(start: date, end: date, now: datetime) -> dict[date, list[time]]:
    """Return the free half hours of each open day. Raises CannotBook for days that cannot be looked at."""
    if end < start:
        raise CannotBook("The end date is before the start date.")
    if end - start > LONGEST_LOOK:
        raise CannotBook(f"Ask for at most {LONGEST_LOOK.days} days at once.")
    taken = set(Booking.objects.filter(date__range=(start, end), cancelled_at=None).values_list("date", "time"))
    days = (start + timedelta(days=number) for number in range((end - start).days + 1))
    return {
        day: [at for at in half_hours() if (day, at) not in taken and _is_to_come(day, at, now)]
        for day in days
        if _is_open(day)
    }


def book(*, name: str, phone: str, day: date, at: time, booked_by: str, call_id: str, now: datetime) -> Booking:
    """Take a half hour. Raises CannotBook, also for one that somebody else took a moment ago."""
    _check(name, phone, day, at, now)
    own = Booking.objects.filter(booked_by=booked_by, date__gte=timezone.localtime(now).date(), cancelled_at=None)
    if own.count() >= BOOKINGS_A_PERSON:
        raise CannotBook(f"You have {BOOKINGS_A_PERSON} appointments already, which is all that one person may have.")
    try:
        with transaction.atomic():
            return Booking.objects.create(
                date=day, time=at, name=name.strip(), phone=phone.strip(), booked_by=booked_by, call_id=call_id
            )
    except IntegrityError as exc:
        raise CannotBook(f"{day} at {at:%H:%M} is taken.") from exc


def half_hours() -> Iterator[time]:
    """Yield the times of day at which an appointment can begin."""
    begin = datetime.combine(date.min, OPENS_AT)
    while begin.time() < CLOSES_AT:
        yield begin.time()
        begin += STEP


def _check(name: str, phone: str, day: date, at: time, now: datetime) -> None:
    if not 1 < len(name.strip()) <= 80:
        raise CannotBook("A name has 2 to 80 characters.")
    if sum(character.isdigit() for character in phone) < 5 or len(phone.strip()) > 30:
        raise CannotBook("That is no phone number: it needs five digits or more.")
    if not _is_open(day) or at not in half_hours():
        raise CannotBook(
            f"Appointments begin every half hour from {OPENS_AT:%H:%M}, Monday to Friday, the last at 16:30."
        )
    if not _is_to_come(day, at, now):
        raise CannotBook("That time is over.")
    if day - now.date() > FURTHEST:
        raise CannotBook("That is too far ahead.")


def _is_open(day: date) -> bool:
    return day.weekday() < 5


def _is_to_come(day: date, at: time, now: datetime) -> bool:
    local = timezone.localtime(now)
    return (day, at) > (local.date(), local.time())
