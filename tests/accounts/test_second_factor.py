"""Authenticator app and recovery codes: set up, asked for, used once, taken away."""

import re

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from accounts.checks import check_staff_need_second_factor
from tests.accounts.conftest import (
    SECRET,
    Later,
    add_app,
    code_of,
    confirm,
    events,
    is_signed_in,
    log_in,
)
from tests.conftest import make_user
from tokens.key_services import create_api_key

pytestmark = pytest.mark.django_db


def second_step(client: Client, code: str, name: str = "bob") -> int:
    """Log in with the password and answer the question for the code; returns the status of the latter."""
    assert log_in(client, name)["Location"] == "/accounts/login/code/"
    return client.post("/accounts/login/code/", {"code": code}).status_code


def recovery_codes_of(user: User) -> list[str]:
    codes: list[str] = Authenticator.objects.get(user=user, type="recovery_codes").wrap().get_unused_codes()
    return codes


def test_the_password_alone_does_not_open(bob: User, client: Client) -> None:
    response = log_in(client, "bob")

    assert (response.status_code, response["Location"]) == (302, "/accounts/login/code/")
    assert not is_signed_in(client)


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_code_of_now_or_its_neighbour_opens(bob: User, client: Client, steps: int) -> None:
    assert second_step(client, code_of(steps=steps)) == 302
    assert is_signed_in(client)
    assert events("login.succeeded") == [(f"user:{bob.pk}", f"user:{bob.pk}", "password+totp")]


@pytest.mark.parametrize("code", ["", "000000", "abc", "0" * 5000, "\0", -3, 3])
def test_another_code_does_not(bob: User, client: Client, code: str | int) -> None:
    assert second_step(client, code if isinstance(code, str) else code_of(steps=code)) == 200
    assert not is_signed_in(client)


def test_a_code_opens_once_even_within_its_neighbours_time(bob: User, later: Later) -> None:
    code = code_of(steps=1)
    assert second_step(Client(), code) == 302
    later(31)

    assert second_step(Client(), code) == 200


def test_wrong_codes_are_recorded_and_then_refused_for_a_while(bob: User, client: Client) -> None:
    log_in(client, "bob")
    for _ in range(5):
        client.post("/accounts/login/code/", {"code": "000000"})
    response = client.post("/accounts/login/code/", {"code": code_of()})

    assert "Too many tries" in response.content.decode()
    assert not is_signed_in(client)
    assert events("login.failed") == [("", f"user:{bob.pk}", "wrong_code")] * 5


def test_somebody_without_the_password_cannot_use_up_the_tries(bob: User, client: Client) -> None:
    for _ in range(6):
        Client().post("/accounts/login/code/", {"code": "000000"})

    assert second_step(client, code_of()) == 302


def test_a_recovery_code_opens_once(bob: User) -> None:
    code = recovery_codes_of(bob)[3]
    assert second_step(Client(), code) == 302
    cache.clear()

    assert second_step(Client(), code) == 200
    assert len(recovery_codes_of(bob)) == 9
    assert events("login.succeeded")[0][2] == "password+recovery_codes"


def test_the_app_s_secret_is_sealed_in_the_database(bob: User) -> None:
    stored = [str(row) for row in Authenticator.objects.values()]

    assert len(stored) == 2
    assert not [row for row in stored if SECRET in row]
    assert not [row for row in stored if re.search(r"seed': '[0-9a-f]{80}", row)]


