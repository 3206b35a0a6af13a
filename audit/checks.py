"""System checks of the record."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import connections

MAY_CHANGE = "SELECT has_table_privilege(current_user, 'audit_auditevent', 'UPDATE, DELETE, TRUNCATE')"


@register(Tags.database, deploy=True)
def check_account_cannot_change_the_record(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Warn where the application's own account could rewrite the record. Asked for with `check --database default`."""
    for name in databases or ():
        if connections[name].vendor != "postgresql" or not _may_change(name):
            continue
        hint = "Run the application as a role that may only SELECT and INSERT there: docs/audit.md."
        return [Warning("The database account may change the audit record.", hint=hint, id="audit.W001")]
    return []


def _may_change(name: str) -> bool:
    if "audit_auditevent" not in connections[name].introspection.table_names():
        return False
    with connections[name].cursor() as cursor:
        cursor.execute(MAY_CHANGE)
        return bool(cursor.fetchone()[0])
