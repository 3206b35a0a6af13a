"""`manage.py up`: start the Procfile's processes together, wait until they serve, say where, and end them together."""

import errno
import http.client
import os
import signal
import socket
import sys
import threading
import time
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from honcho.environ import parse_procfile
from honcho.manager import Manager
from honcho.printer import Printer

from voiceagent.management.commands.demo_account import NAME

READY_TIMEOUT_S: Final = 60.0
# What only the engine knows what to do with, it finds where the user wrote it.
ENGINE_INHERITS: Final = ("PATH", "HOME", "LANG", "TMPDIR", "ENGINE_SESSION_LIFE_S", "ENGINE_FAULTS")
POLL_S: Final = 0.1
EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (to listen on, and where to ask then)


class Command(BaseCommand):
    help = "Run web, worker and (without OPENAI_API_KEY) the local engine, until Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        addresses = served_addresses()
        for name, (host, port) in addresses.items():
            refuse_used_port(name, host, port)
        manager = Manager(Printer(sys.stdout))
        for name, command in parse_procfile((settings.BASE_DIR / "Procfile").read_text()).processes.items():
            if name != "engine" or settings.UPSTREAM_IS_LOCAL:
                manager.add_process(name, command, env=environment_of(name), cwd=str(settings.BASE_DIR))
        # A closed terminal must end the children just as Ctrl-C does.
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        threading.Thread(target=self._announce, args=[addresses], daemon=True).start()
        manager.loop()
        sys.exit(0 if manager.returncode in (None, 130, 143) else manager.returncode)

    def _announce(self, addresses: dict[str, tuple[str, int]]) -> None:
        """Print the address once everything answers; nothing is printed when it never does."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        for host, port in addresses.values():
            while not answers(host, port):
                if time.monotonic() > deadline:
                    self.stderr.write(f"Nothing answers at {host}:{port} yet; see the lines above.")
                    return
                time.sleep(POLL_S)
        self.stdout.write(f"\n  Talk at   http://{shown_host()}:{settings.PORT}/")
        self.stdout.write(f"  Voice by  {settings.UPSTREAM_LABEL}")
        if settings.DEMO and settings.DEMO_PASSWORD:
            self.stdout.write(f"  Log in    {NAME} / {settings.DEMO_PASSWORD}")
        self.stdout.write("  Stop      Ctrl-C\n")
        self.stdout.flush()


def served_addresses() -> dict[str, tuple[str, int]]:
    """Return what listens where, by the name of the setting of its port."""
    addresses = {"PORT": (settings.HOST, settings.PORT)}
    if settings.UPSTREAM_IS_LOCAL:
        addresses["ENGINE_PORT"] = ("127.0.0.1", settings.ENGINE_PORT)
    return addresses


def refuse_used_port(name: str, host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as exc:
        advice = f"Set {name} to another port." if exc.errno == errno.EADDRINUSE else f"Check HOST and {name}."
        raise CommandError(f"{host}:{port} cannot be used ({exc.strerror}). {advice}") from exc


def environment_of(process: str) -> dict[str, str]:
    """Return what a process finds in its environment. The engine gets its own settings and no other secret."""
    engine = {
        "ENGINE_PORT": str(settings.ENGINE_PORT),
        "ENGINE_API_KEY": settings.ENGINE_API_KEY,
        "ENGINE_MAX_CALLS": str(settings.ENGINE_MAX_CALLS),
        "ENGINE_LLM_BASE_URL": settings.ENGINE_LLM_BASE_URL,
        "ENGINE_LLM_API_KEY": settings.ENGINE_LLM_API_KEY,
        "ENGINE_LLM_MODEL": settings.ENGINE_LLM_MODEL,
        "PYTHONUNBUFFERED": "1",
    }
    if process == "engine":
        inherited = {name: os.environ[name] for name in ENGINE_INHERITS if name in os.environ}
        return inherited | {name: value for name, value in engine.items() if value}
    return os.environ | {"HOST": settings.HOST, "PORT": str(settings.PORT), "PYTHONUNBUFFERED": "1"}


def shown_host() -> str:
    """Return the host to type: browsers give the microphone to http://localhost, and 127.0.0.1 is it."""
    if settings.HOST in ("127.0.0.1", *EVERYWHERE):
        return "localhost"
    return f"[{settings.HOST}]" if ":" in settings.HOST else settings.HOST


def answers(host: str, port: int) -> bool:
    """Tell whether a server answers at all: whatever it says of the host we ask for, it is up."""
    connection = http.client.HTTPConnection(EVERYWHERE.get(host, host), port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
