"""The examples of docs/api.md run as they stand."""

import asyncio
import os
import re
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from relay.models import Call
from tests.conftest import FakeUpstream
from tests.relay.conftest import serving
from tests.tokens.conftest import MakeKey
from tokens.models import Issuance
from voiceagent.sdk_build import find_node

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "sh": ["sh", "-c"],
    "python": [sys.executable, "-c"],
    "js": [find_node().program, "--input-type=module", "-e"],
}


def examples(mark: str) -> dict[str, str]:
    """Return the code of each block with a mark, by language."""
    blocks = re.findall(rf"^ *```(\w+) {mark}\n(.*?)^ *```", (ROOT / "docs" / "api.md").read_text(), re.S | re.M)
    return {language: textwrap.dedent(code) for language, code in blocks}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("language", COMMANDS)
def test_an_example_mints(live_server: LiveServer, make_key: MakeKey, settings: Settings, language: str) -> None:
    settings.CLIENT_SECRET_KINDS = ["relayed"]
    done = subprocess.run(
        [*COMMANDS[language], examples("run")[language]],
        env=os.environ | {"VOICEAGENT_URL": live_server.url, "VOICEAGENT_KEY": make_key().value},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert "ek_" in done.stdout
    assert Issuance.objects.get().status == "issued"


@pytest.mark.django_db(transaction=True)
async def test_the_example_of_a_call_makes_one(
    make_key: MakeKey, upstream: FakeUpstream, offer_sdp: str, tmp_path: Path
) -> None:
    (tmp_path / "offer.sdp").write_bytes(offer_sdp.encode())
    key = await sync_to_async(make_key)()
    async with serving() as address:
        command = partial(
            subprocess.run, [*COMMANDS["sh"], examples("call")["sh"]], cwd=tmp_path, capture_output=True, text=True,
            env=os.environ | {"VOICEAGENT_URL": f"http://{address}", "VOICEAGENT_KEY": key.value}, timeout=60,
        )  # fmt: skip
        done = await asyncio.to_thread(command)

    assert done.returncode == 0, done.stderr
    assert "201 Created" in done.stdout
    assert "/v1/realtime/calls/rtc_1" in done.stdout
    assert "a=setup:active" in done.stdout
    call = await Call.objects.aget()
    assert (call.state, call.upstream_id, len(upstream.requests)) == ("live", "rtc_1", 1)
