"""System checks of the project as a whole: switches that must not be wrong unseen."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from voiceagent import sdk_bundle


@register(Tags.security, deploy=True)
def check_demo_is_off(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    if not settings.DEMO:
        return []
    return [
        Error("DEMO is on.", hint="Remove DEMO=true: it allows plain http and the local engine.", id="voiceagent.E001")
    ]


@register(Tags.security, deploy=True)
def check_hosts_are_named(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    return [
        Error("ALLOWED_HOSTS accepts every host.", hint="Name the hosts that serve the site.", id="voiceagent.E002")
    ]


@register(Tags.security, deploy=True)
def check_shared_cache(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Ask for Redis: in a process's own memory every further web process would multiply the rate limits."""
    if settings.REDIS_URL:
        return []
    return [Error("Rate limits are counted per process.", hint="Set REDIS_URL.", id="voiceagent.E005")]


@register(Tags.security, deploy=True)
def check_no_local_engine(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    if not settings.UPSTREAM_IS_LOCAL:
        return []
    return [
        Warning(
            "Calls are answered by the local engine.",
            hint="Set OPENAI_API_KEY, unless this site is meant to run without the voice service.",
            id="voiceagent.W003",
        )
    ]


@register(Tags.database)
def check_atomic_requests(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse ATOMIC_REQUESTS: a crash after the upstream's answer would roll the record of it back."""
    if not any(database.get("ATOMIC_REQUESTS") for database in settings.DATABASES.values()):
        return []
    return [
        Error(
            "ATOMIC_REQUESTS is on.",
            hint="Switch it off: what is recorded before the upstream is asked must be durable.",
            id="voiceagent.E003",
        )
    ]


@register(Tags.security)
def check_upstream(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    if not settings.UPSTREAM_API_KEY:
        hint = "Set OPENAI_API_KEY, or LOCAL_ENGINE=true for the engine on this machine."
        return [Warning("No upstream is configured: nobody can talk.", hint=hint, id="voiceagent.W001")]
    address = urlsplit(settings.UPSTREAM_BASE_URL)
    if address.scheme == "http" and address.hostname not in {"127.0.0.1", "localhost", "::1"}:
        return [
            Error("The upstream is asked over plain http.", hint="Use https in OPENAI_BASE_URL.", id="voiceagent.E004")
        ]
    return []


@register(Tags.staticfiles)
def check_sdk_bundle(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    if sdk_bundle.is_built():
        return []
    return [
        Warning(
            "The browser's audio library has not been built.", hint="Run: python manage.py assets", id="voiceagent.W002"
        )
    ]
