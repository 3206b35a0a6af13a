"""The id of the request that is being served, for every log line that is written meanwhile."""

import logging
from contextvars import ContextVar
from typing import Final

current_request_id: Final[ContextVar[str]] = ContextVar("current_request_id", default="-")


class RequestIdFilter(logging.Filter):
    """Put the request's id on each record; `-` outside of requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id.get()
        return True
