"""The OpenAPI document: valid, complete in routes and errors, and true to its own examples."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from openapi_spec_validator import OpenAPIV31SpecValidator
from pytest_django import Settings

from api_docs.operations import OPERATIONS
from tests.api_docs.conformance import document, template_of, validator_of
from tests.tokens.conftest import MakeKey
from tests.voiceagent.test_permissions import PARTS, addresses
from voiceagent.errors import catalogue, is_api_path

ROOT = Path(__file__).resolve().parents[2]
METHODS = ("get", "post", "put", "patch", "delete")
# Codes that no route of the API answers with: of pages, and of base classes that nobody raises.
OF_PAGES = {
    "permission_denied", "call_not_over", "login_locked", "too_many_logins",
    "login_provider_refused", "login_provider_unavailable"
}  # fmt: skip
# An OpenAPI document has no word for sockets: docs/websocket.md tells of these.
OF_SOCKETS = {
    "credential_in_address", "api_key_in_page", "beta_api_shape_disabled",
    "invalid_event", "event_not_allowed", "too_many_events",
}  # fmt: skip
OF_LOG = {"unknown_tile"}  # of the tiled log, which another specification describes
# What a model is told of its tools: an answer of 200 holds it, if any does.
OF_MODELS = {
    "tool_refused", "unknown_tool", "tool_not_allowed", "invalid_arguments", "tool_failed", "tool_timeout",
    "tools_busy", "too_many_tool_calls", "tool_outcome_unknown", "tool_not_approved", "approval_timeout",
}  # fmt: skip


def api_addresses() -> list[str]:
    return [f"/{address}" for address in addresses() if is_api_path(f"/{address}")]


def operations() -> list[Any]:
    return [
        pytest.param(path, method, id=f"{method} {path}")
        for path, methods in document()["paths"].items()
        for method in methods
    ]


def test_the_document_is_valid_openapi_3_1() -> None:
    assert document()["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(document()).iter_errors()) == []


def test_the_generator_has_nothing_to_complain_about(tmp_path: Path) -> None:
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "openapi.yaml"))

    assert yaml.safe_load((tmp_path / "openapi.yaml").read_text())["paths"].keys() == document()["paths"].keys()


@pytest.mark.django_db
@pytest.mark.parametrize("address", api_addresses())
def test_every_method_that_an_address_takes_is_described_and_no_other(alices_client: Client, address: str) -> None:
    path = address
    for part, value in PARTS.items():
        path = path.replace(part, value)
    taken = {
        method
        for method in METHODS
        if getattr(alices_client, method)(path, content_type="application/json").status_code != 405
    }

    assert taken == set(document()["paths"].get(template_of(path), ())), "api_docs/operations.py"


def test_nothing_is_described_that_has_no_address() -> None:
    assert len(document()["paths"]) == len(api_addresses())


def test_every_code_of_the_catalogue_is_some_route_s() -> None:
    described = {
        name.partition(".")[0]
        for methods in document()["paths"].values()
        for operation in methods.values()
        for status, answer in operation["responses"].items()
        for content in answer.get("content", {}).values()
        for name in content["examples"]
        if int(status) >= 400
    }

    assert set(catalogue()) - described == OF_PAGES | OF_SOCKETS | OF_MODELS | OF_LOG, "api_docs/operations.py"


@pytest.mark.parametrize(("path", "method"), operations())
def test_every_example_is_of_its_own_schema(path: str, method: str) -> None:
    operation = document()["paths"][path][method]
    contents = list(operation.get("requestBody", {}).get("content", {}).values())
    for answer in operation["responses"].values():
        contents += answer.get("content", {}).values()

    assert contents or operation["responses"]
    for content in contents:
        assert content["examples"]
        for example in content["examples"].values():
            validator_of(content["schema"]).validate(_resolved(example)["value"])


def _resolved(example: dict[str, Any]) -> dict[str, Any]:
    name = example.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = document()["components"]["examples"][name] if name else example
    return found


def test_operations_have_names_of_their_own() -> None:
    assert len({row.name for row in OPERATIONS.values()}) == len(OPERATIONS)


def test_the_version_is_the_project_s(settings: Settings) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert document()["info"]["version"] == project["version"]


def test_the_cookie_is_named_as_it_is_set(settings: Settings) -> None:
    assert document()["components"]["securitySchemes"]["session"]["name"] == settings.SESSION_COOKIE_NAME


@pytest.mark.django_db
def test_it_is_given_as_json_and_as_yaml(alices_client: Client) -> None:
    as_json = alices_client.get("/api/schema/")
    as_yaml = alices_client.get("/api/schema/?format=yaml")

    assert as_json["Content-Type"] == "application/json"
    assert as_yaml["Content-Type"] == "application/yaml"
    assert json.loads(as_json.content) == yaml.safe_load(as_yaml.content) == document()


@pytest.mark.django_db
def test_a_program_reads_it_with_a_key_and_nobody_without(client: Client, make_key: MakeKey) -> None:
    key = make_key(scopes=["read"]).value

    assert client.get("/api/schema/", headers={"authorization": f"Bearer {key}"}).status_code == 200
    assert client.get("/api/schema/").json()["code"] == "not_authenticated"


@pytest.mark.django_db
def test_the_page_is_for_people_who_are_signed_in(client: Client, alice: User) -> None:
    assert client.get("/api/docs/")["Location"] == "/accounts/login/?next=/api/docs/"
    client.force_login(alice)
    page = client.get("/api/docs/")

    assert b'data-schema-url="/api/schema/"' in page.content
    assert b"unsafe-" not in page["Content-Security-Policy"].encode()


def test_a_web_process_starts_without_the_generator() -> None:
    started = (
        "import sys, voiceagent.asgi\n"
        "from django.urls import get_resolver\n"
        "assert get_resolver().url_patterns\n"
        "print([name for name in ('drf_spectacular.openapi', 'api_docs.schema') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", started], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "[]"
