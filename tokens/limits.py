"""Short-term rate limits by django-ratelimit's core, called after authentication with a key of our own."""

from django.http import HttpRequest
from django_ratelimit.core import get_usage
from redis.exceptions import RedisError

from tokens.exceptions import LimitsUnavailable, RateLimited


def check_rate(group: str, *, key: str, rate: str) -> None:
    """Count one request against `rate` ("20/m") for `key`.

    Raises RateLimited with the time to wait, and LimitsUnavailable when the cache cannot be asked: a limit
    that cannot be checked is not passed. The package's decorator is not used, because it runs before
    authentication and answers 403.
    """
    try:
        usage = get_usage(HttpRequest(), group=group, key=lambda _group, _request: key, rate=rate, increment=True)
    except (RedisError, OSError) as exc:
        raise LimitsUnavailable(retry_after_ms=1000) from exc
    if usage is not None and usage["should_limit"]:
        raise RateLimited(retry_after_ms=max(1, usage["time_left"]) * 1000)
