"""Alice's key, and a program that uses it."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from agents.models import Agent
from tokens.key_services import NewKey, create_api_key

MakeKey = Callable[..., NewKey]


@pytest.fixture
def make_key(alice: User, assistant: Agent) -> MakeKey:
    def make(**changes: object) -> NewKey:
        wish: dict[str, object] = {
            "name": "tests",
            "scopes": ["mint", "read", "control"],
            "days": 30,
            "allowed_networks": [],
            "request_id": "req_tests",
            "actor": "tests",
        }
        return create_api_key(alice, **(wish | changes))  # type: ignore[arg-type]  # by name, as the service takes them

    return make


@pytest.fixture
def bearer(make_key: MakeKey) -> dict[str, str]:
    """The header of a program that holds Alice's key."""
    return {"authorization": f"Bearer {make_key().value}"}
