"""With OPENAI_API_KEY set the same application talks to OPENAI_BASE_URL: nothing but settings differs.

The vendor's own address cannot be had in a test; a server that speaks its protocol stands there instead.
"""

from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.conftest import OpenPage
from tests.e2e.site import Site, start_processes
from tests.e2e.voice_page import start, turns, write


def test_a_key_and_an_address_are_all_it_takes(open_page: OpenPage, silence: Path, site: Site, tmp_path: Path) -> None:
    with_key = start_processes(
        tmp_path,
        ("web",),
        OPENAI_API_KEY="sk-end-to-end-engine",
        OPENAI_BASE_URL=f"{site.engine_url}/v1",
        ENGINE_PORT="1",  # nobody is there: only the address above can have answered
    )
    try:
        voice = open_page(silence, at=with_key)
        expect(voice.locator("body")).not_to_contain_text("local demo voice")
        start(voice)
        write(voice, "Say: the key works")
        expect(turns(voice, "assistant")).to_contain_text(["the key works"])
        assert with_key.last_call("state") == ("live",)
    finally:
        with_key.stop()
    assert "Traceback" not in with_key.output()
