"""Exports: each checkpoint to each place, in order, at least once, whatever the place does meanwhile."""

import json
import re
import threading
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from audit.event_rows import event_rows
from audit.exports import deliver
from audit.loop import AuditLoop
from audit.merkle import GrowingTree
from audit.notes import signers
from audit.sealer import Sealer, SealingHalted
from audit.sinks import FileSink, StdoutSink, WebhookSink, WitnessSink, configured_sinks, newest_anchors
from audit.stored_tree import write_tiles
from audit.tree_models import AuditCheckpoint, AuditExport
from audit.verifier import Note, Report, check_consistency, event_leaf, read_checkpoints
from tests.audit.conftest import restart_numbers, sql, write_events
from tests.audit.processes import until

pytestmark = pytest.mark.django_db(transaction=True)


def seal(sealer: Sealer, times: int = 1) -> None:
    """Make so many checkpoints."""
    for _ in range(times):
        write_events(3)
        sealer.seal()


@dataclass
class Place:
    """An address that answers as it is told, and keeps what it was sent."""

    url: str = ""
    answers: list[tuple[int, dict[str, str], str]] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            place.bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            status, headers, body = place.answers.pop(0) if place.answers else (200, {}, "")
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body.encode())), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    place.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield place
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_file_gets_every_checkpoint_with_proofs_that_link_them(sealer: Sealer, export_file: Path) -> None:
    seal(sealer, 3)
    deliver(FileSink(export_file), timezone.now())
    seal(sealer, 2)
    deliver(FileSink(export_file), timezone.now())
    deliver(FileSink(export_file), timezone.now())

    report = Report()
    notes = read_checkpoints(export_file, [signers()[0].key], report)
    assert list(notes) == [3, 6, 9, 12, 15]
    assert (report.checkpoints, report.unlinked, report.torn) == (5, 0, 0)
    told = AuditExport.objects.get()
    assert (told.sink, told.size, told.attempts) == (f"file:{export_file}", 15, 0)


def test_a_line_cut_short_by_a_crash_is_passed_over(sealer: Sealer, export_file: Path) -> None:
    seal(sealer)
    deliver(FileSink(export_file), timezone.now())
    with export_file.open("a") as file:
        file.write('{"old": 3, "note": "voice')
    assert [note.size for _, note in newest_anchors()] == [3]

    seal(sealer)
    deliver(FileSink(export_file), timezone.now())

    report = Report()
    assert list(read_checkpoints(export_file, [signers()[0].key], report)) == [3, 6]
    assert report.torn == 1


def test_a_file_that_cannot_be_written_is_tried_again_later(sealer: Sealer, tmp_path: Path) -> None:
    sink, now = FileSink(tmp_path / "missing" / "file"), timezone.now()
    seal(sealer)
    deliver(sink, now)
    told = AuditExport.objects.get()
    assert (told.attempts, told.checkpoint_id) == (1, 0)
    assert "No such file" in told.error

    (tmp_path / "missing").mkdir()
    deliver(sink, now + timedelta(seconds=1))
    assert not (tmp_path / "missing" / "file").exists()
    deliver(sink, now + timedelta(seconds=2))
    assert (tmp_path / "missing" / "file").exists()


def test_standard_output_gets_lines(sealer: Sealer, capsys: pytest.CaptureFixture[str]) -> None:
    seal(sealer, 2)
    deliver(StdoutSink(), timezone.now())

    assert [Note.parse(json.loads(line)["note"]).size for line in capsys.readouterr().out.splitlines()] == [3, 6]


def test_an_address_gets_the_notes_one_by_one(sealer: Sealer, place: Place) -> None:
    seal(sealer, 2)
    sink = WebhookSink(place.url)

    while deliver(sink, timezone.now()):
        pass

    assert place.bodies == list(AuditCheckpoint.objects.order_by("pk").values_list("note", flat=True))


@pytest.mark.parametrize("answer", [(500, {}, ""), (302, {"Location": "/elsewhere"}, ""), (307, {"Location": "/"}, "")])
def test_an_address_that_does_not_take_a_note_gets_it_again(
    sealer: Sealer, place: Place, answer: tuple[int, dict[str, str], str]
) -> None:
    seal(sealer, 2)
    place.answers = [answer, answer]
    sink, now = WebhookSink(place.url), timezone.now()

    for seconds in (0, 1, 3, 4, 8, 9, 10):  # it pauses for 2 s, then for 4 s
        deliver(sink, now + timedelta(seconds=seconds))

    first, second = AuditCheckpoint.objects.order_by("pk").values_list("note", flat=True)
    assert place.bodies == [first, first, first, second]
    assert AuditExport.objects.get().attempts == 0


def test_pauses_grow_to_a_minute(sealer: Sealer) -> None:
    sink, now = WebhookSink("http://127.0.0.1:1"), timezone.now()
    seal(sealer)
    pauses = []
    for _ in range(9):
        deliver(sink, now)
        try_at = AuditExport.objects.get().try_at
        assert try_at is not None
        pauses.append((try_at - now).total_seconds())
        now = try_at

    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60, 60]


