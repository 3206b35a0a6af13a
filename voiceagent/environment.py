"""Strict reading of environment variables. Collects every problem, so that a start names all of them at once."""

import difflib
import hmac
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import environ
from django.core.exceptions import ImproperlyConfigured

TRUE_WORDS: Final = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS: Final = frozenset({"0", "false", "no", "off"})
MAX_DIGITS: Final = 18
NUMBER: Final = re.compile(r"[1-9][0-9]{0,3}")
MIN_NUMBERED_CHARS: Final = 32
KEY: Final = re.compile(r"[0-9a-fA-F]{64}")
ORIGIN: Final = re.compile(r"https?://[^/?#@A-Z]+")
RATE: Final = re.compile(r"[1-9][0-9]{0,6}/(?:[1-9][0-9]{0,4})?[smhd]")


class SettingsReader:
    """Read typed settings from an environment and remember what was wrong with them.

    `NAME_FILE` may name a file that holds the value of `NAME`. Values are taken literally: unlike
    django-environ's own casts, `maybe` is no boolean and a leading `$` expands to nothing.
    Readers return the default where a value is unusable, so that later settings are still read;
    `refuse_problems` then raises once for all of them.
    """

    def __init__(self, variables: Mapping[str, str] = os.environ) -> None:
        self._env = environ.FileAwareEnv()
        self._env.ENVIRON = environ.fileaware_mapping.FileAwareMapping(env=dict(variables))
        self.problems: list[str] = []
        self.known_names: set[str] = set()

    def text(self, name: str, default: str = "") -> str:
        """Return the value without surrounding blanks and one pair of quotes."""
        self.known_names.add(name)
        try:
            raw_value = self._env.ENVIRON.get(name)
        except OSError as exc:
            self.problems.append(f"{name}_FILE cannot be read: {exc.strerror}.")
            return default
        if raw_value is None or not raw_value.strip():
            return default
        return strip_quotes(raw_value.strip())

    def secret(self, name: str, *, required: bool = False) -> str:
        """Return a secret, which never has a default."""
        value = self.text(name)
        if required and not value:
            self.problems.append(f"{name} is not set (or {name}_FILE).")
        return value

    def numbered_secrets(self, name: str) -> dict[int, str]:
        """Return secrets by number, from `1:first,2:second`. A message about a bad one does not repeat it."""
        secrets: dict[int, str] = {}
        for place, pair in enumerate(self.words(name, []), start=1):
            raw_number, _, value = pair.partition(":")
            number = int(raw_number) if NUMBER.fullmatch(raw_number) else 0
            if not number or number in secrets or len(value) < MIN_NUMBERED_CHARS:
                self.problems.append(
                    f"{name} must hold pairs such as 1:… with a number of their own, from 1 to 9999, and"
                    f" {MIN_NUMBERED_CHARS} characters or more; number {place} is none."
                )
                return {}
            secrets[number] = value
        return secrets

    def numbered_keys(self, name: str, *, required: bool) -> dict[int, bytes]:
        """Return keys of 32 bytes by number, from `1:` and 64 hexadecimal characters, and so on."""
        keys = self.numbered_secrets(name)
        if not keys and required and not self.text(name):
            self.problems.append(f"{name} is not set (or {name}_FILE).")
        if not all(KEY.fullmatch(value) for value in keys.values()):
            self.problems.append(f"{name} must hold 64 hexadecimal characters after each number.")
            return {}
        return {number: bytes.fromhex(value) for number, value in keys.items()}

    def boolean(self, name: str, default: bool) -> bool:
        word = self.text(name).lower()
        if not word:
            return default
        if word not in TRUE_WORDS | FALSE_WORDS:
            self.problems.append(f"{name} must be true or false, not {word!r}.")
            return default
        return word in TRUE_WORDS

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        word = self.text(name)
        if not word:
            return default
        if not (word.isascii() and word.isdigit() and len(word) <= MAX_DIGITS and low <= int(word) <= high):
            self.problems.append(f"{name} must be a whole number from {low} to {high}, not {word!r}.")
            return default
        return int(word)

    def words(self, name: str, default: list[str]) -> list[str]:
        """Return a comma-separated list."""
        value = self.text(name)
        return [word.strip() for word in value.split(",") if word.strip()] if value else default

    def choice(self, name: str, default: str, *, choices: tuple[str, ...]) -> str:
        """Return one of a few words."""
        word = self.text(name, default).lower()
        if word not in choices:
            self.problems.append(f"{name} must be {' or '.join(choices)}, not {word!r}.")
            return default
        return word

    def words_of(self, name: str, default: list[str], *, choices: tuple[str, ...]) -> list[str]:
        """Return a comma-separated list out of a few words."""
        words = self.words(name, default)
        if not set(words) <= set(choices):
            self.problems.append(f"{name} must be a list out of {', '.join(choices)}.")
            return default
        return words

    def url(self, name: str, default: str, *, schemes: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value and not _is_url(value, schemes):
            self.problems.append(f"{name} must be a URL starting with {' or '.join(s + '://' for s in schemes)}.")
            return default
        return value.rstrip("/")

    def origins(self, name: str) -> list[str]:
        """Return a list of origins such as `https://voice.example.org`, as browsers send them."""
        origins = self.words(name, [])
        for origin in origins:
            if not is_origin(origin):
                self.problems.append(f"{name} must hold origins such as https://voice.example.org, not {origin!r}.")
        return origins

    def rate(self, name: str, default: str) -> str:
        """Return a rate such as `20/m`: so many per second, minute, hour or day."""
        value = self.text(name, default)
        if not RATE.fullmatch(value):
            self.problems.append(f"{name} must be a rate such as 20/m (s, m, h or d), not {value!r}.")
            return default
        return value

    def time_zone(self, name: str, default: str) -> str:
        value = self.text(name, default)
        try:
            ZoneInfo(value)
        except (ValueError, OSError, ZoneInfoNotFoundError):
            self.problems.append(f"{name} must be a time zone such as Europe/Berlin, not {value!r}.")
            return default
        return value

    def database(self, name: str, default: str) -> dict[str, Any]:
        """Return Django's database dictionary for a `sqlite:///…` or `postgres://…` URL.

        Only the two databases whose guarantees the project relies on and is tested with are taken.
        """
        url = self.text(name, default)
        try:
            if urlsplit(url).scheme in ("sqlite", "postgres", "postgresql"):
                return dict(self._env.db_url_config(url))
        except (ValueError, ImproperlyConfigured):
            pass  # a port that is no number, a bracket without its other
        self.problems.append(f"{name} must be a URL such as postgres://user:password@host/name or sqlite:///file.")
        return dict(self._env.db_url_config(default))

    def note_unknown_names(self, env_file: Path) -> None:
        """Note every name in an `.env` file that no setting reads: a mistyped one would be ignored unseen."""
        for name in env_file_names(env_file):
            if name.removesuffix("_FILE") not in self.known_names and name not in self.known_names:
                close = difflib.get_close_matches(name, self.known_names, n=1)
                hint = f" Did you mean {close[0]}?" if close else ""
                self.problems.append(f"{name} in {env_file.name} is not a setting.{hint}")

    def refuse_problems(self) -> None:
        """Raise ImproperlyConfigured naming every problem found so far."""
        if self.problems:
            lines = "\n".join(f"  - {problem}" for problem in self.problems)
            raise ImproperlyConfigured(
                f"The settings cannot be used:\n{lines}\nEach variable is explained in .env.example."
            )


def numbered_with_demos(secret_key: str, purpose: str, keys: dict[int, bytes]) -> dict[int, bytes]:
    """Return numbered keys and number 0, made of SECRET_KEY: it serves while there is no other."""
    return {0: hmac.digest(secret_key.encode(), purpose.encode(), "sha256")} | keys


def is_origin(text: str) -> bool:
    """Tell whether a text is an origin as browsers send it: scheme, host and port, nothing after."""
    return _is_url(text, ("http", "https")) and ORIGIN.fullmatch(text) is not None


def _is_url(value: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in schemes and bool(parts.hostname or parts.scheme == "unix") and parts.port != 0
    except ValueError:
        return False


def strip_quotes(value: str) -> str:
    """Remove one pair of surrounding quotes, as people paste keys with them."""
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1].strip()
    return value


def env_file_names(env_file: Path) -> list[str]:
    """Return the names assigned in an `.env` file, or none when there is no such file."""
    if not env_file.is_file():
        return []
    lines = (line.strip() for line in env_file.read_text().splitlines())
    assignments = (line.removeprefix("export ") for line in lines if line and not line.startswith("#"))
    return [line.split("=", 1)[0].strip() for line in assignments if "=" in line]
