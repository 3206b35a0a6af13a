"""Writing rows of models without building their statement anew: each is built once for a model."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from functools import cache
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

# Fields whose texts, numbers and nulls go to the database as they are.
PLAIN_FIELDS: Final = frozenset(
    {
        models.CharField, models.TextField, models.ForeignKey, models.IntegerField, models.PositiveIntegerField,
        models.PositiveSmallIntegerField, models.BigIntegerField,
    }
)  # fmt: skip
PLAIN_VALUES: Final = frozenset({str, int, type(None)})


def insert_rows(model: type[models.Model], rows: Sequence[models.Model]) -> None:
    """Insert rows by one statement, as `bulk_create` does, and give each its `pk`. Raises DatabaseError."""
    connection = connections[DEFAULT_DB_ALIAS]
    fields, statement_of = _insert_statement(model)
    values = [_prepared(field, getattr(row, field.attname), connection) for row in rows for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(statement_of(len(rows)) + _returning(model), values)
        for row, (pk,) in zip(rows, cursor.fetchall(), strict=True):
            row.pk = pk
            row._state.adding = False


def insert_values(model: type[models.Model], rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Insert rows that are no objects: a value for each field that the database does not number itself.

    Returns their primary keys. Raises DatabaseError.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    fields, statement_of = _insert_statement(model)
    values = [_prepared(field, row[field.attname], connection) for row in rows for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(statement_of(len(rows)) + _returning(model), values)
        return [pk for (pk,) in cursor.fetchall()]


def update_rows(model: type[models.Model], names: tuple[str, ...], rows: Sequence[models.Model]) -> None:
    """Write some fields, by their names, of rows that exist. Raises DatabaseError."""
    connection = connections[DEFAULT_DB_ALIAS]
    fields, statement = _update_statement(model, names)
    values = [
        [*(_prepared(field, getattr(row, field.attname), connection) for field in fields), row.pk] for row in rows
    ]
    with connection.cursor() as cursor:
        cursor.executemany(statement, values)


def _prepared(field: "models.Field[Any, Any]", value: Any, connection: BaseDatabaseWrapper) -> Any:
    if type(field) in PLAIN_FIELDS and type(value) in PLAIN_VALUES:
        return value
    if type(field) is models.DateTimeField and value is not None and value.tzinfo is UTC:
        return str(value.replace(tzinfo=None)) if connection.vendor == "sqlite" else value
    return field.get_db_prep_save(value, connection)


# Both databases quote names alike, so a statement is kept for each model only. Its names come from the models alone.
@cache
def _insert_statement(model: type[models.Model]) -> tuple[list["models.Field[Any, Any]"], Callable[[int], str]]:
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField)]
    names = ", ".join(_quoted(field.column) for field in fields)
    start = f"INSERT INTO {_quoted(model._meta.db_table)} ({names}) VALUES "  # noqa: S608
    one = f"({', '.join(['%s'] * len(fields))})"
    return fields, cache(lambda count: start + ", ".join([one] * count))


@cache
def _returning(model: type[models.Model]) -> str:
    return f" RETURNING {_quoted(model._meta.pk.column)}"


@cache
def _update_statement(model: type[models.Model], names: tuple[str, ...]) -> tuple[list["models.Field[Any, Any]"], str]:
    fields = [field for field in model._meta.concrete_fields if field.name in names]
    changes = ", ".join(f"{_quoted(field.column)} = %s" for field in fields)
    where = f"WHERE {_quoted(model._meta.pk.column)} = %s"
    return fields, f"UPDATE {_quoted(model._meta.db_table)} SET {changes} {where}"  # noqa: S608


def _quoted(name: str | None) -> str:
    return connections[DEFAULT_DB_ALIAS].ops.quote_name(name or "")
