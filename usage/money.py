"""Money is kept as integer micro-dollars (a millionth of a US dollar) and edited as dollars."""

from decimal import Decimal
from typing import Any, Final, TypeVar

from django import forms
from django.db import models

MICRODOLLARS: Final = 1_000_000  # in a dollar
DOLLAR_PLACES: Final = 6
MAX_DOLLAR_DIGITS: Final = 15  # up to a thousand million dollars

Set = TypeVar("Set")  # what may be assigned to the field, and what it gives: they differ by `null`
Get = TypeVar("Get")


def dollars(microdollars: int) -> str:
    """Write an amount in dollars, with cents at least and no idle zeros: `2.50`, `0.006946`."""
    whole, _, fraction = f"{Decimal(microdollars) / MICRODOLLARS:.{DOLLAR_PLACES}f}".partition(".")
    return f"{whole}.{fraction.rstrip('0'):0<2}"


class DollarsField(forms.DecimalField):
    """A form's field that shows dollars and yields micro-dollars."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**({"max_digits": MAX_DOLLAR_DIGITS, "decimal_places": DOLLAR_PLACES} | kwargs))

    def prepare_value(self, value: Any) -> Any:
        return dollars(value) if isinstance(value, int) else value  # text is what somebody just typed

    def clean(self, value: Any) -> Any:
        amount = super().clean(value)
        return None if amount is None else int(amount * MICRODOLLARS)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(None if initial is None else Decimal(initial) / MICRODOLLARS, data)


class MicrodollarsField(models.PositiveBigIntegerField[Set, Get]):
    """A column of micro-dollars."""

    def formfield(self, **kwargs: Any) -> Any:  # the base's own annotation
        return super().formfield(**({"form_class": DollarsField} | kwargs))
