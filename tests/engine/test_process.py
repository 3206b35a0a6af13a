"""The engine as a process: it starts, refuses bad settings in one line, and ends when told."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession

from engine.ice import offer_addresses
from engine.model_files import WHISPER_TINY_EN
from engine.recognition import MODEL_PACKAGE
from tests.engine.caller import Caller

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 6
TABLES = ("tcp", "tcp6", "udp", "udp6")
# 127.0.0.1 as /proc/net writes it on little-endian machines.
LOOPBACK = "0100007F"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def start(**settings: str) -> asyncio.subprocess.Process:
    """Start the engine with these variables besides the inherited ones."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ENGINE_")}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "engine", cwd=ROOT, env={**environ, **settings}, stderr=asyncio.subprocess.PIPE
    )


def sockets_of(pid: int) -> list[tuple[str, int]]:
    """Return the local address and port of each IP socket that a process has open, from Linux's /proc."""
    links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    return [
        (address, port)
        for table in TABLES
        for address, port, inode in read_sockets(table)
        if f"socket:[{inode}]" in links
    ]


def read_sockets(table: str) -> list[tuple[str, int, str]]:
    """Return address, port and inode of each socket in a table of /proc/net that listens or has no peer."""
    rows = [line.split() for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
    unconnected = [row for row in rows if int(row[2].rpartition(":")[2], 16) == 0]
    local = [(row[1].split(":"), row[9]) for row in unconnected]
    return [(address, int(port, 16), inode) for (address, port), inode in local]


def children_of(pid: int) -> list[str]:
    lists = [task / "children" for task in Path(f"/proc/{pid}/task").iterdir()]
    return [child for file in lists for child in file.read_text().split()]


async def wait_until_healthy(base_url: str) -> None:
    async with asyncio.timeout(START_TIMEOUT_S), ClientSession() as http:
        while True:
            try:
                async with http.get(f"{base_url}/healthz") as answer:
                    assert answer.status == 200
                    return
            except ClientError:
                await asyncio.sleep(0.1)


@pytest.fixture
async def engine_process() -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    port = free_port()
    process = await start(ENGINE_PORT=str(port), ENGINE_API_KEY="sk-test")
    base_url = f"http://127.0.0.1:{port}"
    await wait_until_healthy(base_url)
    yield process, base_url
    if process.returncode is None:
        process.kill()
    await process.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_process_during_a_call(
    engine_process: tuple[asyncio.subprocess.Process, str], number: signal.Signals
) -> None:
    process, base_url = engine_process
    offer_addresses()
    caller = await Caller(base_url).dial()
    caller.say_text("Tell me a story")
    caller.send("response.create")
    await caller.wait_for("output_audio_buffer.started")

    ports = [port for _address, port in sockets_of(process.pid)]
    children = children_of(process.pid)

    before = time.monotonic()
    process.send_signal(number)
    status = await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
    await caller.close()

    assert status == 0
    assert time.monotonic() - before < STOP_TIMEOUT_S
    assert children == []
    assert len(ports) >= 2  # HTTP and media
    assert not any(port in ports for table in TABLES for _address, port, _inode in read_sockets(table))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_every_socket_of_a_call_is_on_loopback(
    engine_process: tuple[asyncio.subprocess.Process, str],
) -> None:
    process, base_url = engine_process
    offer_addresses()
    caller = await Caller(base_url).dial()

    addresses = {address for address, _port in sockets_of(process.pid)}
    await caller.close()

    assert addresses == {LOOPBACK}


async def test_a_changed_model_is_told_in_one_line(tmp_path: Path) -> None:
    model = tmp_path / MODEL_PACKAGE / "model"
    model.mkdir(parents=True)
    for name in WHISPER_TINY_EN:
        (model / name).write_bytes(b"not the model that was checked")
    (tmp_path / MODEL_PACKAGE / "__init__.py").touch()

    process = await start(ENGINE_PORT=str(free_port()), PYTHONPATH=str(tmp_path))
    _out, errors = await asyncio.wait_for(process.communicate(), START_TIMEOUT_S)

    assert process.returncode == 2
    assert errors.decode() == (
        "engine: The model file model.bin has the wrong SHA-256 digest: it is refused, reinstall it\n"
    )


async def test_a_port_in_use_is_told_in_one_line(engine_process: tuple[asyncio.subprocess.Process, str]) -> None:
    _process, base_url = engine_process

    second = await start(ENGINE_PORT=base_url.rsplit(":", 1)[1])
    _out, errors = await asyncio.wait_for(second.communicate(), START_TIMEOUT_S)

    assert second.returncode == 2
    assert errors.decode().count("\n") == 1
    assert "set ENGINE_PORT" in errors.decode()


async def test_wrong_settings_are_all_told_in_one_line() -> None:
    process = await start(ENGINE_HOST="0.0.0.0", ENGINE_PORT="x", ENGINE_PROT="1", ENGINE_LLM_BASE_URL="ftp://x")
    _out, errors = await asyncio.wait_for(process.communicate(), START_TIMEOUT_S)

    text = errors.decode()
    assert process.returncode == 2
    assert text.count("\n") == 1
    for name in ("ENGINE_HOST", "ENGINE_PORT", "ENGINE_PROT", "ENGINE_LLM_BASE_URL", "ENGINE_LLM_MODEL"):
        assert name in text
