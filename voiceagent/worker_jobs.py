"""What the worker does every two seconds, out of every app. Each job takes the time, and survives being done twice."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from relay.services import sweep_calls
from tokens.services import close_orphans
from tokens.sweeps import prune_counters
from tools.services import close_lost_runs
from voiceagent.session_sweep import prune_sessions

JOBS: Final[tuple[Callable[[datetime], object], ...]] = (
    sweep_calls, close_orphans, prune_counters, prune_sessions, close_lost_runs,
)  # fmt: skip
