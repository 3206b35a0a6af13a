"""The application in processes of its own, on free ports, with a database in a folder of its own."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import requests
from honcho.environ import parse_procfile

from tests.migrated import write_migrated

ROOT: Final = Path(__file__).resolve().parents[2]
START_TIMEOUT_S: Final = 60
STOP_TIMEOUT_S: Final = 20
POLL_S: Final = 0.05
USER_NAME: Final = "demo"
PASSWORD: Final = "a-password-for-tests"


@dataclass
class Site:
    """A running application: where it is, its database file and its output to look into."""

    url: str
    engine_url: str
    database: Path
    log: Path
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    launches: dict[str, Callable[[], None]] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict, repr=False)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with sqlite3.connect(self.database, timeout=10) as connection:
            return connection.execute(sql).fetchall()

    def last_issuance(self, columns: str) -> tuple[object, ...]:
        return self.rows(f"SELECT {columns} FROM tokens_issuance ORDER BY id DESC LIMIT 1")[0]

    def last_call(self, columns: str) -> tuple[object, ...]:
        return self.rows(f"SELECT {columns} FROM relay_call ORDER BY id DESC LIMIT 1")[0]

    def calls_in_engine(self) -> int:
        count: int = requests.get(f"{self.engine_url}/healthz", timeout=5).json()["calls"]
        return count

    @property
    def engine_port(self) -> str:
        return self.engine_url.rpartition(":")[2]

    def output(self) -> str:
        return self.log.read_text()

    def kill(self, name: str) -> None:
        """End one process without a chance to say goodbye."""
        self.processes[name].kill()
        self.processes[name].wait(STOP_TIMEOUT_S)

    def start_again(self, name: str) -> None:
        """Start a process that was ended, as a supervisor would, and wait until it answers."""
        self.launches[name]()
        url = self.engine_url if name == "engine" else self.url
        wait_for(f"{url} to answer again", partial(answers, url), self, START_TIMEOUT_S)

    def stop(self) -> dict[str, int]:
        """End what still runs as Ctrl-C does; returns the exit statuses of all, by name."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        return {name: process.wait(STOP_TIMEOUT_S) for name, process in self.processes.items()}


def start_site(folder: Path, *, root: Path = ROOT, **settings: str) -> Site:
    """Start everything as `make run` does, by `manage.py up`, and wait until it says where it serves."""
    site, environment = prepare(folder, root, settings)
    _launch(site, "up", [sys.executable, "manage.py", "up"], root, environment)
    wait_for("the application to start", lambda: "Stop      Ctrl-C" in site.output(), site, START_TIMEOUT_S)
    return site


def start_processes(folder: Path, names: tuple[str, ...], *, root: Path = ROOT, **settings: str) -> Site:
    """Start some of the Procfile's processes apart from one another, as in production."""
    site, environment = prepare(folder, root, settings)
    commands = parse_procfile((root / "Procfile").read_text()).processes
    for name in names:
        _launch(site, name, ["sh", "-c", commands[name]], root, environment)
    for url in [site.url] * ("web" in names) + [site.engine_url] * ("engine" in names):
        wait_for(f"{url} to answer", partial(answers, url), site, START_TIMEOUT_S)
    return site


def prepare(folder: Path, root: Path, settings: dict[str, str]) -> tuple[Site, dict[str, str]]:
    """Make the database and the demo account; returns the site to be started and its environment."""
    database, port, engine_port = folder / "db.sqlite3", free_port(), settings.get("ENGINE_PORT", str(free_port()))
    environment = os.environ | {
        "VOICEAGENT_ENV_FILE": str(folder / "none.env"),
        "DEMO": "true",
        "SECRET_KEY": "end-to-end",
        "ENGINE_API_KEY": "sk-end-to-end-engine",
        "DEMO_PASSWORD": PASSWORD,
        "DATABASE_URL": f"sqlite:///{database}",
        "REDIS_URL": "",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "ENGINE_PORT": engine_port,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
        **settings,
    }
    write_migrated(database)
    subprocess.run([sys.executable, "manage.py", "demo_account"], cwd=root, env=environment, check=True)
    log = folder / "output.log"
    log.touch()
    site = Site(f"http://localhost:{port}", f"http://127.0.0.1:{engine_port}", database, log, environment=environment)
    return site, environment


def run_in_shell(site: Site, code: str) -> str:
    """Run Python beside the application, with its models; returns what it printed."""
    command = [sys.executable, "manage.py", "shell", "-v0", "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=site.environment, check=True, capture_output=True, text=True)
    return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=2).ok
    except requests.RequestException:
        return False


def wait_for(what: str, holds: Callable[[], bool], site: Site, timeout_s: float = 15.0) -> None:
    """Wait until a condition holds; fails with the site's output when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"Waited {timeout_s} s for {what}.\n{site.output()}"
        time.sleep(POLL_S)


def _launch(site: Site, name: str, command: list[str], root: Path, environment: dict[str, str]) -> None:
    site.launches[name] = partial(_launch, site, name, command, root, environment)
    with site.log.open("ab") as output:
        site.processes[name] = subprocess.Popen(
            command, cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
