"""Processes that are killed while they seal, and two that seal at once: the log neither forks nor stops."""

import signal
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from audit.exports import deliver
from audit.notes import signers
from audit.sealer import Sealer
from audit.sinks import FileSink
from audit.stored_tree import newest_checkpoint
from audit.tree_models import AuditCheckpoint, AuditExport
from audit.verification import verify_record
from audit.verifier import Report, read_checkpoints
from tests.audit.conftest import write_events
from tests.audit.processes import killed, start, until

pytestmark = pytest.mark.django_db(transaction=True)

STEPS = {
    "before the tiles": "sealer.write_tiles = die",
    "after the tiles": "sealer.write_tiles = after(sealer.write_tiles)",
    "before the signature": "sealer.signed_checkpoint = die",
    "after the signature": "sealer.AuditCheckpoint.objects.create = die",
    "before the commit": "sealer.AuditCheckpoint.objects.create = after(sealer.AuditCheckpoint.objects.create)",
    "after the commit": "Sealer._append = after(Sealer._append)",
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_whoever_is_killed_while_sealing_leaves_a_log_that_goes_on(sealer: Sealer, step: str) -> None:
    write_events(250)
    sealer.seal()
    sealer.lock.drop()
    connection.close()
    ids = write_events(20)

    killed(f"{step}\nSealer().seal()")
    until(lambda: sealer.seal() or sealer.lock.is_held)

    checkpoint = newest_checkpoint()
    assert checkpoint is not None
    assert checkpoint.size == ids[-1]
    report = verify_record()
    assert (report.ok, report.size, report.events, report.gaps) == (True, ids[-1], 270, 0)


def test_a_checkpoint_told_before_the_crash_is_told_again(sealer: Sealer, export_file: Path) -> None:
    write_events(3)
    sealer.seal()
    killed(
        "from django.utils import timezone\n"
        "sinks.FileSink.deliver = after(sinks.FileSink.deliver)\n"
        "exports.deliver(sinks.configured_sinks()[0], timezone.now())"
    )
    assert not AuditExport.objects.exclude(checkpoint_id=0).exists()

    deliver(FileSink(export_file), timezone.now())

    assert export_file.read_text().count("\n") == 2
    assert list(read_checkpoints(export_file, [signers()[0].key], Report())) == [3]


SEAL_AND_SEAL = """
settings.AUDIT_EXPORT_FILE = ""
if len(sys.argv) > 1:
    from audit.seal_lock import SealLock
    SealLock.take, SealLock.is_held = lambda self: True, True
ours = Sealer()
while not os.path.exists(os.environ["EXPORT_FILE"]):
    try:
        ours.seal()
    except (Superseded, IntegrityError, OperationalError):
        ours.forget()
"""


@pytest.mark.parametrize("locks", [[], ["without"]], ids=["with the lock", "without the lock"])
def test_two_sealers_at_once_make_one_log(sealer: Sealer, export_file: Path, locks: list[str]) -> None:
    both = [start(SEAL_AND_SEAL, *locks) for _ in range(2)]
    try:
        write_events(1)
        until(AuditCheckpoint.objects.exists, 60)
        for _ in range(20):
            write_events(10)
        last = write_events(1)[0]
        until(lambda: (found := newest_checkpoint()) is not None and found.size == last, 60)
    finally:
        export_file.touch()
        for process in both:
            process.communicate(timeout=60)

    assert [process.returncode for process in both] == [0, 0]
    export_file.unlink()
    steps = list(AuditCheckpoint.objects.order_by("pk").values_list("previous_size", "size"))
    assert [before for before, _ in steps] == [0, *(size for _, size in steps[:-1])]
    assert verify_record().ok


def test_a_killed_sealer_frees_its_lock(sealer: Sealer) -> None:
    holder = start("ours = Sealer()\nours.seal()\nprint('held', flush=True)\nsignal.pause()")
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    write_events(1)
    assert sealer.seal() == 0
    assert not sealer.lock.is_held

    holder.send_signal(signal.SIGKILL)
    holder.communicate(timeout=15)

    until(lambda: sealer.seal() == 1)
