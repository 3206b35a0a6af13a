"""The corpus of bad inputs and faults. Each case has a number; whatever it does, nothing may crash unexpectedly."""

from collections.abc import Iterator

import pytest
from django.core.signals import got_request_exception

from tests.tokens.conftest import make_key

__all__ = ["make_key"]


@pytest.fixture(autouse=True)
def no_crash(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test during which a request met an exception that nobody had thought of, and was answered 500.

    A test that brings one about says so: `@pytest.mark.crash_is_owed`.
    """
    crashes: list[str] = []

    def note(**facts: object) -> None:
        crashes.append(getattr(facts.get("request"), "path", "?"))

    got_request_exception.connect(note)
    yield
    got_request_exception.disconnect(note)
    is_owed = request.node.get_closest_marker("crash_is_owed") is not None
    assert bool(crashes) == is_owed, crashes
