"""The project's system checks, each in both positions."""

from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import Settings

from voiceagent import checks, sdk_bundle

Check = Callable[[None], list[Any]]


def ids(check: Check) -> list[str]:
    return [message.id for message in check(None)]


@pytest.mark.parametrize(
    ("check", "setting", "bad", "good", "id"),
    [
        (checks.check_demo_is_off, "DEMO", True, False, "voiceagent.E001"),
        (checks.check_hosts_are_named, "ALLOWED_HOSTS", ["a", "*"], ["a"], "voiceagent.E002"),
        (checks.check_upstream, "UPSTREAM_BASE_URL", "http://a.example/v1", "https://a.example/v1", "voiceagent.E004"),
        (checks.check_upstream, "UPSTREAM_BASE_URL", "http://a.example/v1", "http://127.0.0.1:1/v1", "voiceagent.E004"),
        (checks.check_shared_cache, "REDIS_URL", "", "redis://127.0.0.1/0", "voiceagent.E005"),
        (checks.check_no_local_engine, "UPSTREAM_IS_LOCAL", True, False, "voiceagent.W003"),
        (checks.check_upstream, "UPSTREAM_API_KEY", "", "sk-1", "voiceagent.W001"),
    ],
)
def test_a_check(settings: Settings, check: Check, setting: str, bad: object, good: object, id: str) -> None:
    setattr(settings, setting, bad)
    assert ids(check) == [id]
    setattr(settings, setting, good)
    assert ids(check) == []


def test_atomic_requests_are_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ids(checks.check_atomic_requests) == []
    monkeypatch.setitem(settings.DATABASES["default"], "ATOMIC_REQUESTS", True)
    assert ids(checks.check_atomic_requests) == ["voiceagent.E003"]


def test_a_missing_library_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk_bundle, "is_built", lambda: False)
    (warning,) = checks.check_sdk_bundle(None)

    assert warning.id == "voiceagent.W002"
    assert "manage.py assets" in (warning.hint or "")
    monkeypatch.setattr(sdk_bundle, "is_built", lambda: True)
    assert checks.check_sdk_bundle(None) == []
