"""What the tests of the administration borrow."""

from tests.tokens.conftest import MakeKey as MakeKey
from tests.tokens.conftest import make_key as make_key
