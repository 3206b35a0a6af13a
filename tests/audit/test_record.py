"""The record: appended to, never changed, and never lost to somebody else's rollback."""

import pytest
from django.db import DatabaseError, transaction

from audit.actions import Action
from audit.exceptions import AuditUnavailable
from audit.models import AppendOnlyError, AuditEvent
from audit.services import durable_record, record_event

pytestmark = pytest.mark.django_db


def test_an_event_tells_what_who_and_when() -> None:
    record_event(Action.CALL_ENDED, request_id="req_1", actor="user:7", target="call:5", code="user", seconds=12)

    event = AuditEvent.objects.get()
    assert (event.action, event.request_id, event.actor, event.target) == ("call.ended", "req_1", "user:7", "call:5")
    assert (event.code, event.facts) == ("user", {"seconds": 12})


def test_an_event_is_never_changed_or_removed() -> None:
    event = record_event(Action.CALL_ENDED, request_id="req_1")

    with pytest.raises(AppendOnlyError):
        event.save()
    with pytest.raises(AppendOnlyError):
        event.delete()
    with pytest.raises(AppendOnlyError):
        AuditEvent.objects.filter(pk=event.pk).update(code="x")
    with pytest.raises(AppendOnlyError):
        AuditEvent.objects.all().delete()
    assert AuditEvent.objects.get().code == ""


@pytest.mark.django_db(transaction=True)
def test_a_durable_record_refuses_to_join_another_transaction() -> None:
    with pytest.raises(RuntimeError), transaction.atomic(), durable_record():
        record_event(Action.CALL_ENDED, request_id="req_1")
    assert not AuditEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_record_that_cannot_be_kept_undoes_what_it_tells() -> None:
    def record_on_a_full_disk() -> None:
        with durable_record():
            record_event(Action.CALL_ENDED, request_id="req_1")
            raise DatabaseError("disk full")

    with pytest.raises(AuditUnavailable):
        record_on_a_full_disk()
    assert not AuditEvent.objects.exists()
