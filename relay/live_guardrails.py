"""Guardrails of one live call: what its agent may not say is stopped, what people may not ask is not answered.

Words and patterns are looked for in every piece of text, before the client of a socket gets it. Moderation and
functions take time and run beside the call. While people's words are being looked at, nothing answers them.
"""

import asyncio
import logging
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import DatabaseError, InterfaceError

from agents.guardrail_checks import find_check
from agents.models import AgentVersion, Guardrail
from agents.patterns import UnsafePattern
from agents.rules import Rule, finds, is_flagged
from audit.actions import Action
from audit.services import record_event
from realtime_api.client_events import RefusedClientEvent
from realtime_api.errors import UpstreamError
from realtime_api.moderation import flagged_categories
from relay.acts import Act, Reaction, Work
from relay.conversation import TRANSCRIPTION, Event, words_of
from relay.models import Call
from relay.watch import Watch
from voiceagent.upstream import configured_upstream, upstream_http

logger = logging.getLogger(__name__)
ASK_AFTER_CHARS: Final = 120  # said since moderation was asked last
ANSWER_WITHIN_S: Final = 3.0
DEADLINE_S: Final = 15.0
TRANSCRIBED_WITHIN_S: Final = 8.0
LOAD_AGAIN_S: Final = 1.0
MOST_EARLY: Final = 100  # of what people say before the rules are there; what comes then is taken out
MOST_TEXTS: Final = 50  # of replies that are remembered; the oldest are over
MARK: Final = "guardrail_"  # how the ids begin of items that say what was stopped; the page shows these as notes
STOPPED: Final = "Your last reply was stopped: it broke the rules of this assistant. Do not say it again."
REFUSED: Final = "What the person said last broke the rules of this assistant and was taken out. Do not answer it."
SAID: Final = frozenset({"response.output_audio_transcript.delta", "response.output_text.delta"})
# Parts of an item that hold what no rule can read. What a client says of its own sound proves nothing.
UNREADABLE: Final = frozenset({"input_audio", "input_image"})
ONE_ANSWERS_WORDS: Final = ("input", "instructions")  # fields of `response.create` whose words are for one answer only
SAID_ALL: Final = frozenset({"response.output_audio_transcript.done", "response.output_text.done"})


OF_PERSON: Final = frozenset(
    {
        "input_audio_buffer.committed", f"{TRANSCRIPTION}.completed", f"{TRANSCRIPTION}.failed",
        "conversation.item.deleted", "conversation.item.added",
    }
)  # fmt: skip


@dataclass
class _Text:
    """Words of one item so far, how far rules have looked, and how far moderation was asked."""

    response_id: str
    text: str = ""
    looked: int = 0
    asked: int = 0
    recorded: set[str] = field(default_factory=set)


