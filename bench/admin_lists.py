#!/usr/bin/env python
"""Measure the administration's lists, filters and searches over a long history, each as a whole page in this process.

    .venv/bin/python bench/admin_lists.py             # 1,000,000 rows of each history, SQLite
    .venv/bin/python bench/admin_lists.py --quick     # 100,000, under a minute
    DATABASE_URL=postgres://… bench/admin_lists.py    # PostgreSQL: makes and drops the database test_NAME

`cpu_ms` is processor time of this process (SQLite's work is in it, PostgreSQL's is not) and hardly minds what else the
machine does. Ends with one line of JSON.
"""

import argparse
import asyncio
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

FOLDER = tempfile.TemporaryDirectory(prefix="admin-lists-")
os.environ |= {
    "VOICEAGENT_ENV_FILE": f"{FOLDER.name}/none.env",
    "DJANGO_SETTINGS_MODULE": "voiceagent.settings",
    "DEMO": "true",
    "SECRET_KEY": "a-key-for-benches",
    "OPENAI_API_KEY": "sk-bench",
    "REDIS_URL": "",
}
os.environ.setdefault("DATABASE_URL", f"sqlite:///{FOLDER.name}/db.sqlite3")

import django

django.setup()

from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection, reset_queries, transaction
from django.db.models import Model
from django.test import Client

from audit.models import AuditEvent
from audit.records import signed_values
from bench.process_use import read_use
from relay.models import Call
from tokens.export import csv_rows
from tokens.models import ApiKey, Issuance

settings.STORAGES |= {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
settings.ALLOWED_HOSTS = ["testserver"]

ROWS, QUICK_ROWS = 1_000_000, 100_000
ROUNDS, QUICK_ROUNDS = 20, 7
USERS, AGENTS, ADDRESSES, KEYS = 1000, 5, 2000, 20
DAYS = 30
CHUNK = 5_000
NOW = datetime.now(UTC)


@contextmanager
def indexes_later(model: type[Model]) -> Iterator[None]:
    """Build a model's indexes when its rows are there, which is several times quicker than row by row."""
    with connection.schema_editor() as editor:
        for index in model._meta.indexes:
            editor.remove_index(model, index)
    yield
    with connection.schema_editor() as editor:
        for index in model._meta.indexes:
            editor.add_index(model, index)


def fill(model: type[Model], changes: Iterator[dict[str, Any]]) -> None:
    """Write rows as quickly as the database takes them. changes: what differs from the fields' defaults."""
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    names = [field.column for field in fields]
    defaults = {
        field.column: None if field.null else field.get_db_prep_save(field.get_default(), connection)
        for field in fields
    }
    as_stored = connection.ops.adapt_datetimefield_value

    def values(change: dict[str, Any]) -> list[Any]:
        return [as_stored(value) if isinstance(value, datetime) else value for value in (defaults | change).values()]

    columns = ", ".join(f'"{name}"' for name in names)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f'COPY "{model._meta.db_table}" ({columns}) FROM STDIN') as copy:
                for change in changes:
                    copy.write_row(values(change))
            return
        insert = f'INSERT INTO "{model._meta.db_table}" ({columns}) VALUES ({", ".join(["%s"] * len(names))})'
        with transaction.atomic():
            while chunk := [values(change) for change in itertools.islice(changes, CHUNK)]:
                cursor.executemany(insert, chunk)


def moment(number: int, rows: int) -> datetime:
    return NOW - timedelta(days=DAYS) * (1 - number / rows)


