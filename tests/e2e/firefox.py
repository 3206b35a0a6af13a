"""A headless Firefox, driven by WebDriver BiDi: enough to open one page and do something in it.

The environment's `FIREFOX` names the program, such as `/usr/bin/firefox-esr`.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

from websockets.sync.client import ClientConnection, connect

PROGRAM: Final = os.environ.get("FIREFOX", "")
TIMEOUT_S: Final = 40.0
POLL_S: Final = 0.1
SAYS_WHERE: Final = "WebDriver BiDi listening on "
PREFERENCES: Final = {
    "app.normandy.enabled": False,  # asks no other host
    "media.autoplay.default": 0,
    "media.navigator.permission.disabled": True,
    "media.navigator.streams.fake": True,
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "services.settings.server": "",
}


class Firefox:
    """One page. errors: what its scripts threw and let go, and what its content security policy refused."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._numbers = socket, count(1)
        self.errors: list[str] = []
        self._send("session.new", capabilities={})
        self._send("session.subscribe", events=["log.entryAdded"])
        self._page = self._send("browsingContext.create", type="tab")["context"]

    def open(self, url: str) -> None:
        self._send("browsingContext.navigate", context=self._page, url=url, wait="complete")

    def run(self, script: str) -> Any:  # Any: what the script gives
        """Run a script as if somebody had clicked; returns its value."""
        target = {"context": self._page}
        done = self._send("script.evaluate", expression=script, target=target, awaitPromise=True, userActivation=True)
        assert done["type"] == "success", done["exceptionDetails"]["text"]
        return done["result"].get("value")

    def wait_until(self, script: str) -> None:
        """Wait until a script gives something true."""
        deadline = time.monotonic() + TIMEOUT_S
        while not self.run(script):
            assert time.monotonic() < deadline, f"{script}: {self.run('document.body.innerText')}"
            time.sleep(POLL_S)

    def close(self) -> None:
        self._send("browser.close")

    def _send(self, method: str, **params: object) -> Any:  # Any: JSON
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=TIMEOUT_S))
            if message.get("method") == "log.entryAdded":
                self._note(message["params"])
            if message.get("id") == number:
                assert message["type"] == "success", message
                return message["result"]

    def _note(self, entry: dict[str, Any]) -> None:
        text = str(entry["text"])
        if (entry["type"] == "javascript" and entry["level"] == "error") or "Content-Security-Policy" in text:
            self.errors.append(text)


@contextmanager
def start_firefox(folder: Path) -> Iterator[Firefox]:
    """Start a Firefox with a profile of its own in a folder, and end it."""
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()]
    (folder / "user.js").write_text("\n".join(lines))
    log = folder / "output.log"
    command = [PROGRAM, "--headless", "--no-remote", "--profile", str(folder), "--remote-debugging-port=0"]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        with connect(f"{_address(log)}/session", max_size=None, proxy=None) as socket:
            firefox = Firefox(socket)
            yield firefox
            firefox.close()
        process.wait(TIMEOUT_S)
    finally:
        process.kill()
        process.wait()


def _address(log: Path) -> str:
    deadline = time.monotonic() + TIMEOUT_S
    while SAYS_WHERE not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(POLL_S)
    return log.read_text().partition(SAYS_WHERE)[2].split()[0]
