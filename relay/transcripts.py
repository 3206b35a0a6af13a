"""What was said in a call: in the order of its conversation, and deleting it."""

from collections.abc import Iterable, Mapping
from typing import Final

from django.contrib.auth.models import User
from django.dispatch import Signal

from audit.actions import Action
from audit.records import Fact
from audit.services import durable_record, record_event
from relay.conversation import RETOLD, in_order
from relay.exceptions import CallNotOver
from relay.models import Call, CallCommand, TranscriptItem
from relay.recorder import line_of
from tokens.exceptions import PolicyDenied
from tokens.policy import allowance_of

REPEATED: Final = "earlier_"  # how the voice page names what it tells a new session of the one before
# Tells those who keep something else of what was said: `call`, within the transaction.
words_deleted = Signal()


def ordered_transcript(call: Call) -> list[TranscriptItem]:
    """Return a call's words in the order of its conversation."""
    items = {item.item_id: item for item in TranscriptItem.objects.filter(call=call)}
    _mark_repeated(call, items.values())
    return [items[line.item_id] for line in in_order([line_of(item) for item in items.values()])]


def _mark_repeated(call: Call, items: Iterable[TranscriptItem]) -> None:
    """Mark what a page put in of the call before. An id alone proves nothing: the words must stand there, too.

    Of a reply that was interrupted a page repeats what was heard.
    """
    put_in = [item for item in items if item.item_id.startswith(REPEATED) and item.text]
    if not put_in or call.continues_id is None:
        return
    before = TranscriptItem.objects.filter(call=call.continues_id).values_list("role", "text")
    by_user = {text for role, text in before if role == "user"}
    by_assistant = tuple(text for role, text in before if role in ("assistant", RETOLD))
    for item in put_in:
        is_heard = item.role == RETOLD and any(text.startswith(item.text) for text in by_assistant)
        item.is_repeated = is_heard or (item.role == "user" and item.text in by_user)


def may_delete_transcript(user: User) -> bool:
    """Tell whether a user's policy lets them delete what was said in their own calls."""
    return allowance_of(user, None).delete_transcripts


def delete_transcript(call: Call, *, user: User, request_id: str, actor: str, person: Mapping[str, Fact]) -> int:
    """Delete the words of one's own call, and record that. Returns how many items there were; none, no event.

    Raises PolicyDenied, and CallNotOver while somebody still writes.
    """
    if not may_delete_transcript(user):
        raise PolicyDenied("Your policy does not let you delete what was said.", context={"rule": "delete_transcripts"})
    with durable_record():
        over = Call.objects.select_for_update().filter(pk=call.pk, lease_owner="").exclude(state=Call.State.LIVE)
        if not over.exists():
            raise CallNotOver()
        deleted, _ = TranscriptItem.objects.filter(call=call).delete()
        CallCommand.objects.filter(call=call, kind=CallCommand.Kind.SAY).update(text="")  # a line that was said
        words_deleted.send(Call, call=call)
        if deleted:
            record_event(
                Action.TRANSCRIPT_DELETED,
                request_id=request_id,
                actor=actor,
                target=f"call:{call.pk}",
                code="",
                person=person,
                items=deleted,
            )
    return deleted