def user_of(number: int) -> int:
    """Return whose a row is: the first users talk a great deal, and each of the last ones a little."""
    return (number * number + number // 7) % USERS if number % 3 else number % 7


def issuances(rows: int, users: list[User], keys: list[ApiKey]) -> Iterator[dict[str, Any]]:
    """Yield one request after the other; a handful of the oldest have values that occur nowhere else."""
    for number in range(rows):
        user = users[user_of(number)]
        status, code = (
            ("issued", "")
            if number % 10
            else [("denied", "rate_limited"), ("failed", "upstream_error")][number // 10 % 2]
        )
        is_odd = number < 3
        at = moment(number, rows)
        yield {
            "request_id": f"req_{number * 2654435761 % 2**32:024x}",
            "user_id": user.pk,
            "username": user.username,
            "api_key_id": keys[number % KEYS].pk if number % 9 == 0 else None,
            "kind": "direct" if is_odd else "relayed",
            "agent": "retired" if is_odd else f"agent{number % AGENTS}",
            "model": "gpt-realtime-2.1",
            "voice": "marin",
            "status": "unknown" if is_odd else status,
            "error_code": "outcome_unknown" if is_odd else code,
            "session_id": f"sess_{number:024x}",
            "secret_digest": f"{number * 2654435761 % 2**32:064x}" if status == "issued" else None,
            "secret_hint": f"{number * 2654435761 % 2**16:04x}" if status == "issued" else "",
            "ip": "203.0.113.9" if is_odd else f"10.0.{number % ADDRESSES // 256}.{number % 256}",
            "user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0",
            "origin": "https://voice.example.org",
            "requested_at": at,
            "decided_at": at + timedelta(milliseconds=40 + number % 300),
            "expires_at": at + timedelta(minutes=1),
        }


def calls(rows: int, users: list[User]) -> Iterator[dict[str, Any]]:
    for number in range(rows):
        user, at, is_live = users[user_of(number)], moment(number, rows), number > rows - 20
        yield {
            "upstream_id": f"rtc_{number:024x}",
            "user_id": user.pk,
            "username": user.username,
            "agent": f"agent{number % AGENTS}",
            "model": "gpt-realtime-2.1",
            "request_id": f"req_{number * 2654435761 % 2**32:024x}",
            "state": "live" if is_live else "ended",
            "requested_at": at,
            "started_at": at,
            "ended_at": None if is_live else at + timedelta(seconds=number % 600),
            "hung_up_at": None if is_live else at + timedelta(seconds=number % 600),
            "metering": "open" if is_live else "settled",
            "cost_microdollars": None if is_live else number % 50_000,
            "end_reason": "" if is_live else "administrator" if number < 3 else "user",
        }


def events(rows: int, users: list[User]) -> Iterator[dict[str, Any]]:
    actions = ["client_secret.requested", "client_secret.issued", "call.created", "call.ended"]
    for number in range(rows):
        yield signed_values(
            "policy.changed" if number < 3 else actions[number % 4],
            recorded_at=moment(number, rows),
            request_id=f"req_{number // 2 * 2654435761 % 2**32:024x}",
            actor=f"user:{users[user_of(number)].pk}",
            target=f"issuance:{number // 2}",
            code="outcome_unknown" if number < 3 else "user" if number % 4 == 3 else "",
            facts={},
            personal=None,
        )


def fill_all(rows: int) -> None:
    users = User.objects.bulk_create([User(username=f"user{number:04}") for number in range(USERS)])
    keys = ApiKey.objects.bulk_create(
        [
            ApiKey(user=users[0], public_part=f"vak_{number:08}", pepper_number=0, created_at=NOW, expires_at=NOW)
            for number in range(KEYS)
        ]
    )
    for model, changes in (
        (Issuance, issuances(rows, users, keys)),
        (AuditEvent, events(rows, users)),
        (Call, calls(rows, users)),
    ):
        with indexes_later(model):
            fill(model, changes)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def cases(rows: int) -> dict[str, str]:
    """Return the pages to measure by name: the list, each filter with many, few and no rows, each search."""
    middle = rows // 2 + 1
    request_id = f"req_{middle * 2654435761 % 2**32:024x}"
    day = (NOW - timedelta(days=20)).date().isoformat()
    lists = {
        "tokens/issuance": {
            "list": "", "last page": "p=200", "one day": f"since={day}&until={day}", "from a day on": f"since={day}",
            "up to a day": f"until={day}", "issued": "status=issued", "denied": "status=denied",
            "status of 3 rows": "status=unknown", "status of none": "status=requested", "relayed": "kind=relayed",
            "kind of 3 rows": "kind=direct", "agent": "agent=agent1", "agent of 3 rows": "agent=retired",
            "agent of none": "agent=nobody", "code": "code=rate_limited", "code of 3 rows": "code=outcome_unknown",
            "code of none": "code=x", "user of many": "user=user0001", "user of few": "user=user0999",
            "key": "key=vak_00000003", "agent, status, day": f"agent=agent1&status=issued&since={day}&until={day}",
            "agent and status": "agent=agent1&status=issued",
            "filters that exclude each other": "agent=agent1&status=denied", "request id": f"q={request_id}",
            "digest": f"q={middle * 2654435761 % 2**32:064x}", "last characters": "q=%E2%80%A60b71",
            "key prefix": "q=vak_00000003", "address": "q=10.0.1.44", "address of 3 rows": "q=203.0.113.9",
            "name": "q=user0002", "start of many names": "q=user", "start of ten names": "q=user031",
            "nothing found": "q=nobody-at-all", "call id": f"q=rtc_{middle:024x}",
        },
        "audit/auditevent": {
            "list": "", "last page": "p=200", "one day": f"since={day}&until={day}", "up to a day": f"until={day}",
            "action": "action=call.ended", "action of 3 rows": "action=policy.changed",
            "action of none": "action=api_key.created", "code": "code=user", "code of 3 rows": "code=outcome_unknown",
            "request id": f"q={request_id}", "actor of many": f"q=user:{User.objects.get(username='user0001').pk}",
            "target": f"q=issuance:{middle // 2}", "name": "q=user0999", "nothing found": "q=nobody-at-all",
        },
        "relay/call": {
            "list": "", "last page": "p=200", "one day": f"since={day}&until={day}", "live": "state=live",
            "ended": "state=ended", "state of none": "state=failed", "end": "reason=user",
            "end of 3 rows": "reason=administrator", "agent": "agent=agent1", "user of few": "user=user0999",
            "call id": f"q=rtc_{middle:024x}", "request id": f"q={request_id}", "start of many names": "q=user",
            "start of ten names": "q=user031", "nothing found": "q=nobody-at-all",
        },
    }  # fmt: skip
    pages = {
        f"{model}: {name}": f"/admin/{model}/?{query}"
        for model, named in lists.items()
        for name, query in named.items()
    }
    pages["tokens/issuance: detail"] = f"/admin/tokens/issuance/{middle}/change/"
    for period in ("24h", "30d"):
        pages[f"overview: {period}, cold"] = f"/admin/overview/?period={period}"
    return pages


def measure(client: Client, path: str, rounds: int) -> dict[str, float]:
    """Return the page's median and 95th percentile in ms, the median of this process's own part, and its queries."""
    times, own = [], []
    for _ in range(rounds):
        cache.clear()
        reset_queries()
        connection.force_debug_cursor = True
        began, own_began = time.perf_counter(), time.process_time()
        response = client.get(path)
        times.append((time.perf_counter() - began) * 1000)
        own.append((time.process_time() - own_began) * 1000)
        assert response.status_code == 200, (path, response.status_code)
    times.sort()
    return {
        "p50_ms": round(statistics.median(times), 1),
        "p95_ms": round(times[min(len(times) - 1, int(len(times) * 0.95))], 1),
        "cpu_ms": round(statistics.median(own), 1),
        "queries": len(connection.queries),
    }


async def measure_export() -> dict[str, float]:
    """Return how soon an export of all issuances begins, how long it takes, and what memory it needs meanwhile."""
    parts, before_mb, most_mb, first_s, lines = csv_rows(Issuance.objects.all()), memory_mb(), 0.0, 0.0, 0
    began = time.perf_counter()
    await anext(parts)  # the heading, which no database was asked for
    async for text in parts:
        first_s = first_s or time.perf_counter() - began
        lines += text.count("\n")
        most_mb = max(most_mb, memory_mb() - before_mb)
    took_s = time.perf_counter() - began
    return {
        "rows": lines,
        "first_ms": round(first_s * 1000),
        "rows_a_second": round(lines / took_s),
        "grown_mb": round(most_mb, 1),
    }


def memory_mb() -> float:
    return read_use(os.getpid()).memory_mb


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rows", type=int)
    given = parser.parse_args()
    rows = given.rows or (QUICK_ROWS if given.quick else ROWS)
    rounds = QUICK_ROUNDS if given.quick else ROUNDS
    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = f"{FOLDER.name}/test.sqlite3"
        connection.settings_dict["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        began = time.perf_counter()
        fill_all(rows)
        print(f"{rows} rows of each history in {time.perf_counter() - began:.0f} s, {connection.vendor}", flush=True)
        client = Client()
        client.force_login(User.objects.create_superuser("ada"))
        client.get("/admin/tokens/issuance/")
        figures = {}
        for name, path in cases(rows).items():
            figures[name] = measure(client, path, rounds)
            print(f"{name:45} {figures[name]}", flush=True)
        connection.force_debug_cursor = False
        export = asyncio.run(measure_export())
        print(f"{'tokens/issuance: export':45} {export}", flush=True)
    finally:
        connection.creation.destroy_test_db("", verbosity=0)
    slowest = max(figures, key=lambda name: figures[name]["p95_ms"])
    summary = {
        "rows": rows,
        "database": connection.vendor,
        "p50_ms": round(statistics.median(figure["p50_ms"] for figure in figures.values()), 1),
        "worst_cpu_ms": max(figure["cpu_ms"] for figure in figures.values()),
        "worst_p95_ms": figures[slowest]["p95_ms"],
        "worst": slowest,
        "export": export,
        "max_queries": max(figure["queries"] for figure in figures.values()),
        "over_100_ms": sorted(name for name, figure in figures.items() if figure["p95_ms"] > 100),
    }
    print(json.dumps({"bench": "admin_lists", "figures": summary}))


if __name__ == "__main__":
    main()
