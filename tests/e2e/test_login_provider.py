"""Logging in with a real provider in a real browser, under our content security policy."""

import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Launch
from tests.e2e.site import ROOT, Site, free_port, start_processes
from tests.e2e.test_accessibility import assert_fine_in_every_dress
from voiceagent.sdk_build import find_node


@pytest.fixture
def provided_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    port = free_port()
    site = start_processes(
        tmp_path_factory.mktemp("site"),
        ("web",),
        OIDC_SERVER_URL=f"http://127.0.0.1:{port}",
        OIDC_CLIENT_ID="voiceagent",
        OIDC_CLIENT_SECRET="the-client-secret",
        OIDC_NAME="Example Inc",
    )
    provider = subprocess.Popen(
        [
            find_node().program,
            str(ROOT / "tests/accounts/provider.mjs"),
            f"{site.url}/accounts/oidc/login/callback/",
            str(port),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert provider.stdout is not None
    provider.stdout.readline()  # it listens
    yield site
    provider.terminate()
    provider.wait(10)
    provider.stdout.close()
    site.stop()
    assert "Traceback" not in site.output()


def test_the_browser_is_led_to_the_provider_and_back(launch: Launch, provided_site: Site) -> None:
    context = launch(None).new_context(base_url=provided_site.url)
    page = context.new_page()
    refused: list[str] = []
    page.on("console", lambda line: refused.append(line.text) if "Content Security Policy" in line.text else None)
    page.goto("/accounts/login/?next=/keys/")
    assert_fine_in_every_dress(page)
    page.get_by_role("button", name="Sign in with Example Inc").click()
    page.locator("input[name=login]").fill("erika")
    page.locator("input[name=password]").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()

    expect(page).to_have_url(f"{provided_site.url}/keys/")
    expect(page.get_by_role("heading", level=1)).to_have_text("API keys")
    assert not refused
    context.close()