class Guardrails(Act):
    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._rules: list[Rule] = []
        self._of_version: int | None = None
        self._is_loading = False
        self._texts: dict[str, _Text] = {}
        self._cut: set[str] = set()  # responses that were stopped
        self._over: set[str] = set()  # of those, the ones that have ended
        self._pending: set[str] = set()  # what people said and nobody has looked at yet
        self._committed: set[str] = set()  # what they said aloud, until its item is there
        self._early: list[Event] = []  # what came while the rules were read
        self._owes_answer = False

    def begin(self, now: datetime) -> Reaction:
        return self._follow_version()

    def take(self, event: Event, now: datetime) -> Reaction:
        reaction = self._follow_version()
        if self._rules or self._is_loading:
            reaction.add(self._look_at(event))
        return reaction

    def check_client(self, event: Event) -> None:
        """Refuse words for one answer only: they never become an item of the conversation that rules could look at."""
        if event.get("type") != "response.create" or not (self._is_loading or self._holds_back()):
            return
        response = event.get("response") or {}
        for name in ONE_ANSWERS_WORDS:
            if response.get(name):
                param, event_id = f"response.{name}", event.get("event_id")
                message = f"'{param}' cannot be looked at by this assistant's rules: say it in the conversation."
                raise RefusedClientEvent("event_not_allowed", message, param=param, event_id=event_id)

    def lets_sound_through(self, text: str) -> bool:
        return not any(response_id in text for response_id in self._cut)

    # The rules.

    def _follow_version(self) -> Reaction:
        version = self._watch.version
        if version is None or version.pk == self._of_version:
            return Reaction()
        self._of_version = version.pk
        if not (version.guardrails or self._rules):
            return Reaction()
        self._is_loading = True
        return Reaction(works=[self._loading(version)])

    def _loading(self, version: AgentVersion) -> Work:
        return Work(partial(self._load, version), DEADLINE_S)

    async def _load(self, version: AgentVersion) -> Reaction:
        """Take up a version's rules, and look at what was said meanwhile. Until then nothing is answered."""
        try:
            rules = await database_sync_to_async(_rules_of)(version.guardrails)
        except (DatabaseError, InterfaceError):
            logger.exception("guardrails could not be read call=%s", self._watch.call.pk)
            await asyncio.sleep(LOAD_AGAIN_S)
            return Reaction(works=[self._loading(version)])
        if version.pk != self._of_version:
            return Reaction()  # another agent has the call by now
        self._rules, self._is_loading = rules, False
        reaction = self._watch.hold_back(self._holds_back())
        for item_id, said in tuple(self._texts.items()):
            reaction.add(self._find(said, item_id, is_whole=False))
        early, self._early = self._early, []
        self._pending -= {_item_id(event) for event in early}
        for event in early:
            reaction.add(self._look_at_person(event))
        reaction.add(self._answer_if_owed())
        return reaction

    def _holds_back(self) -> bool:
        return any(rule.side == "input" and not rule.records_only for rule in self._rules)

    def _input_audio(self) -> dict[str, Any]:  # Any: as the session has it
        audio = (self._watch.conversation.session or {}).get("audio") or {}
        return audio.get("input") or {}

    # What happens.

    def _look_at(self, event: Event) -> Reaction:
        kind = event["type"]
        if kind in SAID or kind in SAID_ALL:
            return self._hear(event, is_whole=kind in SAID_ALL)
        if kind == "response.created":
            return self._gate(event["response"]["id"])
        if kind == "response.done":
            return self._finish(event)
        if event.get("response_id") in self._cut or (event.get("item") or {}).get("id") in self._cut_items():
            return Reaction(withheld=True)
        if event["type"] == "conversation.item.added" and self._watch.adds_own_item:
            return Reaction()
        if self._is_loading:
            return self._put_off(event)
        return self._look_at_person(event)

    def _put_off(self, event: Event) -> Reaction:
        """Keep what people say until the rules are there, and what would answer it back."""
        if event["type"] in OF_PERSON:
            if len(self._early) >= MOST_EARLY:
                return Reaction([_deleted(_item_id(event))])
            self._early.append(event)
            if event["type"] == "input_audio_buffer.committed" or _has_words(event.get("item") or {}):
                self._pending.add(_item_id(event))
        return Reaction()

    def _look_at_person(self, event: Event) -> Reaction:
        kind = event["type"]
        if kind == "input_audio_buffer.committed":
            self._committed.add(event["item_id"])
            return self._wait_for_words(event["item_id"]) if self._holds_back() else Reaction()
        elif kind == f"{TRANSCRIPTION}.completed":
            return self._weigh(event["item_id"], str(event["transcript"]), is_spoken=True)
        elif kind == f"{TRANSCRIPTION}.failed" and self._holds_back():
            return self._weigh_nothing(event["item_id"])
        elif kind == "conversation.item.deleted":
            self._pending.discard(event["item_id"])
        elif kind == "conversation.item.added":
            return self._look_at_item(event["item"])
        return Reaction()

    def _look_at_item(self, item: Event) -> Reaction:
        """Look at words that somebody put in: as their own, or as the assistant's or a tool's, which works as well.

        An item of the model's own is empty when it is added, and one that was spoken was committed before.
        """
        if item["id"] in self._committed:
            self._committed.remove(item["id"])
            return Reaction()
        if self._holds_back() and any(part.get("type") in UNREADABLE for part in item.get("content") or ()):
            return self._weigh_nothing(item["id"])
        return self._weigh(item["id"], _words_in(item), is_spoken=False) if _has_words(item) else Reaction()

    # What the agent says.

    def _hear(self, event: Event, *, is_whole: bool) -> Reaction:
        response_id, item_id = event["response_id"], event["item_id"]
        if response_id in self._cut:
            return Reaction(withheld=True)
        if self._watch.is_own_line(response_id):
            return Reaction()
        said = self._texts.setdefault(item_id, _Text(response_id))
        if len(self._texts) > MOST_TEXTS:
            del self._texts[next(iter(self._texts))]
        if is_whole:
            said.text = str(event.get("transcript") or event.get("text") or said.text)
        else:
            said.text += str(event.get("delta", ""))
        reaction = self._find(said, item_id, is_whole=is_whole)
        reaction.works += self._ask_about(said, item_id, is_whole=is_whole)
        return reaction

    def _find(self, said: _Text, item_id: str, *, is_whole: bool) -> Reaction:
        """Look at what is new, as far as words are whole: the next piece may make another word of the last one."""
        if self._is_loading:
            return Reaction()
        text = said.text if is_whole else said.text[: _end_of_words(said.text)]
        reaction = Reaction()
        for rule in self._rules:
            if rule.side == "output" and rule.slug not in said.recorded and finds(rule, text, said.looked):
                reaction.add(self._trip(rule, said, item_id))
        said.looked = len(text)
        return reaction

    def _trip(self, rule: Rule, said: _Text, item_id: str) -> Reaction:
        said.recorded.add(rule.slug)
        works = [self._record(rule, item_id)]
        if rule.records_only or said.response_id in self._cut:
            return Reaction(works=works)
        self._cut.add(said.response_id)
        reaction = Reaction(stop=True, withheld=True, say=[rule.safe_line], works=works)
        if said.response_id not in self._watch.conversation.in_progress:  # it was all made, and is perhaps still heard
            reaction.add(self._take_out(said.response_id))
        return reaction

    def _ask_about(self, said: _Text, item_id: str, *, is_whole: bool) -> list[Work]:
        rules = [rule for rule in self._rules if rule.side == "output" and rule.finder is None]
        is_due = is_whole or len(said.text) - said.asked >= ASK_AFTER_CHARS
        if not rules or not is_due or said.asked == len(said.text):
            return []
        said.asked = len(said.text)
        return [Work(partial(self._ask_output, rules, said, item_id), DEADLINE_S)]

    async def _ask_output(self, rules: list[Rule], said: _Text, item_id: str) -> Reaction:
        reaction = Reaction()
        for rule in await self._found_by(rules, said.text, item_id):
            if rule.slug not in said.recorded:
                reaction.add(self._trip(rule, said, item_id))
        return reaction

    def _finish(self, event: Event) -> Reaction:
        """Take a stopped reply out of the conversation, and its words out of what the client of a socket gets."""
        response_id = event["response"].get("id")
        if response_id not in self._cut or response_id in self._over:
            return Reaction()
        self._over.add(response_id)
        bare = event | {"response": event["response"] | {"output": []}}
        reaction = Reaction(client=[bare], withheld=True)
        reaction.add(self._take_out(response_id))
        return reaction

    def _take_out(self, response_id: str) -> Reaction:
        self._over.add(response_id)
        items = [item_id for item_id, said in self._texts.items() if said.response_id == response_id]
        return Reaction([*map(_deleted, items), _mark(STOPPED)])

    def _cut_items(self) -> set[str]:
        return {item_id for item_id, said in self._texts.items() if said.response_id in self._cut}

    # What people say.

    def _gate(self, response_id: str) -> Reaction:
        """Nothing answers what nobody has looked at."""
        if not self._pending or self._watch.is_own_line(response_id):
            return Reaction()
        self._owes_answer = True
        return Reaction(stop=True)

    def _weigh(self, item_id: str, text: str, *, is_spoken: bool) -> Reaction:
        rules = [rule for rule in self._rules if rule.side == "input"]
        found = [rule for rule in rules if finds(rule, text)]
        slow = [rule for rule in rules if rule.finder is None]
        reaction = self._judge(item_id, found)
        if any(not rule.records_only for rule in found):
            return reaction
        if slow:
            if self._holds_back():
                self._pending.add(item_id)
            reaction.works.append(Work(partial(self._ask_input, slow, item_id, text, is_spoken), DEADLINE_S))
            return reaction
        reaction.add(self._let_pass(item_id, is_spoken=is_spoken))
        return reaction

    def _wait_for_words(self, item_id: str) -> Reaction:
        self._pending.add(item_id)
        if not self._input_audio().get("transcription"):
            return self._weigh_nothing(item_id)
        return Reaction(works=[Work(partial(self._give_up, item_id), TRANSCRIBED_WITHIN_S + DEADLINE_S)])

    async def _give_up(self, item_id: str) -> Reaction:
        """Wait no longer for words that do not come, or nothing would ever be answered again."""
        await asyncio.sleep(TRANSCRIBED_WITHIN_S)
        return self._weigh_nothing(item_id) if item_id in self._pending else Reaction()

    def _weigh_nothing(self, item_id: str) -> Reaction:
        """Decide about words that could not be written down, or that nobody can read."""
        stopping = [rule for rule in self._rules if rule.side == "input" and not rule.records_only]
        if settings.GUARDRAILS_ON_FAILURE == "allow" or not stopping:
            return self._let_pass(item_id, is_spoken=True)
        return self._judge(item_id, stopping[:1])

    async def _ask_input(self, rules: list[Rule], item_id: str, text: str, is_spoken: bool) -> Reaction:
        found = await self._found_by(rules, text, item_id)
        reaction = self._judge(item_id, found)
        if not any(not rule.records_only for rule in found):
            reaction.add(self._let_pass(item_id, is_spoken=is_spoken))
        return reaction

    def _judge(self, item_id: str, found: list[Rule]) -> Reaction:
        reaction = Reaction(works=[self._record(rule, item_id) for rule in found])
        stopping = next((rule for rule in found if not rule.records_only), None)
        if stopping is not None:
            self._pending.discard(item_id)
            self._owes_answer = False
            reaction.add(Reaction([_deleted(item_id), _mark(REFUSED)], say=[stopping.safe_line], stop=True))
        return reaction

    def _let_pass(self, item_id: str, *, is_spoken: bool) -> Reaction:
        """Have the words answered, if nobody else does and nothing else is still looked at."""
        was_held = item_id in self._pending
        self._pending.discard(item_id)
        is_ours = is_spoken and was_held and self._watch.answers_for_upstream
        self._owes_answer |= is_ours
        return self._answer_if_owed()

    def _answer_if_owed(self) -> Reaction:
        answers = self._owes_answer and not self._pending
        self._owes_answer &= not answers
        return Reaction(answer=answers)

    # What takes time.

    async def _found_by(self, rules: list[Rule], text: str, item_id: str) -> list[Rule]:
        """Return those of the slow rules that find something; one that cannot be asked as the setting has it."""
        results = await asyncio.gather(*(self._is_found(rule, text, item_id) for rule in rules))
        return [rule for rule, found in zip(rules, results, strict=True) if found]

    async def _is_found(self, rule: Rule, text: str, item_id: str) -> bool:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await _asked(rule, text)
        except (UpstreamError, TimeoutError) as exc:
            logger.warning("a guardrail could not be asked guardrail=%s error=%s", rule.slug, type(exc).__name__)
        except Exception:  # a function of somebody else's
            logger.exception("a guardrail failed guardrail=%s", rule.slug)
        await self._write(Action.GUARDRAIL_FAILED, rule, item_id)
        return bool(settings.GUARDRAILS_ON_FAILURE == "stop")

    def _record(self, rule: Rule, item_id: str) -> Work:
        return Work(partial(self._write, Action.GUARDRAIL_TRIPPED, rule, item_id), DEADLINE_S)

    async def _write(self, action: Action, rule: Rule, item_id: str) -> None:
        call: Call = self._watch.call
        await database_sync_to_async(record_event)(
            action, request_id=call.request_id, actor="worker", target=f"call:{call.pk}",
            guardrail=rule.slug, side=rule.side, item=item_id, stopped=not rule.records_only,
        )  # fmt: skip


