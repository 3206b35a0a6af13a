"""What the page says when it gets no client secret, or one that is no good; each says what to do next."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import OpenPage
from tests.e2e.site import ROOT, Site, start_processes
from tests.e2e.voice_page import button, expect_headline, expect_held, expect_line, expect_state, press, start_typing

RELAY = "**/v1/realtime/calls"
ISSUE = "**/api/client-secret"


@pytest.fixture
def strict(site: Site, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Start the application anew with limits of its own: `strict(CALLS_AT_ONCE="1")`."""
    started: list[Site] = []

    def start_(**limits: str) -> Site:
        started.append(start_processes(tmp_path, ("web",), root=ROOT, ENGINE_PORT=site.engine_port, **limits))
        return started[-1]

    yield start_
    for running in started:
        running.stop()
        assert "Traceback" not in running.output()


def expect_next_try_to_work(voice: Page) -> None:
    voice.unroute_all()
    press(voice, "Try again")
    expect_headline(voice, "Type your question")


def test_an_expired_secret_is_told_and_the_next_try_works(open_page: OpenPage, site: Site) -> None:
    voice = open_page()

    def let_it_expire(route: Route) -> None:
        site.rows("UPDATE tokens_issuance SET expires_at = requested_at WHERE first_used_at IS NULL")
        route.continue_()

    voice.route(RELAY, let_it_expire)
    press(voice, "Type instead")
    expect_headline(voice, "The session ran out before it began")
    expect_line(voice, "Try again: a new one is made each time.")
    expect_held(voice, tracks=0, connections=0, contexts=0)
    expect_next_try_to_work(voice)


def test_a_used_secret_is_told_and_the_next_try_works(open_page: OpenPage, site: Site) -> None:
    voice = open_page()

    def use_it_first(route: Route) -> None:
        site.rows("UPDATE tokens_issuance SET first_used_at = requested_at WHERE first_used_at IS NULL")
        route.continue_()

    voice.route(RELAY, use_it_first)
    press(voice, "Type instead")
    expect_headline(voice, "The session ran out before it began")
    expect_next_try_to_work(voice)


def test_items_16_and_55_a_second_call_at_once_is_told_and_can_take_the_place_of_the_first(
    open_page: OpenPage, strict: Callable[..., Site]
) -> None:
    at = strict(CALLS_AT_ONCE="1")
    first, second = open_page(at=at), open_page(at=at)
    start_typing(first)
    press(second, "Type instead")
    expect_headline(second, "You are already in a call")
    press(second, "End the other call")
    expect_headline(second, "Type your question")
    expect_headline(first, "Call ended")
    expect_line(first, re.compile("^It was hung up from another page or program of yours."))
    press(second, "End call")
    expect_state(second, "ended")


def test_item_56_too_many_tries_wait_as_long_as_the_server_says(
    open_page: OpenPage, strict: Callable[..., Site]
) -> None:
    at = strict(ISSUE_RATE="1/8s")
    voice = open_page(at=at)
    for _ in range(8):
        voice.locator("button[data-action=type]").click()
        expect(voice.locator("body")).to_have_attribute("data-state", re.compile("live|failed"))
        if button(voice, "End call").is_hidden():
            break
        press(voice, "End call")
        expect_state(voice, "ended")
    expect_headline(voice, "Too many tries")
    waiting = voice.get_by_role("button", name=re.compile(r"Try again in [1-8] s"))
    expect(waiting).to_be_disabled()
    expect(button(voice, "Try again")).to_be_enabled()
    expect_next_try_to_work(voice)
    assert ("denied", "rate_limited") in at.rows("SELECT status, error_code FROM tokens_issuance")


def test_who_was_signed_out_elsewhere_can_sign_in_again(open_page: OpenPage, site: Site) -> None:
    voice = open_page()
    voice.context.clear_cookies(name="session")
    press(voice, "Type instead")
    expect_headline(voice, "You have been signed out")
    press(voice, "Sign in")
    expect(voice).to_have_url(f"{site.url}/accounts/login/?next=%2F")


def test_a_page_of_before_another_sign_in_is_told_to_reload(open_page: OpenPage) -> None:
    voice = open_page()
    voice.context.clear_cookies(name="csrf")
    press(voice, "Type instead")
    expect_headline(voice, "This page is out of date")
    press(voice, "Reload the page")
    start_typing(voice)


def test_an_unknown_failure_has_a_reference_to_copy(open_page: OpenPage) -> None:
    voice = open_page()
    body = {"error": "Odd", "code": "something_new", "message": "", "requestId": "req_77"}
    voice.route(ISSUE, lambda route: route.fulfill(status=500, json=body))
    press(voice, "Type instead")
    expect_headline(voice, "Something went wrong")
    expect(voice.get_by_text("Reference req_77")).to_be_visible()
    expect(button(voice, "Copy details")).to_be_visible()


def test_a_server_that_cannot_be_reached_is_told(open_page: OpenPage) -> None:
    voice = open_page()
    voice.context.set_offline(True)
    press(voice, "Type instead")
    expect_headline(voice, "Could not reach the server")
    voice.context.set_offline(False)
    expect_next_try_to_work(voice)
