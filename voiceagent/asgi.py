"""The ASGI application: HTTP to Django, WebSockets by Channels' routing, and the server's start and end."""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import WebsocketDenier
from django.core.asgi import get_asgi_application
from django.urls import path, re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceagent.settings")
GC_THRESHOLD = 20_000  # objects more than went; the default is 700
django_application = get_asgi_application()

from relay import api as relay  # noqa: E402
from relay import streams  # noqa: E402
from relay.constants import SOCKET_PATH  # noqa: E402
from relay.live_calls import call_soon, live_calls  # noqa: E402
from relay.sockets import realtime  # noqa: E402
from tokens import api as tokens  # noqa: E402
from voiceagent.body_limit import BodyLimit, Receive, Scope, Send  # noqa: E402
from voiceagent.bulkhead import Bulkhead  # noqa: E402
from voiceagent.direct_mount import DirectMount  # noqa: E402
from voiceagent.upstream import close_upstream_http  # noqa: E402  (needs the applications to be loaded)


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """Set up what a server needs that lives long, and close what the event loop holds when it stops."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            _spare_collector()
            _end_streams_on_signals()
        if message["type"] == "lifespan.shutdown":
            await close_upstream_http()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _spare_collector() -> None:
    """Have the garbage collector leave alone what was loaded, which stays, and look at the rest less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


def _end_streams_on_signals() -> None:
    """End open streams when the server is told to stop: it waits for whatever is open, and they would stay so.

    The server's own handlers, which are there by now, follow.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # signals are somebody else's
    end_streams = partial(call_soon, asyncio.get_running_loop(), live_calls().end_all)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _followed_by(signal.getsignal(number), end_streams))


def _followed_by(handler: Any, first: Callable[[], object]) -> Callable[[int, Any], None]:  # Any: as `signal` has it
    def handle(number: int, frame: Any) -> None:
        first()
        if callable(handler):
            handler(number, frame)

    return handle


HOT_VIEWS = {
    "/api/client-secret": tokens.client_secret,
    "/api/realtime/client-secret": tokens.client_secret,
    "/v1/realtime/client_secrets": tokens.upstream_client_secret,
    "/v1/realtime/calls": relay.calls,
    "/api/realtime/handshake": relay.calls,
}
STREAMS = {"/api/calls/stream": streams.own_calls, "/admin/live/stream": streams.all_calls}
SLOW_PATHS = ("/v1/realtime/calls", "/api/realtime/handshake")  # they wait for the upstream when they go Django's way
application = ProtocolTypeRouter(
    {
        "http": BodyLimit(DirectMount(Bulkhead(django_application, slow_paths=SLOW_PATHS), HOT_VIEWS, STREAMS)),
        # Any other address refuses the handshake instead of failing with a traceback.
        "websocket": URLRouter([path(SOCKET_PATH, cast("Any", realtime)), re_path(r"", WebsocketDenier.as_asgi())]),
        "lifespan": lifespan,
    }
)