def test_a_witness_gets_the_newest_with_a_proof_from_what_it_saw(sealer: Sealer, place: Place) -> None:
    seal(sealer, 3)
    place.answers = [(409, {"Content-Type": "text/x.tlog.size"}, "6\n"), (200, {}, "— witness.example AAAA\n")]
    sink = WitnessSink(place.url)

    deliver(sink, timezone.now())
    deliver(sink, timezone.now())

    head, _, raw_note = place.bodies[1].partition("\n\n")
    old, *proof = head.split("\n")
    note = Note.parse(raw_note)
    checkpoint = AuditCheckpoint.objects.get(size=6)
    assert old == "old 6"
    assert note.size == 9
    decoded = [b64decode(line) for line in proof]
    check_consistency(6, bytes.fromhex(checkpoint.root), 9, note.root, decoded)
    assert AuditExport.objects.get().receipt == "— witness.example AAAA\n"


def test_the_settings_name_the_places(settings: Settings) -> None:
    settings.AUDIT_EXPORT_STDOUT = True
    settings.AUDIT_WEBHOOK_URL, settings.AUDIT_WITNESS_URL = "https://a.example/x", "https://w.example"

    assert [sink.name.partition(":")[0] for sink in configured_sinks()] == ["file", "stdout", "webhook", "witness"]


def test_what_lets_one_into_a_place_is_not_its_name() -> None:
    name = WebhookSink("https://me:passw0rd@hooks.example:8443/T0K3N?key=s3cret").name

    assert re.fullmatch(r"webhook:https://hooks\.example:8443 [0-9a-f]{8}", name)
    assert name != WebhookSink("https://hooks.example:8443/other").name


def test_a_database_older_than_its_export_is_not_sealed(sealer: Sealer, export_file: Path) -> None:
    seal(sealer, 2)
    deliver(FileSink(export_file), timezone.now())
    for table in ("checkpoint", "edge", "event", "tile"):
        sql(f"DELETE FROM audit_audit{table}")  # an empty one was put in its place
    write_events(1)
    sealer.forget()

    with pytest.raises(SealingHalted) as halted:
        sealer.seal()

    assert halted.value.code == "anchor"
    assert str(export_file) in str(halted.value)


def test_a_database_that_went_back_tells_its_places_nothing(sealer: Sealer, export_file: Path) -> None:
    seal(sealer)
    deliver(FileSink(export_file), timezone.now())
    seal(sealer)
    deliver(FileSink(export_file), timezone.now())
    sealer.lock.drop()
    go_back_to(3)
    loop = AuditLoop()
    try:
        for _ in range(2):
            loop._seal()
            loop._export(FileSink(export_file))
    finally:
        loop._sealer.lock.drop()

    assert [note.size for _, note in newest_anchors()] == [6]
    assert not AuditCheckpoint.objects.filter(size__gt=3).exists()


def go_back_to(size: int) -> None:
    """Leave what a copy of the database held when so many events were sealed, a minute and more ago."""
    sql("DELETE FROM audit_auditcheckpoint WHERE size > %s", size)
    sql("DELETE FROM audit_auditedge")
    sql("DELETE FROM audit_auditevent WHERE id > %s", size)
    tree = GrowingTree()
    for row in event_rows(0, size):
        tree.push(event_leaf(row.id, row.mac, row.record))
    write_tiles([], tree.edge)
    AuditCheckpoint.objects.update(made_at=timezone.now() - timedelta(minutes=5))
    AuditExport.objects.update(checkpoint_id=0, size=0)
    restart_numbers(size)


def test_a_checkpoint_that_is_not_ours_leaves_the_record_nowhere(sealer: Sealer, export_file: Path) -> None:
    seal(sealer)
    deliver(FileSink(export_file), timezone.now())
    forged = AuditCheckpoint.objects.get()
    forged.pk, forged.previous_size, forged.root = None, None, "f" * 64
    forged.save(force_insert=True)

    deliver(FileSink(export_file), timezone.now())

    assert len(export_file.read_text().splitlines()) == 1
    assert "is not what it signs" in AuditExport.objects.get().error


def test_a_line_that_nobody_signed_tells_nothing(sealer: Sealer, export_file: Path) -> None:
    seal(sealer)
    deliver(FileSink(export_file), timezone.now())
    with export_file.open("a") as file:
        file.write(export_file.read_text().replace("\\n3\\n", "\\n900\\n") + '{"note": 7}\n')

    assert [note.size for _, note in newest_anchors()] == [3]


def test_the_workers_threads_seal_and_export(transactional_db: None, sealer: Sealer, export_file: Path) -> None:
    loop = AuditLoop()
    loop.start()
    try:
        write_events(2)
        until(lambda: any(note.size >= 2 for _, note in newest_anchors()))
    finally:
        loop.stop()

    assert read_checkpoints(export_file, [signers()[0].key], Report())
