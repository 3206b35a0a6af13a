from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "audit"
    verbose_name = "Audit"

    def ready(self) -> None:
        from audit import checks  # noqa: F401
        from audit.guards import after_migration

        post_migrate.connect(after_migration, sender=self, dispatch_uid="audit.guards")
