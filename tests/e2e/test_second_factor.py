"""Second factors in a browser: a passkey of a virtual authenticator, an app's codes, recovery codes."""

import re
import sqlite3
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.accounts.conftest import code_of
from tests.e2e.conftest import OpenPage
from tests.e2e.site import PASSWORD, USER_NAME, Site, start_processes
from tests.e2e.test_accessibility import assert_fine_in_every_dress


@pytest.fixture(scope="module")
def running_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site of these tests' own, where the account may get a second step."""
    site = start_processes(tmp_path_factory.mktemp("site"), ("web",), STAFF_NEED_SECOND_FACTOR="true")
    yield site
    site.stop()
    assert "Traceback" not in site.output()


@pytest.fixture
def own_site(running_site: Site) -> Site:
    """The site as if nobody had been there."""
    with sqlite3.connect(running_site.database, timeout=10) as database:
        for table in ("mfa_authenticator", "axes_accessattempt", "usersessions_usersession", "django_session"):
            database.execute(f"DELETE FROM {table}")
    return running_site


@pytest.fixture
def page(open_page: OpenPage, own_site: Site) -> Page:
    """A signed-out page whose browser has an authenticator with a finger on it."""
    page = open_page(signed_in=False, at=own_site, path="/accounts/login/")
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return page


def sign_in(page: Page) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Name").fill(USER_NAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out", exact=True).first.click()
    expect(page).to_have_url(re.compile("/accounts/login/"))


def confirm(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm that it is you")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()


def add_passkey(page: Page, name: str) -> None:
    page.get_by_role("link", name="Add a passkey").click()
    if "reauthenticate" in page.url:
        confirm(page)
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Add a passkey").click()


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def test_a_passkey_is_added_and_opens_by_itself_and_after_a_password(page: Page, own_site: Site) -> None:
    sign_in(page)
    heading(page, "Set up a second sign-in step first")
    assert_fine_in_every_dress(page)
    page.get_by_role("link", name="Go to Security").click()
    assert_fine_in_every_dress(page)
    add_passkey(page, "My laptop")
    heading(page, "Recovery codes")
    assert_fine_in_every_dress(page)
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("My laptop")).to_be_visible()
    assert_fine_in_every_dress(page)
    sign_out(page)

    page.goto("/admin/")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="Site administration")).to_be_visible()
    page.goto("/")
    sign_out(page)

    sign_in(page)
    heading(page, "One more step")
    assert_fine_in_every_dress(page)
    page.get_by_role("button", name="Use a passkey").click()
    heading(page, "Ready when you are")
    steps = own_site.rows("SELECT code FROM audit_auditevent WHERE action = 'login.succeeded' ORDER BY id DESC LIMIT 3")
    assert steps == [("password+passkey",), ("passkey",), ("password",)]


def test_a_passkey_confirms_who_one_is_is_renamed_and_removed(page: Page) -> None:
    sign_in(page)
    page.goto("/accounts/security/")
    add_passkey(page, "Old name")
    page.get_by_role("link", name="I have kept them").click()
    sign_out(page)
    page.get_by_role("button", name="Use a passkey").click()
    heading(page, "Ready when you are")
    page.get_by_role("link", name="Security").click()

    page.get_by_role("link", name="Rename Old name").click()
    expect(page.get_by_role("link", name="Use a passkey")).to_be_visible()
    assert_fine_in_every_dress(page)
    page.get_by_role("link", name="Use a passkey").click()
    expect(page.get_by_role("button", name="Use a passkey")).to_be_visible()
    assert_fine_in_every_dress(page)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_label("Name", exact=True)).to_be_visible()
    assert_fine_in_every_dress(page)
    page.get_by_label("Name", exact=True).fill("New name")
    page.get_by_role("button", name="Rename").click()
    page.get_by_role("link", name="Remove New name").click()
    expect(page.get_by_role("button", name="Remove the passkey")).to_be_visible()
    assert_fine_in_every_dress(page)
    page.get_by_role("button", name="Remove the passkey").click()

    expect(page.get_by_text("The passkey is removed.")).to_be_visible()
    expect(page.get_by_text("New name")).to_have_count(0)


def test_the_same_device_is_not_added_twice(page: Page) -> None:
    sign_in(page)
    page.goto("/accounts/security/")
    add_passkey(page, "One")
    page.get_by_role("link", name="I have kept them").click()
    add_passkey(page, "Two")

    expect(page.get_by_role("alert")).to_have_text("This device already holds a passkey for you.")
    expect(page.get_by_role("button", name="Add a passkey")).to_be_enabled()


def test_a_device_without_a_passkey_is_told_so(page: Page) -> None:
    page.get_by_role("button", name="Use a passkey").click()

    expect(page.get_by_text("That was stopped or took too long. Try again.")).to_be_visible()
    assert_fine_in_every_dress(page)


def test_an_app_is_set_up_and_its_code_asked_for(page: Page, own_site: Site) -> None:
    sign_in(page)
    page.goto("/accounts/security/")
    page.get_by_role("link", name="Set up an app").click()
    confirm(page)
    heading(page, "Set up an authenticator app")
    expect(page.get_by_role("img", name="A code to scan")).to_be_visible()
    assert page.locator(".qr-code").evaluate("(image) => image.naturalWidth") > 0
    assert_fine_in_every_dress(page)
    secret = page.locator("#totp-secret").inner_text()
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("alert")).to_contain_text("That code is not right")
    assert_fine_in_every_dress(page)
    page.get_by_label("Code").fill(code_of(secret))
    page.get_by_role("button", name="Set up").click()
    heading(page, "Recovery codes")
    spare = page.locator("#recovery-codes").inner_text().split()[0]
    page.get_by_role("link", name="I have kept them").click()
    sign_out(page)

    sign_in(page)
    page.get_by_label("Code").fill(code_of(secret, steps=1))
    page.get_by_role("button", name="Sign in", exact=True).click()
    heading(page, "Ready when you are")
    sign_out(page)
    sign_in(page)
    page.get_by_label("Code").fill(spare)
    page.get_by_role("button", name="Sign in", exact=True).click()
    heading(page, "Ready when you are")
    page.goto("/accounts/security/")
    expect(page.get_by_text("9 of 10 are left.")).to_be_visible()


def test_another_session_is_ended(page: Page, open_page: OpenPage, own_site: Site) -> None:
    other = open_page(signed_in=False, at=own_site, path="/accounts/login/")
    sign_in(other)
    sign_in(page)
    page.goto("/accounts/security/")
    page.get_by_role("button", name=re.compile("^Sign out Chrome")).click()
    expect(page.get_by_role("button", name=re.compile("^Sign out Chrome"))).to_have_count(0)

    other.goto("/keys/")
    expect(other).to_have_url(f"{own_site.url}/accounts/login/?next=/keys/")


def test_who_guesses_is_told_to_wait(page: Page) -> None:
    for _ in range(5):
        page.get_by_label("Name").fill(USER_NAME)
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_load_state()

    heading(page, "Too many tries")
    assert_fine_in_every_dress(page)
