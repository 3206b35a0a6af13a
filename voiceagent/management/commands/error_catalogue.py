"""`manage.py error_catalogue`: print docs/errors.md from the error classes, the one source of codes and words."""

import re
from functools import cache
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand

from api_docs.operations import ANYWHERE, OPERATIONS, Operation
from realtime_api.errors import CodedError, UpstreamRefusedRequest
from voiceagent.errors import ALIASES, PAGE_ERRORS, CsrfFailed, PageError, catalogue

HEAD: Final = """\
# Errors

Every answer that is not a success carries one code of this list. Codes are never reused or renamed. Those without a
status are the voice page's own: what goes wrong in the browser.

On `/api/` routes the body is

```json
{
  "error": "Too many tries",
  "code": "rate_limited",
  "message": "Too many requests in a short time.",
  "requestId": "req_5f1c0a9d3b7e4c2a8f60",
  "suggestedAction": "Wait for the time given, then try again.",
  "reference": "docs/errors.md#rate_limited",
  "retryAfter": 12000
}
```

`retryAfter` is in milliseconds, as on the vendor's own endpoints, and the `Retry-After` header has it in seconds;
`upstreamStatus` tells what the voice service answered, and `upstreamData`, with `DEBUG=true` only, what it said. On
`/v1/` routes the body is the upstream's own form, `{"error": {"message", "type", "code", "param"}}`, so that its
clients understand it. Give the request id, which is also in the `X-Request-ID` header, when you ask an administrator:
history and log are searched by it.

[troubleshooting.md](troubleshooting.md) says in which order to look. `manage.py error_catalogue` prints this page.
"""


# Who asks, by the group of operations in api_docs/operations.py.
ASKERS: Final = {
    "Client secrets": "whoever asks for client secrets or their history",
    "The record": "whoever checks the record",
    "Calls": "whoever makes, reports on or ends a call",
}
ADMINISTRATORS: Final = "administrators, in the history and the log"


class Command(BaseCommand):
    help = "Print docs/errors.md from the error classes."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(render(), ending="")


def render() -> str:
    """Return the whole page as Markdown."""
    sections = {code: _section(code, errors) for code, errors in catalogue().items()}
    sections |= {error.code: _page_section(error) for error in PAGE_ERRORS}
    return "\n".join([HEAD, *(sections[code] for code in sorted(sections))])


def _section(code: str, errors: list[type[CodedError]]) -> str:
    statuses = " or ".join(f"**{status}**" for status in sorted({error.status for error in errors}))
    if any(issubclass(error, UpstreamRefusedRequest) for error in errors):
        statuses += " or the upstream's own 400, 404, 409, 413 or 422"
    cases = dict.fromkeys(f"{error.default_message} *{error.suggested_action}*" for error in errors)
    aliases = [f"Also known as `{alias}`." for alias, named in ALIASES.items() if named == code]
    who = f"Who sees it: {_who_sees(code)}."
    return "\n\n".join([f"## {code}", statuses, *cases, *aliases, who, *_what_helps(code)]) + "\n"


def _page_section(error: PageError) -> str:
    told = f"{error.message} *{error.suggested_action}*"
    who = "Who sees it: people on the voice page."
    return "\n\n".join([f"## {error.code}", told, who, *_what_helps(error.code)]) + "\n"


def _what_helps(code: str) -> list[str]:
    """Return a link to where the guide for those in trouble tells of a code; nothing where it does not."""
    heading = _headings_in_guide().get(code)
    if heading is None:
        return []
    anchor = re.sub(r"[^a-z ]", "", heading.lower()).replace(" ", "-")
    return [f"What helps: [{heading}](troubleshooting.md#{anchor})."]


@cache
def _headings_in_guide() -> dict[str, str]:
    """Return under which heading the guide has each code; the tables come last and say most."""
    text = (Path(settings.BASE_DIR) / "docs" / "troubleshooting.md").read_text()
    sections = [section.partition("\n") for section in re.split(r"^#{2,3} ", text, flags=re.MULTILINE)[1:]]
    return {code: heading for heading, _, body in sections for code in re.findall(r"`(\w+)`", body)}


def _who_sees(code: str) -> str:
    """Tell who gets a code, by the table of operations; what no operation answers is told to people by pages."""
    if code in {error.code for error in ANYWHERE}:
        return f"anybody who asks for anything; {ADMINISTRATORS}"
    groups = {row.group for (method, _), row in OPERATIONS.items() if code in _codes(row, method)}
    if not groups:
        return "people who sign in or open a page"
    askers = [words for group, words in ASKERS.items() if group in groups]
    if groups - ASKERS.keys():
        askers.append("whoever asks about their own keys, allowances or models")
    return "; ".join(askers + ([ADMINISTRATORS] if groups & ASKERS.keys() else []))


def _codes(row: Operation, method: str) -> set[str]:
    by_session = row.access.session and method != "GET"
    return {error.code for error in row.errors} | ({CsrfFailed.code} if by_session else set())
