#!/usr/bin/env python
"""Measure what the record costs: writing events, sealing, verifying, proving, and from a commit to a file outside.

    .venv/bin/python bench/audit.py                  # 1,000,000 events, SQLite
    .venv/bin/python bench/audit.py --quick          # 30,000, under a minute
    .venv/bin/python bench/audit.py --two-sealers 60 # nothing else: two that seal for so many seconds, and no fork
    DATABASE_URL=postgres://… bench/audit.py         # PostgreSQL: makes and drops the database test_NAME

A plain insert is the same row by the same ORM in a transaction of its own, into a table with the same indexes but
without MAC and guards; both are written in turns. Ends with one line of JSON.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

FOLDER = os.environ.get("BENCH_FOLDER") or tempfile.mkdtemp(prefix="audit-")
os.environ |= {
    "VOICEAGENT_ENV_FILE": f"{FOLDER}/none.env",
    "DJANGO_SETTINGS_MODULE": "voiceagent.settings",
    "DEMO": "true",
    "SECRET_KEY": "a-key-for-benches",
    "OPENAI_API_KEY": "sk-bench",
    "REDIS_URL": "",
    "AUDIT_EXPORT_FILE": f"{FOLDER}/checkpoints.jsonl",
}
os.environ.setdefault("DATABASE_URL", f"sqlite:///{FOLDER}/db.sqlite3")

import django

django.setup()

from django.db import IntegrityError, OperationalError, connection, models, transaction
from django.utils import timezone

from audit import group_commit
from audit.actions import Action
from audit.guards import create_guards, drop_guards
from audit.loop import AuditLoop
from audit.models import AuditEvent
from audit.proofs import receipt_of
from audit.records import signed_values
from audit.rows import insert_values
from audit.seal_lock import SealLock
from audit.sealer import Sealer, Superseded
from audit.services import record_event
from audit.sinks import Exported, FileSink
from audit.stored_tree import newest_checkpoint
from audit.tree_models import AuditCheckpoint
from audit.verification import verify_record

WRITERS = (1, 8, 32)
UPSTREAM_S = 0.25
LIVE_RATE = 100
VERIFICATIONS = 3
FACTS = {"agent": "assistant", "kind": "relayed", "model": "gpt-realtime-2.1", "ttl_s": 60}
CHILD_VERIFIES, CHILD_SEALS = "--verify-only", "--seal-only"


def plain_model() -> type[models.Model]:
    """Return a model like AuditEvent, with a table of its own that nothing guards."""
    fields = {field.name: field.clone() for field in AuditEvent._meta.local_fields}
    indexes = []
    for index in AuditEvent._meta.indexes:
        copy = index.clone()
        copy.name = f"plain_{index.name}"[:30]
        indexes.append(copy)
    meta = type("Meta", (), {"app_label": "audit", "db_table": "plain_event", "indexes": indexes})
    return type("PlainEvent", (models.Model,), {"__module__": __name__, "Meta": meta, **fields})


def values(number: int, at: datetime) -> dict[str, Any]:
    return signed_values(
        Action.CLIENT_SECRET_ISSUED.value, recorded_at=at, request_id=f"req_{number:024x}",
        actor=f"user:{number % 1000}", target=f"issuance:{number}", code="", facts=FACTS, personal=None,
    )  # fmt: skip


def write_audited(number: int) -> None:
    with transaction.atomic(durable=True):
        record_event(
            Action.CLIENT_SECRET_ISSUED, request_id=f"req_{number:024x}", actor=f"user:{number % 1000}",
            target=f"issuance:{number}", **FACTS,
        )  # fmt: skip


def hammered(write: Callable[[int], None], writers: int, seconds: float) -> dict[str, float]:
    """Write from so many threads as fast as it goes; return rows a second and the time of one."""
    took: list[float] = []
    start = time.monotonic()

    def run(seed: int) -> None:
        number = seed * 1_000_000
        while (began := time.monotonic()) - start < seconds:
            with suppress(OperationalError):  # SQLite's writers starve each other; the wait of 5 s counts
                write(number)
            took.append(time.monotonic() - began)
            number += 1
        connection.close()

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.monotonic() - start
    return {"rows_per_s": len(took) / elapsed, **percentiles(took)}


def percentiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "p50_ms": round(1000 * ordered[len(ordered) // 2], 2),
        "p99_ms": round(1000 * ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], 2),
    }


def measure_inserts(plain: type[models.Model], seconds: float, rounds: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    row = values(1, timezone.now())

    def write_plain(number: int) -> None:
        with transaction.atomic(durable=True):
            plain.objects.create(**row)

    for writers in WRITERS:
        pairs = [
            (hammered(write_plain, writers, seconds), hammered(write_audited, writers, seconds)) for _ in range(rounds)
        ]
        ratios = [audited["rows_per_s"] / bare["rows_per_s"] for bare, audited in pairs]
        found[f"writers_{writers}"] = {
            "plain": middle([bare for bare, _ in pairs]),
            "audited": middle([audited for _, audited in pairs]),
            "ratio": round(statistics.median(ratios), 3),
        }
    return found


def middle(results: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(result[name] for result in results), 2) for name in results[0]}


async def measure_upstream(times: int, together: int) -> dict[str, float]:
    """Return what intent and outcome add to a request whose upstream takes 250 ms, by group commit."""

    def event(action: Action, number: int) -> Callable[[group_commit.Group], None]:
        about = AuditEvent(pk=number)
        return lambda group: group.record(action, about=about, request_id=f"req_{number:024x}", **FACTS)

    async def request(number: int) -> tuple[float, float]:
        await asyncio.sleep(random.random() / 4)  # they do not all come at once
        start = time.monotonic()
        await group_commit.commit(event(Action.CLIENT_SECRET_REQUESTED, number))
        asked = time.monotonic()
        await asyncio.sleep(UPSTREAM_S)
        answered = time.monotonic()
        await group_commit.commit(event(Action.CLIENT_SECRET_ISSUED, number))
        return asked - start + time.monotonic() - answered, answered - asked

    added: list[float] = []
    for round_number in range(times):
        numbers = range(round_number * together, (round_number + 1) * together)
        added += [found for found, _ in await asyncio.gather(*(request(number) for number in numbers))]
    await asyncio.to_thread(group_commit.stop_writer)
    return percentiles(added)


def fill(rows: int) -> None:
    """Write events 10 ms apart, by statements of many rows."""
    start = datetime.now(UTC) - timedelta(milliseconds=10 * rows)
    for first in range(0, rows, 500):
        chunk = [values(number, start + timedelta(milliseconds=10 * number)) for number in range(first, first + 500)]
        with transaction.atomic():
            insert_values(AuditEvent, chunk)


def empty() -> None:
    """Begin anew, as a database just made."""
    with connection.cursor() as cursor:
        for table in ("auditevent", "auditcheckpoint", "audittile", "auditedge", "auditexport"):
            if connection.vendor == "sqlite":
                cursor.execute(f"DELETE FROM audit_{table}")
            else:
                cursor.execute(f"TRUNCATE audit_{table} RESTART IDENTITY")
        if connection.vendor == "sqlite":
            cursor.execute("DELETE FROM sqlite_sequence WHERE name = 'audit_auditevent'")
    Path(os.environ["AUDIT_EXPORT_FILE"]).unlink(missing_ok=True)


def measure_sealing(rows: int) -> dict[str, Any]:
    sealer, start, cpu = Sealer(), time.monotonic(), time.process_time()
    sealed = 0
    while sealed < rows:
        sealed += sealer.seal()
    seconds, cpu = time.monotonic() - start, time.process_time() - cpu
    sealer.lock.drop()
    connection.close()
    return {"rows": sealed, "rows_per_s": round(sealed / seconds), "rows_per_cpu_s": round(sealed / cpu)}


def measure_verifying() -> dict[str, Any]:
    """Verify in a process of its own, whose memory is counted."""
    found: dict[str, Any] = json.loads(started(CHILD_VERIFIES).communicate()[0].splitlines()[-1])
    assert found["ok"], found
    return found


def started(*arguments: str) -> "subprocess.Popen[str]":
    """Start this file once more, on the database that is measured."""
    name = connection.settings_dict["NAME"]
    server = os.environ["DATABASE_URL"].rpartition("/")[0]
    url = f"sqlite:///{name}" if connection.vendor == "sqlite" else f"{server}/{name}"
    variables = os.environ | {"DATABASE_URL": url, "BENCH_FOLDER": FOLDER}
    return subprocess.Popen([sys.executable, __file__, *arguments], env=variables, stdout=subprocess.PIPE, text=True)


def measure_two_sealers(seconds: float, locks: str) -> dict[str, Any]:
    """Write while two processes seal, and look whether they made one log. locks: `with` or `without`."""
    both = [started(CHILD_SEALS, locks, str(seconds)) for _ in range(2)]
    written, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OperationalError):  # SQLite has one writer at a time, and these two never rest
            record_event(Action.CALL_ENDED, request_id="r", target="call:1", **FACTS)
            written += 1
        time.sleep(1 / LIVE_RATE)
    rounds = [json.loads(process.communicate()[0].splitlines()[-1]) for process in both]
    Sealer().seal()
    steps = list(AuditCheckpoint.objects.order_by("pk").values_list("previous_size", "size"))
    assert [before for before, _ in steps] == [0, *(size for _, size in steps[:-1])], "the log forked"
    report = verify_record()
    assert report.ok, report.message
    assert report.events >= written
    return {"events": report.events, "checkpoints": len(steps), "sealed_by_each": rounds}


def seal_only(locks: str, seconds: float) -> None:
    if locks == "without":
        SealLock.take, SealLock.is_held = lambda self: True, True
    sealer, sealed, superseded, end = Sealer(), 0, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            sealed += sealer.seal()
        except (Superseded, IntegrityError, OperationalError):
            superseded += 1
            sealer.forget()
    print(json.dumps({"sealed": sealed, "superseded": superseded}))


def verify_only() -> None:
    before_kb = highest_kb()
    times = []
    for _ in range(VERIFICATIONS):  # the least is what it takes where nobody else wants the core
        cpu = time.process_time()
        report = verify_record()
        times.append((report.seconds, time.process_time() - cpu))
    seconds, cpu = (min(found) for found in zip(*times, strict=True))
    peak_kb = highest_kb()
    found = {
        "ok": report.ok,
        "message": report.message,
        "rows": report.events,
        "rows_per_s": round(report.events / max(seconds, 0.001)),
        "rows_per_cpu_s": round(report.events / cpu),
        "before_mb": round(before_kb / 1024, 1),
        "peak_mb": round(peak_kb / 1024, 1),
    }
    print(json.dumps(found))


def highest_kb() -> int:
    """Return the most memory that this process has had; what the system adds up counts its parent's, too."""
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))


