"""Who makes accounts and groups, and gives rights to them, is on record, whichever form it was done by."""

import json
from collections.abc import Mapping

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from accounts import rights
from audit.models import AuditEvent
from tests.accounts.conftest import events

pytestmark = pytest.mark.django_db


def change(client: Client, user: User, **fields: object) -> None:
    """Save somebody's form in the administration with other values in some fields."""
    kept = {"username": user.username, "is_active": "on", "date_joined_0": "2026-11-21", "date_joined_1": "12:00:00"}
    response = client.post(f"/admin/auth/user/{user.pk}/change/", kept | fields)
    assert response.status_code == 302, response.content


def facts_of(action: str) -> Mapping[str, object]:
    return AuditEvent.objects.get(action=action).facts


def test_who_made_somebody_staff_is_on_record(adas_client: Client, ada: User, alice: User) -> None:
    change(adas_client, alice, is_staff="on", is_superuser="on")

    assert events("user.changed") == [(f"user:{ada.pk}", f"user:{alice.pk}", "")]
    assert facts_of("user.changed") == {
        "is_staff": json.dumps([False, True]), "is_superuser": json.dumps([False, True]), "renamed": False,
    }  # fmt: skip


def test_a_name_is_no_part_of_the_event(adas_client: Client, ada: User, alice: User) -> None:
    change(adas_client, alice, username="alicia")

    assert facts_of("user.changed") == {"renamed": True}


def test_saving_what_was_there_is_no_change(adas_client: Client, ada: User, alice: User) -> None:
    change(adas_client, alice)

    assert not AuditEvent.objects.filter(action__startswith="user.").exists()


def test_rights_and_groups_given_and_taken_are_on_record(adas_client: Client, ada: User, alice: User) -> None:
    right = Permission.objects.get(codename="view_call")
    group = Group.objects.create(name="Helpers")

    change(adas_client, alice, user_permissions=[right.pk], groups=[group.pk])
    assert facts_of("user.permissions_changed") == {"given": "relay.view_call"}
    assert facts_of("user.groups_changed") == {"given": "Helpers"}
    change(adas_client, alice, user_permissions=[right.pk])

    assert AuditEvent.objects.filter(action="user.groups_changed").order_by("-pk")[0].facts == {"taken": "Helpers"}


def test_groups_and_what_they_may_do_are_on_record(adas_client: Client, ada: User) -> None:
    right = Permission.objects.get(codename="view_call")
    adas_client.post("/admin/auth/group/add/", {"name": "Helpers", "permissions": [right.pk]})
    group = Group.objects.get()
    adas_client.post(f"/admin/auth/group/{group.pk}/delete/", {"post": "yes"})

    made, given = AuditEvent.objects.filter(action="group.changed").order_by("pk")
    assert (made.facts, given.facts) == ({"created": True, "name": "Helpers"}, {"given": "relay.view_call"})
    assert events("group.deleted") == [(f"user:{ada.pk}", f"group:{group.pk}", "")]


def test_accounts_made_and_deleted_are_on_record(adas_client: Client, ada: User) -> None:
    password = {"password1": "a-long-password-9", "password2": "a-long-password-9", "usable_password": "true"}
    response = adas_client.post("/admin/auth/user/add/", {"username": "dora", **password})
    assert response.status_code == 302, response.content
    dora = User.objects.get(username="dora")
    adas_client.post(f"/admin/auth/user/{dora.pk}/delete/", {"post": "yes"})

    assert events("user.created") == events("user.deleted") == [(f"user:{ada.pk}", f"user:{dora.pk}", "")]


def test_a_password_that_somebody_else_sets_is_on_record(adas_client: Client, ada: User, alice: User) -> None:
    passwords = {"password1": "another-password-9", "password2": "another-password-9", "usable_password": "true"}
    response = adas_client.post(f"/admin/auth/user/{alice.pk}/password/", passwords)
    assert response.status_code == 302, response.content

    assert events("password.changed") == [(f"user:{ada.pk}", f"user:{alice.pk}", "by_administrator")]


def test_a_change_that_cannot_be_recorded_is_not_made(
    adas_client: Client, ada: User, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*arguments: object, **facts: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(rights, "record_event", no_room)
    adas_client.raise_request_exception = False
    fields = {"username": "alice", "is_active": "on", "is_superuser": "on"}
    moment = {"date_joined_0": "2026-11-21", "date_joined_1": "12:00:00"}

    assert adas_client.post(f"/admin/auth/user/{alice.pk}/change/", fields | moment).status_code == 500
    assert not User.objects.get(pk=alice.pk).is_superuser
