"""`manage.py audit_accept`: have the sealer go past an event that it halted at."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.actions import Action
from audit.services import record_event


class Command(BaseCommand):
    help = "Record that an event which the sealer halted at is sealed as it is. It stays marked for ever."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("event", type=int)
        parser.add_argument(
            "--clock", action="store_true", help="its time is right, and that of those before it was not"
        )
        parser.add_argument("--reason", required=True, help="what was found; without secrets and names")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["reason"].strip():
            raise CommandError("Say what was found.")
        record_event(
            Action.AUDIT_FINDING_ACCEPTED, request_id="", actor="server",
            target=f"event:{options['event']}", reason=options["reason"].strip()[:1000], clock=options["clock"],
        )  # fmt: skip
        self.stdout.write(f"The sealer will go past event {options['event']}; that is on record.")
