"""What is handed to the driver behaves as by Django's cursor."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext

from agents.models import Configuration
from audit.statements import rows_of, run_for_each

pytestmark = pytest.mark.django_db(transaction=True)

INSERT = "INSERT INTO agents_configuration (id, mark) VALUES (%s, %s) RETURNING id"
TABLE = "SELECT mark FROM agents_configuration WHERE mark > %s AND 7 %% 4 = 3 ORDER BY mark"


@pytest.fixture(autouse=True)
def empty() -> None:
    Configuration.objects.all().delete()


def marks() -> list[int]:
    return list(Configuration.objects.order_by("mark").values_list("mark", flat=True))


def test_it_returns_the_rows_in_a_transaction_and_outside() -> None:
    with transaction.atomic():
        assert rows_of(connection, INSERT, [1, 5]) == [(1,)]
        inside = rows_of(connection, TABLE, [4])

    assert inside == rows_of(connection, TABLE, [4]) == [(5,)]


def test_it_runs_once_for_each_row() -> None:
    with transaction.atomic():
        run_for_each(connection, INSERT.removesuffix(" RETURNING id"), [[1, 5], [2, 6]])
    run_for_each(connection, INSERT.removesuffix(" RETURNING id"), [[3, 7]])

    assert marks() == [5, 6, 7]


def test_what_it_writes_is_undone_with_the_transaction() -> None:
    with transaction.atomic():
        rows_of(connection, INSERT, [1, 5])
        transaction.set_rollback(True)

    assert marks() == []


def test_it_raises_djangos_errors() -> None:
    rows_of(connection, INSERT, [1, 5])

    with pytest.raises(IntegrityError), transaction.atomic():
        rows_of(connection, INSERT, [1, 6])
    with pytest.raises(IntegrityError), transaction.atomic():
        run_for_each(connection, INSERT.removesuffix(" RETURNING id"), [[2, 5], [1, 6]])


def test_it_does_nothing_in_a_transaction_that_is_broken() -> None:
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            rows_of(connection, INSERT, [1, 5])
        with pytest.raises(TransactionManagementError):
            run_for_each(connection, INSERT, [[1, 5]])


def test_who_watches_queries_sees_it() -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as seen:
        rows_of(connection, TABLE, [4])

    assert len(seen) == 1


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite keeps statements by itself")
def test_postgresql_plans_a_statement_once() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for number in range(3):
            rows_of(connection, TABLE, [number])
        cursor.execute(
            "SELECT generic_plans + custom_plans FROM pg_prepared_statements WHERE statement LIKE '%%7 %% 4%%'", []
        )

        assert cursor.fetchall() == [(3,)]
