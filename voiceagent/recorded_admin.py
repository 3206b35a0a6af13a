"""An admin whose every change leaves an event with each field's value before and after."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from audit.actions import Action
from audit.changes import changes_of
from audit.services import record_event
from voiceagent.acting import acting


class RecordedAdmin(admin.ModelAdmin[Any]):
    """changed: the action that is recorded. The event's target is named after the model: `price:3`."""

    changed: ClassVar[Action]

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        with transaction.atomic():
            before = self._values(obj) if change else {}
            super().save_model(request, obj, form, change)
            self._record(request, obj, before, self._values(obj))

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Save what is edited below the row, and record what is new there; changes go by admins of their own."""
        with transaction.atomic():
            super().save_formset(request, form, formset, change)
            for added in formset.new_objects:
                self._record(request, added, {}, type(added)._default_manager.filter(pk=added.pk).values().get())

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        with transaction.atomic():
            self._record(request, obj, self._values(obj), {})
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for row in queryset:
            self.delete_model(request, row)

    def _values(self, obj: Model) -> dict[str, object]:
        values: dict[str, object] = self.model._default_manager.filter(pk=obj.pk).values().get()
        return values

    def _record(
        self, request: HttpRequest, obj: Model, before: Mapping[str, object], after: Mapping[str, object]
    ) -> None:
        facts = changes_of(before, after)
        if facts:
            record_event(self.changed, target=f"{obj._meta.model_name}:{obj.pk}", **acting(request), **facts)
