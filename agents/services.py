"""What administrators do with an agent's versions: save a draft, publish it, go back. Each leaves an event."""

from django.db import transaction

from agents.models import Agent, AgentVersion
from audit.actions import Action
from audit.changes import changes_of
from audit.services import record_event
from voiceagent.acting import Acting

NOTE_OF_RETURN = "Back to version {number}"


def save_draft(version: AgentVersion, *, author: str, by: Acting) -> None:
    """Save a new version; people go on talking to the published one. by: who does it, as the record takes it."""
    with transaction.atomic():
        newest = version.agent.versions.first()
        version.author = author
        version.save()
        record_event(
            Action.AGENT_CHANGED,
            target=f"agentversion:{version.pk}",
            **by,
            **changes_of(newest.content() if newest else {}, version.content()),
        )


def publish(version: AgentVersion, *, by: Acting) -> bool:
    """Let people talk to a version from now on; False when they do already. Calls that run keep theirs."""
    with transaction.atomic():
        agent = Agent.objects.select_for_update().get(pk=version.agent_id)
        if agent.published_id == version.pk:
            return False
        before = agent.published.number if agent.published else None
        agent.published = version
        agent.save()
        record_event(
            Action.AGENT_CHANGED,
            target=f"agent:{agent.pk}",
            **by,
            **changes_of({"published": before}, {"published": version.number}),
        )
    return True


def go_back(version: AgentVersion, *, author: str, by: Acting) -> AgentVersion:
    """Publish an old version once more, as the newest one: history is a line, and its end is what is edited."""
    with transaction.atomic():
        again = AgentVersion(
            agent=version.agent, note=NOTE_OF_RETURN.format(number=version.number), **version.content()
        )
        save_draft(again, author=author, by=by)
        publish(again, by=by)
    return again