def test_another_secret_key_makes_codes_useless_and_breaks_nothing(
    bob: User, client: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.SECRET_KEY = "another"

    assert second_step(client, code_of()) == 200
    assert "sealed under another SECRET_KEY" in caplog.text
    assert not is_signed_in(client)


def test_the_former_secret_key_still_unseals_as_a_fallback(bob: User, client: Client, settings: Settings) -> None:
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"

    assert second_step(client, code_of()) == 302


def set_up_app(client: Client) -> str:
    """Set an app up on the pages; returns its secret."""
    shown = client.get("/accounts/security/app/").content.decode()
    found = re.search(r'id="totp-secret">([A-Z2-7]{32})<', shown)
    assert found is not None
    response = client.post("/accounts/security/app/", {"code": code_of(found[1])})
    assert (response.status_code, response["Location"]) == (302, "/accounts/security/recovery-codes/")
    return found[1]


def test_an_app_is_set_up_and_asked_for_from_then_on(alice: User, alices_browser: Client) -> None:
    confirm(alices_browser)
    secret = set_up_app(alices_browser)
    codes = re.findall(r"\b\d{8}\b", alices_browser.get("/accounts/security/recovery-codes/").content.decode())

    assert codes == recovery_codes_of(alice)
    assert second_step(Client(), code_of(secret, steps=1), "alice") == 302
    me = f"user:{alice.pk}"
    assert events("second_factor.added") == [(me, me, "totp"), (me, me, "recovery_codes")]


def test_recovery_codes_are_shown_once(alice: User, alices_browser: Client) -> None:
    confirm(alices_browser)
    set_up_app(alices_browser)
    alices_browser.get("/accounts/security/recovery-codes/")
    again = alices_browser.get("/accounts/security/recovery-codes/").content.decode()

    assert "10 of 10 are left" in again
    assert not [code for code in recovery_codes_of(alice) if code in again]


def test_new_recovery_codes_end_the_old_ones(alice: User, alices_browser: Client) -> None:
    add_app(alice)
    old = recovery_codes_of(alice)
    confirm(alices_browser)
    alices_browser.post("/accounts/security/recovery-codes/new/")

    assert not set(old) & set(recovery_codes_of(alice))
    assert second_step(Client(), old[0], "alice") == 200


def test_an_app_is_removed_and_its_recovery_codes_with_it(alice: User, alices_browser: Client) -> None:
    add_app(alice)
    confirm(alices_browser)
    alices_browser.post("/accounts/security/app/remove/")

    assert not Authenticator.objects.filter(user=alice).exists()
    assert log_in(Client(), "alice")["Location"] == "/"
    assert [code for _actor, _target, code in events("second_factor.removed")] == ["totp", "recovery_codes"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "recovery-codes/"),
        *[
            (method, path)
            for method in ("get", "post")
            for path in ("app/", "app/remove/", "passkeys/add/", "recovery-codes/new/")
        ],
    ],
)
def test_what_matters_asks_first_who_one_is(alice: User, alices_browser: Client, path: str, method: str) -> None:
    if "remove" in path or "codes" in path:
        add_app(alice)
    response = getattr(alices_browser, method)(f"/accounts/security/{path}")

    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/reauthenticate/")


def test_a_code_confirms_who_one_is_instead_of_the_password(bob: User, client: Client) -> None:
    second_step(client, code_of())
    assert client.post("/accounts/reauthenticate/code/", {"code": code_of(steps=1)}).status_code == 302

    assert client.get("/accounts/security/app/remove/").status_code == 200


def test_nobody_reaches_another_s_factors(bob: User, alices_browser: Client) -> None:
    passkey = Authenticator.objects.create(user=bob, type="webauthn", data={"name": "bob's", "credential": {}})
    confirm(alices_browser)

    for action in ("rename", "remove"):
        assert alices_browser.post(f"/accounts/security/passkeys/{passkey.pk}/{action}/").status_code == 404
    assert alices_browser.post("/accounts/security/app/remove/").status_code == 404
    assert Authenticator.objects.filter(user=bob).count() == 3


def test_an_administrator_takes_away_what_somebody_lost(bob: User, ada: User, client: Client) -> None:
    log_in(client, "ada")
    shown = client.get("/admin/mfa/authenticator/").content.decode()
    chosen = {
        "action": "delete_selected",
        "_selected_action": [Authenticator.objects.get(type="totp").pk],
        "post": "yes",
    }
    client.post("/admin/mfa/authenticator/", chosen)

    assert "bob" in shown
    assert log_in(Client(), "bob")["Location"] == "/"
    assert events("second_factor.removed") == [(f"user:{ada.pk}", f"user:{bob.pk}", "totp")]


def test_the_administration_neither_shows_nor_takes_secrets(bob: User, ada: User, client: Client) -> None:
    log_in(client, "ada")
    pk = Authenticator.objects.get(type="totp").pk
    shown = client.get(f"/admin/mfa/authenticator/{pk}/change/").content.decode()

    assert "secret" not in shown
    assert client.post(f"/admin/mfa/authenticator/{pk}/change/", {"data": "{}"}).status_code == 403
    assert client.get("/admin/mfa/authenticator/add/").status_code == 403
    for path in ("socialaccount/socialapp", "socialaccount/socialtoken", "account/emailaddress"):
        assert client.get(f"/admin/{path}/").status_code == 404


