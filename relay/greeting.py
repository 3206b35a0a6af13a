"""What an agent says first: once in a call that begins, to somebody who has not said anything yet."""

from datetime import datetime
from typing import Final

from relay.acts import Act, Reaction
from relay.watch import Watch, line_event

GREETING_ID: Final = "server_greeting"


class Greeting(Act):
    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._is_due = not watch.is_taken_over and watch.call.continues_id is None

    def begin(self, now: datetime) -> Reaction:
        is_due, self._is_due = self._is_due, False
        conversation, version = self._watch.conversation, self._watch.version
        if not is_due or version is None or not version.greeting or conversation.responding or conversation.lines():
            return Reaction()
        # No line of ours, which would stop what is being said: a sideband may have joined too late to know of it, and
        # where another response was quicker, the service refuses this one and nobody needs greeting.
        return Reaction([line_event(version.greeting) | {"event_id": GREETING_ID}])
