"""`manage.py up`: start the Procfile's processes together, wait until they serve, say where, and end them together."""

import os
import signal
import socket
import sys
import threading
import time
from typing import Any, Final

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from honcho.environ import parse_procfile
from honcho.manager import Manager
from honcho.printer import Printer

from voiceagent.management.commands.demo_account import NAME

READY_TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.1


class Command(BaseCommand):
    help = "Run web, worker and (without OPENAI_API_KEY) the local engine, until Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        addresses = served_addresses()
        for name, (host, port) in addresses.items():
            refuse_used_port(name, host, port)
        os.environ.update(child_environment())
        manager = Manager(Printer(sys.stdout))
        for name, command in parse_procfile((settings.BASE_DIR / "Procfile").read_text()).processes.items():
            if name != "engine" or settings.UPSTREAM_IS_LOCAL:
                manager.add_process(name, command, env=dict(os.environ), cwd=str(settings.BASE_DIR))
        # A closed terminal must end the children just as Ctrl-C does.
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        threading.Thread(target=self._announce, args=[addresses], daemon=True).start()
        manager.loop()
        sys.exit(0 if manager.returncode in (None, 130, 143) else manager.returncode)

    def _announce(self, addresses: dict[str, tuple[str, int]]) -> None:
        """Print the address once everything answers; nothing is printed when it never does."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        for host, port in addresses.values():
            while not answers(f"http://{host}:{port}/healthz"):
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
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            raise CommandError(f"{host}:{port} cannot be used ({exc.strerror}). Set {name} to another port.") from exc


def child_environment() -> dict[str, str]:
    """Return what the Procfile's commands and the engine read from their environment."""
    values = {
        "HOST": settings.HOST,
        "PORT": str(settings.PORT),
        "ENGINE_PORT": str(settings.ENGINE_PORT),
        "ENGINE_API_KEY": settings.ENGINE_API_KEY,
        "ENGINE_MAX_CALLS": str(settings.ENGINE_MAX_CALLS),
        "ENGINE_LLM_BASE_URL": settings.ENGINE_LLM_BASE_URL,
        "ENGINE_LLM_API_KEY": settings.ENGINE_LLM_API_KEY,
        "ENGINE_LLM_MODEL": settings.ENGINE_LLM_MODEL,
        "PYTHONUNBUFFERED": "1",
    }
    return {name: value for name, value in values.items() if value}


def shown_host() -> str:
    """Return the host to type: browsers give the microphone to http://localhost, and 127.0.0.1 is it."""
    return "localhost" if settings.HOST in ("127.0.0.1", "0.0.0.0") else settings.HOST  # noqa: S104  (a comparison)


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False
