"""`manage.py end_everything NAME`: revoke a user's keys and secrets, end their sessions and calls."""

import secrets
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from voiceagent.end_everything import end_everything


class Command(BaseCommand):
    help = "Revoke a user's API keys and live secrets, end their sessions and hang up their calls."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--disable", action="store_true", help="disable the account as well")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['username']!r}.")
        request_id = f"cmd_{secrets.token_hex(12)}"
        ended = end_everything(user, actor="command", request_id=request_id, disable=options["disable"])
        self.stdout.write(f"{ended} (request {request_id})")
