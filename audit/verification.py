"""Full verification: every event, leaf and checkpoint, and what was exported, in one pass of constant memory."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Final

from audit.actions import Action
from audit.event_rows import EventRow, MacCheck, event_rows, is_genuine, read_rows, row_batches
from audit.merkle import HASH_BYTES, TILE_HEIGHT, TILE_WIDTH, GrowingTree, Tile
from audit.models import AuditEvent, AuditPersonal
from audit.notes import signers
from audit.row_order import CLOCK, RowOrder
from audit.sealer import is_forgiven
from audit.services import record_event
from audit.sinks import newest_anchors
from audit.stored_tree import newest_checkpoint, stored_tile, stored_tiles
from audit.tree_models import AuditCheckpoint
from audit.verifier import Note, NotProven, event_leaf, gap_leaf, open_note, personal_commitment

TILES_AT_ONCE: Final = 16
PERSONAL_AT_ONCE: Final = 1000

Kept = tuple[int, str, str]  # personal data: event, salt, data
NO_MORE: Final[Kept] = (1 << 63, "", "")


@dataclass
class VerifyReport:
    """What a full verification found. first_bad_id: where the record stops being what was signed, if it does."""

    ok: bool = True
    first_bad_id: int | None = None
    message: str = ""
    size: int = 0
    events: int = 0
    unsealed: int = 0
    gaps: int = 0
    pruned_to: int = 0
    erased: int = 0
    accepted: int = 0
    clock_steps: int = 0
    checkpoints: int = 0
    anchors: int = 0
    seconds: float = 0.0

    def as_json(self) -> str:
        return json.dumps(asdict(self))


def verify_record(exported: Sequence[Note] = ()) -> VerifyReport:
    """Recompute everything from the rows, and compare it with what was signed.

    exported: checkpoints that were kept outside the database, whose signatures hold; what the settings' own file
    holds last is looked at in any case. Stops at the first thing that is wrong.
    """
    report, started = VerifyReport(), time.monotonic()
    try:
        _Pass(report, [*exported, *(note for _, note in newest_anchors())]).run()
    except NotProven as exc:
        if pruned_to() > report.pruned_to:  # while it was read
            return verify_record(exported)
        report.ok, report.first_bad_id, report.message = False, exc.event, str(exc)
    except (KeyError, TypeError, ValueError) as exc:  # rows such as nobody of ours writes
        report.ok, report.message = False, f"The record cannot be read: {type(exc).__name__}: {exc}"
    report.seconds = round(time.monotonic() - started, 3)
    return report


def record_verification(report: VerifyReport, *, actor: str) -> None:
    """Put an outcome into the record, where the integrity page finds it."""
    record_event(
        Action.AUDIT_VERIFIED, request_id="", actor=actor, code="" if report.ok else "tampered",
        target="" if report.first_bad_id is None else f"event:{report.first_bad_id}",
        size=report.size, events=report.events, checkpoints=report.checkpoints, anchors=report.anchors,
        message=report.message[:500],
    )  # fmt: skip


def is_due(since: datetime) -> bool:
    """Tell whether nothing was verified fully since then, or somebody asked, and there is something to verify."""
    has_one = AuditEvent.objects.filter(action=Action.AUDIT_VERIFIED, recorded_at__gte=since).exists()
    return (not has_one or asked_since() is not None) and newest_checkpoint() is not None


def asked_since() -> datetime | None:
    """Return when somebody asked for a full verification that is still to come."""
    asked = _newest(Action.AUDIT_VERIFICATION_ASKED)
    done = _newest(Action.AUDIT_VERIFIED)
    return asked.recorded_at if asked and (done is None or done.pk < asked.pk) else None


def _newest(action: Action) -> AuditEvent | None:
    return AuditEvent.objects.filter(action=action).order_by("-recorded_at", "-pk").first()


def pruned_to() -> int:
    """Return the last identifier that was removed from the beginning, as genuine events of the record tell it."""
    found = 0
    for event in AuditEvent.objects.filter(action=Action.AUDIT_PRUNED).order_by("pk"):
        if all(is_genuine(row) for row in read_rows(event.pk - 1, event.pk, 1)):
            found = max(found, int(event.facts["last"] or 0))
    return found


@dataclass
class _Pass:
    """One walk over identifiers, tiles and checkpoints side by side."""

    report: VerifyReport
    exported: Sequence[Note]
    _tree: GrowingTree = field(default_factory=GrowingTree)
    _order: RowOrder = field(default_factory=RowOrder)
    _macs: MacCheck = field(default_factory=MacCheck)
    _leaves: list[bytes] = field(default_factory=list)  # still to be appended to the tree
    _tiles: dict[int, bytes] = field(default_factory=dict)  # of level 0: some, from that number on
    _tiles_from: int = -1
    _proven_to: int = 0

    def run(self) -> None:
        newest, report = newest_checkpoint(), self.report
        report.size = newest.size if newest else 0
        report.pruned_to = pruned_to()
        self._stops = _Stops(report, self.exported, newest)
        self._walk_pruned(report.pruned_to)
        self._walk_rows(report.pruned_to, report.size)
        self._stops.finish(self._proven_to)
        self._look_at_unsealed()

    def _walk_pruned(self, pruned: int) -> None:
        """Take the leaves of rows that were pruned from their tiles."""
        for first in range(0, pruned, TILE_WIDTH):
            count = min(TILE_WIDTH, pruned - first)
            tile = self._leaf_tile(first // TILE_WIDTH)[: count * HASH_BYTES]
            found = len(tile) // HASH_BYTES
            self._leaves += [tile[at : at + HASH_BYTES] for at in range(0, found * HASH_BYTES, HASH_BYTES)]
            self._append_leaves()
            if found < count:
                missing = first + found + 1
                raise NotProven(f"The tree's tile of event {missing}, which was pruned, is missing.", missing)
        if AuditEvent.objects.filter(pk__lte=pruned).exists():
            raise NotProven("There are events among those that were pruned.", 1)

    def _walk_rows(self, pruned: int, size: int) -> None:
        """Give each identifier the leaf that it has by its row."""
        expected, self._personal = pruned + 1, _personal_rows(pruned + 1, size)
        self._kept = next(self._personal, NO_MORE)
        for rows in row_batches(pruned, size):
            try:
                for row in rows:
                    if row.id != expected:
                        self._walk_gaps(expected, row.id)
                    self._check_row(row)
                    self.report.events += 1
                    self._leaves.append(event_leaf(row.id, row.mac, row.record))
                    if row.personal or row.id >= self._kept[0]:
                        self._check_personal(row)
                    expected = row.id + 1
            finally:  # what comes before an event at fault may be wrong, too, and is named then
                self._append_leaves()
        self._walk_gaps(expected, size + 1)
        self._append_leaves()
        self._check_nobodys(size + 1)

    def _walk_gaps(self, first: int, end: int) -> None:
        for missing in range(first, end):
            self.report.gaps += 1
            self._leaves.append(gap_leaf(missing))
            if len(self._leaves) >= TILE_WIDTH:  # nobody knows how many
                self._append_leaves()

    def _append_leaves(self) -> None:
        """Append what was gathered, as far at a time as one tile holds it and nothing was signed in between."""
        leaves, self._leaves, tree, start = self._leaves, [], self._tree, 0
        while start < len(leaves):
            next_size, end = self._stops.next_size, tree.size - tree.size % TILE_WIDTH + TILE_WIDTH
            part = leaves[start : start + min(next_size or end, end) - tree.size]
            self._compare_leaves(part)
            tree.extend(part)
            if tree.size == next_size:
                self._stops.check(tree.root(), self._proven_to)
                self._proven_to = next_size
            if tree.size == end:
                self._compare_upper_tiles()
            start += len(part)

    def _compare_leaves(self, leaves: Sequence[bytes]) -> None:
        number, within = divmod(self._tree.size, TILE_WIDTH)
        sealed = self._leaf_tile(number)[within * HASH_BYTES : (within + len(leaves)) * HASH_BYTES]
        if sealed == b"".join(leaves):
            return
        for event, leaf in enumerate(leaves, self._tree.size + 1):
            if not sealed.startswith(leaf):
                raise NotProven(f"Event {event} is not what was sealed: it was changed, removed or put there.", event)
            sealed = sealed[HASH_BYTES:]

    def _leaf_tile(self, number: int) -> bytes:
        """Return a tile of level 0, short ones included; nothing when there is none."""
        first = number - number % TILES_AT_ONCE
        if first != self._tiles_from:
            self._tiles, self._tiles_from = stored_tiles(0, first, TILES_AT_ONCE), first
        return self._tiles.get(number, b"")

    def _check_row(self, row: EventRow) -> None:
        problem = self._order.check(row) if self._macs.is_genuine(row) else "its MAC is wrong"
        if not problem:
            return
        if problem == CLOCK:
            self.report.clock_steps += 1
        elif is_forgiven(row, problem, self._order):
            self.report.accepted += 1
        else:
            raise NotProven(f"Event {row.id} is not as this server wrote it: {problem}.", row.id)

    def _check_personal(self, row: EventRow) -> None:
        self._check_nobodys(row.id)
        event, salt, data = self._kept
        if event > row.id:
            self.report.erased += bool(row.personal)
            return
        self._kept = next(self._personal, NO_MORE)
        if _commitment(salt, data) != row.personal:
            raise NotProven(f"The personal data of event {row.id} were changed.", row.id)

    def _check_nobodys(self, event: int) -> None:
        if self._kept[0] < event:
            raise NotProven(f"There are personal data of event {self._kept[0]}, which does not exist.", self._kept[0])

    def _compare_upper_tiles(self) -> None:
        for tile in self._tree.take_whole():
            if tile.level and _tile_or_nothing(tile.level, tile.number) != tile.hashes:
                raise NotProven(f"Tile {tile.level}/{tile.number} is not what its events give.", _first_of(tile))

    def _look_at_unsealed(self) -> None:
        """Check the MACs of what came after the newest checkpoint; there is no proof of it yet."""
        for row in event_rows(self.report.size, self.report.size + (1 << 62)):
            self.report.unsealed += 1
            self._check_row(row)


class _Stops:
    """The sizes at which something was signed: the checkpoints of the database, and those kept elsewhere."""

    def __init__(self, report: VerifyReport, exported: Sequence[Note], newest: AuditCheckpoint | None) -> None:
        self._report, self._keys = report, signers()
        self._elsewhere: dict[int, set[bytes]] = {}
        for note in exported:
            self._elsewhere.setdefault(note.size, set()).add(note.root)
        self._size = newest.size if newest else 0
        self._previous_size, self._key_number = 0, min((key.number for key in self._keys), default=0)
        self._checkpoints = _checkpoints(self._size)
        self._checkpoint = next(self._checkpoints, None)
        self._beyond = min((size for size in self._elsewhere if size > self._size), default=None)
        self._sizes = iter(sorted(size for size in self._elsewhere if 0 < size <= self._size))
        self._other = next(self._sizes, None)

    @property
    def next_size(self) -> int:
        sizes = [size for size in (self._checkpoint and self._checkpoint.size, self._other) if size]
        return min(sizes, default=0)

    def check(self, root: bytes, proven_to: int) -> None:
        """Compare the root that the rows give with everything that was signed at this size."""
        size, first = self.next_size, proven_to + 1
        while self._checkpoint is not None and self._checkpoint.size == size:
            self._check_checkpoint(self._checkpoint, root, first)
            self._checkpoint = next(self._checkpoints, None)
        if self._other == size:
            if self._elsewhere[size] != {root}:
                raise NotProven(f"Events {first} to {size} are not those of the checkpoint kept elsewhere.", first)
            self._report.anchors += 1
            self._other = next(self._sizes, None)

    def finish(self, proven_to: int) -> None:
        if self._checkpoint is not None:
            raise NotProven(f"The checkpoint of {self._checkpoint.size} events has no events.", proven_to + 1)
        if self._beyond is not None:
            raise NotProven(
                f"A checkpoint of {self._beyond} events was kept elsewhere; this database has sealed {self._size}.",
                self._size + 1,
            )

    def _check_checkpoint(self, checkpoint: AuditCheckpoint, root: bytes, first: int) -> None:
        try:
            note = open_note(checkpoint.note, [key.key for key in self._keys if key.number == checkpoint.signing_key])
        except NotProven as exc:
            raise NotProven(str(exc), first) from exc
        if (note.size, note.root.hex()) != (checkpoint.size, checkpoint.root):
            raise NotProven(f"The checkpoint of {checkpoint.size} events is not what it signs.", first)
        if note.root != root:
            raise NotProven(f"Events {first} to {note.size} are not those that were signed.", first)
        if checkpoint.previous_size is not None:
            if checkpoint.previous_size != self._previous_size:
                raise NotProven(f"A checkpoint is missing before that of {checkpoint.size} events.", first)
            self._previous_size = checkpoint.size
        if checkpoint.signing_key < self._key_number:
            raise NotProven(f"The checkpoint of {checkpoint.size} events is signed by a key that was replaced.", first)
        self._key_number = max(self._key_number, checkpoint.signing_key)
        self._report.checkpoints += 1


def _checkpoints(size: int) -> Iterator[AuditCheckpoint]:
    """Yield the checkpoints up to a size in the order in which they were made. Raises NotProven when a size falls."""
    last = 0
    for checkpoint in AuditCheckpoint.objects.filter(size__lte=size).order_by("id").iterator(chunk_size=500):
        if checkpoint.size < max(last, 1):
            raise NotProven(f"A checkpoint of {checkpoint.size} events follows one of {last}.", checkpoint.size + 1)
        last = checkpoint.size
        yield checkpoint


def _tile_or_nothing(level: int, number: int) -> bytes:
    try:
        return stored_tile(level, number)
    except KeyError:
        return b""


def _personal_rows(first: int, last: int) -> Iterator[Kept]:
    rows = AuditPersonal.objects.filter(pk__lte=last).order_by("pk").values_list("event_id", "salt", "data")
    while found := list(rows.filter(pk__gte=first)[:PERSONAL_AT_ONCE]):
        yield from found
        first = found[-1][0] + 1


def _commitment(salt: str, data: str) -> str:
    try:
        return personal_commitment(bytes.fromhex(salt), data)
    except ValueError:
        return "none"  # no salt of ours


def _first_of(tile: Tile) -> int:
    """Return the first identifier below a tile."""
    return (tile.number << (TILE_HEIGHT * (tile.level + 1))) + 1
