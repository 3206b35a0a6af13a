"""How lists of the administration show a time, an outcome and a link to another row."""

from datetime import UTC, datetime

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString


def time_of(moment: datetime | None) -> str:
    """Return a time to the second in the server's zone; the page's script turns it into the reader's."""
    if moment is None:
        return ""
    utc, local = moment.astimezone(UTC), timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>',
        f"{utc:%Y-%m-%dT%H:%M:%SZ}",
        f"{utc:%Y-%m-%d %H:%M:%S}",
        f"{local:%Y-%m-%d %H:%M:%S %Z}",
    )


def two_lines(first: object, second: object) -> SafeString:
    """Return a cell of a list with something less important below."""
    return format_html('{}<span class="second-line">{}</span>', first, second)


def badge(kind: str, words: str) -> SafeString:
    """Return an outcome in words and a colour. kind: `good`, `bad`, `warn` or `quiet`, as admin.css has them."""
    return format_html('<span class="badge badge--{}">{}</span>', kind, words)


def link_to(model: str, pk: int, words: str) -> SafeString:
    """Return a link to a row's page in the admin. model: such as `relay_call`."""
    return format_html('<a href="{}">{}</a>', reverse(f"admin:{model}_change", args=[pk]), words)


def link_to_list(model: str, query: str, words: str) -> SafeString:
    """Return a link to a list in the admin. query: its filters, encoded for an address."""
    return format_html('<a href="{}?{}">{}</a>', reverse(f"admin:{model}_changelist"), query, words)
