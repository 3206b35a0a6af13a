#!/usr/bin/env python
"""Measure what calls cost the local engine: memory, processor time, and how many one core carries.

    .venv/bin/python bench/engine_load.py            # about six minutes
    .venv/bin/python bench/engine_load.py --quick    # about one and a half

The engine is pinned to one core where the system allows it; the callers run in a process of their own, which
neither encodes nor decodes sound. Ends with one line of JSON.
"""

import argparse
import asyncio
import json
import logging
import math
import statistics
import sys
import tempfile
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.light_callers import Load, Outcome, make_calls
from bench.process_use import Use, read_use
from bench.processes import Running, engine
from engine.ice import offer_addresses

# A turn that takes this much longer than with one call is where a conversation stops feeling the same.
SLOWER_LIMIT = 1.5
SETTLE_S = 3.0
MOST_CALLS = 30
START_ALLOWANCE_S = 30.0


@dataclass(frozen=True)
class Step:
    """What so many calls cost while they did one thing. core: share of one core, 1.0 being all of it."""

    what: str
    calls: int
    core: float
    memory_mb: float
    outcome: Outcome


def main() -> None:
    """Measure, print a table and then the figures as JSON."""
    parser = argparse.ArgumentParser(description="Measure what calls cost the local engine.")
    parser.add_argument("--quick", action="store_true", help="short steps, fewer of them")
    parser.add_argument("--calls", type=int, nargs="+", metavar="N", help="how many calls to try at once")
    parser.add_argument("--seconds", type=float, help="length of each step (10; 30 for conversations)")
    options = parser.parse_args()
    logging.getLogger("aioice").setLevel(logging.WARNING)
    offer_addresses()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(options, Path(folder)))
    print(json.dumps({"bench": "engine_load", "figures": figures}))


async def measure(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    counts = options.calls or ([1, 10] if options.quick else [1, 5, 8, 10, 12, 15])
    short_s = options.seconds or (5.0 if options.quick else 10.0)
    long_s = options.seconds or (20.0 if options.quick else 30.0)
    async with engine(folder, core=0, ENGINE_MAX_CALLS=str(MOST_CALLS)) as running:
        await asyncio.sleep(SETTLE_S)
        idle = read_use(running.pid)
        print(
            f"{'what':14} {'calls':>5} {'% of a core':>12} {'memory MB':>10} {'turns':>6} {'p50 ms':>7} {'p90 ms':>7}"
        )
        print(f"{'no call':14} {0:5} {'':12} {idle.memory_mb:10.0f}")
        # One call first, unmeasured: the first conversation fills caches that later ones share.
        await run_step(running, Load("talk", 1, short_s), is_shown=False)
        steps = [await run_step(running, Load(what, 5, short_s)) for what in ("silent", "listen", "speak")]
        # The first step is what the others are compared to: twice as long, since few calls make few turns.
        lengths_s = [2 * long_s] + [long_s] * len(counts)
        talks = [
            await run_step(running, Load("talk", count, seconds))
            for count, seconds in zip(counts, lengths_s, strict=False)
        ]
    return figures_of(idle, steps, talks)


async def run_step(running: Running, load: Load, *, is_shown: bool = True) -> Step:
    """Let another process make calls; measure the engine between their start and their end."""
    context = get_context("spawn")
    begun, over = context.Event(), context.Event()
    outcomes = context.SimpleQueue()
    caller = context.Process(target=make_calls, args=(running.engine_url, load, begun, over, outcomes), daemon=True)
    caller.start()
    if not await asyncio.to_thread(begun.wait, START_ALLOWANCE_S):
        caller.kill()
        raise SystemExit(f"{load.calls} calls did not start within {START_ALLOWANCE_S:.0f} s")
    before = read_use(running.pid)
    await asyncio.to_thread(over.wait, load.seconds + START_ALLOWANCE_S)
    after = read_use(running.pid)
    outcome: Outcome = await asyncio.to_thread(outcomes.get)
    await asyncio.to_thread(caller.join)
    step = Step(load.what, load.calls, before.share_until(after), after.memory_mb, outcome)
    if is_shown:
        show(step)
    return step


def show(step: Step) -> None:
    waits = step.outcome.waits_ms
    p50 = f"{statistics.median(waits):7.0f}" if waits else "      -"
    p90 = f"{statistics.quantiles(waits, n=10)[-1]:7.0f}" if len(waits) > 1 else "      -"
    print(f"{step.what:14} {step.calls:5} {step.core * 100:12.1f} {step.memory_mb:10.0f} {len(waits):6} {p50} {p90}")


def figures_of(idle: Use, steps: list[Step], talks: list[Step]) -> dict[str, float]:
    figures = {"memory_idle_mb": round(idle.memory_mb), "memory_per_call_mb": round(_memory_per_call(talks), 1)}
    for step in steps:
        figures[f"core_percent_per_call_{step.what}"] = round(100 * step.core / step.calls, 1)
    figures["core_percent_per_call_talk"] = round(100 * talks[-1].core / talks[-1].calls, 1)
    for step in talks:
        waits = step.outcome.waits_ms
        if waits:
            figures[f"turn_p50_ms_at_{step.calls}"] = round(statistics.median(waits))
    figures["conversations_per_core"] = _carried(talks)
    return figures


def _memory_per_call(talks: list[Step]) -> float:
    fewest, most = talks[0], talks[-1]
    return (most.memory_mb - fewest.memory_mb) / max(1, most.calls - fewest.calls)


def _carried(talks: list[Step]) -> int:
    """Return the most calls, of those tried, that kept the turn within SLOWER_LIMIT of one call's.

    A step that did not, below one that did, was disturbed by something else on the machine.
    """
    limit_ms = SLOWER_LIMIT * statistics.median(talks[0].outcome.waits_ms)
    return max(step.calls for step in talks if statistics.median(step.outcome.waits_ms or [math.inf]) <= limit_ms)


if __name__ == "__main__":
    main()
