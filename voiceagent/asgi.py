"""The ASGI application: HTTP to Django, WebSockets by Channels' routing, and the server's start and end."""

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import WebsocketDenier
from django.core.asgi import get_asgi_application
from django.urls import re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceagent.settings")
django_application = get_asgi_application()

from voiceagent.body_limit import BodyLimit, Receive, Scope, Send  # noqa: E402
from voiceagent.upstream import close_upstream_http  # noqa: E402  (needs the applications to be loaded)


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """Close what the event loop holds when the server stops."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            await close_upstream_http()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


application = ProtocolTypeRouter(
    {
        "http": BodyLimit(django_application),
        # No route takes sockets yet: every handshake is refused instead of failing with a traceback.
        "websocket": URLRouter([re_path(r"", WebsocketDenier.as_asgi())]),
        "lifespan": lifespan,
    }
)
