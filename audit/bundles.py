"""Events with all that an outsider needs to tie them to a signed checkpoint, as `audit/verifier.py` reads them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from audit.event_rows import EventRow, event_rows
from audit.merkle import HASH_BYTES, TILE_WIDTH, encode_hashes
from audit.models import AuditPersonal
from audit.stored_tree import newest_checkpoint, stored_tile, stored_tree
from audit.tree_models import AuditCheckpoint
from audit.verification import pruned_to
from audit.verifier import BUNDLE_FORMAT

BATCH = 500


class NothingSealed(Exception):
    """There is no checkpoint, or none that covers what was asked for."""


@dataclass(frozen=True)
class Range:
    """Identifiers from `first` to `last`, both included, and the checkpoint that covers them."""

    first: int
    last: int
    checkpoint: AuditCheckpoint


def sealed_range(first: int | None, last: int | None) -> Range:
    """Return what may be exported of a wish; what was pruned is left out. Raises NothingSealed."""
    checkpoint = newest_checkpoint()
    if checkpoint is None:
        raise NothingSealed("Nothing has been sealed yet.")
    last = checkpoint.size if last is None else last
    first = max(first or 1, pruned_to() + 1)
    if not 1 <= first <= last <= checkpoint.size:
        raise NothingSealed(f"Events {first} to {last} are not a sealed part of the record.")
    return Range(first, last, checkpoint)


def bundle_lines(part: Range, *, with_personal: bool) -> Iterator[str]:
    """Yield the lines of a bundle. with_personal: names and addresses, too, as far as they were not erased."""
    tree = stored_tree(part.checkpoint.size)
    yield json.dumps(
        {
            "format": BUNDLE_FORMAT,
            "note": part.checkpoint.note,
            "first": part.first,
            "last": part.last,
            "before": encode_hashes(tree.before(part.first - 1)),
            "after": encode_hashes(tree.after(part.last)),
        }
    )
    leaves, expected = _Leaves(), part.first
    for row, personal in _rows(part, with_personal):
        for missing in range(expected, row.id):
            yield json.dumps({"id": missing, "gap": True, "leaf": leaves.of(missing)})
        line = {"id": row.id, "mac": row.mac, "record": row.record, "leaf": leaves.of(row.id)}
        yield json.dumps(line | ({"personal": personal} if personal else {}))
        expected = row.id + 1
    for missing in range(expected, part.last + 1):
        yield json.dumps({"id": missing, "gap": True, "leaf": leaves.of(missing)})


def _rows(part: Range, with_personal: bool) -> Iterator[tuple[EventRow, dict[str, str]]]:
    after = part.first - 1
    while after < part.last:
        up_to = min(after + BATCH, part.last)
        kept = (
            AuditPersonal.objects.filter(pk__gt=after, pk__lte=up_to) if with_personal else AuditPersonal.objects.none()
        )
        personal = {row.event_id: {"salt": row.salt, "data": row.data} for row in kept}
        for row in event_rows(after, up_to):
            yield row, personal.get(row.id, {})
        after = up_to


class _Leaves:
    """What the tree holds for each identifier; one tile is kept."""

    def __init__(self) -> None:
        self._number, self._hashes = -1, b""

    def of(self, event: int) -> str:
        number, at = divmod(event - 1, TILE_WIDTH)
        if number != self._number:
            self._number, self._hashes = number, stored_tile(0, number)
        return self._hashes[at * HASH_BYTES : (at + 1) * HASH_BYTES].hex()
