"""Short-term rate limits by django-ratelimit's core, called after authentication with a key of our own."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from django.http import HttpRequest
from django_ratelimit.core import get_usage
from redis.exceptions import RedisError

from tokens.cache_pause import asking_cache
from tokens.exceptions import LimitsUnavailable, RateLimited
from tokens.refusals import RefusalCounter

NO_REQUEST: Final = HttpRequest()  # the package hands it on to the function that makes the key
UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class RateState:
    """What is left of a rate after a request was counted; times are in seconds."""

    name: str
    limit: int
    window_s: int
    remaining: int
    resets_in_s: int

    def headers(self) -> dict[str, str]:
        """Return the fields of draft-ietf-httpapi-ratelimit-headers."""
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.limit};w={self.window_s}',
            "RateLimit": f'"{self.name}";r={self.remaining};t={self.resets_in_s}',
        }


def check_rate(group: str, *, key: str, rate: str) -> RateState:
    """Count one request against `rate` ("20/m") for `key`, and return what is left.

    Raises RateLimited with the time to wait, and LimitsUnavailable when the cache cannot be asked: a limit
    that cannot be checked is not passed. The package's decorator is not used, because it runs before
    authentication and answers 403.
    """
    try:
        with asking_cache():
            usage = get_usage(
                NO_REQUEST, group=group, key=lambda _group, _request: key, rate=parts_of(rate), increment=True
            )
    except (RedisError, OSError) as exc:
        raise LimitsUnavailable(retry_after_ms=1000) from exc
    assert usage is not None  # it is None only while limits are switched off, which no setting does
    state = RateState(
        name=group,
        limit=usage["limit"],
        window_s=parts_of(rate)[1],
        remaining=max(0, usage["limit"] - usage["count"]),
        resets_in_s=usage["time_left"] + 1,  # the package counts the window's last second to the window
    )
    if usage["should_limit"]:
        raise RateLimited(retry_after_ms=state.resets_in_s * 1000, headers=state.headers())
    return state


class RequestRates:
    """What one request was counted against, rates and refusals: once, however often the request's work runs."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], RateState | RateLimited] = {}
        self._refusals: dict[str, RefusalCounter] = {}

    def refusals(self, kind: str) -> RefusalCounter:
        """Return the counter of one kind of refusal, which counts this request once."""
        return self._refusals.setdefault(kind, RefusalCounter(kind))

    def check(self, group: str, *, key: str, rate: str) -> RateState:
        """Do as `check_rate`, and answer as before when asked again."""
        known = self._known.get((group, key))
        if known is None:
            try:
                known = check_rate(group, key=key, rate=rate)
            except RateLimited as exc:
                known = exc
            self._known[group, key] = known
        if isinstance(known, RateLimited):
            raise known
        return known


@lru_cache
def parts_of(rate: str) -> tuple[int, int]:
    """Return how many, and the seconds of the window: 20 and 60 for `20/m`, 5 and 10 for `5/10s`."""
    count, _, window = rate.partition("/")
    return int(count), int(window[:-1] or 1) * UNITS_S[window[-1]]
