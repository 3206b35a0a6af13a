"""Signing checkpoints as the C2SP's signed notes: one line by the key, and one that adds the time."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from audit.verifier import ED25519, Key, cosign, key_id, signature_line, verifier_key


@dataclass(frozen=True)
class Signer:
    """The log's own key. number: its number in AUDIT_SIGNING_KEYS; 0 is a demo's."""

    origin: str
    number: int
    seed: bytes

    @property
    def public(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    @property
    def verifier_key(self) -> str:
        """Return what outsiders need to check this key's checkpoints."""
        return verifier_key(self.origin, self.public)

    @property
    def key(self) -> Key:
        return Key(self.origin, self.public)

    def lines(self, text: str, at: int) -> str:
        """Return the plain signature and the one with the time (Unix seconds)."""
        plain = signature_line(self.origin, key_id(self.origin, ED25519, self.public), self._key.sign(text.encode()))
        return plain + cosign(self.origin, self._key, text, at)

    @property
    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)


def checkpoint_text(origin: str, size: int, root: bytes) -> str:
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"


def signed_checkpoint(signers: Sequence[Signer], size: int, root: bytes, at: int) -> str:
    """Return a checkpoint that every signer has signed; the newest key comes first."""
    text = checkpoint_text(signers[0].origin, size, root)
    return f"{text}\n" + "".join(signer.lines(text, at) for signer in signers)


def signers() -> list[Signer]:
    """Return every key of the settings, the one in use first."""
    seeds: Mapping[int, bytes] = settings.AUDIT_SIGNING_KEYS
    return [Signer(settings.AUDIT_ORIGIN, number, seeds[number]) for number in sorted(seeds, reverse=True)]
