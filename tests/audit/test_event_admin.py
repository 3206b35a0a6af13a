"""An event's page: what it says, whether it is as it was written, and personal data only when asked for."""

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.actions import Action
from audit.models import AuditEvent, AuditPersonal
from audit.services import record_event
from audit.stored_tree import sealing_checkpoint
from audit.tree_models import AuditCheckpoint
from tests.conftest import make_user

pytestmark = pytest.mark.django_db
PERSON = {"username": "alice", "ip": "192.0.2.7", "user_agent": "Browser/1"}


@pytest.fixture
def event() -> AuditEvent:
    record_event(Action.CALL_REQUESTED, request_id="req_1", target="call:5")
    return record_event(Action.LOGIN_SUCCEEDED, request_id="req_1", actor="user:7", person=PERSON, steps="a & b")


def page(client: Client, event: AuditEvent) -> str:
    return client.get(f"/admin/audit/auditevent/{event.pk}/change/").content.decode()


def ask(client: Client, event: AuditEvent, method: str = "post") -> tuple[int, str]:
    response = getattr(client, method)(f"/admin/audit/auditevent/{event.pk}/personal/")
    return response.status_code, response.content.decode()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL reads a table of a few rows without its indexes")
def test_the_checkpoint_of_an_event_is_found_by_index() -> None:
    with CaptureQueriesContext(connection) as asked:
        assert sealing_checkpoint(7) is None
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {asked[0]['sql']}")
        plan = [step[-1] for step in cursor.fetchall()]

    assert plan == ["SEARCH audit_auditcheckpoint USING INDEX checkpoint_size (size>?)"]


def test_an_events_checkpoint_is_the_first_one_that_covers_it() -> None:
    for size, previous in [(5, 0), (5, None), (9, 5), (9, None), (12, 9)]:
        AuditCheckpoint.objects.create(
            size=size, previous_size=previous, root="", note="", signing_key=0, gaps=0, made_at=timezone.now()
        )

    found = [sealing_checkpoint(event) for event in (1, 5, 6, 12, 13)]

    assert [checkpoint and checkpoint.size for checkpoint in found] == [5, 5, 9, 12, None]


def test_the_page_tells_the_event_and_the_rest_of_its_request(adas_client: Client, event: AuditEvent) -> None:
    shown = page(adas_client, event)

    assert "steps: a &amp; b" in shown
    assert "As it was written" in shown
    assert "call.requested" in shown
    assert "?q=req_1" in shown


def test_a_row_that_was_changed_shows(adas_client: Client, event: AuditEvent) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_auditevent SET actor = 'user:8' WHERE id = %s", [event.pk])

    assert "Changed, or not written by this server" in page(adas_client, event)


def test_who_it_was_is_hidden_until_asked_for_and_asking_is_an_event(
    adas_client: Client, ada: User, event: AuditEvent
) -> None:
    hidden = page(adas_client, event)
    assert "192.0.2.7" not in hidden
    assert "Show it" in hidden

    status, shown = ask(adas_client, event)

    assert (status, "192.0.2.7" in shown, "committed to when it was written" in shown) == (200, True, True)
    viewed = AuditEvent.objects.get(action="personal_data.viewed")
    assert (viewed.actor, viewed.target) == (f"user:{ada.pk}", f"event:{event.pk}")


def test_personal_data_that_were_changed_show(adas_client: Client, event: AuditEvent) -> None:
    AuditPersonal.objects.filter(event_id=event.pk).update(data='{"username":"bob"}')
    assert "somebody changed it" in ask(adas_client, event)[1]


def test_personal_data_that_were_erased_are_told_as_such(adas_client: Client, event: AuditEvent) -> None:
    AuditPersonal.objects.all().delete()

    assert "It was erased." in page(adas_client, event)
    assert ask(adas_client, event)[0] == 404
    assert not AuditEvent.objects.filter(action="personal_data.viewed").exists()


def test_an_auditor_without_the_permission_does_not_see_them(event: AuditEvent) -> None:
    auditor = make_user("auditor")
    auditor.is_staff = True
    auditor.save()
    auditor.user_permissions.add(Permission.objects.get(codename="view_auditevent"))
    client = Client()
    client.force_login(auditor)

    assert "Ask for the permission" in page(client, event)
    assert ask(client, event)[0] == 403
    assert not AuditEvent.objects.filter(action="personal_data.viewed").exists()


def test_looking_takes_a_form_and_a_login(client: Client, adas_client: Client, event: AuditEvent) -> None:
    assert ask(adas_client, event, "get")[0] == 405
    assert ask(client, event)[0] == 302
