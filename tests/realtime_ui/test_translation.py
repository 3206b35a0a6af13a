"""A language that wraps every message in ⟦ ⟧: what stands on a page without them could not be translated."""

from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.translation import _trans as used  # type: ignore[attr-defined]  # what all functions ask
from django.utils.translation import override

from agents.models import Agent
from realtime_ui.words import PAGE_WORDS
from voiceagent import sdk_bundle

# Texts that are the same in every language, or somebody's own: names, keys of a keyboard, units.
OWN = {
    "voiceagent",
    "alice",
    "Assistant",
    "Answers questions in a few words.",
    "UTC",
    "WebRTC",
    "WebSocket",
    "M",
    "Esc",
    "Enter",
    "Shift",
    "?",
    "0",
}
AROUND = " \u2013:·,.“”"
UNSEEN = ("script", "style", "template", "code", "kbd", "time")
SPOKEN = ("aria-label", "placeholder", "title", "alt", "data-empty", "data-copied")
PAGES = ["/", "/usage/", "/keys/", "/calls/", "/accounts/security/", "/accounts/login/", "/there-is-nothing-here"]


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have every message marked."""
    with override("en"):
        monkeypatch.setattr(used, "gettext", lambda message: f"⟦{message}⟧")
        monkeypatch.setattr(used, "pgettext", lambda context, message: f"⟦{message}⟧")
        monkeypatch.setattr(used, "ngettext", lambda one, many, n: f"⟦{one if n == 1 else many}⟧")
        yield


class Reader(HTMLParser):
    """What people see or hear of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._unseen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in UNSEEN:
            self._unseen.append(tag)
        self.texts += [value for name, value in attrs if name in SPOKEN and value]

    def handle_endtag(self, tag: str) -> None:
        if self._unseen and self._unseen[-1] == tag:
            self._unseen.pop()

    def handle_data(self, data: str) -> None:
        if not self._unseen and data.strip():
            self.texts.append(" ".join(data.split()))


def unmarked(html: str) -> list[str]:
    """Return the texts with letters that no message holds."""
    reader = Reader()
    reader.feed(html)
    return [text for text in reader.texts if not is_marked(text)]


def is_marked(text: str) -> bool:
    rest = outside_marks(text)
    return not any(letter.isalpha() for letter in rest) or not OWN.isdisjoint({rest, rest.strip(AROUND)})


def outside_marks(text: str) -> str:
    depth, rest = 0, ""
    for letter in text:
        depth += (letter == "⟦") - (letter == "⟧")
        rest += letter if depth == 0 and letter != "⟧" else ""
    return rest


@pytest.mark.parametrize("path", PAGES)
def test_item_7_no_visible_word_is_left_untranslated(
    alices_client: Client, alice: User, assistant: Agent, marked: None, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(sdk_bundle, "is_built", lambda: True)
    client = Client() if path == "/accounts/login/" else alices_client

    assert unmarked(client.get(path).content.decode()) == []


def test_item_7_nor_any_word_of_the_modules(marked: None) -> None:
    assert [name for name, word in PAGE_WORDS.items() if not str(word).startswith("⟦")] == []


def test_a_word_that_is_not_translated_is_found(marked: None) -> None:
    assert unmarked("<p>⟦Good⟧ <b>bad</b></p><script>code</script>") == ["bad"]
