"""Run the engine: `python -m engine`. Reads the environment, loads the models, serves until told to stop."""

import asyncio
import errno
import logging
import os
import signal
import sys

from aiohttp import web

from engine.calls import CallRegistry
from engine.chat_responder import ChatResponder
from engine.faults import Faults
from engine.ice import offer_addresses
from engine.mcp_client import McpClient
from engine.model_files import ModelFilesError
from engine.responder import ScriptedResponder
from engine.server import Server
from engine.settings import Settings, SettingsError, read_settings
from engine.speech import Speech

EXIT_MISCONFIGURED = 2
SHUTDOWN_TIMEOUT_S = 1.0
# Speech threads hold the interpreter in short turns only, so that packets leave on time.
SWITCH_INTERVAL_S = 0.001

logger = logging.getLogger("engine")


class StartError(Exception):
    """The engine cannot start; the message is for whoever started it."""


def main() -> int:
    """Run the engine and return its exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    # Their lines at this level hold addresses and SDP.
    for name in ("aiortc", "aioice", "aiohttp.access", "libav"):
        logging.getLogger(name).setLevel(logging.WARNING)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        asyncio.run(serve(read_settings(os.environ)))
    except (SettingsError, ModelFilesError, StartError) as problem:
        print(f"engine: {problem}", file=sys.stderr)
        return EXIT_MISCONFIGURED
    except ImportError as problem:
        print(f"engine: {problem}: pip install -r requirements-engine.txt", file=sys.stderr)
        return EXIT_MISCONFIGURED
    return 0


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; raises StartError when the port is taken."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    offer_addresses()
    speech = await asyncio.to_thread(Speech.load)
    responder = ChatResponder(settings.chat) if settings.chat else ScriptedResponder()
    faults = Faults()
    faults.set(settings.faults or {})
    mcp = McpClient(settings.mcp_servers)
    calls = CallRegistry(speech, responder, settings.max_calls, settings.session_life_s, faults, mcp)
    app = Server(settings.api_key, speech, calls, None if settings.faults is None else faults).build_app()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
    await runner.setup()
    try:
        await _listen(runner, settings)
        logger.info("Listening on http://%s:%d with %s replies", settings.host, settings.port, responder.name)
        await stop.wait()
    finally:
        await runner.cleanup()
        speech.close()


async def _listen(runner: web.AppRunner, settings: Settings) -> None:
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as exc:
        address = f"{settings.host}:{settings.port}"
        if exc.errno == errno.EADDRINUSE:
            raise StartError(f"{address} is in use: stop the other process or set ENGINE_PORT") from exc
        raise StartError(f"cannot listen on {address}: {exc.strerror}") from exc


if __name__ == "__main__":
    sys.exit(main())
