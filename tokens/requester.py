"""Who asks, from where: the facts of a request that history keeps."""

import ipaddress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.http import HttpRequest

from tokens.exceptions import OriginNotAllowed
from tokens.models import ApiKey
from voiceagent.client_ip import client_ip
from voiceagent.person import kept, user_agent_of

ORIGIN_CHARS: Final = 200


@dataclass(frozen=True)
class Requester:
    """user is None for somebody unknown. origin is empty when the client sent none, as programs do.

    mark: the configuration's when they were identified, if it was read then.
    """

    user: User | None
    api_key: ApiKey | None
    request_id: str
    ip: str | None
    user_agent: str
    origin: str
    mark: int | None = None

    @property
    def actor(self) -> str:
        if self.api_key:
            return f"key:{self.api_key.pk}"
        return f"user:{self.user.pk}" if self.user else ""

    @property
    def person(self) -> dict[str, str | int | bool | None]:
        """Return the personal data that an event keeps apart."""
        name = self.user.get_username() if self.user else ""
        return {"username": name, "ip": self.ip, "user_agent": self.user_agent}

    @property
    def rate_key(self) -> str:
        """Return whose rate this counts against: the user's, whatever key they use, or else the address'."""
        return f"user:{self.user.pk}" if self.user else self.address_key

    @property
    def address_key(self) -> str:
        """Return whose rate an address counts against: an IPv6 one's whole /64, which is one customer's."""
        if self.ip is None:
            return "ip:unknown"
        address = ipaddress.ip_address(self.ip)
        return f"ip:{ipaddress.ip_network(f'{address}/64', strict=False) if address.version == 6 else address}"


def requester_of(
    request: HttpRequest,
    user: AbstractBaseUser | AnonymousUser | None,
    *,
    api_key: ApiKey | None = None,
    mark: int | None = None,
) -> Requester:
    """Collect the facts of a request. Text from its headers is cut, made printable, and freed of keys."""
    return Requester(
        user=user if isinstance(user, User) and user.is_active else None,
        api_key=api_key,
        request_id=request.request_id,  # type: ignore[attr-defined]  # set by the outermost middleware
        ip=client_ip(request),
        user_agent=user_agent_of(request),
        origin=kept(request.META.get("HTTP_ORIGIN", ""), ORIGIN_CHARS),
        mark=mark,
    )


def check_origin(request: HttpRequest, requester: Requester) -> None:
    """Raise OriginNotAllowed for a browser's page that is neither ours nor listed in ALLOWED_ORIGINS."""
    if requester.origin and not is_allowed_origin(request, requester.origin):
        raise OriginNotAllowed()


def is_allowed_origin(request: HttpRequest, origin: str) -> bool:
    own = f"{request.scheme}://{request.get_host()}"
    return origin == own or (origin in settings.ALLOWED_ORIGINS and bool(urlsplit(origin).scheme))
