"""A running application, spoken WAV files, and a real Chromium whose microphone hears them."""

import time
import wave
from collections.abc import Callable, Iterator
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from playwright.sync_api import Browser, Dialog, Page, Playwright, StorageState, expect
from playwright.sync_api import Request as BrowserRequest

from engine.audio import SPEAK_RATE_HZ, resample
from engine.synthesis import Synthesiser, Voice
from tests.e2e.site import PASSWORD, USER_NAME, Site, start_site

CHROMIUM = "/usr/bin/chromium"
SPY = Path(__file__).with_name("spy.js")
MICROPHONE_RATE_HZ = 48_000
TIMEOUT_MS = 20_000
SILENCE = "silence.wav"
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
expect.set_options(timeout=10_000)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    running = start_site(tmp_path_factory.mktemp("site"), ISSUE_RATE="1000/m", RELAY_RATE="1000/m", CALLS_AT_ONCE="20")
    yield running
    assert running.processes["up"].poll() is None, running.output()
    assert running.stop() == {"up": 0}
    assert "Traceback" not in running.output()


@pytest.fixture(scope="session")
def synthesiser() -> Synthesiser:
    return Synthesiser()


Speech = Callable[..., Path]


@pytest.fixture(scope="session")
def speech(synthesiser: Synthesiser, tmp_path_factory: pytest.TempPathFactory) -> Speech:
    """Make a WAV for the fake microphone: `speech((silence_s, text), …)`; without parts, a silent one.

    The sound starts when the page opens the microphone, is played once, and silence follows.
    """
    folder = tmp_path_factory.mktemp("speech")

    def make(*parts: tuple[float, str]) -> Path:
        pieces = []
        for silence_s, text in parts:
            spoken = synthesiser.speak(text, Voice("cedar"))
            pieces += [_silence(silence_s), resample(spoken, SPEAK_RATE_HZ, MICROPHONE_RATE_HZ)]
        file = folder / (f"{time.monotonic_ns()}.wav" if parts else SILENCE)
        with wave.open(str(file), "wb") as writer:
            writer.setnchannels(1)
            writer.setsampwidth(2)
            writer.setframerate(MICROPHONE_RATE_HZ)
            writer.writeframes(np.concatenate([*pieces, _silence(5.0)]).tobytes())
        return file

    return make


def _silence(seconds: float) -> "np.ndarray[Any, np.dtype[np.int16]]":
    return np.zeros(int(seconds * MICROPHONE_RATE_HZ), np.int16)


@pytest.fixture(scope="session")
def silence(speech: Speech) -> Path:
    """A microphone that hears nothing."""
    return speech()


class Launch:
    """Gives a browser whose microphone hears a WAV; without one, the machine has no microphone. One for each WAV."""

    def __init__(self, playwright: Playwright) -> None:
        self._playwright = playwright
        self._browsers: dict[Path | None, Browser] = {}

    def __call__(self, microphone: Path | None) -> Browser:
        flags = list(CHROMIUM_FLAGS)
        if microphone:
            flags += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}%noloop"]
        if microphone not in self._browsers:
            self._browsers[microphone] = self._playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        return self._browsers[microphone]

    def close(self, *, spoken_alone: bool = False) -> None:
        """Close them all, or those that heard speech, which no other test will: each takes 2 % of a core by itself."""
        for microphone in tuple(self._browsers):
            if not spoken_alone or (microphone and microphone.name != SILENCE):
                self._browsers.pop(microphone).close()


@pytest.fixture(scope="session")
def launch(playwright: Playwright) -> Iterator[Launch]:
    launching = Launch(playwright)
    yield launching
    launching.close()


@pytest.fixture(scope="session")
def sign_in(launch: Launch) -> Callable[[Site], StorageState]:
    """Sign in once for each site and give the cookies."""
    kept: dict[str, StorageState] = {}

    def sign_in_(site: Site) -> StorageState:
        if site.url not in kept:
            context = launch(None).new_context()
            log_in(context.new_page(), site)
            kept[site.url] = context.storage_state()
            context.close()
        return kept[site.url]

    return sign_in_


def log_in(login: Page, site: Site) -> None:
    login.goto(f"{site.url}/accounts/login/")
    login.get_by_label("Name").fill(USER_NAME)
    login.get_by_label("Password").fill(PASSWORD)
    login.get_by_role("button", name="Sign in").click()
    login.wait_for_url(f"{site.url}/")


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(launch: Launch, site: Site, sign_in: Callable[[Site], StorageState]) -> Iterator[OpenPage]:
    """Open a signed-in voice page: `open_page(microphone=wav)`. No microphone: the machine has none.

    Fails the test when the page contacts another origin, breaks its content security policy or lets an
    exception go uncaught.
    """
    opened: list[Page] = []
    faults: list[str] = []

    def open_(
        microphone: Path | None = None,
        *,
        allow: bool = True,
        signed_in: bool = True,
        at: Site = site,
        path: str = "/",
        **context: object,
    ) -> Page:
        permissions = ["microphone"] if allow else []
        calm = {"reduced_motion": "reduce"}  # the orb's motion would take the processor from the speech
        options = cast("dict[str, Any]", {"base_url": at.url, "permissions": permissions, **calm, **context})
        if signed_in:
            options["storage_state"] = sign_in(at)
        page = launch(microphone).new_context(**options).new_page()
        opened.append(page)
        page.set_default_timeout(TIMEOUT_MS)
        page.add_init_script(path=SPY)
        page.on("request", lambda request: faults.extend(foreign(request, at)))
        page.on("console", lambda line: faults.append(line.text) if "Content Security Policy" in line.text else None)
        page.on("pageerror", lambda error: faults.append(f"uncaught: {error}"))
        page.on("dialog", accept)
        page.goto(path)
        return page

    yield open_
    for page in opened:
        page.context.close()
    launch.close(spoken_alone=True)
    assert not faults


def accept(dialog: Dialog) -> None:
    dialog.accept()


def foreign(request: BrowserRequest, at: Site) -> list[str]:
    inside = request.url.startswith((at.url, "data:", "blob:"))
    return [] if inside else [f"request to {request.url}"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse asynchronous tests beside these: the browser's library keeps an event loop running in their thread."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and iscoroutinefunction(getattr(item, "function", None)):
            raise pytest.UsageError(f"{item.nodeid} is asynchronous; it cannot run beside the browser's tests.")
