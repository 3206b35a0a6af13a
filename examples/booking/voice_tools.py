"""What the voice assistant can do here."""

import datetime

from django.utils import timezone

from examples.booking import services
from examples.booking.services import CannotBook
from tools.exceptions import ToolRefusal
from tools.registry import CallContext, voice_tool


@voice_tool(public_name="Today's date")
def current_date() -> dict[str, str]:
    """Say which day it is. Call it before you work out a date such as that of next Tuesday."""
    today = timezone.localdate()
    return {"date": str(today), "day": f"{today:%A}"}


@voice_tool(public_name="Free appointments")
def check_availability(start_date: datetime.date, end_date: datetime.date) -> dict[str, list[str]]:
    """Find free appointments. Call it before you offer any day or time.

    start_date: the first day
    end_date: the last day, at most two weeks later; the same as the first for one day
    """
    try:
        free = services.free_times(start_date, end_date, timezone.now())
    except CannotBook as exc:
        raise ToolRefusal(str(exc)) from exc
    return {str(day): [f"{at:%H:%M}" for at in times] for day, times in free.items()}


@voice_tool(public_name="Book an appointment")
def create_booking(
    name: str, phone: str, date: datetime.date, time: datetime.time, context: CallContext
) -> dict[str, str]:
    """Book an appointment. Call it only after you have read everything back and the person agreed.

    name: the person's name
    phone: their phone number
    date: the day
    time: when it begins, on the hour or half past
    """
    try:
        booking = services.book(
            name=name, phone=phone, day=date, at=time, now=timezone.now(), booked_by=context.user.username,
            call_id=context.call.upstream_id or "",
        )  # fmt: skip
    except CannotBook as exc:
        raise ToolRefusal(str(exc)) from exc
    return {"booked": f"{booking.date} {booking.time:%H:%M}", "name": booking.name}
