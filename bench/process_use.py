"""How much memory and processor time a process has used. Reads Linux's /proc."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Fields of /proc/PID/stat (proc(5)) after the command's closing bracket: utime, stime.
UTIME, STIME = 11, 12


@dataclass(frozen=True)
class Use:
    """A reading; memory is what is resident."""

    at_s: float
    processor_s: float
    memory_mb: float

    def share_until(self, later: "Use") -> float:
        """Return the share of one core between two readings."""
        return (later.processor_s - self.processor_s) / (later.at_s - self.at_s)


def read_use(pid: int) -> Use:
    """Read a process; raises FileNotFoundError when it is gone or the system has no /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    ticks = int(fields[UTIME]) + int(fields[STIME])
    return Use(time.monotonic(), ticks / TICKS_PER_S, pages * PAGE_BYTES / 1e6)
