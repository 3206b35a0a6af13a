"""Settings of the engine process, read from the environment once. Knows no sockets."""

import difflib
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from engine.faults import Faults
from engine.protocol_json import Json
from engine.session.errors import ProtocolError

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8765
DEFAULT_API_KEY = "sk-local-engine"
DEFAULT_MAX_CALLS = 10
DEFAULT_SESSION_LIFE_S = 3600
PREFIX = "ENGINE_"
KNOWN = (
    "ENGINE_HOST",
    "ENGINE_PORT",
    "ENGINE_API_KEY",
    "ENGINE_MAX_CALLS",
    "ENGINE_SESSION_LIFE_S",
    "ENGINE_FAULTS",
    "ENGINE_LLM_BASE_URL",
    "ENGINE_LLM_API_KEY",
    "ENGINE_LLM_MODEL",
    "ENGINE_MCP_SERVERS",
)
# Near misses only: other programs may keep their own ENGINE_ names in the same environment.
MISSPELLING_RATIO = 0.75


class SettingsError(Exception):
    """Say what is wrong with the environment; `problems` holds one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class ChatEndpoint:
    """An OpenAI-compatible chat endpoint that writes the replies."""

    base_url: str
    model: str
    api_key: str = ""


@dataclass(frozen=True)
class Settings:
    """What one engine process needs to know."""

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    api_key: str = DEFAULT_API_KEY
    max_calls: int = DEFAULT_MAX_CALLS
    session_life_s: int = DEFAULT_SESSION_LIFE_S
    # None: no faults, and no route that sets them.
    faults: Json | None = None
    chat: ChatEndpoint | None = None
    # The only ones that it asks, whatever address a session names.
    mcp_servers: frozenset[str] = frozenset()


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read and check every setting.

    Raises SettingsError that names all problems at once, so that one restart mends them.
    """
    problems = _misspelled(environ)
    settings = Settings(
        host=_host(environ.get("ENGINE_HOST") or DEFAULT_HOST, problems),
        port=_integer(environ, "ENGINE_PORT", DEFAULT_PORT, 1, 65535, problems),
        api_key=_api_key(environ.get("ENGINE_API_KEY") or DEFAULT_API_KEY, problems),
        max_calls=_integer(environ, "ENGINE_MAX_CALLS", DEFAULT_MAX_CALLS, 1, 100, problems),
        session_life_s=_integer(environ, "ENGINE_SESSION_LIFE_S", DEFAULT_SESSION_LIFE_S, 5, 3600, problems),
        faults=_faults(environ.get("ENGINE_FAULTS", ""), problems),
        chat=_chat(environ, problems),
        mcp_servers=_mcp_servers(environ.get("ENGINE_MCP_SERVERS", ""), problems),
    )
    if problems:
        raise SettingsError(problems)
    return settings


def _misspelled(environ: Mapping[str, str]) -> list[str]:
    suffixes = [name.removeprefix(PREFIX) for name in KNOWN]
    found = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in KNOWN:
            continue
        close = difflib.get_close_matches(name.removeprefix(PREFIX), suffixes, 1, MISSPELLING_RATIO)
        if close:
            found.append(f"{name} is not a setting, did you mean {PREFIX}{close[0]}?")
    return found


def _host(text: str, problems: list[str]) -> str:
    if text == "localhost":
        return DEFAULT_HOST
    try:
        loopback = ipaddress.ip_address(text).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        problems.append("ENGINE_HOST must be a loopback address such as 127.0.0.1: the engine has no TLS")
    return text


def _integer(
    environ: Mapping[str, str], name: str, default: int, lowest: int, highest: int, problems: list[str]
) -> int:
    text = environ.get(name) or str(default)
    if text.isascii() and text.isdigit() and lowest <= int(text) <= highest:
        return int(text)
    problems.append(f"{name} must be a whole number from {lowest} to {highest}")
    return default


def _api_key(text: str, problems: list[str]) -> str:
    if not text.isascii() or not text.isprintable() or " " in text or text.startswith("ek_"):
        problems.append("ENGINE_API_KEY must be printable ASCII without spaces and must not start with ek_")
    return text


def _faults(text: str, problems: list[str]) -> Json | None:
    if not text:
        return None
    try:
        faults: Json = json.loads(text)
        Faults().set(faults)
    except (ValueError, RecursionError):
        problems.append('ENGINE_FAULTS must be a JSON object such as {"sideband_status": 404}')
        return None
    except ProtocolError as exc:
        problems.append(f"ENGINE_FAULTS: {exc.message}")
        return None
    return faults


def _chat(environ: Mapping[str, str], problems: list[str]) -> ChatEndpoint | None:
    base_url = environ.get("ENGINE_LLM_BASE_URL", "")
    model = environ.get("ENGINE_LLM_MODEL", "")
    if not base_url:
        if model:
            problems.append("ENGINE_LLM_MODEL is set without ENGINE_LLM_BASE_URL")
        return None
    if not _is_http_url(base_url):
        problems.append("ENGINE_LLM_BASE_URL must be an http or https URL")
    if not model:
        problems.append("ENGINE_LLM_MODEL must name a model when ENGINE_LLM_BASE_URL is set")
    return ChatEndpoint(base_url.rstrip("/"), model, environ.get("ENGINE_LLM_API_KEY", ""))


def _mcp_servers(text: str, problems: list[str]) -> frozenset[str]:
    urls = frozenset(text.split())
    if not all(_is_http_url(url) for url in urls):
        problems.append("ENGINE_MCP_SERVERS must be http or https URLs with spaces between them")
    return urls


def _is_http_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
