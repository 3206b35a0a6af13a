"""Check a record of voiceagent's on a machine of one's own: one file that needs Python 3.11 and `cryptography`.

    python verifier.py bundle --key KEY --bundle record.jsonl [--checkpoints checkpoints.jsonl]
    python verifier.py proof --key KEY --proof proof.json
    python verifier.py witness --key KEY --url URL --state seen.json [--sign-with witness.key]
    python verifier.py keygen NAME witness.key

KEY is the log's verifier key, `name+id+base64`, got from its operator by another way than the record; after a change of
keys give the old one, too, as `KEY@LAST_SIZE`. Exit status: 0 all is well, 1 the record is not what was signed,
2 the question could not be asked, 3 the log is silent.

It knows nothing of the site's own code, whose modules take from here the hashes, proofs and signatures that both must
see alike; and it is one file, long as it is, so that it can be carried away.
"""

import argparse
import base64
import hashlib
import json
import os
import struct
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

BUNDLE_FORMAT: Final = "voiceagent audit bundle v1"
ED25519: Final = 1  # a plain signature of the note
COSIGNATURE: Final = 4  # Ed25519 over the note and a time
SIGNATURE_START: Final = "— "
PERSONAL_LABEL: Final = b"voiceagent audit personal v1\0"
MAX_ANSWER_BYTES: Final = 1_000_000
HTTP_TIMEOUT_S: Final = 10
FINE, BAD, UNASKED, SILENT = 0, 1, 2, 3


class NotProven(Exception):
    """What was given does not prove what it claims; `event` is the first identifier that is not proven, if known."""

    def __init__(self, message: str, event: int | None = None) -> None:
        super().__init__(message)
        self.event = event


# --- The tree: RFC 6962 section 2.1 ---------------------------------------------------------------------------------


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def event_leaf(event: int, mac: str, record: str) -> bytes:
    """Return the leaf of an event; it binds the identifier, which the record cannot know."""
    return hashlib.sha256(
        f"\0{event}\n{mac}\n{record}".encode()
    ).digest()  # = leaf_hash(event_entry(…)), called for each


def gap_leaf(event: int) -> bytes:
    """Return the leaf that stands for an identifier which no event got."""
    return leaf_hash(gap_entry(event))


def event_entry(event: int, mac: str, record: str) -> bytes:
    """Return what the leaf of an event hashes."""
    return f"{event}\n{mac}\n{record}".encode()


def gap_entry(event: int) -> bytes:
    return f"{event}\ngap\n".encode()


def personal_commitment(salt: bytes, data: str) -> str:
    return hashlib.sha256(PERSONAL_LABEL + salt + data.encode()).hexdigest()


class Edge:
    """The roots of the whole subtrees of a growing tree, largest first: all that its root depends on."""

    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[tuple[int, bytes]] = []  # (height, hash), heights falling

    def push(self, node: bytes, height: int = 0) -> None:
        """Append a whole subtree of 2**height leaves. Raises NotProven where one of that height cannot follow."""
        if self.peaks and self.peaks[-1][0] < height:
            raise NotProven(f"A subtree of height {height} cannot follow after {self.size} leaves.")
        self.size += 1 << height
        while self.peaks and self.peaks[-1][0] == height:
            node = node_hash(self.peaks.pop()[1], node)
            height += 1
        self.peaks.append((height, node))

    def root(self) -> bytes:
        if not self.peaks:
            return hashlib.sha256(b"").digest()
        root = self.peaks[-1][1]
        for _, left in reversed(self.peaks[:-1]):
            root = node_hash(left, root)
        return root


