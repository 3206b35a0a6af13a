"""No log line holds a secret, wherever it came from."""

import io
import logging

import pytest
from pytest_django import Settings

from voiceagent.log_lines import SafeFormatter


@pytest.fixture
def written() -> tuple[logging.Logger, io.StringIO]:
    """A logger whose lines end in a text, as the project's end on standard error."""
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(SafeFormatter("%(message)s"))
    logger = logging.Logger("tests.log_lines")
    logger.addHandler(handler)
    return logger, lines


@pytest.mark.parametrize("text", ["ek_0123456789abcdef", "vak_0123456789", "sk-proj-0123456789", "Bearer opaque-value"])
def test_what_has_the_form_of_a_key_is_masked(written: tuple[logging.Logger, io.StringIO], text: str) -> None:
    logger, lines = written
    logger.info("got %s", text)

    assert text.split()[-1] not in lines.getvalue()
    assert lines.getvalue().startswith("got ")


@pytest.mark.parametrize("name", ["SECRET_KEY", "UPSTREAM_API_KEY", "ENGINE_API_KEY", "DEMO_PASSWORD"])
def test_the_server_s_own_secrets_are_masked_whatever_their_form(
    written: tuple[logging.Logger, io.StringIO], settings: Settings, name: str
) -> None:
    logger, lines = written
    setattr(settings, name, "plain words of mine")
    try:
        raise RuntimeError("it was: plain words of mine")
    except RuntimeError:
        logger.exception("failed with plain words of mine")

    assert "plain words" not in lines.getvalue()
    assert lines.getvalue().count("[removed]") >= 2
    assert "RuntimeError" in lines.getvalue()


def test_the_passwords_of_database_and_cache_are_masked(
    written: tuple[logging.Logger, io.StringIO], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger, lines = written
    monkeypatch.setitem(settings.DATABASES["default"], "PASSWORD", "db-password")
    settings.REDIS_URL = "redis://user:cache-password@127.0.0.1:6379/0"
    logger.error("no connection with db-password and cache-password")

    assert lines.getvalue() == "no connection with [removed] and [removed]\n"


def test_what_is_no_secret_stays(written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, lines = written
    logger.info("call relayed call_id=rtc_u1 request_id=req_0123456789abcdef01234567 offer_bytes=1547")

    assert lines.getvalue() == "call relayed call_id=rtc_u1 request_id=req_0123456789abcdef01234567 offer_bytes=1547\n"
