"""`manage.py find_secret`: whose is a value that leaked? Read from standard input, where no process list shows it."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tokens.services import find_leaked


class Command(BaseCommand):
    help = "Tell whose client secret or API key a value is. Reads the value from standard input."

    def handle(self, *args: Any, **options: Any) -> None:
        value = sys.stdin.readline().strip()
        if not value:
            raise CommandError("Give the value on standard input.")
        found = find_leaked(value)
        if found is None:
            raise CommandError("No client secret and no API key of this server has that value.")
        self.stdout.write(found.words)