async def _asked(rule: Rule, text: str) -> bool:
    if rule.kind == "moderation":
        return is_flagged(rule, await flagged_categories(upstream_http(), configured_upstream(), text))
    check = find_check(rule.check)
    if check is None:
        raise LookupError(rule.check)
    return bool(await database_sync_to_async(check)(text))


def _rules_of(slugs: list[str]) -> list[Rule]:
    rules = []
    for row in Guardrail.objects.filter(slug__in=slugs, enabled=True):
        try:
            rules.append(row.rule())
        except UnsafePattern:  # it passed no form; the others hold all the same
            logger.exception("a guardrail cannot be used guardrail=%s", row.slug)
    return rules


def _item_id(event: Event) -> str:
    return str(event.get("item_id") or (event.get("item") or {}).get("id"))


def _words_in(item: Event) -> str:
    """Return the words of an item of any kind."""
    said = words_of(item) if item.get("content") else ""
    return " ".join(str(words) for words in (said, item.get("arguments"), item.get("output")) if words)


def _has_words(item: Event) -> bool:
    return bool(_words_in(item))


def _end_of_words(text: str) -> int:
    """Return how much of a text is whole words."""
    end = len(text)
    while end and (text[end - 1].isalnum() or text[end - 1] == "_"):
        end -= 1
    return end


def _deleted(item_id: str) -> Event:
    return {"type": "conversation.item.delete", "item_id": item_id}


def _mark(words: str) -> Event:
    """Return what tells the model what happened, and by its id the page."""
    side = "out" if words is STOPPED else "in"
    item = {"id": f"{MARK}{side}_{secrets.token_hex(6)}", "type": "message", "role": "system"}
    content = [{"type": "input_text", "text": words}]
    return {"type": "conversation.item.create", "item": item | {"content": content}}
