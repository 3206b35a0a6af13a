"""Events as a table, for the pages of what they tell about."""

from collections.abc import Iterable

from django import template

from audit.models import AuditEvent
from voiceagent.admin_words import time_of

register = template.Library()


@register.inclusion_tag("admin/audit_table.html")
def audit_table(events: Iterable[AuditEvent]) -> dict[str, object]:
    return {"rows": [{"event": event, "when": time_of(event.recorded_at)} for event in events]}
