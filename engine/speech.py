"""The speech models of one process and the threads they run in."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from engine import vad
from engine.audio import Samples
from engine.recognition import WORKERS, Recogniser, Transcript
from engine.synthesis import Synthesiser, Voice

RECOGNITION_TIMEOUT_S = 20.0
SYNTHESIS_TIMEOUT_S = 20.0

Result = TypeVar("Result")


class Speech:
    """Recognise and speak without blocking the event loop."""

    def __init__(self, recogniser: Recogniser, synthesiser: Synthesiser) -> None:
        self._recogniser = recogniser
        self._synthesiser = synthesiser
        # Apart, so that a long recognition never delays the next sentence.
        self._listeners = ThreadPoolExecutor(WORKERS, "recognition")
        self._speakers = ThreadPoolExecutor(1, "synthesis")

    @classmethod
    def load(cls) -> "Speech":
        """Check, load and warm up both models; raises ModelFilesError. Takes one to two seconds."""
        with ThreadPoolExecutor(2) as pool:
            recogniser, synthesiser = pool.submit(_load_recogniser), pool.submit(_load_synthesiser)
            return cls(recogniser.result(), synthesiser.result())

    @property
    def names(self) -> dict[str, str]:
        """The models in use, for `/healthz`."""
        return {"recognition": self._recogniser.name, "synthesis": self._synthesiser.name, "vad": vad.MODEL_NAME}

    async def recognise(self, samples: Samples) -> Transcript:
        """Return the words in 16 kHz samples; raises TimeoutError."""
        return await _run(self._listeners, RECOGNITION_TIMEOUT_S, lambda: self._recogniser.transcribe(samples))

    async def speak(self, text: str, voice: Voice) -> Samples:
        """Return the spoken text at 24 kHz; raises TimeoutError."""
        return await _run(self._speakers, SYNTHESIS_TIMEOUT_S, lambda: self._synthesiser.speak(text, voice))

    def close(self) -> None:
        """Drop waiting work; a job that is running ends by itself."""
        for pool in (self._listeners, self._speakers):
            pool.shutdown(wait=False, cancel_futures=True)


async def _run(pool: ThreadPoolExecutor, timeout_s: float, job: Callable[[], Result]) -> Result:
    return await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(pool, job), timeout_s)


def _load_recogniser() -> Recogniser:
    recogniser = Recogniser()
    recogniser.warm_up()
    return recogniser


def _load_synthesiser() -> Synthesiser:
    synthesiser = Synthesiser()
    synthesiser.warm_up()
    return synthesiser
