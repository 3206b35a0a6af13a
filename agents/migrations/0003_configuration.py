"""The mark by which processes know that agents or policies have changed."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def add_first_mark(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("agents", "Configuration").objects.create(pk=1, mark=1)


class Migration(migrations.Migration):
    dependencies = [("agents", "0002_first_agent")]

    operations = [
        migrations.CreateModel(
            name="Configuration",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("mark", models.BigIntegerField()),
            ],
        ),
        migrations.RunPython(add_first_mark, migrations.RunPython.noop),
    ]
