"""Compare answers of the application with what the OpenAPI document says about them."""

import json
import re
from functools import cache
from typing import Any, Protocol

from jsonschema import Draft202012Validator

from api_docs.schema import build_document

# A request that no operation describes; the routes' own inventory is in test_document.py.
UNDESCRIBED = "undescribed"


class Answer(Protocol):
    """What is read of the test clients' responses."""

    status_code: int
    content: bytes
    streaming: bool

    def __getitem__(self, header: str) -> str: ...

    def __contains__(self, header: str) -> bool: ...


@cache
def document() -> dict[str, Any]:
    """Return the document as a client reads it."""
    parsed: dict[str, Any] = json.loads(json.dumps(build_document()))
    return parsed


def check_answer(method: str, path: str, answer: Answer) -> str:
    """Assert that an answer is as described; returns the operation's name, or UNDESCRIBED."""
    template = template_of(path)
    operation = document()["paths"].get(template, {}).get(method.lower())
    if operation is None:
        return UNDESCRIBED
    where = f"{method} {template} answered {answer.status_code}"
    described = operation["responses"].get(str(answer.status_code))
    assert described, f"{where}, which is not in api_docs/operations.py: {answer.content[:300]!r}"
    _check_headers(where, described, answer)
    if answer.streaming:
        return str(operation["operationId"])  # whoever tests it reads it
    _check_body(where, method, template, described, answer)
    return str(operation["operationId"])


@cache
def template_of(path: str) -> str:
    """Return the path of the document that an address belongs to; empty when there is none."""
    for template in document()["paths"]:
        pattern = "".join(
            "[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{\w+\})", template)
        )
        if re.fullmatch(pattern, path):
            return str(template)
    return ""


def _check_headers(where: str, described: dict[str, Any], answer: Answer) -> None:
    expected = set(described.get("headers", ()))
    missing = {name for name in expected - {"Retry-After", "Allow"} if name not in answer}
    assert not missing, f"{where} without {missing}"
    if answer.status_code == 429:
        assert int(answer["Retry-After"]) > 0


def _check_body(where: str, method: str, template: str, described: dict[str, Any], answer: Answer) -> None:
    content = described.get("content")
    if content is None:
        assert answer.content == b"", where
        return
    media_type = answer["Content-Type"].partition(";")[0]
    assert media_type in content, f"{where} with {media_type}"
    body = json.loads(answer.content) if media_type == "application/json" else answer.content.decode()
    problems = list(_validator(template, method.lower(), str(answer.status_code), media_type).iter_errors(body))
    assert not problems, f"{where}: {problems[0].message} at {problems[0].json_path}"


@cache
def _validator(template: str, method: str, status: str, media_type: str) -> Draft202012Validator:
    described = document()["paths"][template][method]["responses"][status]
    return validator_of(described["content"][media_type]["schema"])


def validator_of(schema: dict[str, Any]) -> Draft202012Validator:
    """Return a validator that takes no field which the document does not name."""
    components = {"schemas": _closed(document()["components"]["schemas"])}
    return Draft202012Validator(
        _closed(schema) | {"components": components}, format_checker=Draft202012Validator.FORMAT_CHECKER
    )


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(member) for member in node]
    if not isinstance(node, dict):
        return node
    closed = {name: _closed(member) for name, member in node.items()}
    if "object" in (node.get("type") or ()) and isinstance(node.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed
