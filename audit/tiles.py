"""The record as a tiled log (C2SP tlog-tiles): what stands behind its addresses. Bytes only; who may read them is
decided elsewhere.

An entry is what its leaf hashes: number, MAC and record of an event, or the number of a gap.
"""

import re
from dataclasses import dataclass
from typing import Final

from audit.event_rows import read_rows
from audit.exceptions import UnknownTile
from audit.merkle import HASH_BYTES, TILE_HEIGHT, TILE_WIDTH, tile_path
from audit.stored_tree import newest_checkpoint, newest_note_of, stored_tile
from audit.verification import pruned_to
from audit.verifier import event_entry, gap_entry

PLACE: Final = re.compile(r"(entries|[0-9]{1,2})/((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([0-9]{1,3}))?")
ENTRIES: Final = "entries"


@dataclass(frozen=True)
class Place:
    """A tile's address. level: as text, `entries` for the entries beneath a tile of level 0."""

    level: str
    number: int
    width: int


def read_place(text: str) -> Place:
    """Read an address such as `0/x001/234.p/17`. Raises UnknownTile for one that nobody would write."""
    found = PLACE.fullmatch(text)
    if found is None:
        raise UnknownTile()
    number = int(found[2].replace("x", "").replace("/", ""))
    place = Place(found[1], number, int(found[3] or TILE_WIDTH))
    if tile_path(place.level, place.number, place.width) != f"tile/{text}":
        raise UnknownTile()
    return place


def checkpoint_note() -> str:
    """Return the newest checkpoint, the last repetition of it. Raises UnknownTile before there is one."""
    checkpoint = newest_checkpoint()
    if checkpoint is None:
        raise UnknownTile("Nothing has been sealed yet.")
    return newest_note_of(checkpoint)


def tile(place: Place) -> bytes:
    """Return the hashes of a tile. Raises UnknownTile for more than the newest checkpoint covers."""
    level = int(place.level)
    _check_covered(place, TILE_HEIGHT * level)
    try:
        return stored_tile(level, place.number)[: place.width * HASH_BYTES]
    except KeyError as exc:
        raise UnknownTile() from exc


def entries(place: Place) -> bytes:
    """Return the entries beneath a tile, each behind its length in two bytes. Raises UnknownTile, also once pruned."""
    _check_covered(place, 0)
    first = place.number * TILE_WIDTH + 1
    last = first + place.width - 1
    if first <= pruned_to():
        raise UnknownTile("These events were pruned.")
    rows = {row.id: event_entry(row.id, row.mac, row.record) for row in read_rows(first - 1, last, place.width)}
    bundle = [rows.get(number) or gap_entry(number) for number in range(first, last + 1)]
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in bundle)


def _check_covered(place: Place, height: int) -> None:
    checkpoint = newest_checkpoint()
    nodes = checkpoint.size >> height if checkpoint else 0
    if not 0 < place.width <= nodes - place.number * TILE_WIDTH:
        raise UnknownTile()
