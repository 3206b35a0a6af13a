"""Sample rates, frames and conversions of the engine's audio. Knows no models and no sockets."""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from av import AudioFrame, CodecContext
from av.audio.codeccontext import AudioCodecContext
from av.filter import Graph

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
        self._resampler = Resampler(LISTEN_RATE_HZ)
        self._rest: Samples = np.zeros(0, np.int16)

    def push_frame(self, frame: AudioFrame) -> list[Samples]:
        """Add a decoded frame and return the chunks that it completes."""
        return self.push(self._resampler.push(frame))

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
    resampler = Resampler(to_hz)
    return np.concatenate([resampler.push(frame_from(samples, from_hz)), resampler.push(None)])


class Resampler:
    """Turn frames of one rate and layout into mono samples of another rate.

    PyAV's own AudioResampler starts a thread for each core and keeps them as long as it lives.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._graph: Graph | None = None

    def push(self, frame: AudioFrame | None) -> Samples:
        """Return the samples that a frame yields, or, for None, the ones still held."""
        if self._graph is None:
            if frame is None:
                return np.zeros(0, np.int16)
            self._graph = self._build(frame)
        if frame is not None:
            frame.pts = None
        self._graph.push(frame)
        parts = [part.to_ndarray().reshape(-1) for part in self._pull(self._graph)]
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)

    def _build(self, frame: AudioFrame) -> Graph:
        graph = Graph()
        graph.threads = 1
        source = graph.add(
            "abuffer",
            sample_rate=str(frame.sample_rate),
            sample_fmt=frame.format.name,
            channel_layout=frame.layout.name,
        )
        wanted = graph.add("aformat", sample_rates=str(self._rate_hz), sample_fmts="s16", channel_layouts="mono")
        sink = graph.add("abuffersink")
        source.link_to(wanted)
        wanted.link_to(sink)
        graph.configure()
        return graph

    @staticmethod
    def _pull(graph: Graph) -> Iterator[AudioFrame]:
        while True:
            try:
                frame = graph.pull()
            except (BlockingIOError, EOFError):
                return
            assert isinstance(frame, AudioFrame)
            yield frame


class OpusEncoder:
    """Encode one stretch of speech, frame by frame: 20 ms of 24 kHz mono each.

    PyAV resamples inside, with a thread for each core, as long as the encoder lives.
    """

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
