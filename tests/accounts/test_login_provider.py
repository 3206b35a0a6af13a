"""Logging in with a real OpenID provider on this machine: the whole flow, groups, and answers that are not believed."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import pytest
import requests
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group, User
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from accounts.checks import check_login_provider
from tests.accounts.conftest import add_app, code_of, confirm, events, is_signed_in, log_in
from tests.conftest import make_user
from voiceagent.sdk_build import find_node

CALLBACK = "http://testserver/accounts/oidc/login/callback/"
SCRIPT = Path(__file__).with_name("provider.mjs")
pytestmark = pytest.mark.django_db


@pytest.fixture(scope="session")
def running_provider() -> Iterator[str]:
    """Start the provider; returns its issuer."""
    process = subprocess.Popen(
        [find_node().program, str(SCRIPT), CALLBACK], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    issuer = process.stdout.readline().strip()
    assert issuer.startswith("http://127.0.0.1:")
    yield issuer
    process.terminate()
    process.wait(10)
    process.stdout.close()


@pytest.fixture
def provider(running_provider: str, settings: Settings) -> str:
    settings.OIDC_SERVER_URL = running_provider
    settings.OIDC_CLIENT_ID = "voiceagent"
    settings.OIDC_CLIENT_SECRET = "the-client-secret"
    settings.OIDC_NAME = "Example Inc"
    settings.OIDC_GROUPS_CLAIM = "groups"
    settings.OIDC_STAFF_GROUP = "voice-admins"
    tell(running_provider, erika={"preferred_username": "erika", "given_name": "Erika", "groups": ["support"]})
    return running_provider


def tell(issuer: str, id_token_changes: dict[str, object] | None = None, **people: dict[str, object]) -> None:
    """Set what the provider says of its people."""
    body = {"people": people, "idTokenChanges": id_token_changes or {}}
    requests.put(f"{issuer}/claims", data=json.dumps(body), timeout=5).raise_for_status()


def begin(client: Client, query: str = "") -> str:
    """Press the button; returns the address to which the page forwards."""
    response = client.post(f"/accounts/oidc/login/{query}")
    assert response.status_code == 200, response.content
    assert "Location" not in response.headers
    return response["Refresh"].removeprefix("0; url=")


def at_provider(address: str, person: str = "erika") -> str:
    """Log in at the provider as a browser would; returns where it sends the browser back to."""
    with requests.Session() as browser:
        page = browser.get(address, timeout=5)
        for _ in range(2):  # log in, agree
            found = re.search(r'action="([^"]+)"', page.text)
            assert found is not None, page.text
            prompt = re.search(r'name="prompt" value="(\w+)"', page.text)
            form = {"prompt": prompt[1] if prompt else "", "login": person, "password": "any"}
            page = browser.post(urljoin(page.url, found[1]), data=form, allow_redirects=False, timeout=5)
            while (target := page.headers.get("Location", "")) and not target.startswith(CALLBACK):
                page = browser.get(urljoin(page.url, target), allow_redirects=False, timeout=5)
            if target:
                return target
    raise AssertionError(page.text)


def come_back(client: Client, address: str) -> HttpResponse:
    return client.get(address.removeprefix("http://testserver"))  # type: ignore[return-value]


def log_in_there(client: Client, person: str = "erika", query: str = "") -> HttpResponse:
    return come_back(client, at_provider(begin(client, query), person))


def changed(address: str, **changes: str | None) -> str:
    """Return an address with parameters changed, or removed by None."""
    parts = urlsplit(address)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | changes
    return parts._replace(query=urlencode({name: value for name, value in query.items() if value is not None})).geturl()


def refused(response: HttpResponse) -> bool:
    return response.status_code == 403 and "That sign-in did not work" in response.content.decode()


def test_somebody_new_gets_an_account_and_is_signed_in(provider: str, client: Client) -> None:
    response = log_in_there(client)
    erika = User.objects.get()

    assert (response.status_code, response["Location"]) == (302, "/")
    assert is_signed_in(client)
    assert (erika.username, erika.first_name, erika.email, erika.is_staff) == ("erika", "Erika", "", False)
    assert not erika.has_usable_password()
    assert events("login.succeeded") == [(f"user:{erika.pk}", f"user:{erika.pk}", "provider")]


def test_the_second_time_it_is_the_same_account(provider: str) -> None:
    log_in_there(Client())
    log_in_there(Client())

    assert User.objects.count() == 1


def test_the_flow_uses_pkce_state_and_a_nonce(provider: str, client: Client) -> None:
    asked = parse_qs(urlsplit(begin(client)).query)

    assert asked["code_challenge_method"] == ["S256"]
    assert asked["response_type"] == ["code"]
    assert set(asked["scope"][0].split()) == {"openid", "profile"}
    assert len({*asked["state"], *asked["nonce"], *asked["code_challenge"]}) == 3


def test_what_the_address_adds_is_not_passed_on(provider: str, client: Client) -> None:
    asked = parse_qs(urlsplit(begin(client, "?scope=offline_access&auth_params=nonce%3Dmine%26prompt%3Dnone")).query)

    assert set(asked["scope"][0].split()) == {"openid", "profile"}
    assert asked["nonce"] != ["mine"]
    assert "prompt" not in asked


def test_it_leads_back_to_where_one_wanted_to_go(provider: str, client: Client) -> None:
    assert log_in_there(client, query="?next=/keys/")["Location"] == "/keys/"


def test_it_leads_nowhere_else(provider: str, client: Client) -> None:
    assert log_in_there(client, query="?next=https://evil.example/")["Location"] == "/"


@pytest.mark.parametrize("state", [None, "", "made-up"])
def test_an_answer_without_our_state_is_refused(provider: str, client: Client, state: str | None) -> None:
    back = at_provider(begin(client))

    assert refused(come_back(client, changed(back, state=state)))
    assert not is_signed_in(client)
    assert events("login.failed") == [("", "", "provider")]


def test_an_answer_that_another_browser_asked_for_is_refused(provider: str, client: Client) -> None:
    back = at_provider(begin(Client()))

    assert refused(come_back(client, back))


def test_a_code_from_another_login_is_refused(provider: str, client: Client) -> None:
    """Somebody puts the code of their own login into another's: PKCE is what the provider itself refuses it by."""
    theirs = parse_qs(urlsplit(at_provider(begin(Client()), "mallory")).query)["code"][0]
    back = at_provider(begin(client))

    assert refused(come_back(client, changed(back, code=theirs)))
    assert not is_signed_in(client)


