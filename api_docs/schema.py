"""The OpenAPI document: drf-spectacular walks the addresses, `operations` says what each takes and answers.

Named in settings, and imported only when somebody asks for the document or `manage.py spectacular` runs.
"""

import json
from functools import cache
from typing import Any, Final, Literal

from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.renderers import OpenApiYamlRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from api_docs.error_answers import error_answers, error_examples
from api_docs.operations import ANYWHERE, OPERATIONS, Access, Body, Operation
from api_docs.shapes import REQUEST_ID, SCHEMAS, number, ref, text
from voiceagent.errors import CsrfFailed

Endpoint = tuple[str, str, str, Any]  # address, its pattern, method, view
PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "Idempotency-Key": {
        "in": "header",
        "description": "A word of yours for this request. A repeat with it mints nothing more and is answered 409.",
        "schema": text(pattern=r"^[\x21-\x7e]{1,255}$"),
    },
    "X-Request-ID": {
        "in": "header",
        "description": "An id of yours for this request, under which history and log keep it; else we make one.",
        "schema": text(pattern=r"^[A-Za-z0-9._-]{8,64}$"),
    },
    "id": {"in": "path", "required": True, "schema": number(minimum=0)},
    "call_id": {
        "in": "path",
        "required": True,
        "description": "The last part of the `Location` that the call was answered with.",
        "schema": text(pattern="^[A-Za-z0-9_-]{1,128}$"),
    },
    "name": {
        "in": "path",
        "required": True,
        "description": "The tool's name, as the session has it.",
        "schema": text(pattern="^[A-Za-z0-9_-]+$"),
    },
    "before": {
        "in": "query",
        "description": "Only those before this id: the `nextBefore` of the page before.",
        "schema": number(minimum=0),
    },
    "last": {
        "in": "query",
        "description": "The id of the last event that you have, where no header can be sent.",
        "schema": text(pattern="^[0-9]{1,17}$"),
    },
    "model": {
        "in": "query",
        "description": "Taken as the vendor's clients send it, if it is the client secret's own; best left out.",
        "schema": text(),
    },
    "continues": {
        "in": "query",
        "description": "A call of your own whose conversation goes on in this one: both together last no longer than it"
        " might have, and nobody is greeted twice.",
        "schema": text(),
    },
    "from": {
        "in": "query",
        "description": "The size of a checkpoint that you kept: the answer then proves that this one continues it.",
        "schema": number(minimum=0),
    },
    "format": {"in": "query", "schema": text(enum=["json", "yaml"], default="json")},
}
HEADERS: Final[dict[str, dict[str, Any]]] = {
    "X-Request-ID": {
        "description": "The request's id, in every answer.",
        "schema": text(),
        "example": REQUEST_ID,
    },
    "Location": {
        "description": "Where it is: of a call, its last part is the call's id.",
        "schema": text(),
        "example": "/v1/realtime/calls/rtc_u1",
    },
    "Retry-After": {"description": "Seconds to wait before trying again.", "schema": number(), "example": 12},
    "RateLimit": {"description": "What is left, and the seconds until it starts anew.", "schema": text(),
                  "example": '"issue";r=19;t=41'},
    "RateLimit-Policy": {"description": "How many requests in how many seconds.", "schema": text(),
                         "example": '"issue";q=20;w=60'},
    "X-Audit-Event": {"description": "The receipt: the event's number, for `/api/audit/proof/{id}`.",
                      "schema": number(), "example": 320},
    "WWW-Authenticate": {"schema": text(), "example": 'Bearer realm="voiceagent"'},
    "Allow": {"description": "The methods that this address takes.", "schema": text(), "example": "POST"},
}  # fmt: skip


@cache
def render_document(form: str) -> bytes:
    """Return the document as `json` or `yaml`. Made once for each process: it does not depend on who asks."""
    if form == "json":
        return json.dumps(build_document(), ensure_ascii=False, separators=(",", ":")).encode()
    rendered: bytes = OpenApiYamlRenderer().render(build_document())  # type: ignore[no-untyped-call]
    return rendered


def build_document() -> dict[str, Any]:
    generator: Any = SchemaGenerator()  # type: ignore[no-untyped-call]  # the package has no types here
    document: dict[str, Any] = generator.get_schema(request=None, public=True)
    return document


