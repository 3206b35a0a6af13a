"""Client secrets minted by the engine: bounded, in memory, found by digest. Knows no HTTP."""

import hashlib
import secrets
from dataclasses import dataclass

from engine.protocol_json import Json

PREFIX = "ek_"
VALUE_BYTES = 16
MAX_SECRETS = 10_000
SHORTEST_S, DEFAULT_S, LONGEST_S = 10, 600, 7200


class TooManySecrets(Exception):
    """No room for one more client secret until some expire."""


@dataclass(frozen=True)
class Minted:
    """A new client secret; its value is not kept."""

    value: str
    expires_at: int


class SecretStore:
    """Mint client secrets and give back the session that each one stands for.

    A secret can start any number of sessions until it expires, as with the protocol's own service.
    """

    def __init__(self) -> None:
        self._sessions: dict[bytes, tuple[int, Json]] = {}

    def mint(self, session: Json, lifetime_s: int, now_s: float) -> Minted:
        """Mint a secret for a session configuration; raises TooManySecrets."""
        if len(self._sessions) >= MAX_SECRETS:
            self._drop_expired(now_s)
        if len(self._sessions) >= MAX_SECRETS:
            raise TooManySecrets
        value = PREFIX + secrets.token_hex(VALUE_BYTES)
        expires_at = int(now_s) + lifetime_s
        self._sessions[_digest(value)] = (expires_at, session)
        return Minted(value, expires_at)

    def find(self, unverified_value: str, now_s: float) -> Json | None:
        """Return the session of a live secret; None for unknown and expired ones alike."""
        expires_at, session = self._sessions.get(_digest(unverified_value), (0, None))
        return session if now_s < expires_at else None

    def _drop_expired(self, now_s: float) -> None:
        self._sessions = {key: entry for key, entry in self._sessions.items() if now_s < entry[0]}


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).digest()
