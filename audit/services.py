"""The one function that records. Whoever calls it holds the transaction of what the event tells."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, transaction
from django.utils import timezone

from audit.actions import Action
from audit.exceptions import AuditUnavailable
from audit.models import AuditEvent

logger = logging.getLogger(__name__)


def record_event(
    action: Action,
    *,
    request_id: str,
    actor: str = "",
    target: str = "",
    code: str = "",
    **body: str | int | bool | None,
) -> AuditEvent:
    """Append one event to the record, in the transaction of what it tells.

    body: small facts without secrets and without personal data; names of their own, no nesting.
    Raises DatabaseError when it cannot be written: then what it tells must not happen either.
    """
    with transaction.atomic():
        return AuditEvent.objects.create(
            recorded_at=timezone.now(),
            action=action,
            request_id=request_id,
            actor=actor,
            target=target,
            code=code,
            body=body,
        )


@contextmanager
def durable_record() -> Iterator[None]:
    """Hold a transaction that is committed at the end of the block, never joined to an outer one.

    Raises AuditUnavailable when the database cannot keep the record, and RuntimeError inside another
    transaction, where a later rollback could take the record along.
    """
    try:
        with transaction.atomic(durable=True):
            yield
    except DatabaseError as exc:
        logger.exception("the record could not be written")
        raise AuditUnavailable(retry_after_ms=1000) from exc
