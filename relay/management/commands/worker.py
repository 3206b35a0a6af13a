"""`manage.py worker`: sweep calls, close orphaned intents, prune what is past its time, seal the record."""

import logging
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand
from django.db import close_old_connections
from django.utils import timezone

from audit.loop import AuditLoop
from relay.constants import SWEEP_INTERVAL_S
from relay.supervisor import supervise
from voiceagent.worker_jobs import JOBS

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "End calls that are over, close records whose process died, and remove what is past its time."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signal_number, lambda *_: stop.set())
        logger.info("worker started")
        record = AuditLoop()
        record.start()
        supervisor = threading.Thread(target=supervise, args=[stop], name="supervisor")
        supervisor.start()
        while not stop.is_set():
            run_once()
            stop.wait(SWEEP_INTERVAL_S)
        supervisor.join()
        record.stop()
        logger.info("worker stopped")


def run_once() -> None:
    """Do each job once. A job that fails is logged and tried again next time: the others must go on."""
    close_old_connections()
    for job in JOBS:
        try:
            job(timezone.now())
        except Exception:  # the loop must survive whatever one job meets
            logger.exception("worker job failed job=%s", job.__name__)
