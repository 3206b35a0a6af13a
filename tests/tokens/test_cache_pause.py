"""A cache that hangs costs one request its time, not each."""

import pytest
from django.core.cache import cache
from redis.exceptions import TimeoutError as RedisTimeoutError

from tokens import cache_pause
from tokens.exceptions import LimitsUnavailable
from tokens.limits import check_rate
from tokens.refusals import RefusalCounter


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A cache that never answers, and what it was asked."""
    questions: list[str] = []

    def hang(key: str, *args: object) -> None:
        questions.append(key)
        raise RedisTimeoutError("timed out")

    for name in ("add", "incr", "get", "set"):
        monkeypatch.setattr(type(cache._connections[cache._alias]), name, lambda self, key, *args: hang(key))  # type: ignore[attr-defined]
    return questions


def refused() -> None:
    with pytest.raises(LimitsUnavailable):
        check_rate("issue", key="user:1", rate="20/m")


def test_after_a_failure_it_is_not_asked_for_a_moment(asked: list[str]) -> None:
    for _ in range(20):
        refused()
    assert RefusalCounter("x").count() == 0
    RefusalCounter("x").remember_row(1)

    assert len(asked) == 1


def test_after_the_pause_it_is_asked_again(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_pause, "PAUSE_S", 0.0)

    refused()
    refused()

    assert len(asked) == 2


def test_a_cache_that_answers_is_never_paused() -> None:
    for _ in range(5):
        check_rate("issue", key="user:1", rate="20/m")

    assert check_rate("issue", key="user:1", rate="20/m").remaining == 14
