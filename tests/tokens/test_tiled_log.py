"""The record as a tiled log: rebuilt here from its addresses alone, with nothing but SHA-256."""

from datetime import timedelta
from hashlib import sha256

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from audit.notes import signers
from audit.retention import prune
from audit.sealer import Sealer
from audit.verifier import Note, open_note
from tests.audit.conftest import export_file, roll_back_one, seal_and_export, sealer, write_events
from tests.tokens.conftest import MakeKey, make_key

__all__ = ["export_file", "make_key", "sealer"]
pytestmark = pytest.mark.django_db(transaction=True)


def get(client: Client, path: str) -> bytes:
    response = client.get(f"/log/{path}")
    assert response.status_code == 200, response.content
    return response.content


def root_of(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1."""
    if len(leaves) == 1:
        return leaves[0]
    middle = 1 << ((len(leaves) - 1).bit_length() - 1)
    return sha256(b"\1" + root_of(leaves[:middle]) + root_of(leaves[middle:])).digest()


def split(bundle: bytes) -> list[bytes]:
    entries = []
    while bundle:
        length = int.from_bytes(bundle[:2], "big")
        entries.append(bundle[2 : 2 + length])
        bundle = bundle[2 + length :]
    return entries


def hashes(tile: bytes) -> list[bytes]:
    return [tile[at : at + 32] for at in range(0, len(tile), 32)]


def test_a_reader_of_such_logs_gets_from_the_entries_to_the_signed_root(sealer: Sealer, adas_client: Client) -> None:
    write_events(300)
    roll_back_one()
    write_events(230)
    sealer.seal()
    note = open_note(get(adas_client, "checkpoint").decode(), [signers()[0].key])
    short = note.size - 512

    tiles = [get(adas_client, f"tile/0/{place}") for place in ("000", "001", f"002.p/{short}")]
    bundles = [get(adas_client, f"tile/entries/{place}") for place in ("000", "001", f"002.p/{short}")]
    leaves = [leaf for tile in tiles for leaf in hashes(tile)]
    entries = [entry for bundle in bundles for entry in split(bundle)]

    assert [sha256(b"\0" + entry).digest() for entry in entries] == leaves
    assert root_of(leaves) == note.root
    above = hashes(get(adas_client, "tile/1/000.p/2"))
    assert above == [root_of(leaves[:256]), root_of(leaves[256:512])]
    assert b'"call.ended"' in entries[0]


def test_the_checkpoint_shows_that_somebody_is_there_while_nothing_happens(sealer: Sealer, adas_client: Client) -> None:
    write_events(3)
    sealer.seal()
    later = timezone.now() + timedelta(seconds=61)
    sealer.beat(later)

    note = Note.parse(get(adas_client, "checkpoint").decode())
    assert signers()[0].key.time_signed(note) == int(later.timestamp())


@pytest.mark.parametrize(
    "place",
    ["0/000.p/6", "0/000", "0/001", "1/000.p/1", "0/000.p/0", "0/000.p/256", "0/000.p/05", "0/x000/000.p/5", "0/0.p/5",
     "64/000.p/1", "-1/000", "0/000.p/5/", "0/../0/000.p/5", "0/x999/x999/x999/x999/x999/999.p/1"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(sealer: Sealer, adas_client: Client, place: str) -> None:
    write_events(5)
    sealer.seal()
    assert adas_client.get("/log/tile/0/000.p/5").status_code == 200

    response = adas_client.get(f"/log/tile/{place}")

    assert (response.status_code, response.headers["Content-Type"]) == (404, "application/json")


def test_hashes_are_for_whoever_has_an_account_and_entries_for_who_may_see_the_record(
    sealer: Sealer, client: Client, alices_client: Client, adas_client: Client, make_key: MakeKey, settings: Settings
) -> None:
    write_events(5)
    sealer.seal()
    program = Client(headers={"authorization": f"Bearer {make_key(scopes=['read']).value}"})
    everybody = (client, program, alices_client, adas_client)

    def statuses(path: str) -> list[int]:
        return [each.get(path).status_code for each in everybody]

    assert statuses("/log/checkpoint") == statuses("/log/tile/0/000.p/5") == [401, 200, 200, 200]
    assert statuses("/log/tile/entries/000.p/5") == [401, 404, 404, 200]
    settings.AUDIT_LOG_IS_PUBLIC = True
    assert statuses("/log/checkpoint") == statuses("/log/tile/0/000.p/5") == [200] * 4
    assert statuses("/log/tile/entries/000.p/5") == [401, 404, 404, 200]


def test_entries_that_were_pruned_are_gone_and_their_hashes_stay(
    sealer: Sealer, guards: None, adas_client: Client
) -> None:
    seal_and_export(sealer, 5)
    before = get(adas_client, "tile/0/000.p/5")
    prune(timezone.now() + timedelta(seconds=1), actor="user:1")
    write_events(1)
    sealer.seal()

    assert get(adas_client, "tile/0/000.p/5") == before
    assert adas_client.get("/log/tile/entries/000.p/6").json()["code"] == "unknown_tile"


def test_before_anything_is_sealed_there_is_no_checkpoint(sealer: Sealer, adas_client: Client, alice: User) -> None:
    assert adas_client.get("/log/checkpoint").json()["code"] == "unknown_tile"
