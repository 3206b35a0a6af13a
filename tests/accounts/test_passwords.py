"""Somebody changes their own password: they stay, every other session of theirs ends, and it is on record."""

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import User
from django.test import Client

from audit.models import AuditEvent
from tests.accounts.conftest import events, log_in

pytestmark = pytest.mark.django_db
PAGE = "/accounts/security/password/"
NEW = "another-long-password"


def change(client: Client, old: str = "a-long-password", new: str = NEW, again: str = NEW) -> tuple[int, str]:
    response = client.post(PAGE, {"oldpassword": old, "password1": new, "password2": again})
    return response.status_code, response.content.decode()


def test_it_is_changed_recorded_and_ends_every_other_session(alice: User, alices_browser: Client) -> None:
    elsewhere = Client(HTTP_USER_AGENT="Elsewhere/1")
    log_in(elsewhere, "alice")

    assert change(alices_browser)[0] == 302

    alice.refresh_from_db()
    assert alice.check_password(NEW)
    assert alices_browser.get("/accounts/security/").status_code == 200
    assert elsewhere.get("/accounts/security/").status_code == 302
    assert UserSession.objects.filter(user=alice).count() == 1
    name = f"user:{alice.pk}"
    assert events("password.changed") == [(name, name, "")]
    assert events("session.ended") == [(name, name, "password_changed")]


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [("wrong", NEW, NEW), ("a-long-password", NEW, "other"), ("a-long-password", "short", "short"), ("", "", "")],
)
def test_what_does_not_fit_changes_nothing(alice: User, alices_browser: Client, old: str, new: str, again: str) -> None:
    status, shown = change(alices_browser, old, new, again)

    alice.refresh_from_db()
    assert (status, 'aria-invalid="true"' in shown) == (200, True)
    assert alice.check_password("a-long-password")
    assert events("password.changed") == []


def test_no_password_is_kept_anywhere(alices_browser: Client) -> None:
    change(alices_browser)

    assert NEW not in str(list(AuditEvent.objects.values()))


def test_guessing_the_old_one_is_limited(alices_browser: Client) -> None:
    statuses = [change(alices_browser, f"guess-{number}")[0] for number in range(6)]
    assert statuses == [200] * 5 + [429]


def test_who_has_no_password_here_is_not_offered_one(alice: User, alices_browser: Client) -> None:
    assert PAGE in alices_browser.get("/accounts/security/").content.decode()
    alice.set_unusable_password()
    alice.save()
    alices_browser.force_login(alice)

    assert PAGE not in alices_browser.get("/accounts/security/").content.decode()
    assert alices_browser.get(PAGE).status_code == 404


def test_it_takes_a_login(client: Client) -> None:
    assert client.get(PAGE)["Location"].startswith("/accounts/login/")
