"""What was said in a call: in the order of its conversation, and deleting it."""

from collections.abc import Mapping

from django.contrib.auth.models import User
from django.dispatch import Signal

from audit.actions import Action
from audit.records import Fact
from audit.services import durable_record, record_event
from relay.conversation import in_order
from relay.exceptions import CallNotOver
from relay.models import Call, CallCommand, TranscriptItem
from relay.recorder import line_of
from tokens.exceptions import PolicyDenied
from tokens.policy import allowance_of

# Tells those who keep something else of what was said: `call`, within the transaction.
words_deleted = Signal()


def ordered_transcript(call: Call) -> list[TranscriptItem]:
    """Return a call's words in the order of its conversation."""
    items = {item.item_id: item for item in TranscriptItem.objects.filter(call=call)}
    return [items[line.item_id] for line in in_order([line_of(item) for item in items.values()])]


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
