"""`manage.py set_up`: everything between installed packages and a start, in one process. Repeating it is harmless."""

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Build the audio library, migrate, collect static files make the demo's account and its agents."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("assets", stdout=self.stdout, stderr=self.stderr)
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        call_command("demo_account")
        if settings.DEMO:
            call_command("starter_agents")
        if apps.is_installed("examples.booking"):
            call_command("booking_agent")
