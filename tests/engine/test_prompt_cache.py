"""Which tokens of a context count as cached."""

from engine.protocol_json import Json
from engine.session.items import Entry
from engine.session.prompt_cache import STEP_TOKENS, PromptCache

SETTINGS: Json = {"instructions": "x" * 4 * STEP_TOKENS, "tools": []}


def entry(item_id: str, *, text: int = 0, audio: int = 0) -> Entry:
    """An item of so many steps of tokens, of the user's."""
    item = {"id": item_id, "type": "message", "role": "user", "content": []}
    return Entry(item, "x" * 4 * text * STEP_TOKENS, audio * STEP_TOKENS * 100)


def test_what_both_contexts_begin_with_is_cached_by_modality() -> None:
    cache = PromptCache()
    old = [entry("1", text=1), entry("2", audio=2)]

    assert cache.count(SETTINGS, old) == (0, 0)
    assert cache.count(SETTINGS, [*old, entry("3", text=5)]) == (2 * STEP_TOKENS, 2 * STEP_TOKENS)


def test_nothing_is_cached_past_the_first_difference() -> None:
    cache = PromptCache()
    cache.count(SETTINGS, [entry("1", text=1), entry("2", text=1), entry("3", text=1)])

    assert cache.count(SETTINGS, [entry("1", text=1), entry("3", text=1)]) == (2 * STEP_TOKENS, 0)


def test_other_instructions_leave_nothing_cached() -> None:
    cache = PromptCache()
    cache.count(SETTINGS, [entry("1", text=1)])

    assert cache.count({**SETTINGS, "instructions": "y"}, [entry("1", text=1)]) == (0, 0)
