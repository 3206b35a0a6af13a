from django.apps import AppConfig
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.utils.module_loading import autodiscover_modules


class AgentsConfig(AppConfig):
    name = "agents"
    verbose_name = "Agents"

    def ready(self) -> None:
        from django.contrib.auth.models import User

        from agents.functions import register_functions
        from agents.handoffs import definitions_of
        from agents.models import Agent, Configuration

        autodiscover_modules("voice_guardrails")
        register_functions(definitions_of)

        for signal in (post_save, post_delete):
            signal.connect(Configuration.note_change, sender=Agent)
        m2m_changed.connect(Configuration.note_change, sender=User.groups.through)
