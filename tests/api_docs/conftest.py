"""Alice's key."""

from tests.tokens.conftest import bearer, make_key

__all__ = ["bearer", "make_key"]
