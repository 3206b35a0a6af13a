"""Reading many events as the texts that were signed, without making objects of them."""

import hmac
import json
from collections.abc import Iterator
from typing import Final, NamedTuple

from django.conf import settings
from django.db import connection

ENCODE: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
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

    @property
    def is_genuine(self) -> bool:
        """Tell whether a key of ours made the MAC."""
        key = settings.AUDIT_MAC_KEYS.get(self.mac_key)
        return key is not None and hmac.compare_digest(
            hmac.digest(key, self.record.encode(), "sha256").hex().encode(), self.mac.encode()
        )


def event_rows(after: int, up_to: int, *, batch: int = 2000) -> Iterator[EventRow]:
    """Yield the events with identifiers above `after` and up to `up_to`, in their order, `batch` at a time."""
    while after < up_to:
        rows = read_rows(after, up_to, batch)
        yield from rows
        if len(rows) < batch:
            return
        after = rows[-1].id


def read_rows(after: int, up_to: int, limit: int) -> list[EventRow]:
    question = QUESTION.format(time=TIMES[connection.vendor])
    is_sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        cursor.execute(question, [after, up_to, limit])
        return [_row(values, is_sqlite) for values in cursor.fetchall()]


def _row(values: tuple[int | str, ...], is_sqlite: bool) -> EventRow:
    number, version, nonce, time, action, request_id, actor, target, code, body, personal, mac_key, mac = values
    if is_sqlite:
        time = _sqlite_time(str(time))
    fields = [version, nonce, time, action, request_id, actor, target, code, body, personal, mac_key]
    return EventRow(number, time, nonce, action, target, personal, ENCODE(fields), mac_key, mac)  # type: ignore[arg-type]  # as the columns are


def _sqlite_time(text: str) -> str:
    """Write a time as the record does; Django leaves out a fraction that is nought."""
    return f"{text[:10]}T{text[11:]}{'' if len(text) > 19 else '.000000'}Z"
