#!/usr/bin/env python
"""Measure spoken conversations with the local engine, over real WebRTC, through the running application.

    .venv/bin/python bench/voice.py            # about two minutes
    .venv/bin/python bench/voice.py --quick    # under one

Starts web, worker and engine on free ports, calls as the page does, speaks synthesised sentences and listens.
The caller is a WebRTC library without a playout buffer: a browser adds its own to what is heard.
Ends with one line of JSON.
"""

import argparse
import asyncio
import json
import logging
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from aiohttp import ClientSession

from bench.processes import application
from bench.site_caller import SiteCaller, sign_in
from bench.speech_of_caller import SENTENCES, Line, Speaker, word_errors
from engine.ice import offer_addresses
from engine.protocol_json import Json
from engine.receive_buffer import listen_without_delay
from tests.engine.caller import FRAME_S, Caller

OPENERS = (
    "Please tell me a story.",
    "Could you tell me a story?",
    "Tell me another story now.",
    "I would like to hear a story.",
    "Now tell me a long story.",
)
INTERRUPTIONS = (
    "What time is it right now?",
    "Please tell me the date.",
    "How are you doing today?",
    "What is two plus three?",
    "Can you count to five?",
)
# The engine's silence decodes to zeros; speech, its pauses and its fading end do not.
SILENT_LEVEL = 1.0
INTERRUPT_AFTER_S = (0.6, 1.8)
SETTLE_S = 0.5
CALLERS_AT_ONCE = 4
DEADLINE_S = 600.0
RECOGNISED = "conversation.item.input_audio_transcription.completed"


@dataclass
class Turns:
    """What one setting of the silence gave. Times in milliseconds."""

    silence_ms: int
    to_sound_ms: list[float] = field(default_factory=list)
    barge_in_ms: list[float] = field(default_factory=list)
    misread: int = 0


@dataclass
class Words:
    """Word errors over all sentences, and those that were not heard as said."""

    errors: int = 0
    count: int = 0
    wrong: list[tuple[str, str]] = field(default_factory=list)


class MisreadTurn(Exception):
    """The engine took a sentence for two turns or for none, so there is no one moment to measure."""


def main() -> None:
    """Measure, print a table and then the figures as JSON."""
    options = read_options()
    logging.getLogger("aioice").setLevel(logging.WARNING)
    random.seed(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(options, Path(folder)))
    print(json.dumps({"bench": "voice", "figures": figures}))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure spoken conversations with the local engine.")
    parser.add_argument("--quick", action="store_true", help="fewer turns and sentences, one silence: under a minute")
    parser.add_argument(
        "--silence-ms",
        type=int,
        nargs="+",
        metavar="MS",
        help="how long a pause ends a turn; the first is the headline (500 300; with --quick 500)",
    )
    parser.add_argument("--turns", type=int, help="spoken turns for each silence, half of them interruptions (20)")
    parser.add_argument("--seed", type=int, default=1, help="when interruptions fall")
    options = parser.parse_args()
    options.silence_ms = options.silence_ms or ([500] if options.quick else [500, 300])
    options.turns = options.turns or (8 if options.quick else 20)
    options.connects = 5 if options.quick else 15
    options.sentences = 12 if options.quick else len(SENTENCES)
    return options


