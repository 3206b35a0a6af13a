"""The one function that records. Whoever calls it holds the transaction of what the event tells."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from django.db import DatabaseError, InterfaceError, transaction
from django.utils import timezone

from audit.actions import Action
from audit.exceptions import AuditUnavailable
from audit.models import AuditEvent, AuditPersonal
from audit.records import Fact, personal, signed_values

logger = logging.getLogger(__name__)


def record_event(
    action: Action,
    *,
    request_id: str,
    actor: str = "",
    target: str = "",
    code: str = "",
    person: Mapping[str, Fact] | None = None,
    **facts: Fact,
) -> AuditEvent:
    """Append one event to the record, in the transaction of what it tells.

    person: username, ip, user_agent of whoever acted; kept apart, where it can be erased.
    facts: without secrets and without personal data; names of their own, no nesting; at most 8 KiB as JSON.
    Raises DatabaseError when it cannot be written: then what it tells must not happen either.
    """
    kept_apart = personal(person or {})
    values = signed_values(
        action.value,
        recorded_at=timezone.now(),
        request_id=request_id,
        actor=actor,
        target=target,
        code=code,
        facts=facts,
        personal=kept_apart,
    )
    if kept_apart is None:
        return AuditEvent.objects.create(**values)
    with transaction.atomic(savepoint=False):  # what it tells must not happen without it, so nothing is to be saved
        event = AuditEvent.objects.create(**values)
        AuditPersonal.objects.create(event_id=event.pk, salt=kept_apart.salt, data=kept_apart.data)
    return event


@contextmanager
def durable_record() -> Iterator[None]:
    """Hold a transaction that is committed at the end of the block, never joined to an outer one.

    Raises AuditUnavailable when the database cannot keep the record, and RuntimeError inside another
    transaction, where a later rollback could take the record along.
    """
    try:
        with transaction.atomic(durable=True):
            yield
    except (DatabaseError, InterfaceError) as exc:
        logger.exception("the record could not be written")
        raise AuditUnavailable(retry_after_ms=1000) from exc
