"""Sealing: events become leaves of the tree, in the order of their identifiers, and a signed checkpoint says so."""

import json
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from audit.actions import Action
from audit.event_rows import EventRow, MacCheck, event_rows, is_genuine, read_rows
from audit.horizon import Horizon
from audit.merkle import GrowingTree
from audit.models import AuditEvent
from audit.notes import Signer, signed_checkpoint, signers
from audit.row_order import BACKDATED, CLOCK, WINDOW, RowOrder
from audit.seal_lock import SealLock
from audit.services import record_event
from audit.sinks import newest_anchors
from audit.stored_tree import growing_tree, newest_checkpoint, write_tiles
from audit.tree_models import AuditCheckpoint, AuditEdge
from audit.verifier import NotProven, event_leaf, gap_leaf, open_note

logger = logging.getLogger(__name__)
BATCH: Final = 2000
MAX_JUMP: Final = 10_000
MAX_FINDINGS: Final = 50  # of one checkpoint; the count of gaps goes on
HEARTBEAT: Final = timedelta(seconds=60)

BAD_MAC: Final = "bad_mac"
JUMP: Final = "jump"
GAP: Final = "gap"
TREE: Final = "tree"
ANCHOR: Final = "anchor"


class SealingHalted(Exception):
    """The next event cannot be sealed before somebody has looked. event: its identifier, or 0 for the tree itself."""

    def __init__(self, code: str, event: int, message: str) -> None:
        super().__init__(message)
        self.code, self.event = code, event


class Superseded(Exception):
    """Another sealer went on meanwhile, as it may once this one's lock is lost with its connection."""


@dataclass
class _Batch:
    """Leaves that may be sealed, and why no more."""

    leaves: list[bytes] = field(default_factory=list)
    gaps: int = 0
    findings: list[tuple[int, str]] = field(default_factory=list)
    halted: SealingHalted | None = None