def measure_proofs(count: int) -> dict[str, float]:
    checkpoint = newest_checkpoint()
    assert checkpoint is not None
    took = []
    for _ in range(count):
        event = random.randrange(1, checkpoint.size + 1)
        start = time.monotonic()
        receipt_of(event, checkpoint.size // 3)
        took.append(time.monotonic() - start)
    return percentiles(took)


def measure_live(seconds: float) -> dict[str, float]:
    """Write 100 events a second, and return how long each took from its commit to the file outside."""
    told: list[tuple[float, int]] = []
    deliver = FileSink.deliver

    def noted(self: FileSink, exports: list[Exported]) -> str:
        receipt = deliver(self, exports)
        told.append((time.monotonic(), exports[-1].size))
        return receipt

    FileSink.deliver = noted
    loop = AuditLoop()
    loop.start()
    committed: list[tuple[float, int]] = []
    start = time.monotonic()
    while (now := time.monotonic()) - start < seconds:
        with transaction.atomic(durable=True):
            event = record_event(Action.CALL_ENDED, request_id="r", target="call:1", **FACTS)
        committed.append((time.monotonic(), event.pk))
        time.sleep(max(0.0, 1 / LIVE_RATE - (time.monotonic() - now)))
    while not told or told[-1][1] < committed[-1][1]:
        time.sleep(0.05)
    loop.stop()
    FileSink.deliver = deliver
    waits = [next(at for at, size in told if size >= event) - when for when, event in committed]
    return {name.replace("_ms", "_s"): value / 1000 for name, value in percentiles(waits).items()}


@contextmanager
def database() -> Iterator[None]:
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = f"{name}.test"
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--two-sealers", type=float, metavar="SECONDS")
    parser.add_argument(CHILD_VERIFIES, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(CHILD_SEALS, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.verify_only:
        return verify_only()
    if options.seal_only:
        return seal_only(options.seal_only[0], float(options.seal_only[1]))
    if options.two_sealers:
        return two_sealers(options.two_sealers)
    rows = 30_000 if options.quick else options.rows
    with database():
        plain = plain_model()
        with connection.schema_editor() as editor:
            editor.create_model(plain)
        report: dict[str, Any] = {"database": connection.vendor}
        report["inserts"] = measure_inserts(plain, 1 if options.quick else 4, 1 if options.quick else 5)
        report["upstream_added"] = asyncio.run(measure_upstream(4 if options.quick else 40, 32))
        drop_guards()
        empty()
        create_guards()
        fill(rows)
        report["sealing"] = measure_sealing(rows)
        report["verifying"] = measure_verifying()
        report["proofs"] = measure_proofs(200 if options.quick else 2000)
        report["live"] = measure_live(8 if options.quick else 60)
        drop_guards()
    print(json.dumps(report, indent=1))
    figures = {
        "insert_ratio": report["inserts"]["writers_8"]["ratio"],
        "seal_rows_per_s": report["sealing"]["rows_per_s"],
        "verify_rows_per_s": report["verifying"]["rows_per_s"],
        "verify_peak_mb": report["verifying"]["peak_mb"],
        "proof_p99_ms": report["proofs"]["p99_ms"],
        "sealed_exported_p99_s": round(report["live"]["p99_s"], 3),
    }
    print(json.dumps({"bench": "audit", "figures": figures}))  # fmt: skip
    return None


def two_sealers(seconds: float) -> None:
    figures = {}
    with database():
        for locks in ("with", "without"):
            figures[f"{locks}_lock"] = measure_two_sealers(seconds, locks)
            drop_guards()
            empty()
            create_guards()
        drop_guards()
    print(json.dumps({"bench": "audit", "database": connection.vendor, "figures": figures}))


if __name__ == "__main__":
    main()
