"""Signed checkpoints: who signed what, and when."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.notes import Signer, signed_checkpoint
from audit.verifier import COSIGNATURE, Key, Note, NotProven, check_note, cosign, open_note, verifier_key

ROOT = bytes(range(32))
OLD, NEW = Signer("log.example/voiceagent", 1, bytes([1]) * 32), Signer("log.example/voiceagent", 2, bytes([2]) * 32)


def test_a_checkpoint_has_the_form_of_the_standard() -> None:
    lines = signed_checkpoint([NEW], 7, ROOT, 1_000).split("\n")

    assert lines[:4] == ["log.example/voiceagent", "7", base64.b64encode(ROOT).decode(), ""]
    assert lines[4].startswith("— log.example/voiceagent ")
    assert len(base64.b64decode(lines[4].split(" ")[2])) == 4 + 64
    assert len(base64.b64decode(lines[5].split(" ")[2])) == 4 + 8 + 64
    assert lines[6:] == [""]


def test_a_key_in_the_standards_own_text_is_read() -> None:
    """The example key of the signed-note specification."""
    key = Key.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    text = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
        "\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    body, _, line = text.partition("\n\n")
    note = Note(f"{body}\n", "PeterNeumann", 0, ROOT, (Note._signature(line.strip()),))

    assert key.has_signed(note)


def test_a_checkpoint_is_opened_with_the_right_key_alone() -> None:
    raw = signed_checkpoint([NEW], 7, ROOT, 1_000)

    assert open_note(raw, [NEW.key]).root == ROOT
    assert NEW.key.time_signed(Note.parse(raw)) == 1_000
    for keys in ([OLD.key], [], [Key("another.example", NEW.public)]):
        with pytest.raises(NotProven):
            open_note(raw, keys)


@pytest.mark.parametrize("change", [("7\n", "8\n"), ("AAEC", "AAED"), ("voiceagent\n7", "voiceagenT\n7")])
def test_a_changed_checkpoint_is_not_opened(change: tuple[str, str]) -> None:
    raw = signed_checkpoint([NEW], 7, ROOT, 1_000).replace(*change, 1)

    with pytest.raises(NotProven):
        open_note(raw, [NEW.key])


def test_a_changed_time_is_no_time() -> None:
    raw = signed_checkpoint([NEW], 7, ROOT, 1_000)
    *first, line, _ = raw.split("\n")
    name, encoded = line.removeprefix("— ").split(" ")
    signature = bytearray(base64.b64decode(encoded))
    signature[11] ^= 1
    changed = "\n".join([*first, f"— {name} {base64.b64encode(signature).decode()}", ""])

    assert NEW.key.time_signed(Note.parse(changed)) is None


def test_an_old_key_is_good_up_to_where_it_was_replaced() -> None:
    both = signed_checkpoint([NEW, OLD], 7, ROOT, 1_000)
    keys = [NEW.key, Key.parse(f"{OLD.verifier_key}@7")]

    assert open_note(both, [NEW.key]).size == open_note(both, keys[1:]).size == 7
    with pytest.raises(NotProven):
        open_note(signed_checkpoint([OLD], 8, ROOT, 1_000), keys)


def test_a_witness_adds_a_line_and_changes_no_other() -> None:
    raw = signed_checkpoint([NEW], 7, ROOT, 1_000)
    witness = Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32)
    signed = raw + cosign("witness.example", witness, Note.parse(raw).text, 2_000)
    key = Key.parse(verifier_key("witness.example", witness.public_key().public_bytes_raw(), COSIGNATURE))

    note = open_note(signed, [NEW.key])
    assert key.time_signed(note) == 2_000
    with pytest.raises(NotProven):
        check_note(Note.parse(raw.partition("\n\n")[0] + "\n\n"), [NEW.key])


@pytest.mark.parametrize(
    "raw", ["", "a\n1\nAA==\n\n", "a\n01\nx\n\n— a AAAA\n", "a\n1\n", "a\n-1\nAA==\n\n— a AAAAAAA=\n"]
)
def test_what_is_no_checkpoint_is_refused(raw: str) -> None:
    with pytest.raises(NotProven):
        Note.parse(raw)


@pytest.mark.parametrize("text", ["", "a", "a+b+c", "a+00000000+AQ==", OLD.verifier_key[:-4] + "AAA="])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(NotProven):
        Key.parse(text)