class Sealer:
    """Seals while it holds the lock. What it keeps in memory is compared with the database at every step."""

    def __init__(self) -> None:
        self.lock = SealLock()
        self._horizon = Horizon()
        self._tree: GrowingTree | None = None
        self._newest: AuditCheckpoint | None = None
        self._signed_at = datetime.min.replace(tzinfo=UTC)
        self._order = RowOrder()
        self._macs = MacCheck()

    @property
    def is_ready(self) -> bool:
        """Tell whether this process holds the lock, and the database still holds what was sealed last."""
        return self.lock.is_held and self._tree is not None

    def seal(self) -> int:
        """Seal every event that may be sealed, and return how many; 0 when another process holds the lock.

        Raises SealingHalted, after sealing what comes before the event at fault; and DatabaseError.
        """
        if not self.lock.is_held:
            self.forget()
        if not self.lock.take():
            return 0
        tree = self._tree or self._resume()
        start, horizon = tree.size, self._horizon.advance()
        while tree.size < horizon:
            batch = self._read(tree.size, horizon)
            if batch.leaves:
                self._append(tree, batch)
            if batch.halted:
                raise batch.halted
        return tree.size - start

    def beat(self, now: datetime) -> None:
        """Sign the newest checkpoint again when nothing was signed for a minute.

        What is signed comes from memory: a row that somebody put into the table must not get a signature.
        Raises SealingHalted, Superseded and DatabaseError.
        """
        newest = self._newest
        if newest is None or not self.is_ready or abs(now - self._signed_at) < HEARTBEAT:  # the clock may go back
            return
        _compare(newest, newest_checkpoint())
        _check_repetition(newest)
        note = signed_checkpoint(signers()[:1], newest.size, bytes.fromhex(newest.root), int(now.timestamp()))
        AuditCheckpoint.objects.create(
            size=newest.size, root=newest.root, note=note, made_at=now, gaps=newest.gaps,
            signing_key=signers()[0].number,
        )  # fmt: skip
        self._signed_at = now

    def forget(self) -> None:
        """Drop what is in memory: the next round reads it anew."""
        self._tree = self._newest = None

    def _resume(self) -> GrowingTree:
        """Return the tree as it was sealed last. Raises SealingHalted when the database does not hold that any more."""
        newest, tree = newest_checkpoint(), growing_tree()
        _compare(newest, newest_checkpoint())  # else the tree may be newer
        _check_stored(newest, tree)
        _check_repetition(newest)
        _check_anchors(newest)
        self._order, self._macs = _order_before(tree.size), MacCheck()
        self._newest, self._tree = newest, tree
        self._signed_at = newest.made_at if newest else self._signed_at
        if newest is not None and newest.signing_key != signers()[0].number:
            _record_rotation(newest)
        return tree

    def _read(self, size: int, horizon: int) -> _Batch:
        """Return the leaves of the next identifiers, up to the first event that must not be sealed."""
        rows, batch, expected = read_rows(size, horizon, BATCH), _Batch(), size + 1
        for row in rows:
            batch.halted = self._skip(batch, expected, row.id) or self._take(batch, row)
            if batch.halted:
                return batch
            expected = row.id + 1
        if len(rows) < BATCH:
            batch.halted = self._skip(batch, expected, horizon + 1)
        return batch

    def _skip(self, batch: _Batch, expected: int, found: int) -> SealingHalted | None:
        """Add the leaves of identifiers that no event got."""
        if found - expected > MAX_JUMP and not is_accepted(expected):
            return SealingHalted(JUMP, expected, f"No event has a number from {expected} to {found - 1}.")
        for missing in range(expected, found):
            batch.leaves.append(gap_leaf(missing))
            batch.gaps += 1
            if connection.vendor == "sqlite" and len(batch.findings) < MAX_FINDINGS:
                logger.error("audit event %d was deleted before it was sealed", missing)
                batch.findings.append((missing, GAP))  # SQLite leaves none by itself
        return None

    def _take(self, batch: _Batch, row: EventRow) -> SealingHalted | None:
        problem = self._order.check(row) if self._macs.is_genuine(row) else BAD_MAC
        if problem == CLOCK:
            batch.findings.append((row.id, CLOCK))
        elif problem and not is_forgiven(row, problem, self._order):
            return SealingHalted(problem, row.id, f"Event {row.id} is not as this server would write it ({problem}).")
        elif problem:
            batch.findings.append((row.id, problem))
        batch.leaves.append(event_leaf(row.id, row.mac, row.record))
        return None

    def _append(self, tree: GrowingTree, batch: _Batch) -> None:
        """Write tiles and checkpoint in one transaction. Whatever fails, the next round starts from what is stored."""
        self._tree = None
        old = self._newest
        tree.extend(batch.leaves)
        now = timezone.now()
        with transaction.atomic(durable=True):
            list(AuditEdge.objects.select_for_update())
            _compare(old, newest_checkpoint())
            write_tiles(tree.take_whole(), tree.edge)
            self._newest = AuditCheckpoint.objects.create(
                size=tree.size,
                previous_size=old.size if old else 0,
                root=tree.root().hex(),
                note=signed_checkpoint(_signers_after(old), tree.size, tree.root(), int(now.timestamp())),
                signing_key=signers()[0].number,
                gaps=(old.gaps if old else 0) + batch.gaps,
                findings=json.dumps(batch.findings[:MAX_FINDINGS]) if batch.findings else "",
                made_at=now,
            )
        self._tree, self._signed_at = tree, now


def is_accepted(event: int) -> bool:
    """Tell whether an administrator has recorded that an event is to be sealed as it is."""
    return _acceptance_of(event) is not None


def is_forgiven(row: EventRow, problem: str, order: RowOrder) -> bool:
    """Tell the same of an event with a problem; where its clock is the right one, `order` goes on from its time."""
    accepted = _acceptance_of(row.id)
    if accepted is not None and problem == BACKDATED and accepted.facts.get("clock"):
        order.go_on_from(row)
    return accepted is not None


def _acceptance_of(event: int) -> AuditEvent | None:
    accepting = AuditEvent.objects.filter(target=f"event:{event}", action=Action.AUDIT_FINDING_ACCEPTED).order_by("-pk")
    genuine = (found for found in accepting if all(map(is_genuine, read_rows(found.pk - 1, found.pk, 1))))
    return next(genuine, None)


