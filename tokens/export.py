"""History as a file, row by row, so that a million rows need no more memory than one."""

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.db.models import QuerySet

from tokens.models import Issuance

FIELDS: Final = (
    "id", "request_id", "requested_at", "decided_at", "username", "api_key_id", "status", "error_code", "kind", "agent",
    "model", "voice", "session_id", "ip", "user_agent", "origin", "expires_at", "first_used_at", "revoked_at",
    "upstream_status", "upstream_request_id", "repeats",
)  # fmt: skip
CHUNK_ROWS: Final = 2_000
# What a spreadsheet takes for a formula (CWE-1236); an apostrophe makes it text.
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


class _Line:
    """What csv writes into: it hands the line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


def csv_rows(issuances: QuerySet[Issuance]) -> Iterator[str]:
    """Yield a heading and one line for each row, safe to open in a spreadsheet."""
    writer = csv.writer(_Line())
    yield writer.writerow(FIELDS)
    for row in _rows(issuances):
        yield writer.writerow([_safe_cell(value) for value in row])


def jsonl_rows(issuances: QuerySet[Issuance]) -> Iterator[str]:
    """Yield one JSON object a line, times in ISO 8601 and UTC."""
    for row in _rows(issuances):
        yield json.dumps(dict(zip(FIELDS, map(_json_value, row), strict=True)), ensure_ascii=False) + "\n"


def _rows(issuances: QuerySet[Issuance]) -> Iterable[tuple[Any, ...]]:
    return issuances.order_by("-id").values_list(*FIELDS).iterator(chunk_size=CHUNK_ROWS)


def _safe_cell(value: Any) -> str:
    text = "" if value is None else str(_json_value(value))
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _json_value(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