def test_a_token_with_another_nonce_is_refused(provider: str, client: Client) -> None:
    address = changed(begin(client), nonce="another")

    assert refused(come_back(client, at_provider(address)))
    assert not is_signed_in(client)


def test_a_token_without_a_nonce_is_refused(provider: str, client: Client) -> None:
    assert refused(come_back(client, at_provider(changed(begin(client), nonce=None))))


def test_an_answer_is_good_for_once(provider: str, client: Client) -> None:
    back = at_provider(begin(client))
    come_back(client, back)
    client.post("/accounts/logout/")

    assert refused(come_back(client, back))
    assert not is_signed_in(client)


def test_a_token_for_somebody_else_s_site_is_refused(provider: str, client: Client, settings: Settings) -> None:
    back = at_provider(begin(client))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("accounts.oidc.Flow._verified", verify_for("another-site"))

        assert refused(come_back(client, back))


def verify_for(audience: str) -> object:
    from accounts.oidc import Flow

    real = Flow._verified

    def verified(flow: Flow, id_token: str) -> dict[str, object]:
        from django.conf import settings

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(settings, "OIDC_CLIENT_ID", audience)
            return real(flow, id_token)

    return verified


def test_a_token_whose_signature_is_wrong_is_refused(provider: str, client: Client) -> None:
    from allauth.socialaccount.providers.oauth2.client import OAuth2Client

    real = OAuth2Client.get_access_token

    def forged(self: object, *args: object, **kwargs: object) -> dict[str, object]:
        token: dict[str, object] = real(self, *args, **kwargs)
        head, body, signature = str(token["id_token"]).split(".")
        return token | {"id_token": f"{head}.{body}.{signature[:-8]}AAAAAAAA"}

    back = at_provider(begin(client))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OAuth2Client, "get_access_token", forged)

        assert refused(come_back(client, back))