class TableSchema(AutoSchema):
    """Describe a view by its row of the table."""

    def get_operation(self, path: str, path_regex: str, path_prefix: str, method: str, registry: Any) -> dict[str, Any]:
        self.registry, self.path, self.path_regex = registry, path, path_regex
        self.path_prefix, self.method = path_prefix, method
        row = OPERATIONS[method, path]
        described: dict[str, Any] = {
            "operationId": row.name,
            "tags": [row.group],
            "summary": row.summary,
            "parameters": [_ref("parameters", name) for name in (*row.parameters, "X-Request-ID")],
            "security": _security(row.access, method),
            "responses": {str(row.status): self._answer(row)} | _refusals(path, row, method),
        }
        if row.description:
            described["description"] = row.description
        if row.body:
            described["requestBody"] = {"required": row.body.is_required, "content": self._content(row.body, "request")}
        return described

    def _answer(self, row: Operation) -> dict[str, Any]:
        headers = {name: _ref("headers", name) for name in ("X-Request-ID", *row.headers)}
        content: dict[str, Any] = {}
        for body in filter(None, (row.answer, row.other_form)):
            content |= self._content(body, "response")
        return {"description": row.summary + ".", "headers": headers} | ({"content": content} if content else {})

    def _content(self, body: Body, direction: Literal["request", "response"]) -> dict[str, Any]:
        shape = body.shape
        schema = ref(shape) if isinstance(shape, str) else self.resolve_serializer(shape(), direction).ref
        examples = {name.replace(" ", "_"): {"summary": name, "value": value} for name, value in body.examples.items()}
        return {body.media_type: {"schema": schema, "examples": examples}}


def _refusals(path: str, row: Operation, method: str) -> dict[str, Any]:
    if _is_page(row):
        return {"302": {"description": "To the login.", "headers": {"Location": _ref("headers", "Location")}}}
    return error_answers(path, _errors(row, method))


def _is_page(row: Operation) -> bool:
    return row.answer is not None and row.answer.media_type == "text/html"


def _errors(row: Operation, method: str) -> tuple[Any, ...]:
    by_session = row.access.session and method != "GET"
    return ANYWHERE + row.errors + ((CsrfFailed,) if by_session else ())


def _ref(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _security(access: Access, method: str) -> list[dict[str, list[str]]]:
    by_key: list[dict[str, list[str]]] = [{"apiKey": [access.scope.value]}] if access.scope else []
    if access.client_secret:
        return [{"clientSecret": []}, *by_key]
    by_session: dict[str, list[str]] = {"session": []} if method == "GET" else {"session": [], "csrfToken": []}
    return [*by_key, by_session]


class PlainView(APIView):
    """Stands for a view that is not one of DRF's, so that the walk through the addresses finds it."""

    def get(self, request: Request) -> None: ...

    def post(self, request: Request) -> None: ...


def add_plain_views(endpoints: list[Endpoint], **_: Any) -> list[Endpoint]:
    """Add the rows of the table that are plain Django views; tests/api_docs/ compares the outcome with the URLs."""
    found = {path for path, *_ in endpoints}
    plain = [(path, path, method, PlainView.as_view()) for method, path in OPERATIONS if not _is_found(path, found)]
    return endpoints + plain


def _is_found(path: str, found: set[str]) -> bool:
    return path.replace("{id}", "{pk}") in found


def add_components(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Put in what the rows refer to, and their order."""
    components = result.setdefault("components", {})
    components["schemas"] = SCHEMAS | components.get("schemas", {})
    components["parameters"] = {name: {"name": name, **described} for name, described in PARAMETERS.items()}
    components["headers"] = HEADERS
    components["examples"] = error_examples(
        error for (method, _), row in OPERATIONS.items() for error in _errors(row, method)
    )
    components["securitySchemes"] = {
        "apiKey": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "vak_…",
            "description": "An API key of one's own, made on the page Keys.",
        },
        "clientSecret": {"type": "http", "scheme": "bearer", "bearerFormat": "ek_…", "description": "A client secret."},
        "session": {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME},
        "csrfToken": {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRFToken",
            "description": 'Of the page that asks: the content of its `<meta name="csrf-token">`.',
        },
    }
    result["paths"] = {path: result["paths"][path] for path in dict.fromkeys(path for _, path in OPERATIONS)}
    result["tags"] = [{"name": group} for group in dict.fromkeys(row.group for row in OPERATIONS.values())]
    return result
