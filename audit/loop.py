"""The record's own threads in the worker: one seals, one for each place exports, one verifies each night."""

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final

from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from audit.exports import deliver
from audit.sealer import Sealer, SealingHalted, Superseded, report_halt
from audit.sinks import Sink, configured_sinks
from audit.verification import is_due, record_verification, verify_record

logger = logging.getLogger(__name__)
SEAL_INTERVAL_S: Final = 1.0
VERIFY_INTERVAL: Final = timedelta(hours=24)
VERIFY_LOOK_S: Final = 2.0  # somebody may be waiting for it at the integrity page
STOP_TIMEOUT_S: Final = 15.0


class AuditLoop:
    """Starts and ends the threads. Only the process that holds the sealer's lock does anything."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._sealed = threading.Condition()
        self._sealer = Sealer()
        self._is_leader = self._may_export = False
        self._threads = [self._thread("audit-seal", self._seal, SEAL_INTERVAL_S)]
        for sink in configured_sinks():
            self._threads.append(self._thread(f"audit-export-{sink.name[:20]}", partial(self._export, sink), 0))
        self._threads.append(self._thread("audit-verify", self._verify, VERIFY_LOOK_S))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        with self._sealed:
            self._sealed.notify_all()
        for thread in self._threads:
            thread.join(STOP_TIMEOUT_S)
        self._sealer.lock.drop()

    def _thread(self, name: str, step: Callable[[], None], interval_s: float) -> threading.Thread:
        return threading.Thread(target=self._run, args=(step, interval_s), name=name, daemon=True)

    def _run(self, step: Callable[[], None], interval_s: float) -> None:
        while not self._stop.is_set():
            try:
                step()
            except (DatabaseError, InterfaceError):
                logger.exception("the record's database did not answer")
                connection.close()
            except Exception:  # the thread must survive whatever one round meets
                logger.exception("a round of %s failed", threading.current_thread().name)
            else:
                self._stop.wait(interval_s)
                continue
            self._stop.wait(max(interval_s, SEAL_INTERVAL_S))
        connection.close()

    def _seal(self) -> None:
        try:
            for step in (self._sealer.seal, partial(self._sealer.beat, timezone.now())):
                try:
                    step()
                except SealingHalted as halt:
                    report_halt(halt)
                except Superseded:
                    self._sealer.forget()
        finally:
            self._is_leader, self._may_export = self._sealer.lock.is_held, self._sealer.is_ready
        with self._sealed:
            self._sealed.notify_all()

    def _export(self, sink: Sink) -> None:
        """Tell a place what is new, then wait until something was sealed.

        A database that went back tells nothing: its old checkpoints, behind the newer ones of a file, would look as if
        these had never been.
        """
        is_more = self._may_export and deliver(sink, timezone.now()) > 0
        if not is_more:
            with self._sealed:
                self._sealed.wait(SEAL_INTERVAL_S)

    def _verify(self) -> None:
        if self._is_leader and is_due(timezone.now() - VERIFY_INTERVAL):
            record_verification(verify_record(), actor="worker")
