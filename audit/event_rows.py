"""Reading many events as the texts that were signed, without making objects of them: a million takes some seconds."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import DataError, connection

BATCH: Final = 500  # fits a core's cache
SHA256_BLOCK: Final = 64
COLUMNS: Final = "id, version, nonce, {time}, action, request_id, actor, target, code, body, personal, mac_key, mac"
# SQLite: Django's parser reads a bare column of times. PostgreSQL: its own formatting takes longer than all the rest.
TIMES: Final = {"postgresql": "recorded_at AT TIME ZONE 'UTC'", "sqlite": "CAST(recorded_at AS TEXT)"}
ANY_TIME: Final = TIMES | {"postgresql": "to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"}
QUESTION: Final = f"SELECT {COLUMNS} FROM audit_auditevent WHERE id > %s AND id <= %s ORDER BY id LIMIT %s"  # noqa: S608


class EventRow(NamedTuple):
    """One event: what the tree needs of it. time: as in the record, so that texts compare as times do."""

    id: int
    time: str
    nonce: str
    action: str
    target: str
    personal: str
    record: str
    mac_key: int
    mac: str


class MacCheck:
    """Tells whether a key of the settings made a row's MAC. HMAC's beginning is the same each time, and kept."""

    def __init__(self) -> None:
        self._begun = {
            number: (_begun(key, 0x36), _begun(key, 0x5C)) for number, key in settings.AUDIT_MAC_KEYS.items()
        }

    def is_genuine(self, row: EventRow) -> bool:
        begun = self._begun.get(row.mac_key)
        if begun is None:
            return False
        inner, outer = begun[0].copy(), begun[1].copy()
        inner.update(row.record.encode())
        outer.update(inner.digest())
        return bool(outer.hexdigest() == row.mac)  # no secret of ours is compared: whoever asks holds the database


def _begun(key: bytes, mask: int) -> Any:
    """Return SHA-256 after the first block of HMAC (RFC 2104), for keys of up to one block."""
    return hashlib.sha256(bytes(byte ^ mask for byte in key.ljust(SHA256_BLOCK, b"\0")))


def is_genuine(row: EventRow) -> bool:
    return MacCheck().is_genuine(row)


def event_rows(after: int, up_to: int) -> Iterator[EventRow]:
    """Yield the events with identifiers above `after` and up to `up_to`, in their order."""
    for rows in row_batches(after, up_to):
        yield from rows


def row_batches(after: int, up_to: int) -> Iterator[Iterator[EventRow]]:
    """Yield the same BATCH at a time."""
    while after < up_to and (found := _fetch(after, up_to, BATCH)):
        after = found[-1][0]
        yield map(_row, found)


def read_rows(after: int, up_to: int, limit: int) -> list[EventRow]:
    return list(map(_row, _fetch(after, up_to, limit)))


def _fetch(after: int, up_to: int, limit: int) -> list[tuple[Any, ...]]:
    """Return columns of the first events after an identifier, up to another, `limit` at most.

    Where no number is missing, the first question is enough; it is asked because PostgreSQL, as long as it has no
    statistics of a table, may sort all that follows for the sake of a few.
    """
    near = _readable(after, min(after + limit, up_to), limit)
    return near if len(near) == limit or after + limit >= up_to else _readable(after, up_to, limit)


def _readable(*limits: int) -> list[tuple[Any, ...]]:
    try:
        return _asked(TIMES, limits)
    except DataError:  # a time that Python cannot hold, such as PostgreSQL's infinity: nobody of ours wrote it
        return _asked(ANY_TIME, limits)


def _asked(times: Mapping[str, str], limits: Sequence[int]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(QUESTION.format(time=times[connection.vendor]), limits)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _row(values: tuple[Any, ...]) -> EventRow:
    number, version, nonce, time, action, request_id, actor, target, code, body, personal, mac_key, mac = values
    try:
        time = _time_text(time)
        record = (  # as audit.records writes it, several times as fast
            f"[{version},{quoted(nonce)},{quoted(time)},{quoted(action)},{quoted(request_id)},{quoted(actor)},"
            f"{quoted(target)},{quoted(code)},{quoted(body)},{quoted(personal)},{mac_key}]"
        )
    except TypeError:  # SQLite keeps whatever somebody put into a column
        time, record = str(time), ""
    return EventRow(number, time, nonce, action, target, personal, record, mac_key, mac)


def _time_text(time: datetime | str) -> str:
    """Write a time as the record does; SQLite's text leaves out a fraction that is nought. TypeError: it is none."""
    if isinstance(time, datetime):
        return time.isoformat(timespec="microseconds") + "Z"
    return f"{time[:10]}T{time[11:]}Z" if len(time) > 19 else f"{time[:10]}T{time[11:]}.000000Z"
