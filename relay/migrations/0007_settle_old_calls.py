"""Calls that ended before there were charges stay uncharged; none of them waits to be settled."""

from django.db import migrations


def settle(apps, schema_editor):
    apps.get_model("relay", "Call").objects.filter(state__in=["ended", "failed", "unknown"]).update(
        metering="unmetered", unpriced=True
    )


class Migration(migrations.Migration):
    dependencies = [("relay", "0006_charges")]

    operations = [migrations.RunPython(settle, migrations.RunPython.noop)]
