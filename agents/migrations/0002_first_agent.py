"""One agent to talk to from the start."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

SLUG = "assistant"
INSTRUCTIONS = (
    "You are a friendly voice assistant. Answer in one or two short sentences, since you are being listened to, "
    "not read. Say so plainly when you do not know something."
)


def add_first_agent(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    agent_model = apps.get_model("agents", "Agent")
    version_model = apps.get_model("agents", "AgentVersion")
    agent = agent_model.objects.create(slug=SLUG, name="Assistant", description="Answers questions in a few words.")
    agent.published = version_model.objects.create(agent=agent, number=1, instructions=INSTRUCTIONS)
    agent.save()


def remove_first_agent(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    agent_model = apps.get_model("agents", "Agent")
    agent_model.objects.filter(slug=SLUG).update(published=None)
    apps.get_model("agents", "AgentVersion").objects.filter(agent__slug=SLUG).delete()
    agent_model.objects.filter(slug=SLUG).delete()


class Migration(migrations.Migration):
    dependencies = [("agents", "0001_initial")]
    operations = [migrations.RunPython(add_first_agent, remove_first_agent)]
