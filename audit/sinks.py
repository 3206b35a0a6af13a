"""Places outside the database that are told each checkpoint: a file, an address, standard output, a witness."""

import base64
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import requests
from django.conf import settings

from audit.notes import signers
from audit.verifier import Note, NotProven, open_note

CONNECT_TIMEOUT_S: Final = 3
READ_TIMEOUT_S: Final = 5
MAX_ANSWER_BYTES: Final = 65_536
TAIL_BYTES: Final = 65_536


@dataclass(frozen=True)
class Exported:
    """A checkpoint on its way out. proof: that it continues the one of `old_size`."""

    note: str
    size: int
    old_size: int
    proof: Sequence[bytes]

    @property
    def line(self) -> str:
        """Return the line of an exported file."""
        return json.dumps({"old": self.old_size, "proof": [node.hex() for node in self.proof], "note": self.note})


class SinkFailed(Exception):
    """The place was not told, or did not say so. size: what a witness has seen, where it says that."""

    def __init__(self, message: str, size: int | None = None) -> None:
        super().__init__(message)
        self.size = size


class Sink(Protocol):
    """batch: how many checkpoints it takes at once. only_newest: it wants no others."""

    name: str
    batch: int
    only_newest: bool

    def deliver(self, exports: Sequence[Exported]) -> str:
        """Tell checkpoints in their order; returns what was answered. Raises SinkFailed, and then all come again."""


class FileSink:
    """A file that is only appended to, durable before the next. Best on another machine's disk."""

    batch, only_newest = 500, False

    def __init__(self, path: Path) -> None:
        self.name, self._path = f"file:{path}", path

    def deliver(self, exports: Sequence[Exported]) -> str:
        try:
            is_torn = self._path.exists() and _tail(self._path, 1) not in (b"", b"\n")
            with self._path.open("a", encoding="utf-8") as file:
                file.write(("\n" if is_torn else "") + "".join(f"{export.line}\n" for export in exports))
                file.flush()
                os.fsync(file.fileno())
        except OSError as exc:
            raise SinkFailed(f"{self._path}: {exc.strerror}") from exc
        return ""

    def newest(self) -> Note | None:
        """Return the last checkpoint of ours that the file holds.

        Passed over are a line that a crash cut short, and one that we did not sign, which tells nothing.
        """
        if not self._path.exists():
            return None
        keys = [signer.key for signer in signers()]
        for line in reversed(_tail(self._path, TAIL_BYTES).split(b"\n")):
            try:
                return open_note(json.loads(line)["note"], keys)
            except (ValueError, KeyError, TypeError, AttributeError, NotProven):
                continue
        return None


class StdoutSink:
    """Standard output, for whatever collects logs."""

    name, batch, only_newest = "stdout", 500, False

    def deliver(self, exports: Sequence[Exported]) -> str:
        sys.stdout.write("".join(f"{export.line}\n" for export in exports))
        sys.stdout.flush()
        return ""


class WebhookSink:
    """An address that gets each note as the body of a POST and answers 2xx once it has kept it."""

    batch, only_newest = 1, False

    def __init__(self, url: str) -> None:
        self.name, self._url = f"webhook:{_public(url)}", url

    def deliver(self, exports: Sequence[Exported]) -> str:
        (export,) = exports
        status, answer = _post(self._url, export.note.encode())
        if not 200 <= status < 300:
            raise SinkFailed(f"answered {status}")
        return answer[:2000]


class WitnessSink:
    """A witness that speaks the C2SP's tlog-witness: it gets a proof from what it saw, and answers its signature."""

    batch, only_newest = 1, True

    def __init__(self, url: str) -> None:
        self.name, self._url = f"witness:{_public(url)}", f"{url}/add-checkpoint"

    def deliver(self, exports: Sequence[Exported]) -> str:
        (export,) = exports
        proof = "".join(f"{base64.b64encode(node).decode()}\n" for node in export.proof)
        status, answer = _post(self._url, f"old {export.old_size}\n{proof}\n{export.note}".encode())
        if status == 409 and answer.strip().isdigit():
            raise SinkFailed("has seen another size", int(answer))
        if status != 200:
            raise SinkFailed(f"answered {status}")
        return answer[:2000]


def configured_sinks() -> list[Sink]:
    """Return the places that the settings name."""
    sinks: list[Sink] = [FileSink(Path(settings.AUDIT_EXPORT_FILE))] if settings.AUDIT_EXPORT_FILE else []
    sinks += [StdoutSink()] if settings.AUDIT_EXPORT_STDOUT else []
    sinks += [WebhookSink(settings.AUDIT_WEBHOOK_URL)] if settings.AUDIT_WEBHOOK_URL else []
    sinks += [WitnessSink(settings.AUDIT_WITNESS_URL)] if settings.AUDIT_WITNESS_URL else []
    return sinks


def newest_anchors() -> list[tuple[str, Note]]:
    """Return the newest checkpoint of each place that can be read from here, with its name."""
    files = [sink for sink in configured_sinks() if isinstance(sink, FileSink)]
    return [(sink.name, note) for sink in files if (note := sink.newest()) is not None]


def _post(url: str, body: bytes) -> tuple[int, str]:
    """Return status and beginning of the answer. No redirect is followed, no proxy or password file is looked at."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            with session.post(
                url, data=body, stream=True, allow_redirects=False, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
                headers={"Content-Type": "text/plain; charset=utf-8", "Accept-Encoding": "identity"},
            ) as answer:  # fmt: skip
                return answer.status_code, answer.raw.read(MAX_ANSWER_BYTES).decode(errors="replace")
    except (requests.RequestException, OSError) as exc:
        raise SinkFailed(type(exc).__name__) from exc


def _public(url: str) -> str:
    """Return an address as lists, logs and metrics may show it: the rest of it often is what lets one in."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]} {hashlib.sha256(url.encode()).hexdigest()[:8]}"


def _tail(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read()
