"""The overview's bars of the most frequent, as plain numbers for SVG."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from usage.money import dollars
from voiceagent.overview import Overview

SPENT: Final = "Spent"


@dataclass(frozen=True)
class Bar:
    """words: the amount as it is shown. address: of the list behind it."""

    name: str
    amount: int
    words: str
    percent_of_most: float
    address: str


@dataclass(frozen=True)
class Bars:
    """A table with a bar in each row. empty: what to say without rows."""

    title: str
    heading: str
    unit: str
    rows: list[Bar]
    empty: str


def bars_of(counted: Overview) -> list[Bars]:
    since = {"since": f"{counted.since:%Y-%m-%d}", "zone": "UTC"}

    def bars(title: str, parameter: str, amounts: list[tuple[str, int]], empty: str, *, unit: str = "Requests") -> Bars:
        page = reverse("admin:relay_call_changelist" if unit == SPENT else "admin:tokens_issuance_changelist")
        most = max((amount for _, amount in amounts), default=1)
        rows = [
            Bar(
                name=name,
                amount=amount,
                words=f"${dollars(amount)}" if unit == SPENT else f"{amount:,}",
                percent_of_most=round(100 * amount / most, 1),
                address=f"{page}?{urlencode({parameter: name, **since})}",
            )
            for name, amount in amounts
        ]
        return Bars(title, parameter.capitalize(), unit, rows, empty)

    return [
        bars("Refused and failed by code", "code", counted.codes, "Nothing was refused and nothing failed."),
        bars("Requests by agent", "agent", counted.agents, "Nobody asked."),
        bars("Requests by user, the first ten", "user", counted.users, "Nobody asked."),
        bars("Cost by user, the first ten", "user", counted.spenders, "No call has a price yet.", unit=SPENT),
    ]
