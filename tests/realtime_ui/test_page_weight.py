"""What a browser has to fetch before one can press Start: weighed as it is sent, of the files that set-up makes."""

import re
from pathlib import Path
from typing import Final

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from voiceagent import page_bundle, sdk_bundle
from voiceagent.static_files import Compressor

BEFORE_START_BYTES: Final = 30_000
SDK_BYTES: Final = 60_000


@pytest.fixture(autouse=True)
def set_up_was_run() -> None:
    assert page_bundle.is_fresh(), "Run `make setup`: a source of the page has changed since."


def sent_bytes(static_path: str) -> int:
    return len(Compressor.compress_brotli(Path(str(finders.find(static_path))).read_bytes()))


def asked_by(html: str) -> set[str]:
    """Return the static paths that the page names as style sheets, scripts and pictures."""
    return set(re.findall(r'<(?:link|script|img)[^>]* (?:href|src)="/static/([^"]+)"', html))


def test_the_page_is_light_before_start(alices_client: Client) -> None:
    asked = asked_by(alices_client.get("/").content.decode())
    icons = {path.relative_to(page_bundle.STATIC).as_posix() for path in (page_bundle.STATIC / "icons").iterdir()}
    weights = {path: sent_bytes(path) for path in sorted(asked | icons)}

    assert {f"{page_bundle.PATH}page.js", f"{page_bundle.PATH}page.css"} < asked
    assert sum(weights.values()) <= BEFORE_START_BYTES, weights


def test_the_page_s_script_brings_no_other_with_it() -> None:
    script = (page_bundle.FOLDER / "page.js").read_text()

    assert not re.search(r"""(?:^|[;}\s])import\s*(?:[\w{*"'])""", script)


def test_the_audio_library_is_light() -> None:
    assert sent_bytes(sdk_bundle.STATIC_PATH) <= SDK_BYTES
