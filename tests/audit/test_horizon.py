"""PostgreSQL: no event is passed over, however its transaction ends and however long that takes."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.db import close_old_connections, connection, transaction

from audit.guards import create_guards, drop_guards
from audit.horizon import Horizon
from audit.models import AuditEvent
from audit.sealer import Sealer
from audit.stored_tree import newest_checkpoint
from audit.verification import verify_record
from tests.audit.conftest import write_events
from tests.audit.processes import until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
]


@contextmanager
def in_a_transaction(is_rolled_back: bool) -> Iterator[Callable[[], None]]:
    """Write an event in another thread, and leave its transaction open until the given function is called."""
    written, end = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            write_events(1)
            written.set()
            assert end.wait(15)
            transaction.set_rollback(is_rolled_back)
        connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    assert written.wait(15)

    def finish() -> None:
        end.set()
        thread.join()

    yield finish
    finish()


@pytest.mark.parametrize("is_rolled_back", [False, True])
def test_an_event_that_is_committed_late_is_waited_for(sealer: Sealer, is_rolled_back: bool) -> None:
    with in_a_transaction(is_rolled_back) as finish:
        later = write_events(1)
        assert later == [2]
        assert sealer.seal() == 0
        assert sealer.seal() == 0

        finish()
        sealer.seal()
        sealer.seal()

    checkpoint = newest_checkpoint()
    assert checkpoint is not None
    assert (checkpoint.size, checkpoint.gaps) == (2, int(is_rolled_back))


def test_what_came_before_is_sealed_meanwhile(sealer: Sealer) -> None:
    write_events(3)
    horizon = Horizon()
    assert horizon.advance() == 3
    with in_a_transaction(False):
        assert horizon.advance() == 3
        assert sealer.seal() == 0  # another's number was drawn first: whether it was below cannot be known


def test_a_transaction_of_another_database_holds_nothing_back(sealer: Sealer) -> None:
    write_events(2)
    values = connection.get_connection_params()
    with psycopg.connect(host=values["host"], port=values["port"], user=values["user"], dbname="postgres") as other:
        other.execute("SELECT pg_current_xact_id()")
        write_events(1)

        assert sealer.seal() == 3


def test_none_of_many_is_missed(sealer: Sealer) -> None:
    create_guards()  # they hold the trigger that numbers a transaction before its event
    stop = threading.Event()

    def write(seed: int) -> None:
        chance = random.Random(seed)
        while not stop.is_set():
            with transaction.atomic():
                write_events(1)
                if chance.random() < 0.1:
                    stop.wait(chance.random() / 20)
                transaction.set_rollback(chance.random() < 0.1)
        close_old_connections()
        connection.close()

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(8)]
    try:
        for thread in threads:
            thread.start()
        until(lambda: sealer.seal() < 0 or ((found := newest_checkpoint()) is not None and found.size > 1500), 60)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        drop_guards()

    until(lambda: sealer.seal() == 0)
    report = verify_record()
    assert report.ok, report.message
    assert report.events + report.unsealed == AuditEvent.objects.count()
    assert report.unsealed == 0
    assert report.gaps > 0
