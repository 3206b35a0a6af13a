"""Taking checkpoints out of the database: each to each place, in order, at least once."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from audit.notes import signers
from audit.sinks import Exported, Sink, SinkFailed
from audit.stored_tree import stored_tree
from audit.tree_models import AuditCheckpoint, AuditExport
from audit.verifier import NotProven, open_note

logger = logging.getLogger(__name__)
MAX_PAUSE_S: Final = 60


def deliver(sink: Sink, now: datetime) -> int:
    """Tell a place what it has not been told, and return how many checkpoints are still to come.

    A crash between the telling and its note here tells it again. After a failure it waits, twice as long each time.
    """
    told, _ = AuditExport.objects.get_or_create(sink=sink.name)
    if told.try_at is not None and now < told.try_at:
        return 0
    waiting = AuditCheckpoint.objects.filter(pk__gt=told.checkpoint_id).order_by("pk")
    checkpoints = list(waiting.reverse()[:1] if sink.only_newest else waiting[: sink.batch])
    if not checkpoints:
        return 0
    try:
        _check_signed(checkpoints)
        told.receipt = sink.deliver(exported(checkpoints, told.size))
    except SinkFailed as exc:
        _put_off(told, exc, now)
        return 0
    last = checkpoints[-1]
    told.checkpoint_id, told.size, told.exported_at = last.pk, last.size, now
    told.attempts, told.try_at, told.error = 0, None, ""
    told.save()
    return waiting.filter(pk__gt=last.pk).count() if len(checkpoints) == sink.batch else 0


def exported(checkpoints: Sequence[AuditCheckpoint], size: int) -> list[Exported]:
    """Return checkpoints with the proof that each continues the one before, the first that of `size`."""
    exports = []
    for checkpoint in checkpoints:
        proof = stored_tree(checkpoint.size).consistency_proof(size) if size <= checkpoint.size else []
        exports.append(Exported(checkpoint.note, checkpoint.size, size, proof))
        size = checkpoint.size
    return exports


def _check_signed(checkpoints: Sequence[AuditCheckpoint]) -> None:
    """Raise SinkFailed for a row that this server did not sign: outside it would make a sound record look forged."""
    keys = [signer.key for signer in signers()]
    for checkpoint in checkpoints:
        try:
            note = open_note(checkpoint.note, keys)
        except NotProven as exc:
            raise SinkFailed(f"checkpoint row {checkpoint.pk}: {exc}") from exc
        if (note.size, note.root.hex()) != (checkpoint.size, checkpoint.root):
            raise SinkFailed(f"checkpoint row {checkpoint.pk} is not what it signs")


def _put_off(told: AuditExport, exc: SinkFailed, now: datetime) -> None:
    told.attempts += 1
    told.error = str(exc)[:200]
    if exc.size is not None:
        told.size = exc.size  # the next proof starts where the witness is
    told.try_at = now + timedelta(seconds=0 if exc.size is not None else min(2**told.attempts, MAX_PAUSE_S))
    logger.warning("checkpoint not exported sink=%s attempts=%d: %s", told.sink, told.attempts, told.error)
    told.save()
