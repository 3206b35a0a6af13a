"""Offers for the tests of `/v1/realtime/calls`."""

from aiortc import RTCConfiguration, RTCPeerConnection

from tests.engine.caller import Microphone


async def make_offer() -> str:
    """Return a good offer: one audio section, one data channel."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTrack(Microphone())
    connection.createDataChannel("oai-events")
    await connection.setLocalDescription(await connection.createOffer())
    sdp = connection.localDescription.sdp
    await connection.close()
    return sdp
