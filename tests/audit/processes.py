"""Other processes on the tests' database: they seal, and die where they are told to."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from threading import Event
from time import monotonic

from django.conf import settings
from django.db import connection

START = """
import os, signal, sys, django
django.setup()
from django.conf import settings
from audit import exports, sealer, sinks
from audit.sealer import Sealer, Superseded
from django.db import IntegrityError, OperationalError
settings.AUDIT_EXPORT_FILE = os.environ["EXPORT_FILE"]
def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
def after(step):
    def stepped(*args, **kwargs):
        step(*args, **kwargs)
        die()
    return stepped
"""


def start(script: str, *arguments: str) -> "subprocess.Popen[str]":
    """Run a script after START in a process of its own, on the database of the tests."""
    return subprocess.Popen(
        [sys.executable, "-c", START + script, *arguments], env=environment(), text=True, stdout=subprocess.PIPE
    )


def killed(script: str) -> None:
    """Run a script that must end by SIGKILL."""
    process = start(script)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


def environment() -> dict[str, str]:
    name = connection.settings_dict["NAME"]
    url = f"sqlite:///{name}" if connection.vendor == "sqlite" else _with_name(os.environ["DATABASE_URL"], str(name))
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "voiceagent.settings",
        "DATABASE_URL": url,
        "EXPORT_FILE": str(settings.AUDIT_EXPORT_FILE),
    }


def until(is_so: Callable[[], object], seconds: float = 15) -> None:
    """Ask again and again until something is so; fail when it never is."""
    end, pause = monotonic() + seconds, Event()
    while not is_so():
        assert monotonic() < end, "it never came about"
        pause.wait(0.02)


def _with_name(url: str, name: str) -> str:
    return f"{url.rpartition('/')[0]}/{name}"
