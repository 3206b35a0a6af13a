"""`manage.py audit_prune`: remove the oldest events. Shows what it would do until told to do it."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from audit.retention import prunable, prune


class Command(BaseCommand):
    help = "Remove events older than so many days. Their hashes stay, so that everything later can still be proved."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, required=True, help="how many days of events to keep")
        parser.add_argument("--yes", action="store_true", help="do it; without this it is only shown")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["days"] < 1:
            raise CommandError("Keep one day at least.")
        older_than = timezone.now() - timedelta(days=options["days"])
        part = prune(older_than, actor="server") if options["yes"] else prunable(older_than)
        if part.count <= 0:
            self.stdout.write("No event is that old, sealed, and covered by an exported checkpoint.")
        elif options["yes"]:
            self.stdout.write(f"Removed events {part.first} to {part.last}; that is on record.")
        else:
            self.stdout.write(f"Would remove events {part.first} to {part.last}. With --yes it is done.")
