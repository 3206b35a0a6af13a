"""A process that is killed with a socket open: the worker ends its call, and what was counted counts once."""

import asyncio
from functools import partial

import aiohttp

from tests.e2e.site import Site, run_in_shell, wait_for
from tests.migrated import on_sqlite_alone
from tests.relay.socket_upstream import SocketUpstream
from tests.relay.test_socket_process import opened, site, upstream

__all__ = ["site", "upstream"]
pytestmark = on_sqlite_alone
# What the worker does in its rounds, some seconds after the process was seen for the last time.
WORK_AFTER = """
from datetime import timedelta
from django.utils import timezone
from relay.leases import close_left_books
from relay.models import Call
from relay.services import sweep_calls
later = Call.objects.get().last_seen_at + timedelta(seconds={seconds})
print(sweep_calls(later), close_left_books("worker", later))
"""
BOOKS = """
SELECT state, end_reason, metering, responses, lease_owner,
  (SELECT count(*) FROM usage_usagerecord), (SELECT sum(responses) FROM usage_usageday),
  (SELECT count(*) FROM audit_auditevent WHERE action = 'call.ended'), counted_picodollars > 0
FROM relay_call
"""


def worked_after(site: Site, seconds: int) -> str:
    return run_in_shell(site, WORK_AFTER.format(seconds=seconds)).splitlines()[-1]


async def test_the_worker_ends_the_call_of_a_web_process_that_was_killed(site: Site, upstream: SocketUpstream) -> None:
    async with aiohttp.ClientSession() as http:
        socket = await opened(site, http)
        await socket.say(type="response.create")
        await socket.read("response.done")
        counted = partial(site.rows, "SELECT 1 FROM relay_call WHERE responses = 1")
        await asyncio.to_thread(wait_for, "what was counted", lambda: bool(counted()), site)
        await asyncio.to_thread(site.kill, "web")
        await asyncio.wait_for(upstream.closed.wait(), 5)

    # Another process may only be slow to say that it lives, so nothing happens for 45 seconds.
    assert await asyncio.to_thread(worked_after, site, 40) == "0 0"
    assert await asyncio.to_thread(worked_after, site, 50) == "1 1"
    assert await asyncio.to_thread(worked_after, site, 60) == "0 0"
    assert site.rows(BOOKS) == [("ended", "server_lost", "partial", 1, "", 1, 1, 1, 1)]