def test_userinfo_of_somebody_else_is_refused(provider: str, client: Client) -> None:
    back = at_provider(begin(client))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "accounts.oidc.Flow._fetch_user_info", lambda flow, token: {"sub": "somebody", "groups": ["voice-admins"]}
        )

        assert refused(come_back(client, back))
    assert not User.objects.exists()


def test_a_provider_that_speaks_for_another_is_refused(provider: str, client: Client, settings: Settings) -> None:
    settings.OIDC_SERVER_URL = provider.replace("127.0.0.1", "localhost")

    assert refused(client.post("/accounts/oidc/login/"))  # type: ignore[arg-type]  # the test client's kind of it


def test_a_provider_that_does_not_answer_is_502(provider: str, client: Client, settings: Settings) -> None:
    settings.OIDC_SERVER_URL = "http://127.0.0.1:9"
    response = client.post("/accounts/oidc/login/")

    assert response.status_code == 502
    assert "sign-in service" in response.content.decode()
    assert events("login.failed") == [("", "", "provider_unavailable")]


def test_who_stops_at_the_provider_is_back_at_the_sign_in_page(provider: str, client: Client) -> None:
    state = parse_qs(urlsplit(begin(client)).query)["state"][0]
    response = client.get("/accounts/oidc/login/callback/", {"error": "access_denied", "state": state})

    assert (response.status_code, response["Location"]) == (302, "/accounts/login/")


def test_a_name_that_is_taken_stays_its_owner_s(provider: str, client: Client) -> None:
    """An account is never found by name or e-mail address: who sets those at the provider could take it over."""
    local = make_user("erika")
    User.objects.update(email="erika@example.org")
    tell(provider, erika={"preferred_username": "erika", "email": "erika@example.org", "email_verified": True})
    log_in_there(client)

    assert User.objects.count() == 2
    assert not SocialAccount.objects.filter(user=local).exists()
    assert SocialAccount.objects.get().user.username != "erika"


@pytest.mark.parametrize("name", ["x" * 300, "er ika", "<b>", "", None, 7, ["a"]])
def test_a_strange_name_is_replaced(provider: str, client: Client, name: object) -> None:
    tell(provider, erika={"preferred_username": name})

    assert log_in_there(client).status_code == 302
    assert re.fullmatch(r"[\w.@+-]{1,150}", User.objects.get().username)


def test_no_account_is_made_where_none_may_be(provider: str, client: Client, settings: Settings) -> None:
    settings.OIDC_CREATE_USERS = False
    response = log_in_there(client)

    assert "Nobody can sign up here" in response.content.decode()
    assert not User.objects.exists()
    assert not is_signed_in(client)


def test_a_disabled_user_is_refused(provider: str, client: Client) -> None:
    log_in_there(Client())
    User.objects.update(is_active=False)

    assert log_in_there(client)["Location"] == "/accounts/inactive/"
    assert not is_signed_in(client)


def test_a_second_step_is_asked_for_here_too(provider: str, client: Client) -> None:
    log_in_there(Client())
    add_app(User.objects.get())

    assert log_in_there(client)["Location"] == "/accounts/login/code/"
    assert not is_signed_in(client)
    client.post("/accounts/login/code/", {"code": code_of()})
    assert is_signed_in(client)
    assert events("login.succeeded")[-1][2] == "provider+totp"


