"""Five wrong passwords for one name from one address, then a quarter of an hour of none."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from pytest_django import Settings

from audit.models import AuditEvent, AuditPersonal
from tests.accounts.conftest import PASSWORD, events, is_signed_in, log_in

HERE, THERE = "192.0.2.1", "198.51.100.9"
pytestmark = pytest.mark.django_db


def fail(name: str = "alice", times: int = 5, address: str = HERE) -> int:
    """Try a wrong password some times, each time with a new browser; returns the last status."""
    for _ in range(times):
        status = log_in(Client(), name, "wrong", REMOTE_ADDR=address).status_code
    return status


def test_the_fifth_wrong_password_is_answered_429_with_the_time_to_wait(alice: User) -> None:
    assert fail(times=4) == 200
    response = log_in(Client(), "alice", "wrong", REMOTE_ADDR=HERE)

    assert response.status_code == 429
    assert 890 <= int(response["Retry-After"]) <= 900
    assert "Wait a quarter of an hour" in response.content.decode()


def test_the_right_password_does_not_open_while_it_is_locked(alice: User, client: Client) -> None:
    fail()

    assert log_in(client, "alice", REMOTE_ADDR=HERE).status_code == 429
    assert not is_signed_in(client)


def test_the_victim_gets_in_from_elsewhere(alice: User, client: Client) -> None:
    fail()

    assert log_in(client, "alice", REMOTE_ADDR=THERE).status_code == 302


def test_others_get_in_from_the_same_address(alice: User, charlie: User, client: Client) -> None:
    fail()

    assert log_in(client, "charlie", REMOTE_ADDR=HERE).status_code == 302


def test_many_addresses_do_not_lock_a_name_for_all(alice: User, client: Client) -> None:
    for number in range(1, 12):
        fail(address=f"203.0.113.{number}")

    assert log_in(client, "alice", REMOTE_ADDR=THERE).status_code == 302


@pytest.mark.django_db(transaction=True)
def test_of_many_wrong_passwords_at_once_five_are_looked_at(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    check, together, looked_at = User.check_password, threading.Barrier(20), list[str]()

    def slow_check(self: User, password: str) -> bool:
        looked_at.append(password)
        with suppress(threading.BrokenBarrierError):
            together.wait(1)  # as long as others may come
        return check(self, password)

    def try_one(number: int) -> int:
        try:
            return log_in(Client(), "alice", f"wrong {number}", REMOTE_ADDR=HERE).status_code
        finally:
            connection.close()

    monkeypatch.setattr(User, "check_password", slow_check)
    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(try_one, range(20)))

    assert len(looked_at) == 5
    assert sorted(statuses) == [200] * 4 + [429] * 16
    monkeypatch.undo()
    assert log_in(Client(), "alice", REMOTE_ADDR=HERE).status_code == 429
    assert log_in(Client(), "alice", REMOTE_ADDR=THERE).status_code == 302


def test_writing_a_name_otherwise_is_the_same_name(alice: User) -> None:
    for name in ("alice", "Alice", "ALICE", " alice "):
        fail(name, times=1)

    assert fail("aLiCe", times=1) == 429


def test_the_addresses_of_one_ipv6_network_are_one(alice: User) -> None:
    for number in range(4):
        fail(times=1, address=f"2001:db8:1:2::{number + 1}")

    assert fail(times=1, address="2001:db8:1:2:ffff::1") == 429
    assert fail(times=1, address="2001:db8:1:3::1") == 200


def test_the_address_is_the_one_that_our_proxy_saw(alice: User, settings: Settings) -> None:
    settings.TRUSTED_PROXY_COUNT = 1
    for number in range(5):
        spoofed = f"10.0.0.{number}, {THERE}"
        response = log_in(Client(), "alice", "wrong", REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR=spoofed)

    assert response.status_code == 429


def test_a_lock_ends_by_itself_and_tries_meanwhile_do_not_prolong_it(alice: User, client: Client) -> None:
    fail()
    AccessAttempt.objects.update(attempt_time=AccessAttempt.objects.get().attempt_time - timedelta(minutes=14))
    assert fail(times=3) == 429
    AccessAttempt.objects.update(attempt_time=AccessAttempt.objects.get().attempt_time - timedelta(minutes=1))

    assert log_in(client, "alice", REMOTE_ADDR=HERE).status_code == 302


def test_getting_in_forgets_the_failures(alice: User, client: Client) -> None:
    fail(times=4)
    log_in(client, "alice", REMOTE_ADDR=HERE)

    assert fail(times=4) == 200


def test_getting_in_oneself_does_not_forget_failures_for_others(alice: User, charlie: User, client: Client) -> None:
    fail(times=4)
    log_in(client, "charlie", REMOTE_ADDR=HERE)

    assert fail(times=1) == 429


def test_a_name_that_nobody_has_is_locked_alike(alice: User) -> None:
    assert fail("nobody", times=4) == 200
    assert fail("nobody", times=1) == 429


def test_confirming_the_password_counts_and_locks(alice: User, alices_browser: Client) -> None:
    for _ in range(4):
        assert alices_browser.post("/accounts/reauthenticate/", {"password": "wrong"}).status_code == 200
    response = alices_browser.post("/accounts/reauthenticate/", {"password": "wrong"})

    assert response.status_code == 429
    assert response["Retry-After"]
    assert alices_browser.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 429


def test_the_administration_s_own_form_is_no_way_around(ada: User, client: Client) -> None:
    fail("ada")
    form = {"username": "ada", "password": PASSWORD}
    client.post("/admin/login/", form, REMOTE_ADDR=HERE)

    assert not is_signed_in(client)


def test_a_flood_from_one_address_is_answered_429_whatever_the_names(alice: User) -> None:
    statuses = [fail(f"name{number}", times=1) for number in range(31)]
    response = log_in(Client(), "alice", REMOTE_ADDR=HERE)

    assert statuses[:30] == [200] * 30
    assert statuses[30] == 429
    assert (response.status_code, response["Retry-After"]) == (429, "60")
    assert "too many tries from here" in response.content.decode()


@pytest.mark.parametrize(("method", "path"), [("get", "login/passkey/"), ("post", "oidc/login/")])
def test_beginning_another_login_is_limited_alike(client: Client, method: str, path: str) -> None:
    ask = getattr(client, method)
    statuses = [ask(f"/accounts/{path}", headers={"accept": "application/json"}).status_code for _ in range(31)]

    assert 429 not in statuses[:30]
    assert statuses[30] == 429


def test_what_was_typed_is_kept_nowhere(alice: User, caplog: pytest.LogCaptureFixture) -> None:
    typed = "correct-horse-battery"
    form = {"login": typed, "password": f"{typed}-2", "pass": f"{typed}-3"}
    for _ in range(6):
        Client().post(f"/accounts/login/?q={typed}", form, REMOTE_ADDR=HERE)
    kept = [str(row) for model in (AccessAttempt, AuditEvent, AuditPersonal) for row in model.objects.values()]

    assert len(kept) >= 7
    assert not [text for text in [*kept, caplog.text] if typed in text]
    assert "login failed (unknown_user) from 192.0.2.1" in caplog.text


def test_failures_and_the_lock_are_recorded_once_each(alice: User) -> None:
    fail(times=9)

    assert events("login.failed") == [("", f"user:{alice.pk}", "wrong_password")] * 5
    assert events("login.locked") == [("", f"user:{alice.pk}", "wrong_password")]


def test_an_administrator_lifts_a_lock(alice: User, ada: User, client: Client) -> None:
    fail()
    log_in(Client(HTTP_USER_AGENT="another"), "alice", "wrong", REMOTE_ADDR=HERE)
    browser = Client()
    log_in(browser, "ada", REMOTE_ADDR=THERE)
    assert "alice" in browser.get("/admin/axes/accessattempt/").content.decode()
    chosen = {"action": "delete_selected", "_selected_action": [AccessAttempt.objects.get().pk], "post": "yes"}
    browser.post("/admin/axes/accessattempt/", chosen)

    assert log_in(client, "alice", REMOTE_ADDR=HERE).status_code == 302
    assert events("login.unlocked") == [(f"user:{ada.pk}", f"user:{alice.pk}", "")]


def test_the_list_of_locks_names_nobody_unknown(ada: User) -> None:
    fail("nobody")
    browser = Client()
    log_in(browser, "ada", REMOTE_ADDR=THERE)
    shown = browser.get("/admin/axes/accessattempt/").content.decode()

    assert "(unknown)" in shown
    assert "nobody" not in shown
    assert 'alt="True"' in shown


def test_no_lock_can_be_made_or_edited(alice: User, ada: User) -> None:
    fail()
    browser = Client()
    log_in(browser, "ada", REMOTE_ADDR=THERE)
    pk = AccessAttempt.objects.get().pk

    assert browser.get("/admin/axes/accessattempt/add/").status_code == 403
    assert browser.post(f"/admin/axes/accessattempt/{pk}/change/", {"username": "x"}).status_code == 403
    assert AccessAttempt.objects.get().username == "alice"
