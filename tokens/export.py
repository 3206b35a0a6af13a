"""History as a file, in chunks, so that a million rows need no more memory than some thousands.

Asynchronous, because an ASGI server would first collect the whole of a synchronous stream.
"""

import csv
import json
from collections.abc import AsyncIterator
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.db.models import QuerySet

from audit.models import AuditEvent
from tokens.models import Issuance

FIELDS: Final = (
    "id", "request_id", "requested_at", "decided_at", "username", "api_key_id", "status", "error_code", "kind", "agent",
    "model", "voice", "session_id", "ip", "user_agent", "origin", "expires_at", "first_used_at", "revoked_at",
    "upstream_status", "upstream_request_id", "repeats",
    "call__upstream_id", "call__state", "call__started_at", "call__ended_at", "call__end_reason", "call__metering",
    "call__cost_microdollars",
)  # fmt: skip
HEADINGS: Final = (*(field.replace("__", "_") for field in FIELDS), "event_ids")
CHUNK_ROWS: Final = 2_000
Row = tuple[Any, ...]
# What a spreadsheet takes for a formula (CWE-1236); an apostrophe makes it text.
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


class _Line:
    """What csv writes into: it hands the line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


async def csv_rows(issuances: QuerySet[Issuance]) -> AsyncIterator[str]:
    """Yield a heading and then a chunk of lines at a time, one for each row, safe to open in a spreadsheet."""
    writer = csv.writer(_Line())
    yield writer.writerow(HEADINGS)
    async for rows in _chunks(issuances):
        yield "".join(writer.writerow([_safe_cell(value) for value in row]) for row in rows)


async def jsonl_rows(issuances: QuerySet[Issuance]) -> AsyncIterator[str]:
    """Yield a chunk of lines at a time, one JSON object each, times in ISO 8601 and UTC."""
    async for rows in _chunks(issuances):
        yield "".join(_json_line(row) for row in rows)


async def _chunks(issuances: QuerySet[Issuance]) -> AsyncIterator[list[Row]]:
    """Yield the rows, the newest first; each chunk is a query of its own that goes on where the last one ended."""
    rows = await sync_to_async(_chunk)(issuances)
    while rows:
        yield rows
        rows = await sync_to_async(_chunk)(_after(issuances, rows[-1]))


def _chunk(issuances: QuerySet[Issuance]) -> list[Row]:
    rows = list(issuances.order_by("-requested_at", "-id").values_list(*FIELDS)[:CHUNK_ROWS])
    events = _events_of([f"issuance:{row[0]}" for row in rows])
    return [(*row, " ".join(events[f"issuance:{row[0]}"])) for row in rows]


def _events_of(targets: list[str]) -> dict[str, list[str]]:
    """Return the numbers of the events about each target, the oldest first."""
    found: dict[str, list[str]] = {target: [] for target in targets}
    for target, number in AuditEvent.objects.filter(target__in=targets).order_by("id").values_list("target", "id"):
        found[target].append(str(number))
    return found


def _after(issuances: QuerySet[Issuance], last: Row) -> QuerySet[Issuance]:
    """Keep what comes after a row in the order of the list's indexes: with another, each chunk would sort the rest."""
    row = dict(zip(HEADINGS, last, strict=True))
    at_once = {"requested_at": row["requested_at"], "id__gte": row["id"]}
    return issuances.filter(requested_at__lte=row["requested_at"]).exclude(**at_once)


def _json_line(row: Row) -> str:
    return json.dumps(dict(zip(HEADINGS, map(_json_value, row), strict=True)), ensure_ascii=False) + "\n"


def _safe_cell(value: Any) -> str:
    text = "" if value is None else str(_json_value(value))
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _json_value(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
