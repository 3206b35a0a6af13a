"""Times and nonces of neighbouring events: what a copied row or one put in later cannot get right."""

from datetime import datetime, timedelta
from typing import Final

from audit.event_rows import EventRow

WINDOW: Final = timedelta(minutes=10)
CLOCK_STEP: Final = timedelta(seconds=2)

CLOCK: Final = "clock_went_back"
REPLAYED: Final = "replayed"
BACKDATED: Final = "backdated"


class RowOrder:
    """Looks at events in the order of their identifiers. Remembers the nonces of ten to twenty minutes.

    It keeps their hashes, which take a third of the memory: of 10^14 events one has another's by chance.
    """

    def __init__(self) -> None:
        self.newest = ""
        self._previous = ""
        self._turn_at = ""
        self._nonces: set[int] = set()
        self._older_nonces: set[int] = set()

    def check(self, row: EventRow) -> str:
        """Return what is wrong with an event: CLOCK, REPLAYED, BACKDATED or nothing.

        A copy of a recent event has its nonce; a copy of an old one has its time, which the MAC covers.
        """
        time, nonce, previous = row.time, hash(row.nonce), self._previous
        if nonce in self._nonces or nonce in self._older_nonces:
            return REPLAYED
        if time >= self._turn_at:
            self._turn(time)
        if time > self.newest:
            self.newest = time
        elif _moment(self.newest) - _moment(time) > WINDOW:
            return BACKDATED
        self._previous = time
        self._nonces.add(nonce)
        return CLOCK if time < previous and _moment(previous) - _moment(time) > CLOCK_STEP else ""

    def go_on_from(self, row: EventRow) -> None:
        """Compare what follows with this event's time, since the clock of those before it was wrong."""
        self.newest = self._previous = row.time
        self._nonces.add(hash(row.nonce))

    def _turn(self, time: str) -> None:
        self._turn_at = (_moment(time) + WINDOW).isoformat(timespec="microseconds") + "Z"
        self._older_nonces, self._nonces = self._nonces, set()


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        return datetime.min  # no time of ours, which its MAC shows, too
