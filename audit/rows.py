"""Writing rows of models without building their statement anew: each is built once for a model."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC
from functools import cache
from operator import attrgetter, itemgetter
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

from audit.statements import rows_of, run_for_each

# Fields whose texts, numbers and nulls go to the database as they are.
PLAIN_FIELDS: Final = frozenset(
    {
        models.CharField, models.TextField, models.ForeignKey, models.IntegerField, models.PositiveIntegerField,
        models.PositiveSmallIntegerField, models.BigIntegerField,
    }
)  # fmt: skip
PLAIN_VALUES: Final = frozenset({str, int, type(None)})
# A field, and whether it is one of PLAIN_FIELDS.
Fields = list[tuple["models.Field[Any, Any]", bool]]


def insert_rows(model: type[models.Model], rows: Sequence[models.Model]) -> None:
    """Insert rows by one statement, as `bulk_create` does, and give each its `pk`. Raises DatabaseError."""
    fields, _ = _insert_statement(model)
    numbers = _insert(model, map(attrgetter(*_names(fields)), rows), len(rows))
    for row, number in zip(rows, numbers, strict=True):
        row.pk = number
        row._state.adding = False


def insert_values(model: type[models.Model], rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Insert rows that are no objects: a value for each field that the database does not number itself.

    Returns their primary keys. Raises DatabaseError.
    """
    fields, _ = _insert_statement(model)
    return _insert(model, map(itemgetter(*_names(fields)), rows), len(rows))


def update_rows(model: type[models.Model], names: tuple[str, ...], rows: Sequence[models.Model]) -> None:
    """Write some fields, by their names, of rows that exist. Raises DatabaseError."""
    connection = connections[DEFAULT_DB_ALIAS]
    fields, statement = _update_statement(model, names)
    read = attrgetter(*_names(fields))
    run_for_each(connection, statement, [_prepared(fields, read(row), connection) for row in rows])


def _insert(model: type[models.Model], rows: Iterable[Sequence[Any]], count: int) -> list[Any]:
    connection = connections[DEFAULT_DB_ALIAS]
    fields, statement_of = _insert_statement(model)
    values = [value for row in rows for value in _prepared(fields, row, connection)]
    return [number for (number,) in rows_of(connection, statement_of(count), values)]


def _prepared(fields: Fields, row: Sequence[Any], connection: BaseDatabaseWrapper) -> list[Any]:
    return [
        value if is_plain and type(value) in PLAIN_VALUES else _converted(field, value, connection)
        for (field, is_plain), value in zip(fields, row, strict=True)
    ]


def _converted(field: "models.Field[Any, Any]", value: Any, connection: BaseDatabaseWrapper) -> Any:
    if value is None:
        return None
    if type(field) is models.DateTimeField and value.tzinfo is UTC:
        return str(value.replace(tzinfo=None)) if connection.vendor == "sqlite" else value
    return field.get_db_prep_save(value, connection)


# Both databases quote names alike, so a statement is kept for each model only. Its names come from the models alone.
@cache
def _insert_statement(model: type[models.Model]) -> tuple[Fields, Callable[[int], str]]:
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField)]
    names = ", ".join(_quoted(field.column) for field in fields)
    start = f"INSERT INTO {_quoted(model._meta.db_table)} ({names}) VALUES "  # noqa: S608
    one = f"({', '.join(['%s'] * len(fields))})"
    end = f" RETURNING {_quoted(model._meta.pk.column)}"
    return _marked(fields), cache(lambda count: start + ", ".join([one] * count) + end)


@cache
def _update_statement(model: type[models.Model], names: tuple[str, ...]) -> tuple[Fields, str]:
    """Return fields and statement; the last field is the primary key, which finds the row."""
    fields = [field for field in model._meta.concrete_fields if field.name in names]
    changes = ", ".join(f"{_quoted(field.column)} = %s" for field in fields)
    where = f"WHERE {_quoted(model._meta.pk.column)} = %s"
    statement = f"UPDATE {_quoted(model._meta.db_table)} SET {changes} {where}"  # noqa: S608
    return _marked([*fields, model._meta.pk]), statement


def _marked(fields: "Iterable[models.Field[Any, Any]]") -> Fields:
    return [(field, type(field) in PLAIN_FIELDS) for field in fields]


def _names(fields: Fields) -> list[str]:
    return [field.attname for field, _ in fields]


def _quoted(name: str | None) -> str:
    return connections[DEFAULT_DB_ALIAS].ops.quote_name(name or "")
