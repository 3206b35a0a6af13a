"""A call in Firefox over WebSocket, where `FIREFOX` names one. Without sound devices nothing is played or heard."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.firefox import PROGRAM, Firefox, start_firefox
from tests.e2e.site import PASSWORD, USER_NAME, Site

pytestmark = pytest.mark.skipif(not PROGRAM, reason="FIREFOX names no program.")
SIGN_IN = f"""
    document.querySelector('[name=login]').value = '{USER_NAME}';
    document.querySelector('[name=password]').value = '{PASSWORD}';
    document.querySelector('form').requestSubmit();
"""
WRITE = """
    const box = document.querySelector('#typed');
    box.value = 'count to three';
    box.dispatchEvent(new Event('input', { bubbles: true }));
    box.form.requestSubmit();
"""


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory, site: Site) -> Iterator[Firefox]:
    """A browser that is signed in."""
    with start_firefox(tmp_path_factory.mktemp("firefox")) as started:
        started.open(f"{site.url}/accounts/login/")
        started.run(SIGN_IN)
        started.wait_until("location.pathname === '/' && document.readyState === 'complete'")
        yield started


def test_a_call_in_firefox_over_websocket(firefox: Firefox, site: Site) -> None:
    choices = json.dumps(json.dumps({"transport": "websocket"}))
    firefox.run(f"localStorage.setItem('voiceagent.preferences', {choices})")
    firefox.open(f"{site.url}/")
    firefox.wait_until("!document.querySelector('[data-action=start]').disabled")
    firefox.run("document.querySelector('[data-action=start]').click()")
    firefox.wait_until("document.body.dataset.state === 'live'")
    assert site.last_call("transport") == ("websocket",)
    firefox.run("document.querySelector('[data-action=mute]').click()")
    firefox.wait_until("document.body.dataset.live === 'muted'")
    firefox.run(WRITE)
    firefox.wait_until("document.querySelector('article[data-who=assistant]')?.innerText.includes('One, two, three.')")
    firefox.run("document.querySelector('[data-action=end]').click()")
    firefox.wait_until("document.body.dataset.state === 'ended' && !document.querySelector('audio')")
    assert firefox.errors == []
