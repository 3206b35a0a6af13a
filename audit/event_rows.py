"""Reading many events as the texts that were signed, without making objects of them: a million takes some seconds."""

import hashlib
from collections.abc import Iterator
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import connection

BATCH: Final = 2000
SHA256_BLOCK: Final = 64
COLUMNS: Final = "id, version, nonce, {time}, action, request_id, actor, target, code, body, personal, mac_key, mac"
TIMES: Final = {
    "postgresql": """to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
    "sqlite": "recorded_at",
}
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


def row_batches(after: int, up_to: int) -> Iterator[list[EventRow]]:
    """Yield the same in lists of BATCH."""
    while after < up_to and (rows := read_rows(after, up_to, BATCH)):
        yield rows
        after = rows[-1].id


def read_rows(after: int, up_to: int, limit: int) -> list[EventRow]:
    question = QUESTION.format(time=TIMES[connection.vendor])
    is_sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        cursor.execute(question, [after, up_to, limit])
        return [_row(values, is_sqlite) for values in cursor.fetchall()]


def _row(values: tuple[Any, ...], is_sqlite: bool) -> EventRow:
    number, version, nonce, time, action, request_id, actor, target, code, body, personal, mac_key, mac = values
    if is_sqlite:
        time = _sqlite_time(str(time))
    try:
        record = (  # as audit.records writes it, several times as fast
            f"[{version},{quoted(nonce)},{quoted(time)},{quoted(action)},{quoted(request_id)},{quoted(actor)},"
            f"{quoted(target)},{quoted(code)},{quoted(body)},{quoted(personal)},{mac_key}]"
        )
    except TypeError:  # SQLite keeps whatever somebody put into a column
        record = ""
    return EventRow(number, time, nonce, action, target, personal, record, mac_key, mac)


def _sqlite_time(text: str) -> str:
    """Write a time as the record does; Django leaves out a fraction that is nought."""
    return f"{text[:10]}T{text[11:]}Z" if len(text) > 19 else f"{text[:10]}T{text[11:]}.000000Z"
