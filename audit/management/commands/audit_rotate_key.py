"""`manage.py audit_rotate_key`: make the next signing key."""

import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.notes import Signer


class Command(BaseCommand):
    help = "Make a new signing key. It is in use once it stands in AUDIT_SIGNING_KEYS and the worker was restarted."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="where to write the key; it must not exist yet")

    def handle(self, *args: Any, **options: Any) -> None:
        number, seed = max(settings.AUDIT_SIGNING_KEYS) + 1, secrets.token_bytes(32)
        try:
            descriptor = os.open(options["file"], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as exc:
            raise CommandError(f"{options['file']}: {exc.strerror}") from exc
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{number}:{seed.hex()}\n")
        new = Signer(settings.AUDIT_ORIGIN, number, seed)
        self.stdout.write(
            f"1. Add what stands in {options['file']} to AUDIT_SIGNING_KEYS, behind a comma; keep the others."
        )
        self.stdout.write(
            "2. Restart web and worker. The next checkpoint is signed by both keys, and an event says so."
        )
        self.stdout.write("3. Tell those who check the record the new key: manage.py audit_keys")
        self.stdout.write(f"New verifier key: {new.verifier_key}")
