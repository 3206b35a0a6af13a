#!/usr/bin/env python
"""Measure what the voice page weighs and how soon one can press Start, in Chromium over the running application.

    .venv/bin/python bench/page.py            # under a minute
    .venv/bin/python bench/page.py --quick    # under half a minute

Run `make setup` before: what is served lies in `staticfiles`. Weights are bytes as sent, headers included
(`encodedDataLength`). Interactive is the moment in which the page's modules have run and Start can be pressed, from the
beginning of the navigation; every load begins with an empty cache, and those over a slow network with the
bandwidth and delay that Lighthouse takes for slow 4G. Ends with one line of JSON.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from playwright.async_api import Browser, BrowserContext, StorageState, async_playwright

from bench.processes import PASSWORD, USER_NAME, application

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
LOADS, QUICK_LOADS = 10, 5
SLOW_LOADS, QUICK_SLOW_LOADS = 5, 2
SLOW_4G = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 750e3 / 8}
SETTLED_MS = 2_000
"""How long after the page can be used its own requests are still counted as before Start."""

# Start is disabled in the HTML and enabled by the page's modules. The document is looked at when it changes.
NOTE_INTERACTIVE = """
new MutationObserver((_, observer) => {
  if (!document.querySelector('[data-action=start]:not(:disabled)')) return;
  observer.disconnect();
  window.interactiveAtMs = performance.now();
}).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ['disabled'] });
"""
LOAD_SDK = "async () => void (await import(JSON.parse(document.getElementById('page-config').textContent).sdkUrl))"


@dataclass(frozen=True)
class Load:
    """One load: when Start could be pressed, what was sent before by kind, and then for the audio library."""

    interactive_ms: float
    requests: int
    sent_bytes: Counter[str]
    sdk_bytes: int

    @property
    def before_start_bytes(self) -> int:
        return sum(self.sent_bytes.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    loads, slow_loads = (QUICK_LOADS, QUICK_SLOW_LOADS) if quick else (LOADS, SLOW_LOADS)
    fast, slow = asyncio.run(measure(loads, slow_loads))
    report(fast, slow)
    print(json.dumps({"bench": "page", "figures": figures_of(fast, slow)}))


async def measure(loads: int, slow_loads: int) -> tuple[list[Load], list[Load]]:
    """Return the loads over the loopback, and those over a slow network."""
    with tempfile.TemporaryDirectory() as folder:
        async with application(Path(folder)) as running, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            cookies = await signed_in(browser, running.site_url)
            await load(browser, cookies, running.site_url)  # the first one also warms the server up
            fast = [await load(browser, cookies, running.site_url) for _ in range(loads)]
            slow = [await load(browser, cookies, running.site_url, network=SLOW_4G) for _ in range(slow_loads)]
            await browser.close()
            return fast, slow


async def signed_in(browser: Browser, url: str) -> StorageState:
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"{url}/accounts/login/")
    await page.get_by_label("Name").fill(USER_NAME)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(f"{url}/")
    state = await context.storage_state()
    await context.close()
    return state


async def load(browser: Browser, cookies: StorageState, url: str, network: dict[str, Any] | None = None) -> Load:
    """Load the page once in a browser that has not seen it."""
    context = await browser.new_context(storage_state=cookies)
    await context.add_init_script(NOTE_INTERACTIVE)
    try:
        return await _load(context, url, network)
    finally:
        await context.close()


async def _load(context: BrowserContext, url: str, network: dict[str, Any] | None) -> Load:
    page = await context.new_page()
    devtools = await context.new_cdp_session(page)
    kinds: dict[str, str] = {}
    sent: Counter[str] = Counter()
    devtools.on("Network.requestWillBeSent", lambda event: kinds.update({event["requestId"]: event["type"]}))
    devtools.on(
        "Network.loadingFinished",
        lambda event: sent.update({kinds.get(event["requestId"], "Other"): round(event["encodedDataLength"])}),
    )
    await devtools.send("Network.enable")
    if network:
        await devtools.send("Network.emulateNetworkConditions", network)
    await page.goto(url)
    handle = await page.wait_for_function("window.interactiveAtMs")
    interactive_ms = float(await handle.json_value())
    await page.wait_for_timeout(SETTLED_MS)
    before, requests = Counter(sent), len(kinds)
    await page.evaluate(LOAD_SDK)
    await page.wait_for_timeout(100)  # the event of its end may come after the promise
    return Load(interactive_ms, requests, before, sum(sent.values()) - sum(before.values()))


def figures_of(fast: Sequence[Load], slow: Sequence[Load]) -> dict[str, float]:
    """Return the figures; kB are thousands of bytes."""
    return {
        "before_start_kb": kilobytes(median([each.before_start_bytes for each in fast])),
        "sdk_kb": kilobytes(median([each.sdk_bytes for each in fast])),
        "requests": median([each.requests for each in fast]),
        "interactive_p50_ms": round(median([each.interactive_ms for each in fast])),
        "interactive_most_ms": round(max(each.interactive_ms for each in fast)),
        "interactive_slow_4g_p50_ms": round(median([each.interactive_ms for each in slow])),
    }


def report(fast: Sequence[Load], slow: Sequence[Load]) -> None:
    """Print a table for people."""
    print(f"load average of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for kind, sent_bytes in fast[-1].sent_bytes.most_common():
        print(f"{kind:30} {kilobytes(sent_bytes):8} kB")
    for name, figure in figures_of(fast, slow).items():
        print(f"{name:30} {figure:8}")


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def kilobytes(sent_bytes: float) -> float:
    return round(sent_bytes / 1000, 1)


if __name__ == "__main__":
    main()