class TestGroups:
    """Groups of the same name follow the provider at each login."""

    @pytest.fixture(autouse=True)
    def groups(self) -> None:
        for name in ("support", "sales", "finance"):
            Group.objects.create(name=name)

    @staticmethod
    def groups_after(provider: str, groups: object) -> set[str]:
        tell(provider, erika={"preferred_username": "erika", "groups": groups})
        assert log_in_there(Client()).status_code == 302
        return set(User.objects.get().groups.values_list("name", flat=True))

    def test_they_are_given_and_taken(self, provider: str) -> None:
        assert self.groups_after(provider, ["support", "sales"]) == {"support", "sales"}
        assert self.groups_after(provider, ["sales", "finance"]) == {"sales", "finance"}
        assert len(events("user.groups_changed")) == 2

    def test_a_group_that_is_not_here_is_not_made(self, provider: str) -> None:
        assert self.groups_after(provider, ["support", "elsewhere"]) == {"support"}
        assert Group.objects.count() == 3

    @pytest.mark.parametrize("claim", [None, [], {}, 7, [7, None, {"a": 1}], "", ["\0"]])
    def test_a_claim_that_names_none_takes_all(self, provider: str, claim: object) -> None:
        self.groups_after(provider, ["support"])

        assert self.groups_after(provider, claim) == set()

    def test_one_name_need_not_be_a_list(self, provider: str) -> None:
        assert self.groups_after(provider, "sales") == {"sales"}

    def test_one_group_makes_staff_and_takes_it_again(self, provider: str) -> None:
        self.groups_after(provider, ["voice-admins"])
        assert User.objects.get().is_staff
        assert not User.objects.get().is_superuser
        self.groups_after(provider, ["support"])
        assert not User.objects.get().is_staff

    def test_without_a_claim_named_groups_stay(self, provider: str, settings: Settings) -> None:
        self.groups_after(provider, ["support"])
        settings.OIDC_GROUPS_CLAIM = ""

        assert self.groups_after(provider, ["sales"]) == {"support"}


def test_an_account_is_linked_by_its_owner_who_confirms_it(provider: str, alice: User, alices_browser: Client) -> None:
    assert "Sign in with Example Inc" in alices_browser.get("/accounts/security/").content.decode()
    response = log_in_there(alices_browser, query="?process=connect")
    assert response["Location"].startswith("/accounts/reauthenticate/")
    confirm(alices_browser)

    assert SocialAccount.objects.get().user == alice
    assert events("login_provider.linked") == [(f"user:{alice.pk}", f"user:{alice.pk}", "oidc")]
    log_in_there(other := Client())
    assert "alice" in other.get("/keys/").content.decode()


def test_what_is_linked_is_not_linked_again(provider: str, alices_browser: Client) -> None:
    log_in_there(Client())
    confirm(alices_browser)
    log_in_there(alices_browser, query="?process=connect")

    assert SocialAccount.objects.get().user.username == "erika"
    assert "linked to somebody else" in alices_browser.get("/accounts/security/").content.decode()


def test_no_token_and_no_claim_is_kept(provider: str, client: Client) -> None:
    log_in_there(client)

    assert SocialAccount.objects.get().extra_data == {"iss": provider, "sub": "erika"}


def test_the_same_person_of_another_provider_is_another(provider: str, client: Client) -> None:
    log_in_there(client)
    from accounts.oidc import Provider

    one = Provider.extract_uid(None, {"iss": provider, "sub": "erika"})  # type: ignore[arg-type]
    assert SocialAccount.objects.get().uid == one
    assert Provider.extract_uid(None, {"iss": "https://b.example", "sub": "erika"}) != one  # type: ignore[arg-type]


def test_it_is_off_without_an_address(client: Client) -> None:
    assert client.post("/accounts/oidc/login/").status_code == 404
    assert client.get("/accounts/oidc/login/callback/?code=1&state=1").status_code == 404
    assert "oidc" not in client.get("/accounts/login/").content.decode()


def test_a_link_begins_no_login(provider: str, client: Client) -> None:
    assert client.get("/accounts/oidc/login/").status_code == 405
    assert "Sign in with Example Inc" in client.get("/accounts/login/").content.decode()


@pytest.mark.parametrize(
    ("changes", "ids"),
    [
        ({"OIDC_SERVER_URL": "https://id.example.org"}, []),
        ({"OIDC_SERVER_URL": "http://id.example.org"}, ["accounts.E001"]),
        ({"OIDC_CLIENT_ID": ""}, ["accounts.E002"]),
        ({"OIDC_GROUPS_CLAIM": ""}, ["accounts.E003"]),
        ({"OIDC_SERVER_URL": "", "OIDC_CLIENT_ID": ""}, []),
    ],
)
def test_settings_that_cannot_work_are_named(
    provider: str, settings: Settings, changes: dict[str, str], ids: list[str]
) -> None:
    for name, value in changes.items():
        setattr(settings, name, value)

    assert [found.id for found in check_login_provider(None)] == ids


def test_a_password_works_beside_the_provider(provider: str, alice: User, client: Client) -> None:
    assert log_in(client, "alice").status_code == 302
