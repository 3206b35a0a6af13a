"""A caller that comes through the site, as the page does: signed in, with a relayed client secret."""

from aiohttp import ClientSession, CookieJar

from bench.processes import PASSWORD, USER_NAME
from engine.protocol_json import Json
from tests.engine.caller import Caller

CSRF_COOKIE = "csrf"


async def sign_in(site_url: str) -> ClientSession:
    """Return an HTTP client with the cookies of a signed-in person; whoever asks closes it."""
    http = ClientSession(cookie_jar=CookieJar(unsafe=True))
    login_url = f"{site_url}/accounts/login/"
    await http.get(login_url)
    form = {"login": USER_NAME, "password": PASSWORD, "csrfmiddlewaretoken": csrf_token(http, site_url)}
    async with http.post(login_url, data=form, headers={"Referer": login_url}, allow_redirects=False) as answer:
        if answer.status != 302:
            raise SystemExit(f"signing in failed with status {answer.status}")
    return http


def csrf_token(http: ClientSession, site_url: str) -> str:
    """Return the token that Django left in the cookie."""
    return next(cookie.value for cookie in http.cookie_jar if cookie.key == CSRF_COOKIE)


class SiteCaller(Caller):
    """Calls the relay in place of the engine; the session is the agent's."""

    def __init__(self, site_url: str, http: ClientSession) -> None:
        super().__init__(site_url)
        self._http = http

    async def _mint(self, http: ClientSession, session: Json | None) -> str:
        headers = {"X-CSRFToken": csrf_token(self._http, self.base_url)}
        async with self._http.post(f"{self.base_url}/api/client-secret", json={}, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return str((await answer.json())["value"])
