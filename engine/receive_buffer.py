"""What aiortc holds of what it received: sound, and messages not whole yet. The one place that reaches into it."""

from typing import Protocol

from aiortc import RTCRtpReceiver, RTCSctpTransport
from aiortc.jitterbuffer import JitterFrame

HALF_RANGE = 0x8000
SEQUENCE_RANGE = 0x10000
# What aiortc advertises at first.
WINDOW_BYTES = 1024 * 1024


class ReceivedPacket(Protocol):
    """What aiortc's receiver hands over: an RTP packet with its payload taken out."""

    sequence_number: int
    timestamp: int
    _data: bytes


class ArrivalBuffer:
    """Hand on every audio packet as it comes, except ones that come too late.

    aiortc holds four packets back and stalls for sixteen after a loss, which delays the turn by 80 to
    320 ms. Nobody listens to this side: recognition bears a lost packet better than a late one.
    """

    def __init__(self) -> None:
        self._newest: int | None = None

    def add(self, packet: ReceivedPacket) -> tuple[bool, JitterFrame | None]:
        """Return (False, frame), or (False, None) for a packet older than the newest."""
        if self._newest is not None:
            ahead = (packet.sequence_number - self._newest) % SEQUENCE_RANGE
            if not 0 < ahead < HALF_RANGE:
                return False, None
        self._newest = packet.sequence_number
        return False, JitterFrame(packet._data, packet.timestamp)


def listen_without_delay(receiver: RTCRtpReceiver) -> None:
    """Give an audio receiver an ArrivalBuffer; aiortc has no option for it."""
    name = "_RTCRtpReceiver__jitter_buffer"
    if not hasattr(receiver, name):
        raise AttributeError("This aiortc keeps its jitter buffer elsewhere: pin the version in requirements-engine.in")
    setattr(receiver, name, ArrivalBuffer())


def unread_bytes(transport: RTCSctpTransport) -> int:
    """Return how much of messages that have not come to their end is held; aiortc sets no limit.

    A sender that ignores the advertised window (RFC 9260 section 6.2) could fill the memory with one message.
    """
    return WINDOW_BYTES - int(transport._advertised_rwnd)
