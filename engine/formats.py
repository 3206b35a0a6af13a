"""The audio formats of the protocol: 16-bit PCM at 24 kHz, and G.711 (mu-law, A-law) at 8 kHz. All mono."""

from typing import Literal

import numpy as np
from av import CodecContext
from av.audio.codeccontext import AudioCodecContext
from av.packet import Packet

from engine.audio import SAMPLE_BYTES, SPEAK_RATE_HZ, Samples, frame_from, resample

PHONE_RATE_HZ = 8_000
CODEC_OF_FORMAT: dict[str, Literal["pcm_mulaw", "pcm_alaw"]] = {"audio/pcmu": "pcm_mulaw", "audio/pcma": "pcm_alaw"}
LITTLE_ENDIAN = np.dtype("<i2")


def decode(name: str, sound: bytes) -> tuple[bytes, int]:
    """Return a format's bytes as 16-bit little-endian samples, and their rate. name: the format's `type`."""
    if name not in CODEC_OF_FORMAT:
        return sound[: len(sound) // SAMPLE_BYTES * SAMPLE_BYTES], SPEAK_RATE_HZ
    frames = _codec(name, "r").decode(Packet(sound)) if sound else []
    return b"".join(frame.to_ndarray().astype(LITTLE_ENDIAN).tobytes() for frame in frames), PHONE_RATE_HZ


def encode(name: str, samples: Samples) -> bytes:
    """Return 24 kHz samples in a format. name: the format's `type`."""
    if name not in CODEC_OF_FORMAT:
        return samples.astype(LITTLE_ENDIAN).tobytes()
    phone = resample(samples, SPEAK_RATE_HZ, PHONE_RATE_HZ)
    if not len(phone):
        return b""
    frame = frame_from(phone, PHONE_RATE_HZ)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in _codec(name, "w").encode(frame))


def bytes_of_ms(name: str, length_ms: int) -> int:
    """Return how many bytes a format has in so many milliseconds."""
    if name in CODEC_OF_FORMAT:
        return PHONE_RATE_HZ * length_ms // 1000
    return SPEAK_RATE_HZ * length_ms // 1000 * SAMPLE_BYTES


def _codec(name: str, mode: Literal["r", "w"]) -> AudioCodecContext:
    codec = CodecContext.create(CODEC_OF_FORMAT[name], mode)
    codec.sample_rate = PHONE_RATE_HZ
    codec.layout = "mono"
    if mode == "w":
        codec.format = "s16"
    return codec
