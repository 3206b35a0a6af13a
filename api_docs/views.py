"""The REST API's description, as a document and as a page. Made without a network: its parts are installed here."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from tokens.rest import OwnView


class DocumentRenderer(BaseRenderer):
    """Render the document, whatever the view gives. drf-spectacular is loaded here, with the first request for it:
    the issuing routes of a process that nobody asks for documentation do not carry its four megabytes."""

    charset = None

    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        from api_docs.schema import render_document

        assert self.format
        return render_document(self.format)


class JsonDocument(DocumentRenderer):
    media_type, format = "application/json", "json"


class YamlDocument(DocumentRenderer):
    media_type, format = "application/yaml", "yaml"


class SchemaView(OwnView):
    """`GET /api/schema/`: OpenAPI 3.1 as JSON; as YAML by `?format=yaml` or the `Accept` header."""

    renderer_classes = [JsonDocument, YamlDocument]

    def get(self, request: Request) -> Response:
        return Response({})


@login_required
@require_safe
@never_cache
def browse(request: HttpRequest) -> HttpResponse:
    """Show the document as a page on which its routes can be tried with one's own session or key."""
    return render(request, "api_docs/browse.html")
