"""Log-mel features as Whisper was trained on them, in numpy. Knows no model."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from engine.audio import LISTEN_RATE_HZ, FloatSamples

FFT_SAMPLES = 400
HOP_SAMPLES = 160
MEL_BANDS = 80
FLOOR = 1e-10
DYNAMIC_RANGE = 8.0
# The mel scale after Slaney: linear below 1 kHz, logarithmic above.
LINEAR_HZ = 200.0 / 3.0
BREAK_HZ = 1000.0
BREAK_MEL = BREAK_HZ / LINEAR_HZ
LOG_STEP = np.log(6.4) / 27.0


def log_mel(samples: FloatSamples, window_s: float) -> FloatSamples:
    """Return features of shape (bands, 100 frames a second), the audio padded or cut to `window_s`."""
    wanted = int(window_s * LISTEN_RATE_HZ)
    audio = np.zeros(wanted, np.float32)
    audio[: min(wanted, len(samples))] = samples[:wanted]
    padded = np.pad(audio, FFT_SAMPLES // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SAMPLES)[::HOP_SAMPLES][: wanted // HOP_SAMPLES]
    filled = min(len(frames), len(samples) // HOP_SAMPLES + 3)
    power = np.zeros((len(frames), FFT_SAMPLES // 2 + 1), np.float32)
    # Only the frames that hold audio need a transform: the padding is silence.
    power[:filled] = np.abs(np.fft.rfft(frames[:filled] * _window(), axis=1)) ** 2
    logs = np.log10(np.maximum(_filters() @ power.T, FLOOR))
    logs = np.maximum(logs, logs.max() - DYNAMIC_RANGE)
    return np.ascontiguousarray((logs + 4.0) / 4.0, dtype=np.float32)


@lru_cache(maxsize=1)
def _window() -> FloatSamples:
    turn = 2.0 * np.pi * np.arange(FFT_SAMPLES) / FFT_SAMPLES
    return (0.5 - 0.5 * np.cos(turn)).astype(np.float32)


@lru_cache(maxsize=1)
def _filters() -> FloatSamples:
    bins_hz = np.linspace(0.0, LISTEN_RATE_HZ / 2, FFT_SAMPLES // 2 + 1)
    edges = _mel_to_hz(np.linspace(0.0, _hz_to_mel(LISTEN_RATE_HZ / 2), MEL_BANDS + 2))
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bins_hz - lower) / (centre - lower)
    falling = (upper - bins_hz) / (upper - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    filters: FloatSamples = (triangles * (2.0 / (upper - lower))).astype(np.float32)
    return filters


def _hz_to_mel(hz: float) -> float:
    return float(BREAK_MEL + np.log(hz / BREAK_HZ) / LOG_STEP) if hz >= BREAK_HZ else hz / LINEAR_HZ


def _mel_to_hz(mels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(mels < BREAK_MEL, mels * LINEAR_HZ, BREAK_HZ * np.exp(LOG_STEP * (mels - BREAK_MEL)))
