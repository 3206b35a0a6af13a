"""Proofs as outsiders get them: an event's receipt, and that the log of now continues the log of then."""

from audit.event_rows import read_rows
from audit.exceptions import EventNotSealed, UnknownEvent
from audit.merkle import encode_hashes
from audit.stored_tree import newest_checkpoint, newest_note_of, stored_tree
from audit.tree_models import AuditCheckpoint
from audit.verifier import event_leaf

RETRY_AFTER_MS = 1000

Proof = dict[str, object]


def newest_note(from_size: int | None) -> Proof:
    """Return the newest checkpoint, the last repetition of it, with the proof that it continues `from_size`.

    Raises EventNotSealed where there is none that large yet.
    """
    checkpoint = _checkpoint_of(from_size or 0)
    return {
        "size": checkpoint.size,
        "root": checkpoint.root,
        "checkpoint": newest_note_of(checkpoint),
        "consistency": None if from_size is None else _consistency(checkpoint, from_size),
    }


def receipt_of(event: int, from_size: int | None) -> Proof:
    """Return what proves an event to anybody. Raises UnknownEvent and EventNotSealed."""
    rows = read_rows(event - 1, event, 1)
    if not rows:
        raise UnknownEvent()
    (row,) = rows
    checkpoint = _checkpoint_of(max(event, from_size or 0))
    return {
        "event": event,
        "mac": row.mac,
        "record": row.record,
        "leaf": event_leaf(event, row.mac, row.record).hex(),
        "size": checkpoint.size,
        "checkpoint": checkpoint.note,
        "inclusion": encode_hashes(stored_tree(checkpoint.size).inclusion_proof(event - 1)),
        "consistency": None if from_size is None else _consistency(checkpoint, from_size),
    }


def _checkpoint_of(size: int) -> AuditCheckpoint:
    checkpoint = newest_checkpoint()
    if checkpoint is None or checkpoint.size < size:
        raise EventNotSealed(retry_after_ms=RETRY_AFTER_MS)
    return checkpoint


def _consistency(checkpoint: AuditCheckpoint, from_size: int) -> Proof:
    return {"from": from_size, "hashes": encode_hashes(stored_tree(checkpoint.size).consistency_proof(from_size))}