def report_halt(halt: SealingHalted) -> None:
    """Log an alarm, and record it once; it shows as long as it lies behind the newest checkpoint."""
    newest = newest_checkpoint()
    target, sealed = f"event:{halt.event}", newest.size if newest else 0
    known = AuditEvent.objects.filter(target=target, action=Action.AUDIT_SEALING_HALTED, code=halt.code, pk__gt=sealed)
    if not known.exists():
        logger.error("sealing halted code=%s event=%d: %s", halt.code, halt.event, halt)
        record_event(Action.AUDIT_SEALING_HALTED, request_id="", actor="worker", target=target, code=halt.code)


def _check_stored(newest: AuditCheckpoint | None, tree: GrowingTree) -> None:
    if newest is None and tree.size == 0:
        return
    try:
        if newest is None:
            raise NotProven("The checkpoints are gone.")
        note = open_note(newest.note, [signer.key for signer in signers()])
        if (note.size, note.root.hex()) != (newest.size, newest.root):
            raise NotProven("The newest checkpoint's columns are not what it signs.")
        if (tree.size, tree.root()) != (note.size, note.root):
            raise NotProven("The tree's edge does not lead to the newest checkpoint.")
    except NotProven as exc:
        raise SealingHalted(TREE, 0, f"{exc} Look with: manage.py audit_verify") from exc


def _check_repetition(newest: AuditCheckpoint | None) -> None:
    """Halt when the last checkpoint of all is neither the newest nor its repetition: this server did not write it."""
    last = AuditCheckpoint.objects.order_by("-id").first()
    if last is not None and newest is not None and (last.size, last.root) != (newest.size, newest.root):
        _compare(newest, newest_checkpoint())  # another sealer may have gone on since
        raise SealingHalted(
            TREE, 0, f"After the checkpoint of {newest.size} events stands one of {last.size} that was not signed here."
        )


def _check_anchors(newest: AuditCheckpoint | None) -> None:
    """Halt when an exported file knows more than the database: an old copy was restored, or the end was cut off."""
    size, root = (newest.size, newest.root) if newest else (0, "")
    for name, note in newest_anchors():
        if note.size > size or (note.size == size and note.root.hex() != root):
            raise SealingHalted(
                ANCHOR, size + 1,
                f"{name} holds a checkpoint of {note.size} events, the database one of {size}. Look with:"
                f" manage.py audit_verify. If the database was started anew on purpose, move that file away.",
            )  # fmt: skip


def _compare(old: AuditCheckpoint | None, newest: AuditCheckpoint | None) -> None:
    before, now = [(c.size, c.root) if c else (0, "") for c in (old, newest)]
    if now[0] > before[0]:
        raise Superseded
    if before != now:
        raise SealingHalted(TREE, 0, f"The newest checkpoint was of {before[0]} events and is of {now[0]}.")


def _signers_after(old: AuditCheckpoint | None) -> list[Signer]:
    """Return who signs: the key in use and, where another signed before, that one, too, for the last time."""
    ours = signers()
    return ours[:1] + [signer for signer in ours[1:] if old is not None and signer.number == old.signing_key]


def _record_rotation(newest: AuditCheckpoint) -> None:
    new = signers()[0]
    if AuditEvent.objects.filter(action=Action.AUDIT_KEY_ROTATED, pk__gt=newest.size).exists():
        return
    record_event(
        Action.AUDIT_KEY_ROTATED, request_id="", actor="worker", target=f"signing_key:{new.number}",
        replaced=newest.signing_key, verifier_key=new.verifier_key, origin=settings.AUDIT_ORIGIN,
    )  # fmt: skip


def _order_before(size: int) -> RowOrder:
    """Return what the order of events was up to `size`, as far as it matters for those to come."""
    order = RowOrder()
    last = AuditEvent.objects.filter(pk__lte=size).order_by("-pk").first()
    if last is not None:
        first = (
            AuditEvent.objects.filter(pk__lte=size, recorded_at__gte=last.recorded_at - WINDOW).order_by("pk").first()
        )
        for row in event_rows(first.pk - 1 if first else size, size):
            if order.check(row) == BACKDATED:
                is_forgiven(row, BACKDATED, order)
    return order
