"""What an event says, as bytes that anybody can make again, and the keyed proof that this server wrote them.

The *record* of an event is a JSON array of all its fields but the identifier, which a row gets only when it is
inserted; the leaf of the sealed tree binds that one. `docs/audit.md` tells outsiders the same.
"""

import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.conf import settings

VERSION: Final = 1
MAX_BODY_BYTES: Final = 8192
SALT_BYTES: Final = 32
NONCE_BYTES: Final = 10
PERSONAL_LABEL: Final = b"voiceagent audit personal v1\0"

Fact = str | int | bool | None
encode_record: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
encode_facts: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False, sort_keys=True).encode


@dataclass(frozen=True)
class Personal:
    """Personal data of one event, kept apart from it. data: JSON text, salted so that nobody can guess it back."""

    data: str
    salt: str  # hexadecimal

    @property
    def commitment(self) -> str:
        """Return what the event holds instead: it proves the data while they are there, and tells nothing after."""
        return commitment_of(self.data, self.salt)


def personal(facts: Mapping[str, Fact]) -> Personal | None:
    """Return what is known of a person with a fresh salt; None when that is nothing."""
    known = {name: value for name, value in facts.items() if value}
    return Personal(encode_facts(known), secrets.token_hex(SALT_BYTES)) if known else None


def commitment_of(data: str, salt: str) -> str:
    """Return SHA-256 (hexadecimal) over a label, the 32 bytes of the salt, and the data."""
    return hashlib.sha256(PERSONAL_LABEL + bytes.fromhex(salt) + data.encode()).hexdigest()


def signed_values(
    action: str,
    *,
    recorded_at: datetime,
    request_id: str,
    actor: str,
    target: str,
    code: str,
    facts: Mapping[str, Fact],
    personal: Personal | None,
) -> dict[str, Any]:
    """Return the value of every field of a new event, with its MAC. recorded_at: in UTC.

    Raises ValueError for a body of more than MAX_BODY_BYTES.
    """
    body = encode_facts(facts)
    if len(body) > MAX_BODY_BYTES:
        raise ValueError(f"The body of an event has at most {MAX_BODY_BYTES} bytes, not {len(body)}.")
    key_number, key = newest_mac_key()
    values: dict[str, Any] = {
        "version": VERSION,
        "nonce": make_nonce(),
        "recorded_at": recorded_at,
        "action": action,
        "request_id": request_id,
        "actor": actor,
        "target": target,
        "code": code,
        "body": body,
        "personal": personal.commitment if personal else "",
        "mac_key": key_number,
    }
    return values | {"mac": mac_of(record_of(**values), key)}


def record_of(
    *,
    version: int,
    nonce: str,
    recorded_at: datetime,
    action: str,
    request_id: str,
    actor: str,
    target: str,
    code: str,
    body: str,
    personal: str,
    mac_key: int,
) -> str:
    """Return the record: a JSON array without blanks, ASCII alone, in this order of the fields."""
    return encode_record(
        [version, nonce, time_text(recorded_at), action, request_id, actor, target, code, body, personal, mac_key]
    )


def time_text(moment: datetime) -> str:
    """Return a moment as `2026-11-21T09:30:00.000000Z`, in UTC and always with microseconds."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def mac_of(record: str, key: bytes) -> str:
    """Return HMAC-SHA-256 of a record, hexadecimal."""
    return hmac.digest(key, record.encode(), "sha256").hex()


def make_nonce() -> str:
    """Return 32 hexadecimal characters that never come again, the time (ms) first: so that no row can be copied."""
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(NONCE_BYTES).hex()}"


def newest_mac_key() -> tuple[int, bytes]:
    """Return the key that new events are made with, and its number: the highest of AUDIT_MAC_KEYS."""
    keys: dict[int, bytes] = settings.AUDIT_MAC_KEYS
    number = max(keys)
    return number, keys[number]
