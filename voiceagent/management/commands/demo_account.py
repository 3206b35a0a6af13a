"""`manage.py demo_account`: make the demo's account, an administrator's, and keep its password as in `.env`."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand

NAME = "demo"


class Command(BaseCommand):
    help = "Create the demo account. Does nothing unless DEMO is on and DEMO_PASSWORD is set."

    def handle(self, *args: Any, **options: Any) -> None:
        if not (settings.DEMO and settings.DEMO_PASSWORD):
            return
        user, created = User.objects.get_or_create(username=NAME, defaults={"is_staff": True, "is_superuser": True})
        if created or not user.check_password(settings.DEMO_PASSWORD):
            user.set_password(settings.DEMO_PASSWORD)
            user.save()
