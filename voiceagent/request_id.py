"""The id of the request that is being served, for every log line that is written meanwhile."""

import logging
import os
import time
from contextvars import ContextVar
from typing import Final

current_request_id: Final[ContextVar[str]] = ContextVar("current_request_id", default="-")


def make_request_id() -> str:
    """Return `req_` and 24 hexadecimal characters that never come again, the time (ms) first.

    What comes at the same time then lies together in the indexes, so that a commit writes few of their pages.
    """
    return f"req_{time.time_ns() // 1_000_000:012x}{os.urandom(6).hex()}"


class RequestIdFilter(logging.Filter):
    """Put the request's id on each record; `-` outside of requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id.get()
        return True
