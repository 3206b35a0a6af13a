"""`manage.py audit_erase`: erase personal data from the record. Shows what it would do until told to do it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.retention import erase_personal_data, personal_data_of


class Command(BaseCommand):
    help = "Erase names, addresses and browsers from events by or about somebody. The events and their proofs stay."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subjects", nargs="*", help="such as user:7 key:3")
        parser.add_argument("--username", default="", help="also where this name stands, as in failed logins")
        parser.add_argument("--reason", required=True, help="without names: it stays")
        parser.add_argument("--yes", action="store_true", help="do it; without this it is only shown")

    def handle(self, *args: Any, **options: Any) -> None:
        subjects, username = options["subjects"], options["username"]
        if not subjects and not username:
            raise CommandError("Name somebody, such as user:7.")
        if options["yes"]:
            count = erase_personal_data(subjects, username, actor="server", reason=options["reason"])
            self.stdout.write(f"Erased the personal data of {count} events; that is on record.")
        else:
            count = personal_data_of(subjects, username).count()
            self.stdout.write(f"Would erase the personal data of {count} events. With --yes it is done.")
