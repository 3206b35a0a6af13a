from django.apps import AppConfig
from django.db.models.signals import post_delete, post_save


class TokensConfig(AppConfig):
    name = "tokens"
    verbose_name = "Client secrets"

    def ready(self) -> None:
        from agents.models import Configuration
        from tokens.models import Policy

        for signal in (post_save, post_delete):
            signal.connect(Configuration.note_change, sender=Policy)
