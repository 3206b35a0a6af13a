"""`manage.py audit_export_bundle`: events that an outsider can check with `audit/verifier.py` alone."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.actions import Action
from audit.bundles import NothingSealed, bundle_lines, sealed_range
from audit.services import record_event


class Command(BaseCommand):
    help = "Write sealed events with what ties them to the newest checkpoint. That they were exported is an event."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--first", type=int, help="identifier of the first event; without it, the first kept")
        parser.add_argument("--last", type=int, help="identifier of the last event; without it, the last sealed")
        parser.add_argument("--personal", action="store_true", help="with names, addresses and browsers")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            part = sealed_range(options["first"], options["last"])
        except NothingSealed as exc:
            raise CommandError(str(exc)) from exc
        record_event(
            Action.AUDIT_EXPORTED, request_id="", actor="server",
            first=part.first, last=part.last, personal=options["personal"],
        )  # fmt: skip
        with options["file"].open("w", encoding="utf-8") as file:
            for line in bundle_lines(part, with_personal=options["personal"]):
                file.write(f"{line}\n")
        self.stdout.write(
            f"Events {part.first} to {part.last}, sealed at {part.checkpoint.size}, are in {options['file']}."
        )
