"""How the engine misbehaves on purpose, so that whoever talks to it can be tested. All of it is off by itself."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import get_type_hints

from engine.http_errors import HttpError
from engine.session import fields as checks

LONGEST_MS = 3_600_000


@dataclass
class Faults:
    """Numbers of 0 and empty texts mean: behave."""

    call_status: int = 0  # answer new calls and WebSocket sessions so, e.g. 429
    call_delay_ms: int = 0
    call_cut_ms: int = 0  # end each call without a word so long after its start
    hang_up_status: int = 0
    sideband_status: int = 0  # answer sidebands so, e.g. 404
    sideband_refusals: int = 0  # only the next so many of them; 0: all
    sideband_delay_ms: int = 0
    sideband_cut_ms: int = 0  # drop each sideband so long after it opened
    sideband_mute: bool = False  # open it and send nothing
    sideband_outlives: bool = False  # leave it open, and silent, when its call ends
    refused_field: str = ""  # of `session.update`, e.g. `session.instructions`

    def refuse_call(self) -> None:
        """Raise HttpError when calls are to be refused."""
        _refuse(self.call_status)

    def refuse_hang_up(self) -> None:
        """Raise HttpError when hang-ups are to be refused."""
        _refuse(self.hang_up_status)

    def refuse_sideband(self) -> None:
        """Raise HttpError when sidebands are to be refused."""
        if self.sideband_status and self.sideband_refusals:
            self.sideband_refusals -= 1
            if not self.sideband_refusals:
                status, self.sideband_status = self.sideband_status, 0
                _refuse(status)
        _refuse(self.sideband_status)

    def set(self, unverified: object) -> None:
        """Take the faults of a JSON object, and no others; raises ProtocolError."""
        given = checks.read_fields(unverified, "", CHECKS)
        for each in fields(self):
            setattr(self, each.name, given.get(each.name, each.default))


CHECK_OF_TYPE: dict[type, Callable[[object, str], object]] = {
    int: checks.integer(0, LONGEST_MS),
    bool: checks.flag,
    str: checks.text(256),
}
CHECKS = {name: CHECK_OF_TYPE[kind] for name, kind in get_type_hints(Faults).items()}
CODES = {404: "call_id_not_found", 429: "rate_limit_exceeded"}


def _refuse(status: int) -> None:
    if status:
        raise HttpError(status, CODES.get(status, "server_error"), "The engine was told to refuse this.")
