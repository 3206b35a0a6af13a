"""`manage.py audit_verify`: check the whole record against everything that was signed."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.notes import signers
from audit.verification import record_verification, verify_record
from audit.verifier import NotProven, Report, read_checkpoints


class Command(BaseCommand):
    help = "Recompute every event, leaf and checkpoint. Prints one line of JSON; exit status 1 when something is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--checkpoints", type=Path, help="an exported file, kept where nobody here can change it")
        parser.add_argument("--no-record", action="store_true", help="leave no event that tells of this")

    def handle(self, *args: Any, **options: Any) -> None:
        exported = []
        if options["checkpoints"]:
            try:
                notes = read_checkpoints(options["checkpoints"], [signer.key for signer in signers()], Report())
            except OSError as exc:
                raise CommandError(str(exc), returncode=2) from exc
            except NotProven as exc:
                raise CommandError(f"The exported checkpoints: {exc}", returncode=1) from exc
            exported = list(notes.values())
        report = verify_record(exported)
        if not options["no_record"]:
            record_verification(report, actor="server")
        self.stdout.write(report.as_json())
        if not report.ok:
            raise CommandError(report.message, returncode=1)
