"""A session over a WebSocket: the sound is inside the events, and playing it is the client's work."""

from engine.audio import Samples
from engine.conversation import Conversation
from engine.mcp_client import McpClient
from engine.protocol_json import Json
from engine.reply import Responder
from engine.session.session import Session
from engine.socket_link import SocketLink
from engine.speech import Speech


class SocketCall:
    """A call in progress, for as long as `run` does."""

    def __init__(
        self, session: Session, speech: Speech, responder: Responder, mcp: McpClient, link: SocketLink
    ) -> None:
        self._conversation = Conversation(session, self, speech, responder, mcp)
        self._link = link

    async def run(self) -> None:
        """Carry the session until either side ends it."""
        self._conversation.open()
        try:
            await self._link.run(self._conversation.receive)
        finally:
            await self._conversation.close()

    def send_event(self, event: Json) -> None:
        """Send a server event."""
        self._link.send_event(event)

    def close_soon(self, reason: str) -> None:
        """End the call from inside a callback."""
        self._link.close_soon(reason)

    # A session that is not paced sends its sound as events and never asks for these.

    def play(self, response_id: str, samples: Samples) -> None: ...

    def end_of_speech(self, response_id: str) -> None: ...

    def clear_playback(self) -> None: ...

    def hold_playback(self, is_held: bool) -> None: ...
