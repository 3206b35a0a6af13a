"""What aiortc must never see."""

import pytest

from engine.offer import BadOffer, prepare_offer
from tests.engine.offers import make_offer


async def test_a_good_offer_is_accepted() -> None:
    assert prepare_offer(await make_offer())


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("a=group:BUNDLE 0 1", "a=group:BUNDLE 9 1"),
        ("a=group:BUNDLE 0 1", "a=group:BUNDLE 0"),
        ("a=group:BUNDLE 0 1\r\n", ""),
        ("a=mid:1", "a=mid:0"),
        ("a=mid:1\r\n", ""),
        ("a=setup:actpass", "a=setup:holdconn"),
        ("a=ice-ufrag:", "a=ice-ufrog:"),
        ("a=ice-pwd:", "a=ice-pod:"),
        ("a=fingerprint:", "a=fingerpaint:"),
    ],
)
async def test_an_offer_whose_sections_do_not_hang_together_is_refused(good: str, bad: str) -> None:
    offer = await make_offer()
    assert good in offer

    with pytest.raises(BadOffer):
        prepare_offer(offer.replace(good, bad))
