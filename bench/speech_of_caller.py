"""What the callers say, spoken by the engine's own synthesis in other voices, and how their words are compared."""

import re
from dataclasses import dataclass

import numpy as np

from engine.audio import FULL_SCALE, SPEAK_RATE_HZ, Samples, resample
from engine.numbers import WORDS
from engine.synthesis import SPEECH_LEVEL, Synthesiser, Voice
from tests.engine.caller import MIC_RATE_HZ

EDGE_SAMPLES = MIC_RATE_HZ // 200
VOICES = ("cedar", "coral", "verse", "shimmer", "ballad")
SENTENCES = (
    "What time is it right now?",
    "Could you tell me the date, please?",
    "I would like to book a table for four people tomorrow evening.",
    "Please turn the lights off in the kitchen.",
    "How long does it take to get to the station?",
    "My order has not arrived yet.",
    "Can you read me the last message again?",
    "I need to change the address on my account.",
    "What is the weather going to be like this weekend?",
    "Set a reminder to call my sister after lunch.",
    "Is the library open on Sunday morning?",
    "Please speak a little more slowly.",
    "I forgot my password and cannot log in.",
    "How much does the large one cost?",
    "Play some quiet music in the living room.",
    "Where did I park the car yesterday?",
    "Send the report to everybody on the team.",
    "The second page of the form is missing.",
    "Do you have the same shirt in blue?",
    "Stop, that is not what I asked for.",
    "Thank you, that was very helpful.",
    "Can I speak with a person instead?",
    "Add milk, bread and apples to the shopping list.",
    "Cancel my appointment with the dentist.",
)


@dataclass(frozen=True)
class Line:
    """A sentence and its sound: 48 kHz samples."""

    text: str
    samples: Samples


class Speaker:
    """Makes lines; the voices take turns."""

    def __init__(self) -> None:
        self._synthesiser = Synthesiser()
        self._count = 0

    def say(self, text: str) -> Line:
        """Return a spoken line."""
        voice = Voice(VOICES[self._count % len(VOICES)])
        self._count += 1
        return Line(text, resample(self._synthesiser.speak(text, voice), SPEAK_RATE_HZ, MIC_RATE_HZ))

    def say_exactly(self, text: str) -> Line:
        """Return a spoken line that begins and ends with sound, so that both moments are known.

        Its first consonant may lose a little: for timing, not for counting words.
        """
        return Line(text, _cut(self.say(text).samples))


def _cut(samples: Samples) -> Samples:
    whole = samples[: len(samples) // EDGE_SAMPLES * EDGE_SAMPLES].reshape(-1, EDGE_SAMPLES).astype(np.float64)
    loud = np.flatnonzero(np.sqrt(np.mean(np.square(whole), axis=1)) > SPEECH_LEVEL * FULL_SCALE)
    return samples[int(loud[0]) * EDGE_SAMPLES : (int(loud[-1]) + 1) * EDGE_SAMPLES]


def word_errors(said: str, heard: str) -> tuple[int, int]:
    """Return the word errors (substitutions, insertions, deletions) and the number of words said."""
    wanted, found = _words(said), _words(heard)
    row = list(range(len(found) + 1))
    for place, word in enumerate(wanted, 1):
        diagonal, row[0] = row[0], place
        for at, other in enumerate(found, 1):
            diagonal, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, diagonal + (word != other))
    return row[-1], len(wanted)


def _words(text: str) -> list[str]:
    """Lower-case words without marks; small numbers in words."""
    bare = re.sub(r"[^a-z0-9' ]+", " ", text.lower())
    return [WORDS[int(word)] if word.isdigit() and int(word) < len(WORDS) else word for word in bare.split()]
