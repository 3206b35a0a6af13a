"""`manage.py forget_user NAME`: erase who somebody was. Shows what it would do until told to do it."""

import secrets
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from voiceagent.forget_user import forget_user, traces_of


class Command(BaseCommand):
    help = "Disable an account and erase its person from the record and from history. What happened stays, nameless."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--reason", required=True, help="why, without names: it stays on record")
        parser.add_argument("--yes", action="store_true", help="do it; without this it is only shown")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['username']!r}.")
        if not options["yes"]:
            self.stdout.write(f"Would forget {user.username}: {traces_of(user)}. With --yes it is done, for good.")
            return
        request_id = f"cmd_{secrets.token_hex(12)}"
        traces = forget_user(user, actor="command", request_id=request_id, reason=options["reason"])
        self.stdout.write(f"Forgotten: {traces} (request {request_id})")
