"""Hundreds of broken offers: each is answered or refused, and no task dies of one."""

import asyncio
import random

from aiohttp import ClientSession

from tests.engine.offers import make_offer

SEEDS = 300
HEADERS = {"Authorization": "Bearer sk-test", "Content-Type": "application/sdp"}


def break_offer(offer: str, seed: int) -> bytes:
    """Return the offer with one to four faults."""
    chance = random.Random(seed)
    lines = offer.split("\r\n")
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(lines))
        line = lines[place]
        fault = chance.randrange(7)
        if fault == 0:
            del lines[place]
            lines = lines or [""]
        elif fault == 1:
            lines.insert(place, lines[chance.randrange(len(lines))])
        elif fault == 2:
            lines[place] = line[: chance.randrange(len(line) + 1)]
        elif fault == 3:
            lines[place] = "".join(chance.choice([c, c, c, c, chr(chance.randrange(32, 300))]) for c in line)
        elif fault == 4:
            lines[place] = line.replace("9", str(chance.randrange(10**6))).replace("1", "-")
        elif fault == 5:
            head, _, tail = line.partition(":")
            lines[place] = f"{head}:{tail[::-1]}"
        else:
            chance.shuffle(lines)
    return "\r\n".join(lines).encode()


async def test_no_broken_offer_breaks_the_engine(base_url: str) -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
    offer = await make_offer()
    statuses = set()
    async with ClientSession(headers=HEADERS) as http:
        for seed in range(SEEDS):
            async with http.post(f"{base_url}/v1/realtime/calls", data=break_offer(offer, seed)) as answer:
                statuses.add(answer.status)
                location = answer.headers.get("Location")
            if location:
                headers = {"Content-Type": ""}
                async with http.post(f"{base_url}{location}/hangup", headers=headers) as answer:
                    assert answer.status == 200
        async with http.get(f"{base_url}/healthz") as health:
            calls = (await health.json())["calls"]

    assert statuses <= {201, 400}
    assert 400 in statuses
    assert (calls, faults) == (0, [])
