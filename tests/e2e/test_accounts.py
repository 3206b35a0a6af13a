"""Signing in and out, by keyboard, with no way to sign up."""

from playwright.sync_api import Page, expect

from tests.e2e.conftest import OpenPage, log_in
from tests.e2e.site import PASSWORD, USER_NAME, Site


def test_who_is_not_signed_in_is_asked_to(open_page: OpenPage, site: Site) -> None:
    login = open_page(signed_in=False)
    expect(login).to_have_url(f"{site.url}/accounts/login/?next=/")
    expect(login.get_by_label("Name")).to_be_focused()


def test_a_wrong_password_is_told_and_tells_nothing_else(open_page: OpenPage) -> None:
    login = open_page(signed_in=False)
    login.get_by_label("Name").fill(USER_NAME)
    login.get_by_label("Password").fill("not the password")
    login.get_by_role("button", name="Sign in").click()
    expect(login.get_by_role("alert")).to_have_text("That name and password do not belong together.")
    expect(login.get_by_label("Name")).to_have_value(USER_NAME)
    expect(login.get_by_label("Password")).to_be_focused()


def test_nobody_can_sign_up(open_page: OpenPage) -> None:
    signup = open_page(signed_in=False, path="/accounts/signup/")
    expect(signup.get_by_role("heading", level=1)).to_have_text("Nobody can sign up here")
    expect(signup.get_by_role("textbox")).to_have_count(0)


def press_tab_to(login: Page, name: str) -> None:
    """Press Tab until the control of that name has the focus."""
    for _ in range(12):
        if login.evaluate("document.activeElement.labels?.[0]?.innerText ?? document.activeElement.innerText") == name:
            return
        login.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {name}.")


def test_signing_in_needs_no_mouse(open_page: OpenPage, site: Site) -> None:
    login = open_page(signed_in=False)
    press_tab_to(login, "Name")
    login.keyboard.type(USER_NAME)
    press_tab_to(login, "Password")
    login.keyboard.type(PASSWORD)
    login.keyboard.press("Enter")
    expect(login).to_have_url(f"{site.url}/")
    expect(login.get_by_role("heading", level=1)).to_have_text("Ready when you are")


def test_signing_out_ends_the_session(open_page: OpenPage, site: Site) -> None:
    voice = open_page(signed_in=False)
    log_in(voice, site)
    kept = voice.context.cookies()
    voice.get_by_role("button", name="Sign out").click()
    expect(voice).to_have_url(f"{site.url}/accounts/login/")
    voice.context.add_cookies(kept)  # type: ignore[arg-type]  # what the browser gave is what it takes
    voice.goto(f"{site.url}/")
    expect(voice).to_have_url(f"{site.url}/accounts/login/?next=/")