async def measure(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    offer_addresses()
    speaker = Speaker()
    pairs = [
        (speaker.say_exactly(OPENERS[at % len(OPENERS)]), speaker.say_exactly(INTERRUPTIONS[at % len(INTERRUPTIONS)]))
        for at in range(options.turns // 2)
    ]
    sentences = [speaker.say(text) for text in SENTENCES[: options.sentences]]
    async with asyncio.timeout(DEADLINE_S), application(folder) as site, await sign_in(site.site_url) as http:
        connects = [await connect_ms(site.site_url, http) for _ in range(options.connects)]
        turns = [await measure_turns(site.site_url, http, silence, pairs) for silence in options.silence_ms]
        words = await measure_words(site.site_url, http, sentences)
    report(connects, turns, words)
    return figures_of(connects, turns, words)


async def connect_ms(site_url: str, http: ClientSession) -> float:
    """Return the time from asking for a client secret to `session.created` on the data channel."""
    before = time.monotonic()
    caller = await SiteCaller(site_url, http).dial()
    waited_ms = (time.monotonic() - before) * 1000
    await caller.close()
    return waited_ms


async def begin_call(site_url: str, http: ClientSession, **turn_detection: object) -> Caller:
    """Connect, and set how turns end."""
    caller = await SiteCaller(site_url, http).dial()
    for receiver in caller.connection.getReceivers():
        listen_without_delay(receiver)
    audio: Json = {
        "input": {
            "turn_detection": {"type": "server_vad", **turn_detection},
            "transcription": {"model": "gpt-transcribe"},
        }
    }
    caller.send("session.update", session={"type": "realtime", "audio": audio})
    await caller.wait_for("session.updated")
    await asyncio.sleep(SETTLE_S)
    return caller


async def measure_turns(
    site_url: str, http: ClientSession, silence_ms: int, pairs: Sequence[tuple[Line, Line]]
) -> Turns:
    """Ask for a story, interrupt it with a question, and stop the question's answer, again and again."""
    turns = Turns(silence_ms)
    caller = await begin_call(site_url, http, silence_duration_ms=silence_ms)
    for opener, interruption in pairs:
        try:
            turns.to_sound_ms.append(await ask(caller, opener))
            await asyncio.sleep(random.uniform(*INTERRUPT_AFTER_S))
            turns.to_sound_ms.append(await ask(caller, interruption))
            turns.barge_in_ms.append(silent_after_ms(caller))
        except MisreadTurn:
            turns.misread += 1
        caller.send("output_audio_buffer.clear")
        await asyncio.sleep(SETTLE_S)
    await caller.close()
    return turns


async def ask(caller: Caller, line: Line) -> float:
    """Speak, and return the time from the last sound of the question to the first sound of the answer."""
    before = len(caller.events)
    caller.mic.say(line.samples)
    await caller.wait_until(lambda: caller.mic.speech_ended_at > 0)
    await caller.wait_for("output_audio_buffer.started", before)
    ended_at = caller.mic.speech_ended_at
    await caller.wait_until(lambda: caller.first_sound_after(ended_at) > 0)
    if caller.types(before).count("input_audio_buffer.speech_started") != 1:
        raise MisreadTurn
    return (caller.first_sound_after(ended_at) - ended_at) * 1000


def silent_after_ms(caller: Caller) -> float:
    """Return the time from the first sound of the last question to the end of the answer that it interrupted."""
    began_at, ended_at = caller.mic.speech_started_at, caller.mic.speech_ended_at
    heard = [at for at, level in caller.levels if at < ended_at and level > SILENT_LEVEL]
    return max(0.0, (max(heard) + FRAME_S - began_at) * 1000)


async def measure_words(site_url: str, http: ClientSession, lines: Sequence[Line]) -> Words:
    """Speak sentences to the engine in several calls at once and compare its words."""
    words = Words()
    shares = [lines[at::CALLERS_AT_ONCE] for at in range(CALLERS_AT_ONCE)]
    for heard in await asyncio.gather(*(dictate(site_url, http, share) for share in shares)):
        for line, text in heard:
            errors, count = word_errors(line.text, text)
            words.errors += errors
            words.count += count
            words.wrong += [(line.text, text)] if errors else []
    return words


async def dictate(site_url: str, http: ClientSession, lines: Sequence[Line]) -> list[tuple[Line, str]]:
    """Speak lines in one call that answers none of them; return each with what was heard."""
    caller = await begin_call(site_url, http, silence_duration_ms=500, create_response=False)
    heard = [(line, await _heard(caller, line)) for line in lines]
    await caller.close()
    return heard


async def _heard(caller: Caller, line: Line) -> str:
    before = len(caller.events)
    caller.mic.say(line.samples)
    await caller.wait_until(lambda: caller.mic.speech_ended_at > 0)
    ended_at = caller.mic.speech_ended_at
    try:
        stopped = await caller.wait_for(
            "input_audio_buffer.speech_stopped", before, lambda event: event["_at"] > ended_at
        )
        await caller.wait_for(RECOGNISED, before, lambda event: event["item_id"] == stopped["item_id"])
    except TimeoutError:
        pass
    return " ".join(event["transcript"] for event in caller.events[before:] if event["type"] == RECOGNISED)


def figures_of(connects: list[float], turns: list[Turns], words: Words) -> dict[str, float]:
    """Return the figures; those of a silence other than the first carry it in their names."""
    barge_ins = [each for one in turns for each in one.barge_in_ms]
    figures = {
        "speech_end_to_sound_p50_ms": percentile(turns[0].to_sound_ms, 50),
        "speech_end_to_sound_p90_ms": percentile(turns[0].to_sound_ms, 90),
        "bargein_p50_ms": percentile(barge_ins, 50),
        "bargein_p90_ms": percentile(barge_ins, 90),
        "wer_percent": round(100 * words.errors / words.count, 1),
        "start_to_connected_p50_ms": percentile(connects, 50),
        "start_to_connected_p90_ms": percentile(connects, 90),
    }
    for one in turns[1:]:
        for percent in (50, 90):
            figures[f"speech_end_to_sound_silence_{one.silence_ms}_p{percent}_ms"] = percentile(
                one.to_sound_ms, percent
            )
    return figures


def percentile(values: list[float], percent: int) -> float:
    """Return a percentile, rounded to whole milliseconds; ends the program when there is nothing to take it of."""
    if not values:
        raise SystemExit("Nothing could be measured: the engine took no question for exactly one turn.")
    if len(values) < 2:
        return round(values[0])
    return round(statistics.quantiles(values, n=100, method="inclusive")[percent - 1])


def report(connects: list[float], turns: list[Turns], words: Words) -> None:
    """Print a table for people."""
    print(f"load average of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'measure':44} {'n':>4} {'p50':>7} {'p90':>7} {'least':>7} {'most':>7}")
    for one in turns:
        _row(f"end of speech to sound, {one.silence_ms} ms of silence, ms", one.to_sound_ms)
        _row(f"barge-in to silence, {one.silence_ms} ms of silence, ms", one.barge_in_ms)
        if one.misread:
            print(f"  {one.misread} questions were taken for two turns or none and left out")
    _row("start to connected, ms", connects)
    print(f"word errors: {words.errors} of {words.count} words")
    for said, heard in words.wrong:
        print(f"  said  {said}\n  heard {heard}")


def _row(name: str, values: list[float]) -> None:
    p50, p90 = percentile(values, 50), percentile(values, 90)
    print(f"{name:44} {len(values):4} {p50:7} {p90:7} {round(min(values)):7} {round(max(values)):7}")


if __name__ == "__main__":
    main()
