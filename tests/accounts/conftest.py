"""Bob, who has an authenticator app; codes of the moment; and a client that confirmed itself."""

import time
from collections.abc import Callable

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client

from audit.models import AuditEvent
from tests.conftest import make_user

PASSWORD = "a-long-password"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def log_in(client: Client, name: str, password: str = PASSWORD, **extra: str) -> HttpResponse:
    return client.post("/accounts/login/", {"login": name, "password": password}, **extra)  # type: ignore[return-value,arg-type]


def confirm(client: Client, password: str = PASSWORD) -> None:
    """Confirm that it is oneself, as the pages ask before something that matters."""
    assert client.post("/accounts/reauthenticate/", {"password": password}).status_code == 302


def is_signed_in(client: Client) -> bool:
    return client.get("/keys/").status_code == 200


def code_of(secret: str = SECRET, steps: int = 0) -> str:
    """Return an app's code of now, or of some steps later."""
    return str(totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30 + steps)))


def add_app(user: User) -> Authenticator:
    totp.TOTP.activate(user, SECRET)
    RecoveryCodes.activate(user)
    return Authenticator.objects.get(user=user, type="totp")


def events(action: str) -> list[tuple[str, str, str]]:
    """Return actor, target and code of what the record tells of one action, oldest first."""
    found = AuditEvent.objects.filter(action=action).order_by("id")
    return list(found.values_list("actor", "target", "code"))


@pytest.fixture
def bob(db: None) -> User:
    user = make_user("bob")
    add_app(user)
    return user


@pytest.fixture
def alices_browser(alice: User) -> Client:
    """Alice, who logged in with her password."""
    client = Client()
    log_in(client, "alice")
    return client


Later = Callable[[float], None]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """Let time pass for whoever asks `time.time`: `later(seconds)`."""
    real, passed = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + passed[0])

    def pass_(seconds: float) -> None:
        passed[0] += seconds

    return pass_
