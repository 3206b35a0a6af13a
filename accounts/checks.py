"""System checks of logins."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register


@register(Tags.security, deploy=True)
def check_staff_need_second_factor(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    if settings.STAFF_NEED_SECOND_FACTOR:
        return []
    hint = "Set STAFF_NEED_SECOND_FACTOR=true: then administrators need an authenticator app or a passkey."
    return [Warning("A password alone opens the administration.", hint=hint, id="accounts.W001")]


@register(Tags.security)
def check_login_provider(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    if not settings.OIDC_SERVER_URL:
        return []
    problems: list[CheckMessage] = []
    address = urlsplit(settings.OIDC_SERVER_URL)
    if address.scheme == "http" and address.hostname not in {"127.0.0.1", "localhost", "::1"}:
        hint = "Use https in OIDC_SERVER_URL."
        problems.append(Error("The login provider is asked over plain http.", hint=hint, id="accounts.E001"))
    if not settings.OIDC_CLIENT_ID:
        hint = "Set OIDC_CLIENT_ID to what the provider calls this site."
        problems.append(Error("The login provider does not know who asks.", hint=hint, id="accounts.E002"))
    if settings.OIDC_STAFF_GROUP and not settings.OIDC_GROUPS_CLAIM:
        hint = "Set OIDC_GROUPS_CLAIM, or remove OIDC_STAFF_GROUP."
        problems.append(Error("OIDC_STAFF_GROUP has no groups to look into.", hint=hint, id="accounts.E003"))
    return problems
