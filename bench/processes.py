"""Starts what is measured, on free ports with a database of its own, and ends it. Measures nothing."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientError, ClientSession

ROOT = Path(__file__).resolve().parents[1]
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.05
LOG_NAME = "output.log"
API_KEY = "sk-bench-engine"
USER_NAME = "demo"
PASSWORD = "a-password-for-benches"


@dataclass(frozen=True)
class Running:
    """A started process tree; `site_url` is empty when only the engine runs."""

    engine_url: str
    site_url: str = ""
    pid: int = 0


@asynccontextmanager
async def engine(folder: Path, core: int | None = None, **settings: str) -> AsyncIterator[Running]:
    """Run the engine alone.

    folder: for its log. core: where to pin it, on systems that can; None lets it move.
    """
    port = free_port()
    environment = clean_environment() | {"ENGINE_PORT": str(port), "ENGINE_API_KEY": API_KEY, **settings}
    process = start([sys.executable, "-m", "engine"], environment, folder)
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, {core})
    async with ending(process, folder, f"http://127.0.0.1:{port}"):
        yield Running(f"http://127.0.0.1:{port}", pid=process.pid)


@asynccontextmanager
async def application(folder: Path) -> AsyncIterator[Running]:
    """Run web, worker and engine by `manage.py up`, as `make run` does.

    folder: an empty one for the database and the log.
    """
    port, engine_port = free_port(), free_port()
    environment = clean_environment() | {
        "VOICEAGENT_ENV_FILE": str(folder / "none.env"),
        "DEMO": "true",
        "SECRET_KEY": "a-key-for-benches",
        "DEMO_PASSWORD": PASSWORD,
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        "ISSUE_RATE": "1000/m",
        "ISSUE_BURST_RATE": "1000/s",
        "RELAY_RATE": "1000/m",
        "CALLS_AT_ONCE": "100",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "ENGINE_PORT": str(engine_port),
        "ENGINE_API_KEY": API_KEY,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    await asyncio.to_thread(_prepare, environment)
    process = start([sys.executable, "manage.py", "up"], environment, folder)
    site_url = f"http://localhost:{port}"
    async with ending(process, folder, site_url, f"http://127.0.0.1:{engine_port}"):
        yield Running(f"http://127.0.0.1:{engine_port}", site_url, process.pid)


def _prepare(environment: dict[str, str]) -> None:
    for command in (["migrate", "--verbosity", "0"], ["demo_account"]):
        subprocess.run(
            [sys.executable, "manage.py", *command], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL
        )


def start(command: list[str], environment: dict[str, str], folder: Path) -> "subprocess.Popen[bytes]":
    with (folder / LOG_NAME).open("wb") as log:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)


@asynccontextmanager
async def ending(process: "subprocess.Popen[bytes]", folder: Path, *urls: str) -> AsyncIterator[None]:
    try:
        for url in urls:
            await _wait_until_healthy(process, folder, url)
        yield
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            await asyncio.to_thread(process.wait, STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()


async def _wait_until_healthy(process: "subprocess.Popen[bytes]", folder: Path, url: str) -> None:
    async with asyncio.timeout(START_TIMEOUT_S), ClientSession() as http:
        while process.poll() is None:
            try:
                async with http.get(f"{url}/healthz") as answer:
                    if answer.status == 200:
                        return
            except ClientError:
                pass
            await asyncio.sleep(POLL_S)
    raise SystemExit(f"{url} did not start (status {process.returncode}):\n{(folder / LOG_NAME).read_text()}")


def clean_environment() -> dict[str, str]:
    """Leave out what a developer may have set: a key would send the measured calls upstream."""
    ours = ("ENGINE_", "OPENAI_", "REDIS_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def free_port() -> int:
    """Return a port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
