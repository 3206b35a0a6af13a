"""The outsider's file: alone in a folder, without Django, with an export and the public key."""

import json
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from audit import verifier
from audit.event_rows import read_rows
from audit.exports import deliver
from audit.notes import signed_checkpoint, signers
from audit.sealer import Sealer
from audit.sinks import FileSink
from audit.stored_tree import newest_checkpoint, stored_tree
from audit.verifier import Key, Note
from tests.audit.conftest import seal_and_export, sql, write_events
from tests.audit.test_tampering import rewrite_with_both_keys

pytestmark = pytest.mark.django_db(transaction=True)
# Without Django and without this project: both fail to import.
RUN = (
    "import sys; sys.modules['django'] = None; import runpy; sys.argv = ['verifier.py', *sys.argv[1:]]; "
    "runpy.run_path('verifier.py', run_name='__main__')"
)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    shutil.copy(verifier.__file__, folder)
    return folder


def run(folder: Path, *arguments: str | Path) -> tuple[int, dict[str, object]]:
    """Return the exit status and the last line of what the verifier says."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", RUN, *map(str, arguments)], cwd=folder, capture_output=True, text=True, env={}
    )
    assert not done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def our_key() -> str:
    return signers()[0].verifier_key


def test_a_whole_record_is_checked(sealer: Sealer, outside: Path, export_file: Path) -> None:
    seal_and_export(sealer, 300)
    seal_and_export(sealer, 20)
    call_command("audit_export_bundle", outside / "record.jsonl", personal=True)

    status, said = run(outside, "bundle", "--key", our_key(), "--bundle", "record.jsonl", "--checkpoints", export_file)

    assert status == 0, said
    assert (said["events"], said["gaps"], said["size"], said["checkpoints"]) == (320, 0, 320, 2)
    assert said["anchored"] is True


@pytest.mark.parametrize(("first", "last"), [(1, 1), (7, 250), (250, 262), (320, 320)])
def test_a_part_of_the_record_is_checked(sealer: Sealer, outside: Path, first: int, last: int) -> None:
    seal_and_export(sealer, 320)
    call_command("audit_export_bundle", outside / "part.jsonl", first=first, last=last)

    status, said = run(outside, "bundle", "--key", our_key(), "--bundle", "part.jsonl")

    assert (status, said["first"], said["last"], said["size"]) == (0, first, last, 320)
    assert said["anchored"] is False


def change(line: str) -> str:
    return line.replace("seconds", "secondz")


def change_with_its_leaf(line: str) -> str:
    value = json.loads(change(line))
    return json.dumps(value | {"leaf": verifier.event_leaf(value["id"], value["mac"], value["record"]).hex()})


def change_a_name(line: str) -> str:
    return line.replace("alice", "alicf")


@pytest.mark.parametrize(("tamper", "first_bad"), [(change, 4), (change_with_its_leaf, 1), (change_a_name, 4)])
def test_a_changed_bundle_is_refused(
    sealer: Sealer, outside: Path, tamper: object, first_bad: int, request: pytest.FixtureRequest
) -> None:
    seal_and_export(sealer, 10)
    bundle = outside / "record.jsonl"
    call_command("audit_export_bundle", bundle, personal=True)
    lines = bundle.read_text().splitlines(keepends=True)
    lines[4] = tamper(lines[4]).strip() + "\n"  # type: ignore[operator]
    bundle.write_text("".join(lines))

    status, said = run(outside, "bundle", "--key", our_key(), "--bundle", "record.jsonl")

    assert (status, said["firstBadId"]) == (1, first_bad)


def test_a_bundle_that_lacks_a_line_or_a_key_is_refused(sealer: Sealer, outside: Path) -> None:
    seal_and_export(sealer, 10)
    bundle = outside / "record.jsonl"
    call_command("audit_export_bundle", bundle)
    whole = bundle.read_text().splitlines(keepends=True)
    stranger = verifier.verifier_key(signers()[0].origin, bytes(31) + b"\1")

    assert run(outside, "bundle", "--key", stranger, "--bundle", "record.jsonl")[0] == 1
    for lines in (whole[:5] + whole[6:], whole[:-1], [*whole, whole[-1]], whole[1:], []):
        bundle.write_text("".join(lines))
        assert run(outside, "bundle", "--key", our_key(), "--bundle", "record.jsonl")[0] == 1
    assert run(outside, "bundle", "--key", our_key(), "--bundle", "nothing.jsonl")[0] == 2


def test_a_rewritten_record_differs_from_the_checkpoints_that_were_kept(
    sealer: Sealer, outside: Path, export_file: Path
) -> None:
    seal_and_export(sealer)
    seal_and_export(sealer)
    rewrite_with_both_keys()
    call_command("audit_export_bundle", outside / "record.jsonl")

    assert run(outside, "bundle", "--key", our_key(), "--bundle", "record.jsonl")[0] == 0
    status, said = run(outside, "bundle", "--key", our_key(), "--bundle", "record.jsonl", "--checkpoints", export_file)
    assert (status, said["firstBadId"]) == (1, 1)


def test_what_older_checkpoints_leave_open_is_told(sealer: Sealer, outside: Path, export_file: Path) -> None:
    seal_and_export(sealer, 10)
    kept = export_file.read_text()
    seal_and_export(sealer, 10)
    call_command("audit_export_bundle", outside / "record.jsonl")
    export_file.write_text(kept)

    status, said = run(outside, "bundle", "--key", our_key(), "--bundle", "record.jsonl", "--checkpoints", export_file)

    assert (status, said["anchored"], said["anchoredTo"]) == (0, False, 10)


def test_a_receipt_is_checked(sealer: Sealer, outside: Path) -> None:
    seal_and_export(sealer, 10)
    checkpoint = newest_checkpoint()
    assert checkpoint is not None
    (row,) = read_rows(3, 4, 1)
    receipt = {
        "event": 4, "mac": row.mac, "record": row.record, "checkpoint": checkpoint.note,
        "inclusion": [node.hex() for node in stored_tree(10).inclusion_proof(3)],
    }  # fmt: skip
    (outside / "good.json").write_text(json.dumps(receipt))
    (outside / "bad.json").write_text(json.dumps(receipt | {"record": row.record.replace("seconds", "secondz")}))

    assert run(outside, "proof", "--key", our_key(), "--proof", "good.json") == (
        0,
        {"ok": True, "event": 4, "size": 10, "record": row.record},
    )
    assert run(outside, "proof", "--key", our_key(), "--proof", "bad.json")[0] == 1


WITNESS = ("witness", "--state", "seen.json")


def test_a_witness_follows_an_exported_file_and_countersigns(sealer: Sealer, outside: Path, export_file: Path) -> None:
    ours = ("--key", our_key(), "--file", export_file)
    status, made = run(outside, "keygen", "witness.example", "witness.key")
    assert status == 0
    seal_and_export(sealer)
    assert run(outside, *WITNESS, *ours)[1]["size"] == 5
    seal_and_export(sealer)
    status, said = run(outside, *WITNESS, *ours, "--sign-with", "witness.key", "--out", "newest", "--max-silence", "60")

    assert (status, said["size"]) == (0, 10)
    note = Note.parse((outside / "newest").read_text())
    signed_at = Key.parse(str(made["key"])).time_signed(note)
    assert signed_at is not None
    assert signed_at >= int(str(said["signedAt"]))


def test_a_witness_alarms_on_a_fork(sealer: Sealer, outside: Path, export_file: Path) -> None:
    ours = (*WITNESS, "--key", our_key(), "--file", export_file)
    seal_and_export(sealer)
    assert run(outside, *ours)[0] == 0
    rewrite_with_both_keys()
    sql("DELETE FROM audit_auditexport")
    kept = export_file.read_text()
    export_file.write_text("")
    write_events(1)
    forger = Sealer()
    forger.lock = sealer.lock
    seal_and_export(forger, 3)

    status, said = run(outside, *ours)

    assert status == 1
    assert said["ok"] is False
    export_file.write_text(kept)
    assert run(outside, *ours)[0] == 0, "what it saw before was kept"


def test_a_witness_alarms_when_the_log_shrinks_or_falls_silent(
    sealer: Sealer, outside: Path, export_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = (*WITNESS, "--key", our_key(), "--file", export_file)
    monkeypatch.setattr("audit.sealer.signed_checkpoint", _of_yesterday)
    seal_and_export(sealer)
    short = export_file.read_text()
    seal_and_export(sealer)
    assert run(outside, *ours)[0] == 0
    assert run(outside, *ours, "--max-silence", "300")[0] == 3

    export_file.write_text(short)
    status, said = run(outside, *ours)
    assert (status, said["firstBadId"]) == (1, 6)


def test_a_witness_hears_a_log_that_only_repeats_its_newest_checkpoint(
    sealer: Sealer, outside: Path, export_file: Path
) -> None:
    seal_and_export(sealer)
    later = timezone.now() + timedelta(seconds=600)
    sealer.beat(later)
    deliver(FileSink(export_file), later)

    _, said = run(outside, *WITNESS, "--key", our_key(), "--file", export_file)

    assert said["signedAt"] == int(later.timestamp())


@pytest.mark.parametrize("answer", ["", "{}"])
def test_a_witness_alarms_when_nobody_answers(
    sealer: Sealer, outside: Path, export_file: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    ours = (*WITNESS, "--key", our_key(), "--file", export_file, "--every", "0.01", "--max-silence", "300")
    monkeypatch.setattr("audit.sealer.signed_checkpoint", _of_yesterday)
    seal_and_export(sealer)
    assert run(outside, *ours)[0] == 3
    export_file.write_text(answer)

    assert run(outside, *ours)[0] == 3


def _of_yesterday(signing: object, size: int, root: bytes, at: int) -> str:
    return signed_checkpoint(signing, size, root, at - 86_400)  # type: ignore[arg-type]
