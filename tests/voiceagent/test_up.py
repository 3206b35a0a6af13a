"""`manage.py up`: one command starts everything, Ctrl-C ends everything, and a port in use is one line."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests
from pytest_django import Settings

from tests.migrated import on_sqlite_alone, write_migrated
from voiceagent.management.commands.up import environment_of, shown_host

pytestmark = on_sqlite_alone
ROOT = Path(__file__).resolve().parents[2]
READY_S = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    environment = os.environ | {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        "REDIS_URL": "",
        "PORT": str(free_port()),
        "ENGINE_PORT": str(free_port()),
        "DEMO_PASSWORD": "printed-at-start",
        "PYTHONUNBUFFERED": "1",
    }
    write_migrated(tmp_path / "db.sqlite3")
    return environment


@pytest.fixture
def running(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with started(environment) as process:
        yield process


@contextmanager
def started(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "up"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            for pid in [*children(process), process.pid]:
                os.kill(pid, signal.SIGKILL)
            process.wait()


def lines_until(process: subprocess.Popen[str], word: str) -> list[str]:
    assert process.stdout is not None
    deadline = time.monotonic() + READY_S
    lines = []
    for line in process.stdout:
        lines.append(line)
        if word in line:
            return lines
        assert time.monotonic() < deadline, lines
    raise AssertionError("".join(lines))


def children(process: subprocess.Popen[str]) -> list[int]:
    """Return every process below one, by /proc."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # it has just ended
        if fields[0] != "Z":
            parents[int(stat.parent.name)] = int(fields[1])
    found = [process.pid]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found[1:]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_says_where_to_talk_and_ends_without_leaving_a_child(
    running: subprocess.Popen[str], environment: dict[str, str], signal_number: signal.Signals
) -> None:
    said = "".join(lines_until(running, "Stop "))
    address = f"http://localhost:{environment['PORT']}/"
    assert address in said
    assert "demo / printed-at-start" in said
    health = requests.get(f"{address}healthz", timeout=5)
    assert (health.json(), "Server" in health.headers) == ({"status": "ok"}, False)
    spoofed = {"X-Forwarded-For": "203.0.113.99", "X-Forwarded-Proto": "https"}
    assert requests.post(f"{address}api/client-secret", headers=spoofed, timeout=5).status_code == 401
    below = children(running)
    assert len(below) >= 3, "web, worker and engine"

    running.send_signal(signal_number)
    rest, _ = running.communicate(timeout=30)

    assert "Traceback" not in rest
    assert [pid for pid in below if is_alive(pid)] == []
    assert recorded_addresses(environment) == ["127.0.0.1"], "a header of the client's is not its address"


def recorded_addresses(environment: dict[str, str]) -> list[str]:
    path = environment["DATABASE_URL"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as database:
        return [ip for (ip,) in database.execute("SELECT ip FROM tokens_issuance")]


def test_it_may_listen_everywhere(environment: dict[str, str]) -> None:
    environment["HOST"] = "0.0.0.0"
    with started(environment) as process:
        said = "".join(lines_until(process, "Stop "))
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)

    assert f"http://localhost:{environment['PORT']}/" in said
    assert "Traceback" not in said + rest


def test_the_engine_gets_no_secret_but_its_own(settings: Settings) -> None:
    settings.ENGINE_API_KEY = "sk-engine"
    assert "SECRET_KEY" not in environment_of("engine")
    assert environment_of("engine")["ENGINE_API_KEY"] == "sk-engine"
    assert environment_of("web")["SECRET_KEY"]


@pytest.mark.parametrize("setting", ["PORT", "ENGINE_PORT"])
def test_a_port_in_use_is_one_clear_line(environment: dict[str, str], setting: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        environment[setting] = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert done.returncode != 0
    (line,) = done.stderr.strip().splitlines()
    assert f"127.0.0.1:{environment[setting]} cannot be used" in line
    assert f"Set {setting} to another port" in line


def test_a_process_that_dies_ends_the_others(running: subprocess.Popen[str], environment: dict[str, str]) -> None:
    lines_until(running, "Stop ")
    below = children(running)
    (worker,) = [pid for pid in below if b"manage.py\0worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(worker, signal.SIGKILL)
    running.communicate(timeout=30)

    assert running.returncode != 0
    assert [pid for pid in below if is_alive(pid)] == []


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "localhost"), ("::", "localhost"), ("::1", "[::1]"), ("192.0.2.1", "192.0.2.1"), ("a.example",) * 2],
)
def test_the_address_is_one_that_can_be_typed(settings: Settings, host: str, shown: str) -> None:
    settings.HOST = host

    assert shown_host() == shown
