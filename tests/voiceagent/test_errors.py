"""The catalogue of errors: one form, one page of documentation, and no answer outside of it."""

import json
import re
from pathlib import Path

import pytest
from django.http import HttpRequest
from django.test import Client, RequestFactory
from pytest_django import Settings

from realtime_api.errors import CodedError, UpstreamRefusedRequest
from tokens.exceptions import RateLimited
from voiceagent.errors import PAGE_ERRORS, catalogue, error_response
from voiceagent.management.commands.error_catalogue import render

ROOT = Path(__file__).resolve().parents[2]


def request_to(path: str) -> HttpRequest:
    request = RequestFactory().post(path)
    request.request_id = "req_tests"  # type: ignore[attr-defined]
    return request


def test_the_documentation_is_in_step_with_the_classes() -> None:
    assert (ROOT / "docs" / "errors.md").read_text() == render(), "make docs"


@pytest.mark.parametrize("error", [error for errors in catalogue().values() for error in errors])
def test_every_error_tells_what_happened_and_what_to_do(error: type[CodedError]) -> None:
    assert error.code.replace("_", "").isalnum()
    assert error.code == error.code.lower()
    assert 400 <= error.status < 600
    for words in (error.title, error.default_message, error.suggested_action):
        assert words.strip()


def test_the_page_s_codes_are_in_the_documentation() -> None:
    """Each code that the page has words for is one that the server answers, or one of the page's own."""
    javascript = (ROOT / "static" / "realtime_ui" / "js" / "call_errors.js").read_text()
    table = javascript.partition("export const ADVICE")[2].partition("});")[0]
    codes = set(re.findall(r"^  (\w+): ", table, re.MULTILINE)) | {"microphone_access_denied"}
    own = {error.code for error in PAGE_ERRORS}

    assert codes - catalogue().keys() == own
    assert all(f"## {code}\n" in render() for code in codes)


def test_every_code_says_who_sees_it() -> None:
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", render(), re.MULTILINE | re.DOTALL))

    assert len(sections) == len(catalogue()) + len(PAGE_ERRORS)
    assert all(section.count("Who sees it: ") == 1 for section in sections.values())
    assert "Who sees it: people on the voice page." in sections["webrtc_connection_failed"]
    assert "Who sees it: people who sign in" in sections["login_locked"]
    assert "whoever asks for client secrets" in sections["quota_exceeded"]
    assert "Who sees it: whoever makes" in sections["invalid_sdp"]


def test_each_code_that_the_guide_tells_of_leads_there() -> None:
    page = render()

    assert "What helps: [The microphone](troubleshooting.md#the-microphone)." in page
    guide = (ROOT / "docs" / "troubleshooting.md").read_text()
    headings = re.findall(r"^#{2,3} (.+)$", guide, re.MULTILINE)
    anchors = {heading.lower().replace("'", "").replace(" ", "-") for heading in headings}
    assert set(re.findall(r"troubleshooting\.md#([a-z-]+)\)", page)) <= anchors


def test_troubleshooting_names_codes_and_settings_that_there_are() -> None:
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    example = (ROOT / ".env.example").read_text()
    theirs = {"api_version_mismatch"}
    codes = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text))

    assert len(codes) > 10
    assert codes - catalogue().keys() - {error.code for error in PAGE_ERRORS} == theirs
    settings = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", text))
    assert {name for name in settings if f"{name}=" not in example} == set()


def test_every_link_between_the_documents_leads_somewhere() -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    links = [(page, link) for page in documents for link in re.findall(r"\]\(([^)#:]+)[#)]", page.read_text())]

    assert len(links) > 10
    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()] == []
    linked = {link for page, link in links if page.name == "README.md"}
    assert {f"docs/{page.name}" for page in documents[1:]} <= linked


def test_our_own_form_holds_the_request_id_and_where_to_read_on() -> None:
    body = json.loads(error_response(request_to("/api/x"), CodedError("It broke.")).content)

    assert body == {
        "error": "Something went wrong",
        "code": "internal_error",
        "message": "It broke.",
        "requestId": "req_tests",
        "suggestedAction": "Try again. If it happens again, tell an administrator the request id.",
        "reference": "docs/errors.md#internal_error",
    }


def test_the_time_to_wait_is_in_milliseconds_in_the_body_and_seconds_in_the_header() -> None:
    response = error_response(request_to("/api/x"), RateLimited(retry_after_ms=1500))

    assert json.loads(response.content)["retryAfter"] == 1500
    assert response["Retry-After"] == "2"


def test_what_the_upstream_said_is_told_only_while_debugging(settings: Settings) -> None:
    error = UpstreamRefusedRequest("No.", upstream_status=400)
    error.upstream_data = "<html>No."

    assert "upstreamData" not in json.loads(error_response(request_to("/api/x"), error).content)
    settings.DEBUG = True
    assert json.loads(error_response(request_to("/api/x"), error).content)["upstreamData"] == "<html>No."


def test_the_drop_in_routes_answer_in_the_upstream_s_form() -> None:
    error = UpstreamRefusedRequest("No such voice.", upstream_status=422, upstream_code="invalid_value")
    response = error_response(request_to("/v1/realtime/calls"), error)

    assert response.status_code == 422
    assert json.loads(response.content) == {
        "error": {
            "message": "No such voice.",
            "type": "invalid_request_error",
            "code": "invalid_value",
            "param": None,
        }
    }


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/nothing", "/v1/nothing"])
def test_a_program_gets_json_for_an_address_that_is_not_there(client: Client, path: str) -> None:
    response = client.get(path)

    assert (response.status_code, response["Content-Type"]) == (404, "application/json")
    assert response["Cache-Control"] == "no-store"


def test_an_answer_that_nobody_would_accept_is_told_so(alices_client: Client) -> None:
    response = alices_client.get("/api/whoami", headers={"accept": "text/html"})

    assert (response.status_code, response.json()["code"]) == (406, "not_acceptable")


@pytest.mark.django_db
def test_a_person_gets_a_page_with_the_request_id(client: Client) -> None:
    response = client.get("/nothing", headers={"x-request-id": "from-a-proxy-1"})

    assert response.status_code == 404
    assert b"from-a-proxy-1" in response.content


@pytest.mark.parametrize("path", ["/api/client-secret", "/api/realtime/client-secret"])
def test_a_crash_is_an_answer_without_its_details(
    alices_client: Client, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async def crash(**kwargs: object) -> None:
        raise RuntimeError("private detail")

    monkeypatch.setattr("tokens.api.issue_client_secret", crash)
    alices_client.raise_request_exception = False
    response = alices_client.post(path, content_type="application/json")

    assert response.status_code == 500
    assert response.json()["code"] == "internal_error"
    assert b"private detail" not in response.content
