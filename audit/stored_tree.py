"""The sealed tree as it stands in the database: newest checkpoint, tiles, proofs."""

from collections.abc import Iterable

from audit.merkle import GrowingTree, Tile, TiledTree
from audit.tree_models import AuditCheckpoint, AuditEdge, AuditTile


def newest_checkpoint() -> AuditCheckpoint | None:
    """Return the newest checkpoint that sealed something."""
    return AuditCheckpoint.objects.filter(previous_size__isnull=False).order_by("-size").first()


def sealing_checkpoint(event: int) -> AuditCheckpoint | None:
    """Return the checkpoint that an event was sealed with; its repetitions, which no index holds, are passed over."""
    return AuditCheckpoint.objects.filter(previous_size__isnull=False, size__gte=event).order_by("size").first()


def newest_note_of(checkpoint: AuditCheckpoint) -> str:
    """Return a checkpoint's note as it was signed last, so that its time shows that somebody is there."""
    latest = AuditCheckpoint.objects.filter(size=checkpoint.size).order_by("-pk").first() or checkpoint
    return latest.note


def stored_tile(level: int, number: int) -> bytes:
    """Return the hashes of a tile, short ones included. Raises KeyError when there is none.

    The edge is asked first: between the two questions a tile may become whole, but never short again.
    """
    edge = AuditEdge.objects.filter(level=level, number=number).first()
    if edge is not None:
        return bytes(edge.hashes)
    tile = AuditTile.objects.filter(pk=AuditTile.id_of(level, number)).first()
    if tile is None:
        raise KeyError(f"tile {level}/{number} is missing")
    return bytes(tile.hashes)


def stored_tiles(level: int, first: int, count: int) -> dict[int, bytes]:
    """Return several tiles of a level by their numbers, as `stored_tile` would, without those that are missing."""
    edge = AuditEdge.objects.filter(level=level, number__gte=first, number__lt=first + count).first()
    start = AuditTile.id_of(level, first)
    whole = AuditTile.objects.filter(pk__gte=start, pk__lt=start + count).values_list("pk", "hashes")
    tiles = {first + pk - start: bytes(hashes) for pk, hashes in whole}
    return tiles if edge is None else tiles | {edge.number: bytes(edge.hashes)}


def stored_tree(size: int) -> TiledTree:
    """Return the tree of the first `size` events. size: of a checkpoint, read before."""
    return TiledTree(size, stored_tile)


def growing_tree() -> GrowingTree:
    """Return the tree that the edge stands for."""
    return GrowingTree([bytes(edge.hashes) for edge in AuditEdge.objects.order_by("level")])


def write_tiles(whole: Iterable[Tile], edge: Iterable[Tile]) -> None:
    """Keep tiles that became whole, and the edge in its new state, in the caller's transaction."""
    AuditTile.objects.bulk_create(
        [AuditTile(id=AuditTile.id_of(tile.level, tile.number), hashes=tile.hashes) for tile in whole], batch_size=50
    )
    AuditEdge.objects.bulk_create(
        [AuditEdge(level=tile.level, number=tile.number, hashes=tile.hashes) for tile in edge],
        update_conflicts=True,
        unique_fields=["level"],
        update_fields=["number", "hashes"],
    )
