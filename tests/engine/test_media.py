"""Audio out and in: pace, marks, trimming, buffers, ICE addresses."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import aioice.ice
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import MediaStreamError
from av import CodecContext
from av.packet import Packet

from engine.audio import (
    CHUNK_SAMPLES,
    FRAME_SAMPLES,
    LISTEN_RATE_HZ,
    SPEAK_RATE_HZ,
    ChunkSplitter,
    OpusEncoder,
    Samples,
    frame_from,
    level_of,
    resample,
)
from engine.ice import offer_addresses
from engine.out_track import SILENCE, OutTrack
from engine.receive_buffer import ArrivalBuffer, listen_without_delay
from engine.synthesis import LEAD_MS, PITCH_OF_VOICE, TAIL_MS, Synthesiser, Voice, trim_silence


class Listener:
    def __init__(self) -> None:
        self.news: list[object] = []

    def playback_started(self, response_id: str) -> None:
        self.news.append(f"{response_id} started")

    def played(self, response_id: str, played_ms: int) -> None:
        self.news.append(played_ms)

    def playback_ended(self, response_id: str) -> None:
        self.news.append(f"{response_id} ended")


@dataclass
class RtpPacket:
    sequence_number: int
    timestamp: int = 0
    _data: bytes = b""


def tone(length_ms: int, rate_hz: int = SPEAK_RATE_HZ) -> Samples:
    times = np.arange(rate_hz * length_ms // 1000) / rate_hz
    return (8000 * np.sin(2 * np.pi * 220 * times)).astype(np.int16)


def count_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


async def test_an_idle_track_sends_silence_at_a_steady_pace() -> None:
    track = OutTrack(Listener())
    before = time.monotonic()

    packets = [await track.recv() for _ in range(11)]

    assert {bytes(packet) for packet in packets} == {SILENCE}
    assert [packet.pts for packet in packets] == [960 * place for place in range(11)]
    assert time.monotonic() - before > 0.19  # never faster than sound; how much slower is for the benchmark


async def test_marks_ride_with_the_packets() -> None:
    listener = Listener()
    track = OutTrack(listener)
    track.play("resp_1", tone(40))
    track.end_of_speech("resp_1")

    are_silent = [bytes(await track.recv()) == SILENCE for _ in range(3)]

    assert are_silent == [False, False, True]
    assert listener.news == ["resp_1 started", 20, 40, "resp_1 ended"]


async def test_a_cleared_track_is_silent_with_the_next_packet() -> None:
    listener = Listener()
    track = OutTrack(listener)
    track.play("resp_1", tone(40))
    track.end_of_speech("resp_1")
    await track.recv()

    track.clear()

    assert bytes(await track.recv()) == SILENCE
    assert "resp_1 ended" not in listener.news


async def test_a_stopped_track_hands_out_nothing() -> None:
    track = OutTrack(Listener())
    track.stop()

    with pytest.raises(MediaStreamError):
        await track.recv()


def test_each_frame_becomes_one_packet_that_sounds_alike() -> None:
    encoder, decoder, speech = OpusEncoder(), CodecContext.create("libopus", "r"), tone(500)

    packets = [encoder.encode(speech[at : at + FRAME_SAMPLES]) for at in range(0, len(speech), FRAME_SAMPLES)]

    heard = [frame.to_ndarray().astype(np.int16) for packet in packets for frame in decoder.decode(Packet(packet))]
    assert len(heard) == len(packets) == 25
    assert level_of(np.concatenate(heard, axis=1).reshape(-1)) == pytest.approx(level_of(speech), rel=0.15)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_call_that_says_nothing_has_no_threads_for_sound() -> None:
    before = count_threads()
    splitters = [ChunkSplitter() for _ in range(10)]
    tracks = [OutTrack(Listener()) for _ in range(9)]
    for splitter in splitters:
        splitter.push_frame(frame_from(tone(20, 48_000), 48_000))
    for place, track in enumerate(tracks):
        track.play("resp_1", tone(20 if place < 3 else 400))
        track.end_of_speech("resp_1")
        await track.recv()
    for track in tracks[:3]:
        await track.recv()
    for track in tracks[3:6]:
        track.clear()
    for track in tracks[6:]:
        track.stop()

    assert count_threads() == before


def test_a_stretch_keeps_its_length_and_pitch_when_resampled() -> None:
    resampled = resample(tone(1000), SPEAK_RATE_HZ, LISTEN_RATE_HZ)

    assert len(resampled) == LISTEN_RATE_HZ
    assert int(np.argmax(np.abs(np.fft.rfft(resampled)))) == 220


def test_a_short_last_frame_is_padded() -> None:
    assert len(OpusEncoder().encode(tone(20)[:100])) > len(SILENCE)


def test_frames_of_any_rate_become_chunks_of_16_khz() -> None:
    splitter = ChunkSplitter()

    chunks = [chunk for _ in range(50) for chunk in splitter.push_frame(frame_from(tone(20, 48_000), 48_000))]

    assert {len(chunk) for chunk in chunks} == {CHUNK_SAMPLES}
    assert len(chunks) in (30, 31)
    assert level_of(chunks[5]) == pytest.approx(8000 / 2**0.5, rel=0.05)


def test_silence_around_speech_is_trimmed() -> None:
    quiet = np.zeros(SPEAK_RATE_HZ, np.float32)
    spoken = tone(500).astype(np.float32) / 32767

    trimmed = trim_silence(np.concatenate([quiet, spoken, quiet]))

    assert len(trimmed) * 1000 / SPEAK_RATE_HZ == pytest.approx(LEAD_MS + 500 + TAIL_MS, abs=15)


def test_the_voices_differ_and_none_clips() -> None:
    synthesiser = Synthesiser()

    spoken = {name: synthesiser.speak("Good morning.", Voice(name)) for name in PITCH_OF_VOICE}

    assert len({samples.tobytes() for samples in spoken.values()}) == len(PITCH_OF_VOICE)
    assert all(np.abs(samples.astype(np.int32)).max() <= 32767 for samples in spoken.values())
    assert len(synthesiser.speak(" -- ... ", Voice())) == 0


def test_packets_are_handed_on_at_once_and_late_ones_dropped() -> None:
    buffer = ArrivalBuffer()

    kept = [buffer.add(RtpPacket(number))[1] is not None for number in (65534, 65535, 1, 0, 1, 2)]

    assert kept == [True, True, True, False, False, True]


async def test_the_receiver_of_this_aiortc_takes_our_buffer() -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    receiver = connection.addTransceiver("audio").receiver

    listen_without_delay(receiver)
    await connection.close()

    assert isinstance(vars(receiver)["_RTCRtpReceiver__jitter_buffer"], ArrivalBuffer)


def test_ice_offers_the_addresses_that_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", aioice.ice.get_host_addresses)

    offer_addresses(["127.0.0.1", "::1"])

    assert aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=False) == ["127.0.0.1"]
    assert aioice.ice.get_host_addresses(use_ipv4=False, use_ipv6=True) == ["::1"]


async def test_a_held_track_is_silent_and_then_goes_on_where_it_was() -> None:
    track = OutTrack(Listener())
    track.play("resp_1", tone(40))
    await track.recv()

    track.is_held = True
    held = bytes(await track.recv())
    track.is_held = False

    assert held == SILENCE
    assert bytes(await track.recv()) != SILENCE
    assert bytes(await track.recv()) == SILENCE
