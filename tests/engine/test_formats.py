"""PCM16 and G.711 in and out."""

import numpy as np
import pytest

from engine.audio import SPEAK_RATE_HZ
from engine.formats import PHONE_RATE_HZ, bytes_of_ms, decode, encode

TONE = (8000 * np.sin(2 * np.pi * 440 * np.arange(SPEAK_RATE_HZ) / SPEAK_RATE_HZ)).astype(np.int16)


@pytest.mark.parametrize(("name", "silence", "loudest"), [("audio/pcmu", 0xFF, 32124), ("audio/pcma", 0xD5, 32256)])
def test_g711_has_the_values_of_its_tables(name: str, silence: int, loudest: int) -> None:
    pcm, rate_hz = decode(name, bytes(range(256)))
    samples = np.frombuffer(pcm, "<i2")

    assert rate_hz == PHONE_RATE_HZ
    assert (len(samples), samples.max(), samples.min()) == (256, loudest, -loudest)
    assert abs(int(samples[silence])) <= 8


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
def test_a_tone_survives_the_telephone(name: str) -> None:
    pcm, _rate_hz = decode(name, encode(name, TONE))
    heard = np.frombuffer(pcm, "<i2")

    assert abs(len(heard) - PHONE_RATE_HZ) <= 40
    assert np.argmax(np.abs(np.fft.rfft(heard[:4000]))) == 220


def test_pcm_is_little_endian_and_loses_an_odd_byte() -> None:
    assert decode("audio/pcm", b"\x01\x02\x03") == (b"\x01\x02", SPEAK_RATE_HZ)
    assert encode("audio/pcm", np.array([0x0201], np.int16)) == b"\x01\x02"


@pytest.mark.parametrize(("name", "size"), [("audio/pcm", 9600), ("audio/pcmu", 1600)])
def test_a_stretch_of_time_has_a_size(name: str, size: int) -> None:
    assert bytes_of_ms(name, 200) == size


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma", "audio/pcm"])
def test_no_sound_is_no_sound(name: str) -> None:
    assert decode(name, b"")[0] == b""
    assert encode(name, np.zeros(0, np.int16)) == b""
