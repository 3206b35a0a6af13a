from django.apps import AppConfig


class RealtimeUiConfig(AppConfig):
    name = "realtime_ui"
    verbose_name = "Voice page"
