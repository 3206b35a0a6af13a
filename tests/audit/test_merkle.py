"""The tree against the vectors that RFC 6962's own implementation ships, and against its definition word by word."""

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.merkle import TILE_WIDTH, GrowingTree, TiledTree, tile_path
from audit.verifier import (
    Edge,
    NotProven,
    check_consistency,
    check_inclusion,
    event_entry,
    event_leaf,
    leaf_hash,
    node_hash,
    whole_subtrees,
)  # fmt: skip

# The eight leaves and the roots of the trees of 1 to 8 of them, from the test vectors of Certificate Transparency.
INPUTS = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def defined_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, as it is written there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    left = 1
    while left * 2 < len(leaves):
        left *= 2
    return node_hash(defined_root(leaves[:left]), defined_root(leaves[left:]))


def grown(count: int) -> tuple[GrowingTree, TiledTree]:
    """A tree of `count` leaves, and the reader of its tiles."""
    tree = GrowingTree()
    for number in range(count):
        tree.push(leaf_hash(b"%d" % number))
    tiles = {(tile.level, tile.number): tile.hashes for tile in tree.take_whole()}
    tiles |= {(tile.level, tile.number): tile.hashes for tile in tree.edge}
    return tree, TiledTree(count, lambda level, number: tiles[level, number])


def test_the_known_vectors() -> None:
    edge = Edge()
    assert edge.root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for data, root in zip(INPUTS, ROOTS, strict=True):
        edge.push(leaf_hash(data))
        assert edge.root().hex() == root


@pytest.mark.parametrize("size", [*range(70), 255, 256, 257, 511, 512, 513, 70_000])
def test_a_grown_tree_has_the_root_by_definition(size: int) -> None:
    tree, tiled = grown(size)

    assert tree.root() == defined_root([b"%d" % number for number in range(size)])
    assert tiled.root() == tree.root()


def test_an_events_leaf_hashes_its_entry() -> None:
    assert event_leaf(7, "ab", "[1]") == leaf_hash(event_entry(7, "ab", "[1]"))


def test_a_tree_goes_on_from_its_edge() -> None:
    for size in (0, 1, 255, 256, 257, 1000, 65_535, 65_536, 65_537):
        tree, _ = grown(size)
        resumed = GrowingTree([tile.hashes for tile in tree.edge])
        assert (resumed.size, resumed.root()) == (size, tree.root())
        for number in range(size, size + 300):
            tree.push(leaf_hash(b"%d" % number))
            resumed.push(leaf_hash(b"%d" % number))
        tree.take_whole(), resumed.take_whole()
        assert resumed.edge == tree.edge
        assert resumed.root() == tree.root()


def test_every_proof_of_small_trees_holds_and_no_other() -> None:
    roots = [grown(size)[0].root() for size in range(40)]
    for size in range(1, 40):
        tiled = grown(size)[1]
        for number in range(size):
            leaf, proof = leaf_hash(b"%d" % number), tiled.inclusion_proof(number)
            check_inclusion(leaf, number, size, proof, roots[size])
            for wrong_number in {number - 1, number + 1, size} - {number}:
                with pytest.raises(NotProven):
                    check_inclusion(leaf, wrong_number, size, proof, roots[size])
            with pytest.raises(NotProven):
                check_inclusion(leaf, number, size, [*proof, roots[0]], roots[size])
        for old_size in range(size + 1):
            proof = tiled.consistency_proof(old_size)
            check_consistency(old_size, roots[old_size], size, roots[size], proof)
            if 0 < old_size < size:
                with pytest.raises(NotProven):
                    check_consistency(old_size, roots[old_size - 1], size, roots[size], proof)
                with pytest.raises(NotProven):
                    check_consistency(old_size, roots[old_size], size, roots[old_size], proof)
                with pytest.raises(NotProven):
                    check_consistency(old_size, roots[old_size], size, roots[size], proof[:-1])


LARGE = 70_000
large_tree, large_tiles = grown(LARGE)


def test_many_leaves_at_once_make_the_same_tiles_as_one_by_one() -> None:
    leaves, counts, tree = [leaf_hash(b"%d" % number) for number in range(LARGE)], random.Random(7), GrowingTree()
    while tree.size < LARGE:
        count = counts.choice([0, 1, 2, 255, 256, 257, counts.randrange(5000)])
        tree.extend(leaves[tree.size : tree.size + count])

    assert (tree.root(), tree.edge) == (large_tree.root(), large_tree.edge)
    whole = tree.take_whole()
    assert len(whole) == LARGE // TILE_WIDTH + LARGE // TILE_WIDTH**2
    assert all(tile.hashes == large_tiles._read_tile(tile.level, tile.number) for tile in whole)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, LARGE - 1), st.integers(0, LARGE), st.data())
def test_proofs_across_tiles(number: int, old_size: int, data: st.DataObject) -> None:
    leaf, proof = leaf_hash(b"%d" % number), large_tiles.inclusion_proof(number)
    check_inclusion(leaf, number, LARGE, proof, large_tree.root())
    at = data.draw(st.integers(0, len(proof) - 1))
    broken = [*proof[:at], bytes(32), *proof[at + 1 :]]
    with pytest.raises(NotProven):
        check_inclusion(leaf, number, LARGE, broken, large_tree.root())

    old_root = TiledTree(old_size, large_tiles._read_tile).root()
    check_consistency(old_size, old_root, LARGE, large_tree.root(), large_tiles.consistency_proof(old_size))


def test_what_lies_before_and_after_a_range_gives_the_root() -> None:
    chance = random.Random(7)
    for _ in range(50):
        size = chance.randrange(1, 900)
        tree, tiled = grown(size)
        start = chance.randrange(size + 1)
        end = chance.randrange(start, size + 1)
        edge = Edge()
        for (height, _), node in zip(whole_subtrees(0, start), tiled.before(start), strict=True):
            edge.push(node, height)
        for number in range(start, end):
            edge.push(leaf_hash(b"%d" % number))
        for (height, _), node in zip(whole_subtrees(end, size), tiled.after(end), strict=True):
            edge.push(node, height)
        assert edge.root() == tree.root()


def test_a_proof_reads_few_tiles() -> None:
    asked: list[tuple[int, int]] = []

    def read(level: int, number: int) -> bytes:
        asked.append((level, number))
        return large_tiles._read_tile(level, number)

    TiledTree(LARGE, read).inclusion_proof(12_345)

    assert len(asked) <= 5


def test_tiles_have_the_addresses_of_tlog_tiles() -> None:
    assert tile_path(0, 0) == "tile/0/000"
    assert tile_path(1, 1_234_067, 17) == "tile/1/x001/x234/067.p/17"
    assert TILE_WIDTH == 256
