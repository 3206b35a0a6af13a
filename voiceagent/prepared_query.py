"""Queries that the ORM writes once and that run many times: on the hot routes building them costs more than running."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, cast

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.sql import UpdateQuery
from django.db.models.sql.compiler import SQLCompiler

from audit.statements import rows_of

MAX_KNOWN: Final = 10_000


class PreparedQuery:
    """A queryset of `values_list`, compiled at its first run, that takes other parameters at each run.

    build: returns the queryset for the samples. samples: for each parameter a value of its type that no constant of
    the query has, by which its places in the SQL are found. Raises TypeError for a sample that is found nowhere.
    """

    def __init__(self, build: Callable[..., "models.QuerySet[Any, Any]"], **samples: Any) -> None:
        self._build = build
        self._samples = samples
        self._known: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        self._compiled: dict[str, tuple[str, list[str | None], tuple[Any, ...], Any]] = {}

    def rows(self, **parameters: Any) -> list[tuple[Any, ...]]:
        """Run the query; returns what the queryset would, as tuples. Raises DatabaseError."""
        return self._rows(parameters, remembers=True)

    def rows_once(self, **parameters: Any) -> list[tuple[Any, ...]]:
        """Do as `rows` for rows that are not expected again, so that what they mean need not be remembered."""
        return self._rows(parameters, remembers=False)

    def _rows(self, parameters: dict[str, Any], *, remembers: bool) -> list[tuple[Any, ...]]:
        connection = connections[DEFAULT_DB_ALIAS]
        compiled = self._compiled.get(connection.vendor) or self._compile(connection)
        sql, names, constants, converters = compiled
        values = [
            constant if name is None else parameters[name] for name, constant in zip(names, constants, strict=True)
        ]
        found = rows_of(connection, sql, values)
        if not converters:
            return found
        converted = self._converted if remembers else _convert
        return [converted(row, converters, connection) for row in found]

    def _converted(self, row: tuple[Any, ...], converters: Any, connection: BaseDatabaseWrapper) -> tuple[Any, ...]:
        """Return a row as the ORM would. The row is read anew every time; what the same row means is remembered."""
        known = self._known.get(row)
        if known is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            known = self._known[row] = _convert(row, converters, connection)
        return known

    def _compile(self, connection: BaseDatabaseWrapper) -> tuple[str, list[str | None], tuple[Any, ...], Any]:
        compiler: SQLCompiler = self._build(**self._samples).query.get_compiler(connection=connection)
        sql, constants = compiler.as_sql()
        names = [self._name_of(constant) for constant in constants]
        if {name for name in names if name} != self._samples.keys():
            raise TypeError("Not every sample is found among the query's parameters.")
        found = compiler.get_converters([column[0] for column in compiler.select])
        converters = [(place, functions, expression) for place, (functions, expression) in found.items()]
        compiled = (sql, names, tuple(constants), converters)
        self._compiled[connection.vendor] = compiled
        return compiled

    def _name_of(self, constant: Any) -> str | None:
        return next(
            (name for name, sample in self._samples.items() if type(sample) is type(constant) and sample == constant),
            None,
        )


class PreparedUpdate:
    """An UPDATE of the ORM's, compiled at its first run, that takes other parameters at each run.

    build: returns the queryset for the samples, and what is set; samples as for `PreparedQuery`.
    """

    def __init__(self, build: Callable[..., "tuple[models.QuerySet[Any], dict[str, Any]]"], **samples: Any) -> None:
        self._build = build
        self._samples = samples
        self._compiled: dict[str, tuple[str, list[str | None], tuple[Any, ...]]] = {}

    def run(self, **parameters: Any) -> int:
        """Run the update; returns how many rows it changed. Raises DatabaseError."""
        connection = connections[DEFAULT_DB_ALIAS]
        sql, names, constants = self._compiled.get(connection.vendor) or self._compile(connection)
        values = [
            constant if name is None else _adapted(parameters[name], connection)
            for name, constant in zip(names, constants, strict=True)
        ]
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            changed: int = cursor.rowcount
        return changed

    def _compile(self, connection: BaseDatabaseWrapper) -> tuple[str, list[str | None], tuple[Any, ...]]:
        rows, changes = self._build(**self._samples)
        query = cast("UpdateQuery", rows.query.chain(UpdateQuery))
        query.add_update_values(changes)
        sql, constants = query.get_compiler(connection=connection).as_sql()
        adapted = {name: _adapted(sample, connection) for name, sample in self._samples.items()}
        names = [next((name for name, each in adapted.items() if each == constant), None) for constant in constants]
        if {name for name in names if name} != self._samples.keys():
            raise TypeError("Not every sample is found among the update's parameters.")
        self._compiled[connection.vendor] = sql, names, tuple(constants)
        return self._compiled[connection.vendor]


def _adapted(value: Any, connection: BaseDatabaseWrapper) -> Any:
    """Return a value as the statement takes it: some databases have times as texts."""
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value


def _convert(row: tuple[Any, ...], converters: Any, connection: BaseDatabaseWrapper) -> tuple[Any, ...]:
    values = list(row)
    for place, functions, expression in converters:
        for function in functions:
            values[place] = function(values[place], expression, connection)
    return tuple(values)


def columns(model: type[models.Model], prefix: str = "") -> list[str]:
    """Return the names of a model's columns, for `values_list`; prefix: the way to it, such as `user__`."""
    return [prefix + field.attname for field in model._meta.concrete_fields]
