"""The growing tree of RFC 6962 in tiles of 256 hashes, and proofs out of tiles. Knows no database.

A tile of level L holds the nodes of height 8 * L, as the C2SP's tlog-tiles has it. Whole tiles never change; what is
not whole yet is the tree's edge, one short tile a level.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from audit.verifier import Edge, node_hash, whole_subtrees

HASH_BYTES: Final = 32
TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES

ReadTile = Callable[[int, int], bytes]  # (level, number) to the hashes that are there


@dataclass(frozen=True)
class Tile:
    level: int
    number: int
    hashes: bytes


class GrowingTree(Edge):
    """A tree that is appended to; collects the tiles that became whole until somebody takes them."""

    def __init__(self, edge: Sequence[bytes] = ()) -> None:
        """edge: the hashes of the short tile of each level, lowest first, as `edge` returned them."""
        super().__init__()
        self._short = [bytearray(hashes) for hashes in edge]
        self._whole: list[Tile] = []
        for level in reversed(range(len(edge))):
            for height, number in whole_subtrees(0, len(edge[level]) // HASH_BYTES):
                start = number << height
                self.size += 1 << (height + TILE_HEIGHT * level)
                self.peaks.append((height + TILE_HEIGHT * level, _fold(edge[level], start, height)))

    @property
    def edge(self) -> list[Tile]:
        """Return the short tile of each level; one that has just become whole is empty."""
        return [
            Tile(level, self.size >> (TILE_HEIGHT * (level + 1)), bytes(hashes))
            for level, hashes in enumerate(self._short)
        ]

    def push(self, node: bytes, height: int = 0) -> None:
        """Append a leaf. Subtrees are not taken, since their tiles would miss."""
        if height:
            raise ValueError("A growing tree takes leaves only.")
        self.extend([node])

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Append leaves, many at once at half the price of each: the tree grows level by level, not leaf by leaf."""
        nodes, height, lowest = list(leaves), 0, list[tuple[int, bytes]]()
        old_size, self.size = self.size, self.size + len(nodes)
        while nodes:
            if height % TILE_HEIGHT == 0:
                self._keep(nodes, height // TILE_HEIGHT, old_size >> height)
            if self.peaks and self.peaks[-1][0] == height:
                nodes.insert(0, self.peaks.pop()[1])
            if len(nodes) % 2:
                lowest.append((height, nodes.pop()))
            nodes = [node_hash(nodes[at], nodes[at + 1]) for at in range(0, len(nodes), 2)]
            height += 1
        self.peaks.extend(reversed(lowest))

    def take_whole(self) -> list[Tile]:
        """Return the tiles that became whole since the last time."""
        whole, self._whole = self._whole, []
        return whole

    def _keep(self, nodes: Sequence[bytes], level: int, first: int) -> None:
        """Put nodes into the tiles of a level, the first of which is that level's node number `first`."""
        if level == len(self._short):
            self._short.append(bytearray())
        hashes, number = self._short[level], first >> TILE_HEIGHT
        hashes += b"".join(nodes)
        while len(hashes) >= TILE_BYTES:
            self._whole.append(Tile(level, number, bytes(hashes[:TILE_BYTES])))
            del hashes[:TILE_BYTES]
            number += 1


class TiledTree:
    """Nodes and proofs of a tree of `size` leaves whose tiles can be read. Each tile is read once."""

    def __init__(self, size: int, read_tile: ReadTile) -> None:
        self.size = size
        self._read_tile = read_tile
        self._tiles: dict[tuple[int, int], bytes] = {}

    def leaf(self, number: int) -> bytes:
        return self.node(0, number)

    def node(self, height: int, number: int) -> bytes:
        """Return the root of a whole subtree of 2**height leaves. Raises KeyError when its tile is not there."""
        level, within = divmod(height, TILE_HEIGHT)
        tile, start = divmod(number << within, TILE_WIDTH)
        if (level, tile) not in self._tiles:
            self._tiles[level, tile] = self._read_tile(level, tile)
        hashes = self._tiles[level, tile]
        if len(hashes) < (start + (1 << within)) * HASH_BYTES:
            raise KeyError(f"tile {level}/{tile} is too short")
        return _fold(hashes, start, within)

    def root(self) -> bytes:
        edge = Edge()
        for height, number in whole_subtrees(0, self.size):
            edge.push(self.node(height, number), height)
        return edge.root()

    def before(self, count: int) -> list[bytes]:
        """Return the roots of the whole subtrees of the first leaves, largest first."""
        return [self.node(height, number) for height, number in whole_subtrees(0, count)]

    def after(self, count: int) -> list[bytes]:
        """Return the roots of the whole subtrees of the leaves behind the first `count`."""
        return [self.node(height, number) for height, number in whole_subtrees(count, self.size)]

    def inclusion_proof(self, number: int) -> list[bytes]:
        """Return what leads from a leaf to the root (RFC 6962 section 2.1.1)."""
        if not 0 <= number < self.size:
            raise ValueError("The leaf is not in the tree.")
        proof, start, end = [], 0, self.size
        while end - start > 1:
            middle = start + _left_size(end - start)
            if number < middle:
                proof.append(self._range(middle, end))
                end = middle
            else:
                proof.append(self._range(start, middle))
                start = middle
        return proof[::-1]

    def consistency_proof(self, old_size: int) -> list[bytes]:
        """Return what shows that the tree of `old_size` is this one's beginning (RFC 6962 section 2.1.2)."""
        if not 0 <= old_size <= self.size:
            raise ValueError("The tree was never that large.")
        proof, start, end = list[bytes](), 0, self.size
        while old_size and end != old_size:
            middle = start + _left_size(end - start)
            if old_size <= middle:
                proof.append(self._range(middle, end))
                end = middle
            else:
                proof.append(self._range(start, middle))
                start = middle
        if start:  # else the verifier holds this node: it is the old root
            proof.append(self._range(start, end))
        return proof[::-1]

    def _range(self, start: int, end: int) -> bytes:
        """Return the hash of the leaves from `start`, where a subtree begins, up to `end`."""
        nodes = [self.node(height, number) for height, number in whole_subtrees(start, end)]
        root = nodes.pop()
        for left in reversed(nodes):
            root = node_hash(left, root)
        return root


def tile_path(level: int | str, number: int, width: int = TILE_WIDTH) -> str:
    """Return a tile's address by tlog-tiles, such as `tile/0/x001/234.p/17`. level: a number, or `entries`."""
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03d}")
    return f"tile/{level}/{'/'.join(groups)}" + (f".p/{width}" if width < TILE_WIDTH else "")


def encode_hashes(hashes: Iterable[bytes]) -> list[str]:
    return [node.hex() for node in hashes]


def _left_size(count: int) -> int:
    """Return the largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def _fold(hashes: bytes, start: int, height: int) -> bytes:
    """Return the root over 2**height hashes."""
    end = start + (1 << height)
    nodes = [bytes(hashes[at * HASH_BYTES : (at + 1) * HASH_BYTES]) for at in range(start, end)]
    while len(nodes) > 1:
        nodes = [node_hash(nodes[at], nodes[at + 1]) for at in range(0, len(nodes), 2)]
    return nodes[0]
