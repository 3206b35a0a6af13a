"""An admin whose every change leaves an event with each field's value before and after."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from django.contrib import admin
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from audit.actions import Action
from audit.services import record_event
from voiceagent.acting import acting

LONG_CHARS: Final = 300


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
        names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
        if not names:
            return
        record_event(
            self.changed,
            target=f"{obj._meta.model_name}:{obj.pk}",
            **acting(request),
            **{name: json.dumps([_told(before.get(name)), _told(after.get(name))], default=str) for name in names},
        )


def _told(value: object) -> object:
    """Return a value as an event can hold it: a long text by its digest, which still tells one from another."""
    if isinstance(value, str) and len(value) > LONG_CHARS:
        return f"{len(value)} characters, SHA-256 {hashlib.sha256(value.encode()).hexdigest()}"
    return value
