"""The overview's charts as plain numbers for SVG: columns of requests over time, and bars of the most frequent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from usage.money import dollars
from voiceagent.overview import Overview, Step

HEIGHT: Final = 100  # of the drawing; the page stretches it
SPENT: Final = "Spent"
GAP: Final = 0.2  # of a column's width


@dataclass(frozen=True)
class Piece:
    """A rectangle of a column. kind: its outcome, which is also its class."""

    kind: str
    y: float
    height: float


@dataclass(frozen=True)
class Column:
    """One step of time: where it stands, its rectangles from the ground up, its words, and the list behind it."""

    x: float
    width: float
    pieces: list[Piece]
    label: str
    step: Step
    query: str


@dataclass(frozen=True)
class Columns:
    """A chart of requests. highest: the sum of the highest column, at least 1."""

    columns: list[Column]
    width: int
    highest: int
    first_label: str
    last_label: str


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


def columns_of(steps: Sequence[Step], *, by_day: bool) -> Columns:
    highest = max(1, *(step.issued + step.denied + step.failed for step in steps))
    columns = [_column(place, step, highest, by_day) for place, step in enumerate(steps)]
    return Columns(columns, len(steps), highest, columns[0].label, columns[-1].label)


def _column(place: int, step: Step, highest: int, by_day: bool) -> Column:
    pieces, ground = [], float(HEIGHT)
    for kind, count in (("issued", step.issued), ("denied", step.denied), ("failed", step.failed)):
        height = round(HEIGHT * count / highest, 2)
        ground = round(ground - height, 2)
        if count:
            pieces.append(Piece(kind, ground, height))
    day = f"{step.start:%Y-%m-%d}"
    label = day if by_day else f"{step.start:%Y-%m-%d %H:%M}"
    query = urlencode({"since": day, "until": day, "zone": "UTC"})
    return Column(place + GAP / 2, 1 - GAP, pieces, label, step, query)


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
