"""`manage.py worker`: sweep calls and close orphaned intents until told to stop."""

import logging
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand
from django.db import close_old_connections
from django.utils import timezone

from relay.constants import SWEEP_INTERVAL_S
from relay.services import sweep_calls
from tokens.services import close_orphans

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "End calls that are over their time or lost their page, and close records whose process died."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signal_number, lambda *_: stop.set())
        logger.info("worker started")
        while not stop.is_set():
            run_once()
            stop.wait(SWEEP_INTERVAL_S)
        logger.info("worker stopped")


def run_once() -> None:
    """Do each job once. A job that fails is logged and tried again next time: the others must go on."""
    close_old_connections()
    for job in (sweep_calls, close_orphans):
        try:
            job(timezone.now())
        except Exception:  # the loop must survive whatever one job meets
            logger.exception("worker job failed job=%s", job.__name__)
