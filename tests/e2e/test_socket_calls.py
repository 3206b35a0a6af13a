"""The voice page over WebSocket: sound both ways through our own relay, barge-in, Stop reply, mute, typing."""

import base64
import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, WebSocket, expect

from tests.e2e.conftest import OpenPage, Speech
from tests.e2e.site import Site, wait_for
from tests.e2e.voice_page import (
    HEARD_MS,
    choose_way,
    conversation,
    expect_held,
    expect_part,
    expect_state,
    press,
    start,
    start_typing,
    turns,
    wait_until_silent,
    wait_until_sounding,
    write,
)

FALLS_SILENT_MS = 1000


@dataclass
class Wire:
    """What went over the page's sockets, with its time."""

    sent: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    received: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    def watch(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda text: self.sent.append((time.monotonic(), json.loads(text))))
        socket.on("framereceived", lambda text: self.received.append((time.monotonic(), json.loads(text))))

    def sent_types(self) -> list[str]:
        return [event["type"] for _, event in self.sent if event["type"] != "input_audio_buffer.append"]

    def loudness(self, since: float = 0.0) -> list[float]:
        """Return the level (RMS, 0 to 1) of each chunk of sound that was sent since then."""
        chunks = [event["audio"] for at, event in self.sent if at >= since and "audio" in event]
        return [float(np.sqrt(np.mean(np.square(samples_of(chunk))))) for chunk in chunks]


def samples_of(audio: str) -> "np.ndarray[Any, np.dtype[np.float64]]":
    return np.frombuffer(base64.b64decode(audio), "<i2").astype(np.float64) / 0x8000


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def open_socket_page(open_page: OpenPage, wire: Wire) -> OpenPage:
    """Open a voice page whose person has chosen WebSocket under More."""

    def open_(microphone: Path | None = None, **context: object) -> Page:
        voice = open_page(microphone, **context)
        voice.on("websocket", wire.watch)
        choose_way(voice, "websocket")
        return voice

    return open_


def test_item_12_a_spoken_question_gets_a_spoken_answer_over_websocket(
    open_socket_page: OpenPage, speech: Speech, site: Site, wire: Wire
) -> None:
    voice = open_socket_page(speech((2.5, "Please count to five.")))
    start(voice)
    expect_held(voice, tracks=1, connections=0, contexts=2)
    for part in ("listening", "hearing", "speaking"):
        expect_part(voice, part)
    wait_until_sounding(voice)
    expect(conversation(voice)).to_contain_text(re.compile("count to (five|5)", re.I))
    expect(conversation(voice)).to_contain_text(re.compile("one.*two.*three.*four.*five", re.I | re.S))
    expect_part(voice, "listening")
    wait_until_silent(voice, FALLS_SILENT_MS)
    press(voice, "End call")
    expect_state(voice, "ended")
    expect_held(voice, tracks=0, connections=0, contexts=0)
    wait_for("the call to be closed", lambda: site.last_call("state") == ("ended",), site)
    assert site.last_call("transport, end_reason") == ("websocket", "user")
    assert {len(samples_of(event["audio"])) for _, event in wire.sent if "audio" in event} == {480}


def test_item_29_speaking_over_a_reply_stops_it_where_it_was_heard(
    open_socket_page: OpenPage, speech: Speech, wire: Wire
) -> None:
    voice = open_socket_page(speech((1.5, "Please count from one to thirty."), (5.0, "Stop now, what time is it?")))
    start(voice)
    wait_until_sounding(voice)
    expect_part(voice, "hearing")
    wait_until_silent(voice, FALLS_SILENT_MS)
    cut = turns(voice, "assistant").first
    expect(cut).to_contain_text("You interrupted here")
    expect(cut).to_contain_text("One, two")
    expect(cut).not_to_contain_text("thirty")
    expect(turns(voice, "assistant")).to_have_count(2, timeout=HEARD_MS)
    ((_, truncation),) = [entry for entry in wire.sent if entry[1]["type"] == "conversation.item.truncate"]
    assert truncation["audio_end_ms"] > 1000
    assert [event for _, event in wire.received if event["type"] == "error"] == []


def test_item_28_stop_reply_silences_it_and_tells_how_much_was_heard(open_socket_page: OpenPage, wire: Wire) -> None:
    voice = open_socket_page()
    start_typing(voice)
    write(voice, "count to thirty")
    wait_until_sounding(voice)
    press(voice, "Stop reply")
    wait_until_silent(voice, FALLS_SILENT_MS)
    expect(turns(voice, "assistant")).to_contain_text(["You stopped it here"])
    expect_part(voice, "listening")
    at, truncation = next(entry for entry in wire.sent if entry[1]["type"] == "conversation.item.truncate")
    sounding_ms = 1000 * (
        at - next(when for when, event in wire.received if "response.output_audio.delta" in event["type"])
    )
    assert 0 < truncation["audio_end_ms"] < sounding_ms


def test_item_27_muted_words_go_out_as_silence(open_socket_page: OpenPage, speech: Speech, wire: Wire) -> None:
    voice = open_socket_page(speech((1.0, "Please count to five."), (0.5, "Please count to seven.")))
    start(voice)
    press(voice, "Mute")
    expect_part(voice, "muted")
    muted_at = time.monotonic()
    expect(voice.get_by_role("timer")).to_have_text("00:05")
    assert max(wire.loudness(muted_at)) < 0.001
    assert len(wire.loudness(muted_at)) > 100
    expect(turns(voice, "user")).to_have_count(0)


def test_item_43_typing_sends_no_sound_and_the_reply_is_heard(open_socket_page: OpenPage, wire: Wire) -> None:
    voice = open_socket_page()
    start_typing(voice)
    write(voice, "what is two plus three?")
    wait_until_sounding(voice)
    expect(turns(voice, "assistant")).to_contain_text([re.compile("is five", re.I)])
    assert wire.sent_types() == ["conversation.item.create", "response.create"]
    assert wire.loudness() == []
    expect(voice.locator("html")).to_have_attribute("data-asked", "0")


def test_item_42_a_line_typed_over_a_reply_stops_it_first(open_socket_page: OpenPage, wire: Wire) -> None:
    voice = open_socket_page()
    start_typing(voice)
    write(voice, "count to thirty")
    wait_until_sounding(voice)
    write(voice, "say enough")
    expect(turns(voice, "assistant")).to_contain_text(["You stopped it here", re.compile("enough", re.I)])
    last = wire.sent_types()[-3:]
    assert last == ["conversation.item.truncate", "conversation.item.create", "response.create"]
