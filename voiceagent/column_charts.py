"""The overview's columns over time, as plain numbers for SVG: each chart says its numbers in words and a table, too."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from usage.money import dollars
from voiceagent.overview import Overview, Period, Step

HEIGHT: Final = 100  # of the drawing; the page stretches it
GAP: Final = 0.2  # of a column's width


@dataclass(frozen=True)
class Part:
    """One kind of rectangle. name: also its class. reach: how far up from the ground it goes in a step."""

    name: str
    words: str
    reach: Callable[[Step], float]
    told: Callable[[Step], str]


@dataclass(frozen=True)
class Piece:
    """A rectangle of a column. kind: its part's name."""

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
    cells: list[str]
    address: str


@dataclass(frozen=True)
class Chart:
    """highest: what the top of the drawing stands for, in words."""

    name: str
    title: str
    summary: str
    highest: str
    parts: Sequence[Part]
    columns: list[Column]

    @property
    def width(self) -> int:
        return len(self.columns)


# The parts of a chart stand on each other: each reaches at least as far as the one before.
REQUESTS: Final = (
    Part("issued", "Issued", lambda step: step.issued, lambda step: f"{step.issued:,}"),
    Part("denied", "Refused", lambda step: step.issued + step.denied, lambda step: f"{step.denied:,}"),
    Part(
        "failed",
        "Failed or unknown",
        lambda step: step.issued + step.denied + step.failed,
        lambda step: f"{step.failed:,}",
    ),
)
DELAYS: Final = (
    Part("median", "Half within", lambda step: step.delay_p50_ms or 0, lambda step: _ms(step.delay_p50_ms)),
    Part("slow", "19 of 20 within", lambda step: step.delay_p95_ms or 0, lambda step: _ms(step.delay_p95_ms)),
)
COST: Final = (
    Part("spent", "Cost", lambda step: step.spent_microdollars, lambda step: f"${dollars(step.spent_microdollars)}"),
)


def charts_of(counted: Overview, period: Period) -> list[Chart]:
    """Return the charts of requests, of delays and of cost over a period."""
    requests = f"{counted.issued} issued, {counted.refused} refused or failed."
    delay = "How long answers took that issued a secret."
    cost = f"${dollars(counted.spent_microdollars)} for settled calls whose model has a price."
    return [
        _chart("requests", "Requests", requests, REQUESTS, counted.steps, period, lambda top: f"{top:,.0f}"),
        _chart("delays", "Delay of answers", delay, DELAYS, counted.steps, period, _ms),
        _chart("cost", "Cost of calls", cost, COST, counted.steps, period, lambda top: f"${dollars(round(top))}"),
    ]


def _chart(
    name: str,
    title: str,
    summary: str,
    parts: Sequence[Part],
    steps: Sequence[Step],
    period: Period,
    words: Callable[[float], str],
) -> Chart:
    top = max(part.reach(step) for part in parts for step in steps)
    page = reverse("admin:relay_call_changelist" if parts is COST else "admin:tokens_issuance_changelist")
    columns = [_column(place, step, parts, top or 1, period, page) for place, step in enumerate(steps)]
    return Chart(name, title, summary, words(top), parts, columns)


def _column(place: int, step: Step, parts: Sequence[Part], top: float, period: Period, page: str) -> Column:
    pieces, ground = [], 0.0
    for part in parts:
        reach = max(ground, part.reach(step))
        if reach > ground:
            pieces.append(Piece(part.name, HEIGHT * (1 - reach / top), HEIGHT * (reach - ground) / top))
        ground = reach
    day = f"{step.start:%Y-%m-%d}"
    label = day if period.is_by_day else f"{step.start:%Y-%m-%d %H:%M}"
    address = f"{page}?{urlencode({'since': day, 'until': day, 'zone': 'UTC'})}"
    return Column(place + GAP / 2, 1 - GAP, pieces, label, [part.told(step) for part in parts], address)


def _ms(delay_ms: float | None) -> str:
    return "–" if delay_ms is None else f"{delay_ms:,.0f} ms"  # noqa: RUF001 (a dash for nothing)
