"""Where one is signed in, and ending that elsewhere."""

from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from accounts.sessions import device_of
from tests.accounts.conftest import events, is_signed_in, log_in
from voiceagent.session_sweep import prune_sessions

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"  # noqa: E501
EDGE = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0"  # noqa: E501
pytestmark = pytest.mark.django_db


@pytest.fixture
def elsewhere(alice: User) -> Client:
    client = Client(HTTP_USER_AGENT=FIREFOX, REMOTE_ADDR="192.0.2.7")
    log_in(client, "alice")
    return client


def test_the_page_lists_where_one_is_signed_in(elsewhere: Client, alices_browser: Client) -> None:
    shown = alices_browser.get("/accounts/security/").content.decode()

    assert "Firefox, Windows" in shown
    assert "192.0.2.7" in shown
    assert shown.count("Here</span>") == 1


def test_one_session_is_ended_at_once(alice: User, elsewhere: Client, alices_browser: Client) -> None:
    there = UserSession.objects.get(ip="192.0.2.7")
    alices_browser.post(f"/accounts/security/sessions/{there.pk}/end/")

    assert not is_signed_in(elsewhere)
    assert is_signed_in(alices_browser)
    assert events("session.ended") == [(f"user:{alice.pk}", f"user:{alice.pk}", "ended_elsewhere")]


def test_all_others_are_ended_and_this_one_stays(elsewhere: Client, alices_browser: Client) -> None:
    third = Client()
    log_in(third, "alice")
    alices_browser.post("/accounts/security/sessions/end/")

    assert [is_signed_in(client) for client in (elsewhere, third, alices_browser)] == [False, False, True]


def test_nobody_ends_another_s_session(elsewhere: Client, charlie: User) -> None:
    stranger = Client()
    log_in(stranger, "charlie")
    there = UserSession.objects.get(ip="192.0.2.7")

    assert stranger.post(f"/accounts/security/sessions/{there.pk}/end/").status_code == 404
    stranger.post("/accounts/security/sessions/end/")
    assert is_signed_in(elsewhere)


def test_a_session_that_is_over_is_not_listed(elsewhere: Client, alices_browser: Client) -> None:
    elsewhere.post("/accounts/logout/")

    assert "192.0.2.7" not in alices_browser.get("/accounts/security/").content.decode()


def test_signing_out_forgets_from_where(alices_browser: Client) -> None:
    assert UserSession.objects.exists()
    alices_browser.post("/accounts/logout/")

    assert not UserSession.objects.exists()


def test_the_sweep_of_old_sessions_forgets_from_where_too(elsewhere: Client, alices_browser: Client) -> None:
    over = UserSession.objects.get(ip="192.0.2.7").session_key
    Session.objects.filter(pk=over).update(expire_date=timezone.now() - timedelta(days=1))

    assert prune_sessions(timezone.now()) == 1
    assert not UserSession.objects.filter(ip="192.0.2.7").exists()
    assert is_signed_in(alices_browser)
    assert UserSession.objects.count() == 1


def test_a_link_ends_nothing(elsewhere: Client, alices_browser: Client) -> None:
    there = UserSession.objects.get(ip="192.0.2.7")

    assert alices_browser.get(f"/accounts/security/sessions/{there.pk}/end/").status_code == 405
    assert is_signed_in(elsewhere)


def test_an_administrator_ends_a_session(alice: User, ada: User, elsewhere: Client, client: Client) -> None:
    log_in(client, "ada")
    there = UserSession.objects.get(ip="192.0.2.7")
    chosen = {"action": "delete_selected", "_selected_action": [there.pk], "post": "yes"}
    client.post("/admin/usersessions/usersession/", chosen)

    assert not is_signed_in(elsewhere)
    assert events("session.ended") == [(f"user:{ada.pk}", f"user:{alice.pk}", "by_administrator")]


def test_signing_out_is_recorded(alice: User, alices_browser: Client) -> None:
    alices_browser.post("/accounts/logout/")

    assert events("session.ended") == [(f"user:{alice.pk}", f"user:{alice.pk}", "signed_out")]


def test_requests_of_a_session_write_nothing(alices_browser: Client, django_assert_num_queries: object) -> None:
    alices_browser.get("/keys/")
    before = list(UserSession.objects.values())
    alices_browser.get("/keys/")

    assert list(UserSession.objects.values()) == before


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (FIREFOX, "Firefox, Windows"),
        (SAFARI, "Safari, iPhone"),
        (EDGE, "Edge, macOS"),
        ("curl/8.0", "curl/8.0"),
        ("", ""),
    ],
)
def test_a_device_is_told_in_words(user_agent: str, device: str) -> None:
    assert device_of(user_agent) == device
