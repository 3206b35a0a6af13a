from django.apps import AppConfig


class VoiceAgentConfig(AppConfig):
    name = "voiceagent"

    def ready(self) -> None:
        from voiceagent import checks  # noqa: F401  (registers the system checks)