@pytest.fixture
def demanding(settings: Settings) -> None:
    settings.STAFF_NEED_SECOND_FACTOR = True


@pytest.fixture
def adas_browser(ada: User, client: Client) -> Client:
    log_in(client, "ada")
    return client


@pytest.mark.usefixtures("demanding")
class TestWhereStaffNeedASecondFactor:
    """Staff without one get no further than its set-up."""

    @pytest.mark.parametrize("path", ["/", "/keys/", "/admin/", "/admin/auth/user/", "/accounts/security/app/remove/"])
    def test_pages_are_refused_and_say_what_to_do(self, adas_browser: Client, path: str) -> None:
        response = adas_browser.get(path)

        assert response.status_code == 403
        assert "Set up a second sign-in step first" in response.content.decode()
        assert 'href="/accounts/security/"' in response.content.decode()

    @pytest.mark.parametrize("path", ["/api/client-secret", "/v1/realtime/client_secrets", "/api/keys"])
    def test_routes_are_refused_with_a_code(self, adas_browser: Client, path: str) -> None:
        response = adas_browser.post(path, content_type="application/json")

        assert response.status_code == 403
        assert "second_factor_required" in response.content.decode()

    def test_a_key_is_a_credential_of_its_own(self, ada: User, adas_browser: Client) -> None:
        made = create_api_key(
            ada, name="program", scopes=["read"], days=9, allowed_networks=[], request_id="r", actor="tests"
        )
        bearer = {"authorization": f"Bearer {made.value}"}

        assert adas_browser.get("/api/whoami", headers=bearer).status_code == 200
        assert adas_browser.get("/admin/", headers=bearer).status_code == 403

    def test_the_security_page_says_so(self, adas_browser: Client) -> None:
        response = adas_browser.get("/accounts/security/")

        assert response.status_code == 200
        assert "Administrators of this site sign in with a second step" in response.content.decode()

    def test_setting_one_up_opens_everything(self, adas_browser: Client) -> None:
        confirm(adas_browser)
        set_up_app(adas_browser)

        assert adas_browser.get("/admin/").status_code == 200
        assert is_signed_in(adas_browser)

    def test_one_can_leave(self, adas_browser: Client) -> None:
        assert adas_browser.post("/accounts/logout/").status_code == 302
        assert not is_signed_in(adas_browser)

    def test_others_are_not_asked(self, alice: User, alices_browser: Client) -> None:
        assert is_signed_in(alices_browser)

    def test_recovery_codes_alone_are_none(self, ada: User, adas_browser: Client) -> None:
        add_app(ada)
        Authenticator.objects.filter(user=ada, type="totp").delete()

        assert adas_browser.get("/admin/").status_code == 403

    def test_whoever_becomes_staff_needs_one_for_the_administration(self, alice: User, alices_browser: Client) -> None:
        assert is_signed_in(alices_browser)
        User.objects.filter(pk=alice.pk).update(is_staff=True, is_superuser=True)

        assert alices_browser.get("/admin/").status_code == 403

    def test_removing_the_last_one_shuts_the_administration(self, ada: User, client: Client) -> None:
        add_app(ada)
        second_step(client, code_of(), "ada")
        assert client.get("/admin/").status_code == 200
        Authenticator.objects.filter(user=ada).delete()

        assert client.get("/admin/").status_code == 403

    def test_a_session_is_asked_about_once_outside_of_the_administration(
        self, alice: User, alices_browser: Client, django_assert_num_queries: object
    ) -> None:
        alices_browser.get("/keys/")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("accounts.middleware.lacks_second_factor", lambda user: pytest.fail("asked again"))

            assert is_signed_in(alices_browser)


def test_without_the_setting_staff_need_none(adas_browser: Client) -> None:
    assert adas_browser.get("/admin/").status_code == 200


def test_a_disabled_account_is_told_so_and_recorded(client: Client) -> None:
    user = make_user("dora")
    User.objects.update(is_active=False)
    response = log_in(client, "dora")

    assert response["Location"] == "/accounts/inactive/"
    assert ("", f"user:{user.pk}", "inactive") in events("login.failed")
    assert "switched off" in client.get("/accounts/inactive/").content.decode()


def test_the_check_before_deployment_asks_for_it(settings: Settings) -> None:
    assert [found.id for found in check_staff_need_second_factor(None)] == ["accounts.W001"]
    settings.STAFF_NEED_SECOND_FACTOR = True
    assert check_staff_need_second_factor(None) == []
