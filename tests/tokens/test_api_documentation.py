"""The examples of docs/api.md run as they stand."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from tests.tokens.conftest import MakeKey
from tokens.models import Issuance
from voiceagent.sdk_build import find_node

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "sh": ["sh", "-c"],
    "python": [sys.executable, "-c"],
    "js": [find_node().program, "--input-type=module", "-e"],
}


def examples() -> dict[str, str]:
    """Return the code of each block that is marked `run`, by language."""
    blocks = re.findall(r"^ *```(\w+) run\n(.*?)^ *```", (ROOT / "docs" / "api.md").read_text(), re.S | re.M)
    return {language: textwrap.dedent(code) for language, code in blocks}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("language", COMMANDS)
def test_an_example_mints(live_server: LiveServer, make_key: MakeKey, settings: Settings, language: str) -> None:
    settings.CLIENT_SECRET_KINDS = ["relayed"]
    done = subprocess.run(
        [*COMMANDS[language], examples()[language]],
        env=os.environ | {"VOICEAGENT_URL": live_server.url, "VOICEAGENT_KEY": make_key().value},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert "ek_" in done.stdout
    assert Issuance.objects.get().status == "issued"
