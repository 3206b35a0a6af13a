"""One set of rules for both forms of asking the upstream: asynchronous, and synchronous in a thread."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from realtime_api import errors
from realtime_api import upstream as realtime_upstream
from realtime_api.upstream import MAX_ANSWER_BYTES, Upstream, hang_up, hang_up_sync, open_http
from voiceagent.environment import SettingsReader

HangUp = Callable[[Upstream], Awaitable[bool]]


class Site:
    """A server on loopback that keeps what it was asked and answers what it is told."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.answer: Callable[[], web.Response] = web.Response
        self.at_once = self.most_at_once = 0
        self.pause_s = 0.0
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.pause_s)
        self.at_once -= 1
        return self.answer()

    @property
    def upstream(self) -> Upstream:
        return Upstream(f"{self.url}/v1", "sk-server", deadline_s=5)


async def start_site() -> tuple[Site, web.AppRunner]:
    site, app = Site(), web.Application()
    app.router.add_route("*", "/{rest:.*}", site.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    return site, runner


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site, runner = await start_site()
    yield site
    await runner.cleanup()


@pytest.fixture
async def elsewhere() -> AsyncIterator[Site]:
    site, runner = await start_site()
    yield site
    await runner.cleanup()


@pytest.fixture(params=["asynchronous", "synchronous"])
async def end_call(request: pytest.FixtureRequest) -> AsyncIterator[HangUp]:
    """Hang up in one of the two forms; the asynchronous one keeps its HTTP session, as a server does."""
    http: aiohttp.ClientSession = open_http()

    async def in_thread(upstream: Upstream) -> bool:
        return await asyncio.to_thread(hang_up_sync, upstream, "rtc_1")

    async def on_loop(upstream: Upstream) -> bool:
        return await hang_up(http, upstream, "rtc_1")

    yield on_loop if request.param == "asynchronous" else in_thread
    await http.close()


async def test_neither_proxy_nor_netrc_of_the_environment_counts(
    end_call: HangUp, site: Site, elsewhere: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login thief password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, elsewhere.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    assert await end_call(site.upstream)
    assert elsewhere.asked == []
    assert site.asked[0].headers["Authorization"] == "Bearer sk-server"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(end_call: HangUp, site: Site, elsewhere: Site, status: int) -> None:
    site.answer = lambda: web.Response(status=status, headers={"Location": elsewhere.url})
    with pytest.raises(errors.UpstreamBadAnswer):
        await end_call(site.upstream)

    assert elsewhere.asked == []
    assert len(site.asked) == 1


async def test_no_cookie_is_kept(end_call: HangUp, site: Site) -> None:
    site.answer = lambda: web.Response(headers={"Set-Cookie": "who=alice; Path=/"})
    await end_call(site.upstream)
    await end_call(site.upstream)

    assert [request.headers.get("Cookie") for request in site.asked] == [None, None]


async def test_answers_are_asked_for_plain(end_call: HangUp, site: Site) -> None:
    await end_call(site.upstream)

    assert site.asked[0].headers["Accept-Encoding"] == "identity"


def bodies_read(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return a list that fills with what is read of the answers that are errors."""
    read: list[bytes] = []

    def note(body: bytes) -> tuple[str, str]:
        read.append(body)
        return "", ""

    monkeypatch.setattr(realtime_upstream, "_read_error", note)
    return read


async def test_an_answer_that_is_packed_all_the_same_is_not_unpacked(
    end_call: HangUp, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = bodies_read(monkeypatch)
    bomb = gzip.compress(b"x" * 10_000_000)
    site.answer = lambda: web.Response(status=400, body=bomb, headers={"Content-Encoding": "gzip"})
    with pytest.raises(errors.UpstreamRefusedRequest):
        await end_call(site.upstream)

    assert read == [bomb]


async def test_no_more_than_so_much_of_an_answer_is_read(
    end_call: HangUp, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = bodies_read(monkeypatch)
    site.answer = lambda: web.Response(status=400, body=b"x" * 20 * MAX_ANSWER_BYTES)
    with pytest.raises(errors.UpstreamError):
        await end_call(site.upstream)

    assert all(len(body) <= MAX_ANSWER_BYTES for body in read)


async def test_the_pool_is_bounded_and_whoever_waits_for_it_is_served(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(realtime_upstream, "POOL_SIZE", 2)
    site.pause_s = 0.02
    async with open_http() as http:
        done = await asyncio.gather(*(hang_up(http, site.upstream, f"rtc_{number}") for number in range(10)))

    assert done == [True] * 10
    assert site.most_at_once == 2


async def test_waiting_for_the_pool_counts_against_the_deadline(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realtime_upstream, "POOL_SIZE", 1)
    site.pause_s = 2
    hasty = Upstream(site.upstream.base_url, "sk-server", deadline_s=0.2)
    async with open_http() as http:
        first = asyncio.create_task(hang_up(http, site.upstream, "rtc_1"))
        await asyncio.sleep(0.05)
        async with asyncio.timeout(1.5):
            with pytest.raises(errors.UpstreamTimeout):
                await hang_up(http, hasty, "rtc_2")
        assert await first


@pytest.mark.parametrize("raw_key", ["sk-1", "  sk-1\t", '"sk-1"', "'sk-1'", ' "sk-1" ', '" sk-1 "'])
def test_the_key_is_trimmed_of_blanks_and_one_pair_of_quotes(raw_key: str) -> None:
    assert SettingsReader({"OPENAI_API_KEY": raw_key}).secret("OPENAI_API_KEY") == "sk-1"
