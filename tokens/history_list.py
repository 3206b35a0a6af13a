"""How the history of client secrets is filtered and searched: each way has an index of `Issuance`."""

import ipaddress
import re
from collections.abc import Iterable
from typing import Any, Final

from django.contrib.admin.views.main import SEARCH_VAR
from django.db.models import QuerySet
from django.http import QueryDict

from agents.list_filters import AgentFilter, DaysFilter, UserFilter
from realtime_api import client_secrets
from realtime_api.masking import mask_secrets
from tokens import api_keys
from tokens.models import ApiKey, Issuance, Kind
from voiceagent.errors import catalogue
from voiceagent.list_filters import LinkedFilter, SelectFilter, ValueFilter
from voiceagent.name_search import of_user_named

DIGEST: Final = re.compile(r"[0-9a-f]{64}")
CALL_PREFIX: Final = "rtc_"
PERSONAL: Final = frozenset({"user", "key", SEARCH_VAR})
SEARCH_HELP: Final = (
    "A request id, a call's id, an address, a digest or a key's start (vak_…) as a whole; …9f3a for a secret's last"
    " characters; or the start of a user's name. Never a secret itself: that is looked up under “Whose is it?”."
)


class StatusFilter(ValueFilter):
    title, parameters, field = "outcome", ("status",), "status"

    def values(self) -> Iterable[tuple[str, str]]:
        return Issuance.Status.choices


class KindFilter(ValueFilter):
    title, parameters, field = "kind", ("kind",), "kind"

    def values(self) -> Iterable[tuple[str, str]]:
        return [(kind.value, str(kind.label)) for kind in Kind]


class CodeFilter(SelectFilter):
    """The catalogue's codes are offered; one of the upstream's own can still be named in the address."""

    title, parameters, field = "error code", ("code",), "error_code"

    def values(self) -> Iterable[tuple[str, str]]:
        return [(code, code) for code in sorted(catalogue())]

    def matching(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        # The second condition is the index's own, which SQLite must see to use it.
        return queryset.filter(error_code=value).exclude(error_code="")


class KeyFilter(LinkedFilter):
    title, parameters, field = "API key", ("key",), "api_key"

    def matching(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(api_key=ApiKey.objects.filter(public_part=value).first() or -1)


FILTERS: Final[list[Any]] = [DaysFilter, StatusFilter, KindFilter, AgentFilter, CodeFilter, UserFilter, KeyFilter]


def is_secret(term: str) -> bool:
    """Tell whether somebody put a client secret or an API key itself into a search box, and so into an address."""
    term = term.strip()
    return api_keys.has_form(term) or (
        client_secrets.has_form(term) and len(term) > len(client_secrets.PREFIX) + client_secrets.HINT_CHARS
    )


def search(queryset: QuerySet[Issuance], term: str) -> QuerySet[Issuance]:
    """Find rows by what a term looks like, so that every search is one question to one index."""
    if term.startswith(("…", "...")):
        return queryset.filter(secret_hint=term.lstrip("….")).exclude(secret_hint="")
    if term.startswith(api_keys.PREFIX):
        key = ApiKey.objects.filter(public_part=api_keys.public_part(term)).first()
        return queryset.filter(api_key=key) if key else queryset.none()
    if DIGEST.fullmatch(term):
        return queryset.filter(secret_digest=term)
    if is_address(term):
        return queryset.filter(ip=term)
    if term.startswith(CALL_PREFIX):
        return queryset.filter(call__upstream_id=term)
    if Issuance.objects.filter(request_id=term).exists():
        return queryset.filter(request_id=term)
    return of_user_named(queryset, term)


def filters_for_record(parameters: QueryDict) -> str:
    """Return the filters of a list as the record keeps them: who or what was searched for is personal, and left out."""
    known = {name for listed in FILTERS for name in listed.parameters}
    shown = {
        name: "…" if name in PERSONAL else mask_secrets(str(value))[:80]
        for name, value in sorted(parameters.items())
        if name in known or name == SEARCH_VAR
    }
    return "&".join(f"{name}={value}" for name, value in shown.items())


def is_address(term: str) -> bool:
    try:
        ipaddress.ip_address(term)
    except ValueError:
        return False
    return True
