"""Sample rates, frames and conversions of the engine's audio. Knows no models and no sockets."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from av import AudioFrame, AudioResampler, CodecContext
from av.audio.codeccontext import AudioCodecContext

Samples: TypeAlias = npt.NDArray[np.int16]
FloatSamples: TypeAlias = npt.NDArray[np.float32]

LISTEN_RATE_HZ = 16_000
SPEAK_RATE_HZ = 24_000
CHUNK_SAMPLES = 512
CHUNK_MS = CHUNK_SAMPLES * 1000 // LISTEN_RATE_HZ
FRAME_MS = 20
FRAME_SAMPLES = SPEAK_RATE_HZ * FRAME_MS // 1000
SAMPLE_BYTES = 2
FULL_SCALE = 32767.0
OPUS_BITS_PER_S = 40_000
# Of 10. The highest costs a third more time, and nobody hears the difference at this rate.
OPUS_COMPLEXITY = 5


def to_int16(samples: FloatSamples) -> Samples:
    """Convert -1..1 floats to 16-bit samples, clipping what lies outside."""
    return (np.clip(samples, -1.0, 1.0) * FULL_SCALE).astype(np.int16)


def level_of(samples: Samples) -> float:
    """Return the root mean square of a chunk, in 16-bit units."""
    if not len(samples):
        return 0.0
    wide = samples.astype(np.float32)
    return float(np.sqrt(np.dot(wide, wide) / len(wide)))


def duration_ms(sample_count: int, rate_hz: int) -> int:
    """Return the length of so many samples."""
    return sample_count * 1000 // rate_hz


class ChunkSplitter:
    """Turn audio frames of any rate and layout into 16 kHz mono chunks of a fixed length."""

    def __init__(self) -> None:
        self._resampler = AudioResampler(format="s16", layout="mono", rate=LISTEN_RATE_HZ)
        self._rest: Samples = np.zeros(0, np.int16)

    def push_frame(self, frame: AudioFrame) -> list[Samples]:
        """Add a decoded frame and return the chunks that it completes."""
        frame.pts = None
        parts = [part.to_ndarray().reshape(-1) for part in self._resampler.resample(frame)]
        return self.push(np.concatenate(parts) if parts else np.zeros(0, np.int16))

    def push_pcm(self, pcm: bytes, rate_hz: int) -> list[Samples]:
        """Add raw 16-bit little-endian mono samples; a trailing odd byte is dropped."""
        samples = np.frombuffer(pcm[: len(pcm) // SAMPLE_BYTES * SAMPLE_BYTES], np.dtype("<i2"))
        return self.push_frame(frame_from(samples, rate_hz)) if len(samples) else []

    def push(self, samples: Samples) -> list[Samples]:
        """Add 16 kHz samples and return the chunks that they complete."""
        joined = np.concatenate([self._rest, samples])
        whole = len(joined) // CHUNK_SAMPLES
        self._rest = joined[whole * CHUNK_SAMPLES :]
        return [joined[at * CHUNK_SAMPLES : (at + 1) * CHUNK_SAMPLES] for at in range(whole)]


def frame_from(samples: Samples, rate_hz: int) -> AudioFrame:
    """Wrap mono samples in a frame."""
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = rate_hz
    return frame


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Resample a whole stretch of mono audio."""
    if from_hz == to_hz or not len(samples):
        return samples
    resampler = AudioResampler(format="s16", layout="mono", rate=to_hz)
    parts = [*resampler.resample(frame_from(samples, from_hz)), *resampler.resample(None)]
    return np.concatenate([part.to_ndarray().reshape(-1) for part in parts])


class OpusEncoder:
    """Encode one stretch of speech, frame by frame: 20 ms of 24 kHz mono each."""

    def __init__(self) -> None:
        codec = CodecContext.create("libopus", "w")
        assert isinstance(codec, AudioCodecContext)
        codec.sample_rate = SPEAK_RATE_HZ
        codec.format = "s16"
        codec.layout = "mono"
        codec.bit_rate = OPUS_BITS_PER_S
        codec.options = {
            "application": "voip",
            "frame_duration": str(FRAME_MS),
            "compression_level": str(OPUS_COMPLEXITY),
        }
        self._codec = codec
        self._encoded_samples = 0

    def encode(self, samples: Samples) -> bytes:
        """Return the packet of one frame of FRAME_SAMPLES; a shorter one is padded with silence."""
        frame = frame_from(np.pad(samples, (0, FRAME_SAMPLES - len(samples))), SPEAK_RATE_HZ)
        frame.pts = self._encoded_samples
        self._encoded_samples += FRAME_SAMPLES
        return b"".join(bytes(packet) for packet in self._codec.encode(frame))