def whole_subtrees(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield (height, number) of the largest whole subtrees that fill the leaves from `start` up to `end`."""
    while start < end:
        height = (end - start).bit_length() - 1
        if start:
            height = min(height, (start & -start).bit_length() - 1)
        yield height, start >> height
        start += 1 << height


def check_inclusion(leaf: bytes, number: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise NotProven unless the proof leads from leaf `number` to the root of a tree of `size` (RFC 9162 2.1.3.2)."""
    if not 0 <= number < size:
        raise NotProven("The leaf is not in the tree.")
    position, last, found = number, size - 1, leaf
    for node in proof:
        if last == 0:
            raise NotProven("The proof is too long.")
        if position & 1 or position == last:
            found = node_hash(node, found)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            found = node_hash(found, node)
        position, last = position >> 1, last >> 1
    if last or found != root:
        raise NotProven("The proof does not lead to the signed root.")


def check_consistency(old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Raise NotProven unless the tree of `old_size` is the beginning of the other (RFC 9162 section 2.1.4.2)."""
    if not 0 <= old_size <= size:
        raise NotProven(f"The log shrank from {old_size} to {size}.")
    if old_size in (0, size):
        if proof or (old_size == size and old_root != root):
            raise NotProven(f"Two different logs of {size} events were signed.")
        return
    path = list(proof) if old_size & (old_size - 1) else [old_root, *proof]
    position, last = old_size - 1, size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    if not path:
        raise NotProven("The proof is empty.")
    older = newer = path[0]
    for node in path[1:]:
        if last == 0:
            raise NotProven("The proof is too long.")
        if position & 1 or position == last:
            older, newer = node_hash(node, older), node_hash(node, newer)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            newer = node_hash(newer, node)
        position, last = position >> 1, last >> 1
    if last or older != old_root or newer != root:
        raise NotProven(f"The log of {old_size} events is not the beginning of that of {size}.")


# --- Signed notes: C2SP signed-note, tlog-checkpoint, tlog-cosignature ------------------------------------------------


def key_id(name: str, kind: int, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def verifier_key(name: str, public: bytes, kind: int = ED25519) -> str:
    """Return a public key as people pass it on: name, id and key."""
    return f"{name}+{key_id(name, kind, public).hex()}+{base64.b64encode(bytes([kind]) + public).decode()}"


@dataclass(frozen=True)
class Key:
    """A log's or witness's public key. until: the last size that it may sign alone, None for the one in use."""

    name: str
    public: bytes
    until: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Key":
        """Read `name+id+base64`, with `@size` behind for a key that was replaced. Raises NotProven."""
        text, at, until = text.strip().rpartition("@") if text.rpartition("@")[2].isdigit() else (text.strip(), "", "")
        try:
            name, number, encoded = text.split("+", 2)
            raw = base64.b64decode(encoded, validate=True)
        except ValueError as exc:
            raise NotProven("A verifier key looks like name+01234567+base64.") from exc
        if len(raw) != 33 or raw[0] not in (ED25519, COSIGNATURE) or key_id(name, raw[0], raw[1:]).hex() != number:
            raise NotProven(f"The verifier key of {name} is damaged.")
        return cls(name, raw[1:], int(until) if at else None)

    def has_signed(self, note: "Note") -> bool:
        return any(
            identity == key_id(self.name, ED25519, self.public) and self._verifies(signature, note.text.encode())
            for name, identity, signature in note.signatures
            if name == self.name
        )

    def time_signed(self, note: "Note") -> int | None:
        """Return the newest time (Unix seconds) at which this key cosigned, or None."""
        times = []
        for name, identity, signature in note.signatures:
            if name == self.name and identity == key_id(name, COSIGNATURE, self.public) and len(signature) == 72:
                (at,) = struct.unpack(">Q", signature[:8])
                if self._verifies(signature[8:], cosigned_text(at, note.text)):
                    times.append(at)
        return max(times, default=None)

    def _verifies(self, signature: bytes, data: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, data)
        except InvalidSignature:
            return False
        return True


def cosigned_text(at: int, text: str) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def signature_line(name: str, identity: bytes, signature: bytes) -> str:
    return f"{SIGNATURE_START}{name} {base64.b64encode(identity + signature).decode()}\n"


def cosign(name: str, key: Ed25519PrivateKey, text: str, at: int) -> str:
    """Return a signature line of type 0x04: this key saw this note at this time."""
    public = key.public_key().public_bytes_raw()
    signature = struct.pack(">Q", at) + key.sign(cosigned_text(at, text))
    return signature_line(name, key_id(name, COSIGNATURE, public), signature)


@dataclass(frozen=True)
class Note:
    """A checkpoint: what a log of so many events hashes to, and who says so."""

    text: str
    origin: str
    size: int
    root: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]
    raw: str = ""

    @classmethod
    def parse(cls, raw: str) -> "Note":
        """Read a signed checkpoint. Raises NotProven when it is none; its signatures are not checked yet."""
        text, blank, lines = raw.partition("\n\n")
        try:
            origin, size, root = text.split("\n")[:3]
            signatures = tuple(cls._signature(line) for line in lines.split("\n") if line)
            if not (blank and origin and signatures and size.isascii() and size.isdigit() and str(int(size)) == size):
                raise ValueError
            note = cls(f"{text}\n", origin, int(size), base64.b64decode(root, validate=True), signatures, raw)
            if len(note.root) != 32:
                raise ValueError
        except ValueError as exc:
            raise NotProven("This is no signed checkpoint.") from exc
        return note

    @staticmethod
    def _signature(line: str) -> tuple[str, bytes, bytes]:
        name, encoded = line.removeprefix(SIGNATURE_START).split(" ")
        raw = base64.b64decode(encoded, validate=True)
        if not line.startswith(SIGNATURE_START) or len(raw) < 5:
            raise ValueError
        return name, raw[:4], raw[4:]


def check_note(note: Note, keys: Iterable[Key]) -> None:
    """Raise NotProven unless the checkpoint is of this log and signed by a key that was in use at its size."""
    fitting = [key for key in keys if key.name == note.origin and (key.until is None or note.size <= key.until)]
    if not any(key.has_signed(note) for key in fitting):
        raise NotProven(f"The checkpoint of {note.origin} at {note.size} is not signed by a key that was given.")


def open_note(raw: str, keys: Iterable[Key]) -> Note:
    """Read a checkpoint and check its signature. Raises NotProven."""
    note = Note.parse(raw)
    check_note(note, keys)
    return note


# --- A bundle: events with what ties them to a checkpoint ----------------------------------------------------------


@dataclass
class Report:
    """What was found in a bundle."""

    first: int = 0
    last: int = 0
    size: int = 0
    events: int = 0
    gaps: int = 0
    erased: int = 0
    checkpoints: int = 0
    unlinked: int = 0
    beyond: int = 0
    torn: int = 0
    anchored_to: int = 0
    notes: dict[int, Note] = field(default_factory=dict, repr=False)

    def summary(self) -> dict[str, int]:
        return {_camel(name): value for name, value in vars(self).items() if name != "notes"}


def read_checkpoints(path: Path, keys: Sequence[Key], report: Report) -> dict[int, Note]:
    """Read an exported file: JSON lines with `note`, or one bare note. Returns notes by size, as they grew.

    A line that a crash cut short is counted and passed over: it was written again, as others may have been.
    Raises NotProven where a signature is missing, two logs of one size were signed, or a log is not the beginning of
    the next; `report.unlinked` counts those whose lines hold no proof of that.
    """
    notes: dict[int, Note] = {}
    for note, old_size, proof in _exported_notes(path, report):
        check_note(note, keys)
        report.checkpoints += 1
        if note.size in notes:
            check_consistency(note.size, notes[note.size].root, note.size, note.root, [])
        elif old_size in notes and proof is not None:
            check_consistency(old_size, notes[old_size].root, note.size, note.root, proof)
        else:
            report.unlinked += bool(notes)
        notes[note.size] = note  # of several of one size the last: its time is the newest
    return notes


def _exported_notes(path: Path, report: Report) -> Iterator[tuple[Note, int, list[bytes] | None]]:
    with path.open(encoding="utf-8") as file:
        if file.readline().strip()[:1] not in ("{", ""):
            yield Note.parse(path.read_text(encoding="utf-8")), 0, None
            return
        file.seek(0)
        for line in file:
            try:
                value = json.loads(line)
                note, old_size, proof = value["note"], int(value.get("old", 0)), value.get("proof")
                hashes = None if proof is None else [bytes.fromhex(node) for node in proof]
            except (ValueError, KeyError, TypeError, AttributeError):
                report.torn += bool(line.strip())
                continue
            yield Note.parse(note), old_size, hashes


def check_bundle(lines: Iterable[str], keys: Sequence[Key], report: Report) -> None:
    """Recompute every leaf and every root of a bundle into `report`. Raises NotProven with the first bad identifier.

    lines: a header, then one line for each identifier from `first` to `last`. report.notes: checkpoints that somebody
    kept outside the log; each whose size lies within the bundle must have the root that the events give.
    """
    source = iter(lines)
    header = _json(next(source, ""))
    if header.get("format") != BUNDLE_FORMAT:
        raise NotProven("This is no bundle of a record.")
    note = open_note(header["note"], keys)
    report.first, report.last, report.size = int(header["first"]), int(header["last"]), note.size
    if not (report.first >= 1 and report.first - 1 <= report.last <= note.size):
        raise NotProven("The bundle's header is damaged.")
    edge = Edge()
    for (height, _), node in zip(whole_subtrees(0, report.first - 1), _hashes(header["before"]), strict=True):
        edge.push(node, height)
    proven_to = report.first - 1
    for event in range(report.first, report.last + 1):
        edge.push(_leaf_of(event, _json(next(source, "")), report))
        known = report.notes.get(event)
        if known is not None:
            if known.root != edge.root():
                raise NotProven(f"Events {proven_to + 1} to {event} are not those that were signed.", proven_to + 1)
            proven_to = report.anchored_to = event
    for (height, _), node in zip(whole_subtrees(report.last, note.size), _hashes(header["after"]), strict=True):
        edge.push(node, height)
    if edge.root() != note.root or next(source, "").strip():
        raise NotProven(f"Events from {proven_to + 1} on are not those that were signed.", proven_to + 1)
    kept = report.notes.get(note.size)
    if kept is not None:
        if kept.root != note.root:
            raise NotProven(f"Fork: two different logs of {note.size} events were signed.", proven_to + 1)
        report.anchored_to = report.last
    report.beyond = sum(1 for size in report.notes if size > report.last and size != note.size)


def _leaf_of(event: int, line: dict[str, Any], report: Report) -> bytes:
    """Return the leaf of one line, after checking that it is what the tree is said to hold there."""
    if line.get("id") != event:
        raise NotProven(f"Event {event} is missing from the bundle.", event)
    if line.get("gap"):
        report.gaps += 1
        leaf = gap_leaf(event)
    else:
        report.events += 1
        record = json.loads(line["record"])
        leaf = event_leaf(event, line["mac"], line["record"])
        _check_personal(event, record[9], line.get("personal"), report)
    if leaf.hex() != line.get("leaf"):
        raise NotProven(f"Event {event} is not what was sealed.", event)
    return leaf


def _check_personal(event: int, commitment: str, personal: dict[str, str] | None, report: Report) -> None:
    if personal is None:
        report.erased += bool(commitment)
    elif personal_commitment(bytes.fromhex(personal["salt"]), personal["data"]) != commitment:
        raise NotProven(f"The personal data of event {event} were changed.", event)


def _hashes(values: Iterable[str]) -> list[bytes]:
    return [bytes.fromhex(value) for value in values]


def _json(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise NotProven("The bundle is damaged or cut short.")
    return value


def check_receipt(receipt: dict[str, Any], keys: Sequence[Key]) -> Note:
    """Check one event's proof as `/api/audit/proof/…` gives it. Returns the checkpoint; raises NotProven."""
    note = open_note(receipt["checkpoint"], keys)
    event = int(receipt["event"])
    leaf = (
        event_leaf(event, receipt["mac"], receipt["record"]) if "record" in receipt else bytes.fromhex(receipt["leaf"])
    )
    check_inclusion(leaf, event - 1, note.size, _hashes(receipt["inclusion"]), note.root)
    return note


# --- A witness: remembers what it saw -------------------------------------------------------------------------------


@dataclass
class Witness:
    """Compares each checkpoint with the one before, which it keeps in a file of its own."""

    keys: Sequence[Key]
    state: Path
    signer: tuple[str, Ed25519PrivateKey] | None = None
    out: Path | None = None

    def seen(self) -> Note | None:
        return open_note(json.loads(self.state.read_text())["note"], self.keys) if self.state.exists() else None

    def take(self, note: Note, proof: Sequence[bytes]) -> None:
        """Check a checkpoint against what was seen before, and keep it. proof: of consistency with that one.

        Raises NotProven on a fork, a log that shrank, and a wrong signature; then what was seen stays as it is.
        """
        check_note(note, self.keys)
        seen = self.seen()
        if seen is not None:
            check_consistency(seen.size, seen.root, note.size, note.root, proof)
        self.keep(note)

    def keep(self, note: Note) -> None:
        """Remember a checkpoint that was checked, and countersign it for others to see."""
        write_durably(self.state, json.dumps({"note": note.raw}))
        if self.out is not None:
            line = cosign(*self.signer, note.text, int(time.time())) if self.signer else ""
            write_durably(self.out, note.raw + line)


def write_durably(path: Path, text: str) -> None:
    """Replace a file's content at once, so that a crash leaves the old or the new."""
    beside = path.with_name(f"{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def fetch(url: str, api_key: str = "") -> Any:
    """Return the JSON at a URL. Raises OSError and ValueError."""
    if not url.startswith(("https://", "http://")):
        raise ValueError("Only http and https are asked.")
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310
    if api_key:
        request.add_unredirected_header("Authorization", f"Bearer {api_key}")
    with urllib.request.urlopen(request, timeout=HTTP_TIMEOUT_S) as answer:  # noqa: S310
        return json.loads(answer.read(MAX_ANSWER_BYTES))


def look_at_url(witness: Witness, url: str, api_key: str = "") -> Note:
    """Ask a log for its newest checkpoint, and take it. Raises NotProven, OSError and ValueError."""
    seen = witness.seen()
    value = fetch(f"{url}?from={seen.size}" if seen else url, api_key)
    note, consistency = Note.parse(value["checkpoint"]), value.get("consistency")
    if seen is not None and note.size < seen.size:
        raise NotProven(f"The log shrank from {seen.size} to {note.size}.", note.size + 1)
    if seen is not None and not consistency:
        raise NotProven("The log gave no proof that it holds what was seen before.")
    witness.take(note, _hashes(consistency["hashes"]) if consistency else [])
    return note


def look_at_file(witness: Witness, path: Path) -> Note:
    """Check all checkpoints of an exported file, and keep the newest. Raises as `look_at_url` does."""
    report, seen = Report(), witness.seen()
    notes = read_checkpoints(path, witness.keys, report)
    if not notes:
        raise ValueError("The file holds no checkpoint.")
    newest = notes[max(notes)]
    if seen is not None:
        if newest.size < seen.size:
            raise NotProven(f"The log shrank from {seen.size} to {newest.size}.", newest.size + 1)
        if seen.size not in notes or report.unlinked:
            raise NotProven(f"The file does not show that the log still holds the {seen.size} events seen before.")
        check_consistency(seen.size, seen.root, seen.size, notes[seen.size].root, [])
    witness.keep(newest)
    return newest


# --- Command line ---------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        return status
    except NotProven as exc:
        _say(ok=False, firstBadId=exc.event, message=str(exc))
        return BAD
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as exc:
        _say(ok=False, message=f"{type(exc).__name__}: {exc}")
        return UNASKED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Check a record of voiceagent's, knowing only its public key.")
    commands = parser.add_subparsers(required=True)
    bundle = commands.add_parser("bundle", help="recompute a bundle of events up to the signed checkpoint")
    bundle.add_argument("--bundle", type=Path, required=True)
    bundle.add_argument("--checkpoints", type=Path, help="checkpoints that were kept outside the log")
    bundle.set_defaults(run=_run_bundle)
    proof = commands.add_parser("proof", help="check the proof of one event")
    proof.add_argument("--proof", type=Path, required=True)
    proof.set_defaults(run=_run_proof)
    witness = commands.add_parser("witness", help="remember checkpoints, and alarm when the log takes one back")
    where = witness.add_mutually_exclusive_group(required=True)
    where.add_argument("--url", default="", help="the log's /api/audit/checkpoint")
    where.add_argument("--file", type=Path, help="an exported file of checkpoints")
    witness.add_argument("--api-key-file", type=Path, help="holds the API key for the URL")
    witness.add_argument("--state", type=Path, required=True, help="where to keep what was seen")
    witness.add_argument("--sign-with", type=Path, help="a key made by keygen: countersign")
    witness.add_argument("--out", type=Path, help="where to put the newest checkpoint, countersigned")
    witness.add_argument("--every", type=float, default=0, help="seconds between two looks; without it, one look")
    witness.add_argument("--max-silence", type=int, default=0, help="alarm when the signed time is older, in seconds")
    witness.set_defaults(run=_run_witness)
    for command in (bundle, proof, witness):
        command.add_argument("--key", action="append", required=True, help="the log's verifier key; may be repeated")
    keygen = commands.add_parser("keygen", help="make a key for a witness")
    keygen.add_argument("name")
    keygen.add_argument("file", type=Path)
    keygen.set_defaults(run=_run_keygen)
    return parser


def _run_bundle(options: argparse.Namespace) -> int:
    keys, report = [Key.parse(key) for key in options.key], Report()
    if options.checkpoints:
        report.notes = read_checkpoints(options.checkpoints, keys, report)
    with options.bundle.open(encoding="utf-8") as lines:
        check_bundle(lines, keys, report)
    _say(ok=True, anchored=report.anchored_to == report.last, **report.summary())
    return FINE


def _run_proof(options: argparse.Namespace) -> int:
    receipt = json.loads(options.proof.read_text(encoding="utf-8"))
    note = check_receipt(receipt, [Key.parse(key) for key in options.key])
    _say(ok=True, event=int(receipt["event"]), size=note.size, record=receipt.get("record"))
    return FINE


def _run_witness(options: argparse.Namespace) -> int:
    keys = [Key.parse(key) for key in options.key]
    witness = Witness(keys, options.state, _read_signer(options.sign_with), options.out)
    api_key = options.api_key_file.read_text().strip() if options.api_key_file else ""
    begun_at = int(time.time())
    signed_at: int | None
    while True:
        try:
            note = look_at_file(witness, options.file) if options.file else look_at_url(witness, options.url, api_key)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:  # whatever the site answers
            if not options.every:
                raise
            _say(ok=False, message=f"{type(exc).__name__}: {exc}")
            signed_at = _signed_at(witness.seen(), keys) or begun_at  # a site that does not answer is silent, too
        else:
            signed_at = _signed_at(note, keys)
            _say(ok=True, size=note.size, root=note.root.hex(), signedAt=signed_at)
        if options.max_silence and (signed_at is None or time.time() - signed_at > options.max_silence):
            _say(ok=False, message=f"The newest checkpoint is older than {options.max_silence} s.")
            return SILENT
        if not options.every:
            return FINE
        time.sleep(options.every)


def _signed_at(note: Note | None, keys: Sequence[Key]) -> int | None:
    """Return when a checkpoint was signed (Unix seconds), as far as it says so."""
    return max((at for key in keys if note is not None and (at := key.time_signed(note))), default=None)


def _read_signer(path: Path | None) -> tuple[str, Ed25519PrivateKey] | None:
    if path is None:
        return None
    name, _, seed = path.read_text().strip().rpartition(" ")
    return name, Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))


def _run_keygen(options: argparse.Namespace) -> int:
    key = Ed25519PrivateKey.generate()
    handle = os.open(options.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(f"{options.name} {key.private_bytes_raw().hex()}\n")
    _say(ok=True, key=verifier_key(options.name, key.public_key().public_bytes_raw(), COSIGNATURE))
    return FINE


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def _say(**values: Any) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    sys.exit(main())
