"""Asking the upstream which of its categories of moderation a text falls under."""

import json
from http import HTTPStatus
from typing import Final

import aiohttp

from realtime_api import errors
from realtime_api.upstream import Upstream, failure, logged, post

MODEL: Final = "omni-moderation-latest"
MAX_TEXT_CHARS: Final = 4_000


async def flagged_categories(http: aiohttp.ClientSession, upstream: Upstream, text: str) -> set[str]:
    """Return the names of the categories that a text falls under. Raises UpstreamError subclasses."""
    body = json.dumps({"model": MODEL, "input": text[-MAX_TEXT_CHARS:]}).encode()
    headers = upstream.headers() | {"Content-Type": "application/json", "Accept": "application/json"}
    with logged("moderation"):
        status, answer_headers, answer = await post(http, upstream, "/moderations", data=body, headers=headers)
        if status != HTTPStatus.OK:
            raise failure(status, answer_headers, answer)
        try:
            categories = json.loads(answer)["results"][0]["categories"]
            return {str(name) for name, is_so in categories.items() if is_so is True}
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as exc:
            raise errors.UpstreamBadAnswer("The voice service's moderation said nothing that can be read.") from exc
