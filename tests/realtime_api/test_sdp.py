"""Size and grammar of an offer, checked before anything is forwarded."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_api.errors import InvalidSdp, SdpPolicy
from realtime_api.sdp import MAX_LINE_CHARS, MAX_OFFER_BYTES, check_answer, check_offer

DATA = Path(__file__).resolve().parents[1] / "data"
OFFER = (DATA / "chromium_offer.sdp").read_text()
ANSWER = (DATA / "engine_answer.sdp").read_text()


def test_a_browser_s_offer_passes_with_its_lines_ended_as_sdp_wants() -> None:
    checked = check_offer(OFFER.encode())

    assert checked.replace("\r\n", "\n") == OFFER
    assert checked.endswith("\r\n")


def test_an_answer_of_the_engine_passes() -> None:
    assert check_answer(ANSWER.encode()).startswith("v=0\r\n")


def replace(old: str, new: str) -> Callable[[str], str]:
    def change(offer: str) -> str:
        assert old in offer
        return offer.replace(old, new)

    return change


def without(start: str) -> Callable[[str], str]:
    def change(offer: str) -> str:
        assert f"\n{start}" in offer
        return "\n".join(line for line in offer.split("\n") if not line.startswith(start))

    return change


AUDIO = OFFER[OFFER.index("m=audio") : OFFER.index("m=application")]
BROKEN: dict[str, Callable[[str], str]] = {
    "empty": lambda offer: "",
    "html": lambda offer: "<html><body>Not found</body></html>",
    "json": lambda offer: '{"type": "offer", "sdp": "v=0"}',
    "another version": replace("v=0", "v=1"),
    "a blank before": lambda offer: " " + offer,
    "cut in a line": lambda offer: offer[: offer.index("a=fingerprint:") + 20],
    "no origin": without("o="),
    "no time": without("t="),
    "a line without type": lambda offer: offer + "nonsense\n",
    "a header smuggled in": lambda offer: offer.replace("s=-", "s=-\rAuthorization: x"),
    "a null": lambda offer: offer.replace("s=-", "s=\0"),
    "a line too long": lambda offer: offer + "a=" + "x" * MAX_LINE_CHARS + "\n",
    "too many lines": lambda offer: offer + "a=x\n" * 1_000,
    "a port past the last": replace("m=audio 9", "m=audio 99999"),
    "a weak fingerprint": replace("a=fingerprint:sha-256", "a=fingerprint:sha-1"),
    "a malformed candidate": lambda offer: offer + "a=candidate:1 1 udp x\n",
}
NO_VOICE_CALL: dict[str, Callable[[str], str]] = {
    "two audio sections": lambda offer: offer + AUDIO,
    "a video section": lambda offer: offer + AUDIO.replace("m=audio", "m=video"),
    "no data channel": lambda offer: offer[: offer.index("m=application")],
    "no audio": lambda offer: offer.replace(AUDIO, ""),
    "no fingerprint": without("a=fingerprint:"),
    "no ICE password": without("a=ice-pwd:"),
    "no ICE name": without("a=ice-ufrag:"),
    "an answer": replace("a=setup:actpass", "a=setup:active"),
    "too many candidates": lambda offer: offer + "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\n" * 65,
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_sdp_is_refused(change: Callable[[str], str]) -> None:
    with pytest.raises(InvalidSdp) as caught:
        check_offer(change(OFFER).encode())

    assert caught.value.code == "invalid_sdp"


@pytest.mark.parametrize("change", NO_VOICE_CALL.values(), ids=NO_VOICE_CALL.keys())
def test_sdp_that_is_no_voice_call_is_refused(change: Callable[[str], str]) -> None:
    with pytest.raises(SdpPolicy):
        check_offer(change(OFFER).encode())


def test_a_huge_body_is_refused_unparsed() -> None:
    with pytest.raises(InvalidSdp, match="larger than"):
        check_offer(b"v=0\n" + b"a" * MAX_OFFER_BYTES)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(InvalidSdp, match="UTF-8"):
        check_offer(b"v=0\r\ns=\xff\r\n")


@given(st.integers(0, len(OFFER)), st.binary(max_size=8))
def test_a_damaged_offer_is_text_again_or_refused(place: int, noise: bytes) -> None:
    try:
        checked = check_offer(OFFER[:place].encode() + noise + OFFER[place:].encode())
    except InvalidSdp:
        return
    assert checked.startswith("v=0\r\n")
    assert "\0" not in checked


@pytest.mark.parametrize("answer", [b"", b"<html>", b"v=0\r\n", b'{"error": {}}', b"\xff", b"v=0\nm=audio 9\0 x 1\n"])
def test_what_is_no_answer_is_refused(answer: bytes) -> None:
    with pytest.raises(InvalidSdp):
        check_answer(answer)
