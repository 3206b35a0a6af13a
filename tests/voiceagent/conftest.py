"""Ada at work in the administration, and Alice's key."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.tokens.conftest import MakeKey as MakeKey
from tests.tokens.conftest import make_key as make_key


@pytest.fixture
def adas_client(ada: User) -> Client:
    client = Client()
    client.force_login(ada)
    return client
