from django.apps import AppConfig
from django.db.models.signals import m2m_changed, post_delete, post_save


class AgentsConfig(AppConfig):
    name = "agents"
    verbose_name = "Agents"

    def ready(self) -> None:
        from django.contrib.auth.models import User

        from agents.models import Agent, Configuration

        for signal in (post_save, post_delete):
            signal.connect(Configuration.note_change, sender=Agent)
        m2m_changed.connect(Configuration.note_change, sender=User.groups.through)
