"""`manage.py audit_keys`: the verifier keys that outsiders need."""

from typing import Any

from django.core.management.base import BaseCommand

from audit.notes import signers
from audit.tree_models import AuditCheckpoint


class Command(BaseCommand):
    help = "Print the record's verifier keys, the one in use first; behind @ the last size that an older one signed."

    def handle(self, *args: Any, **options: Any) -> None:
        current, *older = signers()
        self.stdout.write(current.verifier_key)
        for signer in older:
            replaced = AuditCheckpoint.objects.filter(signing_key__gt=signer.number).order_by("pk").first()
            if replaced and AuditCheckpoint.objects.filter(signing_key=signer.number).exists():
                self.stdout.write(f"{signer.verifier_key}@{replaced.size}")
