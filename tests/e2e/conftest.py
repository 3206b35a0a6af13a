"""The whole application in processes of its own, and a real Chromium whose microphone hears a WAV file."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Playwright
from playwright.sync_api import Request as BrowserRequest

from engine.audio import SPEAK_RATE_HZ, resample
from engine.synthesis import Synthesiser, Voice

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = "/usr/bin/chromium"
MICROPHONE_RATE_HZ = 48_000
START_TIMEOUT_S = 60
PASSWORD = "a-password-for-tests"
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Site:
    """A running application: where it is, and its database file to look into."""

    url: str
    engine_url: str
    database: Path
    process: "subprocess.Popen[str]"

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with sqlite3.connect(self.database, timeout=10) as connection:
            return connection.execute(sql).fetchall()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def start_site(folder: Path, **settings: str) -> Site:
    """Start `manage.py up` with a database of its own and wait until it says where it serves."""
    port, engine_port, database = free_port(), free_port(), folder / "db.sqlite3"
    environment = os.environ | {
        "VOICEAGENT_ENV_FILE": str(folder / "none.env"),
        "DEMO": "true",
        "SECRET_KEY": "end-to-end",
        "ENGINE_API_KEY": "sk-end-to-end-engine",
        "DEMO_PASSWORD": PASSWORD,
        "DATABASE_URL": f"sqlite:///{database}",
        "REDIS_URL": "",
        "PORT": str(port),
        "ENGINE_PORT": str(engine_port),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **settings,
    }
    for command in (["migrate", "--verbosity", "0"], ["demo_account"]):
        subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=environment, check=True)
    process = subprocess.Popen(
        [sys.executable, "manage.py", "up"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="")
        if "Stop      Ctrl-C" in line:
            os.set_blocking(process.stdout.fileno(), False)
            return Site(f"http://localhost:{port}", f"http://127.0.0.1:{engine_port}", database, process)
    pytest.fail("The application did not start; its output is above.")


def stop_site(site: Site) -> int:
    """End the application as Ctrl-C does and return its exit status."""
    site.process.send_signal(signal.SIGINT)
    with site.process:  # closes its pipe
        return site.process.wait(timeout=20)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    running = start_site(tmp_path_factory.mktemp("site"), ISSUE_RATE="1000/m", RELAY_RATE="1000/m", CALLS_AT_ONCE="20")
    yield running
    assert stop_site(running) == 0


@pytest.fixture(scope="session")
def synthesiser() -> Synthesiser:
    return Synthesiser()


Speech = Callable[..., Path]


@pytest.fixture(scope="session")
def speech(synthesiser: Synthesiser, tmp_path_factory: pytest.TempPathFactory) -> Speech:
    """Make a WAV for the fake microphone: `speech((silence_s, text), …)`, with silence at the end."""
    folder = tmp_path_factory.mktemp("speech")

    def make(*parts: tuple[float, str], tail_s: float = 30.0) -> Path:
        pieces = []
        for silence_s, text in parts:
            spoken = synthesiser.speak(text, Voice("cedar"))
            pieces += [
                np.zeros(int(silence_s * MICROPHONE_RATE_HZ), np.int16),
                resample(spoken, SPEAK_RATE_HZ, MICROPHONE_RATE_HZ),
            ]
        pieces.append(np.zeros(int(tail_s * MICROPHONE_RATE_HZ), np.int16))
        file = folder / f"{time.monotonic_ns()}.wav"
        with wave.open(str(file), "wb") as writer:
            writer.setnchannels(1)
            writer.setsampwidth(2)
            writer.setframerate(MICROPHONE_RATE_HZ)
            writer.writeframes(np.concatenate(pieces).tobytes())
        return file

    return make


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(playwright: Playwright, site: Site) -> Iterator[OpenPage]:
    """Open a logged-in voice page: `open_page(microphone=wav)`. No microphone: the machine has none.

    Fails the test when the page contacts another origin or breaks its content security policy.
    """
    browsers: list[Browser] = []
    faults: list[str] = []

    def open_(
        microphone: Path | None = None, *, allow: bool = True, log_in: bool = True, at: Site = site, **context: object
    ) -> Page:
        flags = list(CHROMIUM_FLAGS)
        if microphone:
            flags += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}%noloop"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        browsers.append(browser)
        page = browser.new_context(permissions=["microphone"] if allow else [], **context).new_page()  # type: ignore[arg-type]
        page.set_default_timeout(20_000)
        page.on("request", lambda request: faults.extend(foreign(request, at)))
        page.on("console", lambda line: faults.append(line.text) if "Content Security Policy" in line.text else None)
        page.on("pageerror", lambda error: faults.append(f"uncaught: {error}"))
        if log_in:
            page.goto(f"{at.url}/accounts/login/")
            page.get_by_label("Name").fill("demo")
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url(f"{at.url}/")
        return page

    yield open_
    for browser in browsers:
        browser.close()
    assert not faults


def foreign(request: BrowserRequest, at: Site) -> list[str]:
    inside = request.url.startswith((at.url, "data:", "blob:"))
    return [] if inside else [f"request to {request.url}"]
