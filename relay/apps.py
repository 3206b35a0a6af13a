from django.apps import AppConfig


class RelayConfig(AppConfig):
    name = "relay"
    verbose_name = "Calls"

    def ready(self) -> None:
        from relay.acts import register
        from relay.greeting import Greeting
        from relay.live_guardrails import Guardrails
        from relay.live_handoffs import Handoffs

        register(Guardrails)
        register(Handoffs)
        register(Greeting)
